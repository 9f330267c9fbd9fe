// The page of a perfmon that does not let this user in: why, and what lets the user in.
import { h, setText } from "./dom";
import { mark } from "./mark";

export class Refused {
  readonly element: HTMLElement;
  #why = h("p", { class: "error", role: "alert" });

  constructor() {
    this.element = h(
      "main",
      { id: "content", class: "login", tabindex: "-1" },
      h(
        "div",
        { class: "card" },
        h("h1", {}, mark(), "perfmon does not let you in"),
        this.#why,
        h(
          "p",
          { class: "note" },
          "perfmon sees the traffic of every user of its host, so it answers only to some: root, the user who started it, and those whom its configuration names:",
        ),
        h("pre", {}, '[http]\nallow_users = ["your name"]'),
        h("p", { class: "note" }, "After a restart of perfmon this page opens by itself. Until then ", health(), " is what you may see."),
      ),
    );
  }

  /** perfmon refused, with this reason. */
  show(why: string): void {
    setText(this.#why, why);
  }
}

function health(): HTMLElement {
  return h("a", { href: "health/performance" }, "the health of the services");
}
