// What the parts of the page live on: each names a route, all come over the one stream, whole at first and then by what changed
// (docs/http-api.md). Where perfmon has no stream to spare, the routes are asked instead.
import { ApiError } from "./client";
import type { ServerEvent } from "./events";

/** A route that a part of the page shows. */
export interface Source<T = unknown> {
  /** As the stream knows it, `health`, `summary@1m`. */
  route: string;
  /** The address to ask without a stream. */
  path: () => string;
  /** Only these fields, of an object or of each row. */
  fields?: readonly string[];
  /** The answer; null = this perfmon does not have the route. */
  show: (answer: T | null) => void;
  /** The answer could not be had or shown; what was shown before stays. */
  fail?: (error: ApiError) => void;
}

/** The data of a `change` event: an object's fields, or what is new in a list. */
interface Change {
  route: string;
  fields?: Record<string, unknown>;
  window_s?: number | null;
  total?: number;
  rows?: [number: number, fields: Record<string, unknown>][];
  gone?: number[];
  order?: number[];
}

/** An answer as it stands: changes are put into it. */
class Answer {
  #object: Record<string, unknown> = {};
  #rows = new Map<number, Record<string, unknown>>();
  #order: number[] | null = null;

  /** Puts a change in and gives the whole. */
  put(change: Change): unknown {
    if (!change.rows) return Object.assign(this.#object, change.fields);
    for (const number of change.gone ?? []) this.#rows.delete(number);
    for (const [number, fields] of change.rows) this.#rows.set(number, { ...this.#rows.get(number), ...fields });
    if (change.order) this.#order = change.order;
    const numbers = this.#order ?? [...this.#rows.keys()];
    const items = numbers.map((number) => this.#rows.get(number)).filter((row) => row !== undefined);
    return { window_s: change.window_s ?? null, total: change.total ?? items.length, items };
  }
}

export class Feed {
  #sources: Source[] = [];
  #answers = new Map<string, Answer>();
  #asking = false;
  /** Summaries since the stream began. */
  #rounds = 0;

  constructor(private readonly get: (path: string) => Promise<unknown>) {}

  add<T>(source: Source<T>): void {
    this.#sources.push(source as Source);
  }

  /** The stream's address: all routes, once each, with their fields. */
  path(window: string): string {
    const routes = new Map<string, readonly string[] | undefined>();
    // The summary of the chosen window comes without being asked for.
    for (const { route, fields } of this.#sources) if (route !== "summary") routes.set(route, fields);
    const fields = [...routes].filter(([, names]) => names).map(([route, names]) => `&fields.${route.split("@")[0]}=${names?.join(",")}`);
    return `api/v1/stream?window=${window}&follow=${[...routes.keys()].join(",")}${fields.join("")}`;
  }

  /** A stream begins: what it tells is whole again. */
  begin(): void {
    this.#answers.clear();
    this.#rounds = 0;
  }

  /** Takes an event of the stream. */
  take({ type, data }: ServerEvent): void {
    if (type === "summary" && this.#show("summary", () => JSON.parse(data))) {
      this.#rounds += 1;
      if (this.#rounds === 2) this.#hideAbsent();
    }
    if (type !== "change") return;
    let change: Change;
    try {
      change = JSON.parse(data) as Change;
    } catch {
      return;
    }
    const answer = this.#answers.get(change.route) ?? new Answer();
    this.#answers.set(change.route, answer);
    this.#show(change.route, () => answer.put(change));
  }

  /** What a whole round did not bring, this perfmon does not have. */
  #hideAbsent(): void {
    for (const source of this.#sources) if (source.route !== "summary" && !this.#answers.has(source.route)) shown(source, null);
  }

  /** Asks every route once; a round that is under way is not doubled. */
  async ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    await Promise.all(this.#sources.map((source) => this.#askOne(source)));
    this.#asking = false;
  }

  async #askOne(source: Source): Promise<void> {
    const path = source.path();
    try {
      const answer = await this.get(path);
      // The reader may have chosen another window meanwhile; then this answer is an old one.
      if (source.path() === path) shown(source, answer);
    } catch (error) {
      if (error instanceof ApiError && error.absent) shown(source, null);
      else source.fail?.(error instanceof ApiError ? error : new ApiError(0, String(error)));
    }
  }

  /** Shows an answer where it belongs; false when it cannot be read. */
  #show(route: string, answer: () => unknown): boolean {
    let whole: unknown;
    try {
      whole = answer();
    } catch {
      return false;
    }
    for (const source of this.#sources) if (source.route === route) shown(source, whole);
    return true;
  }
}

/** An answer that a part of the page cannot show must not stop the other parts. */
function shown(source: Source, answer: unknown): void {
  try {
    source.show(answer);
  } catch (error) {
    source.fail?.(new ApiError(0, `this answer was not understood (${String(error)})`));
  }
}
