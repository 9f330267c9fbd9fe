// The live stream: one connection to `api/v1/stream`, made again whenever it ends or falls silent. It is read by `fetch` and not by
// EventSource, because that one cannot send a token and hides why it failed.
import { ApiError, headers } from "./client";
import { EventParser, type ServerEvent } from "./events";

export type LinkState = "connecting" | "live" | "polled" | "lost" | "locked";

export interface StreamHandlers {
  /** Something happened in perfmon. */
  event: (event: ServerEvent) => void;
  /** The connection's state, said again at each attempt: `polled` = perfmon is there but has no stream to spare, `locked` = it wants a token. */
  state: (state: LinkState) => void;
}

/** perfmon sends a summary each second; silence for so long means that the connection is dead although nobody said so. */
const SILENCE_MS = 6_000;
const RETRY_MS = [250, 500, 1_000];

/** Keeps the stream open for the life of the page. Returns a function that tries again at once. */
export function openStream(path: string, handlers: StreamHandlers): () => void {
  let failures = 0;
  let wake: () => void = () => {};

  const run = async (): Promise<void> => {
    for (;;) {
      try {
        await readStream(path, handlers, () => {
          failures = 0;
          handlers.state("live");
        });
        handlers.state("lost");
      } catch (error) {
        handlers.state(failureState(error));
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
      });
      failures += 1;
    }
  };
  handlers.state("connecting");
  void run();
  return () => wake();
}

function failureState(error: unknown): LinkState {
  if (!(error instanceof ApiError)) return "lost";
  if (error.status === 401) return "locked";
  return error.status === 503 || error.status === 429 ? "polled" : "lost";
}

/** Reads until the stream ends; throws when it cannot be opened or breaks. */
async function readStream(path: string, handlers: StreamHandlers, opened: () => void): Promise<void> {
  const abort = new AbortController();
  let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const response = await fetch(path, { headers: { Accept: "text/event-stream", ...headers() }, cache: "no-store", signal: abort.signal });
    if (!response.ok || !response.body) throw new ApiError(response.status, "no stream");
    opened();
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
      for (const event of parser.push(value)) handlers.event(event);
    }
  } finally {
    clearTimeout(watchdog);
    abort.abort();
  }
}
