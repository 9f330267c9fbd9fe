// The live stream: one connection to `api/v1/stream`, made again whenever it ends or falls silent. It is read by `fetch` and not by
// EventSource, because that one cannot send a token and hides why it failed.
import { ApiError, errorMessage, headers } from "./client";
import { EventParser, type ServerEvent } from "./events";

export type LinkState = "connecting" | "live" | "polled" | "lost" | "locked" | "refused";

export interface StreamHandlers {
  /** The stream's address at the time of an attempt. */
  path: () => string;
  /** Something happened in perfmon. */
  event: (event: ServerEvent) => void;
  /**
   * The connection's state, said again at each attempt: `polled` = perfmon is there but has no stream to spare, `locked` = it wants a token,
   * `refused` = it does not let this user in; `why` is what perfmon says about a failure.
   */
  state: (state: LinkState, why?: string) => void;
}

/** perfmon sends a summary each second; silence for this long means that the connection is dead although it was not closed. */
const SILENCE_MS = 6_000;
const RETRY_MS = [250, 500, 1_000];

/** Keeps the stream open for the life of the page. Returns a function that opens it anew at once: for another path, or with a token. */
export function openStream(handlers: StreamHandlers): () => void {
  let failures = 0;
  let wake: () => void = () => {};
  let abort = new AbortController();
  let anew = false;

  const run = async (): Promise<void> => {
    for (;;) {
      abort = new AbortController();
      try {
        await readStream(handlers, abort, () => {
          failures = 0;
          handlers.state("live");
        });
        if (!anew) handlers.state("lost");
      } catch (error) {
        if (!anew) handlers.state(failureState(error), error instanceof ApiError ? error.message : undefined);
      }
      if (!anew) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
        });
        failures += 1;
      }
      anew = false;
    }
  };
  handlers.state("connecting");
  void run();
  return () => {
    anew = true;
    abort.abort();
    wake();
  };
}

function failureState(error: unknown): LinkState {
  if (!(error instanceof ApiError)) return "lost";
  if (error.status === 401) return "locked";
  if (error.status === 403) return "refused";
  return error.status === 503 || error.status === 429 ? "polled" : "lost";
}

/** Reads until the stream ends; throws when it cannot be opened or breaks. */
async function readStream(handlers: StreamHandlers, abort: AbortController, opened: () => void): Promise<void> {
  let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const response = await fetch(handlers.path(), {
      headers: { Accept: "text/event-stream", ...headers() },
      cache: "no-store",
      signal: abort.signal,
    });
    if (!response.ok) throw new ApiError(response.status, errorMessage(await response.text()) ?? "no stream");
    if (!response.body) throw new ApiError(response.status, "no stream");
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
