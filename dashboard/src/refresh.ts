// Decides which routes to ask and when: all of them at the start and after a reconnect, later those that the reader can see, when
// something changed, at most twice a second and never two rounds at once. A route that perfmon does not have is not asked again before the next reconnect.
import { ApiError } from "./client";

/** A route that a part of the page lives on. */
export interface Source<T = unknown> {
  /** Address for the chosen window. */
  path: () => string;
  /** Whether somebody looks at what it feeds. */
  wanted: () => boolean;
  /** The answer; null = this perfmon does not have the route. */
  show: (answer: T | null) => void;
  /** The route failed in another way; what it fed before stays. */
  fail?: (error: ApiError) => void;
}

export interface Asker {
  get: (path: string) => Promise<unknown>;
  now: () => number;
  later: (run: () => void, ms: number) => void;
}

/** perfmon says each second that something changed. With a whole second from round to round, every one would come as late after the news
 * as the first one happened to; with half of it, the second one catches up. */
const ROUND_MS = 500;

export class Refresher {
  #sources: Source[] = [];
  #absent = new Set<Source>();
  #lastStart = Number.NEGATIVE_INFINITY;
  #running = false;
  #due: "no" | "wanted" | "all" = "no";
  #timer = false;

  constructor(private readonly asker: Asker) {}

  add<T>(source: Source<T>): void {
    this.#sources.push(source as Source);
  }

  /** Something changed: ask what is wanted, soon. */
  changed(): void {
    if (this.#due === "no") this.#due = "wanted";
    this.#plan();
  }

  /** Ask everything, now: at the start, after a reconnect, for another window. */
  all(): void {
    this.#absent.clear();
    this.#due = "all";
    this.#lastStart = Number.NEGATIVE_INFINITY;
    this.#plan();
  }

  #plan(): void {
    if (this.#running || this.#due === "no") return;
    const wait = this.#lastStart + ROUND_MS - this.asker.now();
    if (wait <= 0) {
      void this.#round();
    } else if (!this.#timer) {
      this.#timer = true;
      this.asker.later(() => {
        this.#timer = false;
        this.#plan();
      }, wait);
    }
  }

  async #round(): Promise<void> {
    const every = this.#due === "all";
    this.#due = "no";
    this.#running = true;
    this.#lastStart = this.asker.now();
    await Promise.all(
      this.#sources.filter((source) => !this.#absent.has(source) && (every || source.wanted())).map((source) => this.#ask(source)),
    );
    this.#running = false;
    this.#plan();
  }

  async #ask(source: Source): Promise<void> {
    const path = source.path();
    try {
      const answer = await this.asker.get(path);
      // The reader may have chosen another window meanwhile; then this answer is an old one.
      if (source.path() === path) source.show(answer);
    } catch (error) {
      if (error instanceof ApiError && error.absent) {
        this.#absent.add(source);
        source.show(null);
      } else {
        // An answer that a part of the page cannot show must not stop the other parts.
        source.fail?.(error instanceof ApiError ? error : new ApiError(0, `this answer was not understood (${String(error)})`));
      }
    }
  }
}
