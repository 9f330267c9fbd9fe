// A titled part of the page: shown when perfmon has the route it lives on, redrawn only while it is near the reader's view.
import { type Child, h, setText } from "./dom";
import type { Source } from "./feed";

export class Section {
  readonly element: HTMLElement;
  readonly body = h("div", { class: "body" });
  #note = h("span", { class: "note" });
  #error = h("p", { class: "error", role: "status", hidden: true });
  #near = true;
  /** Draws what came while nobody looked. */
  #waiting: (() => void) | null = null;

  /** `tools` stand at the right of the heading. */
  constructor(
    readonly id: string,
    readonly title: string,
    ...tools: Child[]
  ) {
    const heading = h("h2", { id: `${id}-title` }, title);
    const head = h("header", {}, heading, this.#note, h("div", { class: "tools" }, ...tools));
    this.element = h("section", { id, "class": "card", "aria-labelledby": `${id}-title`, "hidden": true }, head, this.#error, this.body);
    new IntersectionObserver(
      (entries) => {
        this.#near = entries.at(-1)?.isIntersecting ?? true;
        this.#catchUp();
      },
      { rootMargin: "300px" },
    ).observe(this.element);
    document.addEventListener("visibilitychange", () => this.#catchUp());
  }

  /** Near the view of a reader who looks at the page. */
  get watched(): boolean {
    return this.#near && document.visibilityState === "visible";
  }

  /** A few words beside the title. */
  say(note: string): void {
    setText(this.#note, note);
  }

  /** A source that fills this section; `always` also while nobody looks. */
  source<T>(source: Omit<Source<T>, "show" | "fail"> & { show: (answer: T) => void; always?: boolean }): Source<T> {
    const { show, always, ...route } = source;
    return {
      ...route,
      show: (answer) => {
        const first = this.element.hidden;
        this.element.hidden = answer === null;
        this.#error.hidden = true;
        this.#waiting = null;
        if (answer === null) return;
        if (always || first || this.watched) show(answer);
        else this.#waiting = () => show(answer);
      },
      fail: (error) => {
        // Without any answer the banner says it all.
        if (error.status === 0 && this.element.hidden) return;
        setText(this.#error, `Not up to date: ${error.message}.`);
        this.#error.hidden = false;
        this.element.hidden = false;
      },
    };
  }

  #catchUp(): void {
    if (!this.watched || !this.#waiting) return;
    const draw = this.#waiting;
    this.#waiting = null;
    draw();
  }
}
