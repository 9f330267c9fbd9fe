// A titled part of the page: shown when perfmon has the route it lives on, refreshed only while it is near the reader's view.
import { type Child, h, setText } from "./dom";
import type { Source } from "./refresh";

export class Section {
  readonly element: HTMLElement;
  readonly body = h("div", { class: "body" });
  #note = h("span", { class: "note" });
  #error = h("p", { class: "error", role: "status", hidden: true });
  #near = true;

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
      },
      { rootMargin: "300px" },
    ).observe(this.element);
  }

  /** Near the view of a reader who looks at the page. */
  get watched(): boolean {
    return this.#near && document.visibilityState === "visible";
  }

  /** A few words beside the title. */
  say(note: string): void {
    setText(this.#note, note);
  }

  /** A source that fills this section. */
  source<T>(path: () => string, show: (answer: T) => void): Source<T> {
    return {
      path,
      wanted: () => this.watched,
      show: (answer) => {
        this.element.hidden = answer === null;
        this.#error.hidden = true;
        if (answer !== null) show(answer);
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
}
