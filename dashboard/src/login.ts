// The page of a perfmon that wants a token before it says anything.
import { h, setText } from "./dom";
import { mark } from "./mark";

export class Login {
  readonly element: HTMLElement;
  #input = h("input", {
    type: "password",
    id: "token",
    name: "token",
    required: true,
    autocomplete: "current-password",
    maxlength: "512",
  });
  #problem = h("p", { class: "error", role: "alert", hidden: true });
  #tried = false;

  constructor(submit: (token: string) => void) {
    const form = h(
      "form",
      { class: "card" },
      h("h1", {}, mark(), "Log in to perfmon"),
      h("label", { for: "token" }, "Token"),
      this.#input,
      this.#problem,
      h("p", { class: "note" }, "The value of http.token in perfmon's configuration. This tab forgets it when you close it."),
      h("button", { type: "submit", class: "primary" }, "Log in"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = this.#input.value.trim();
      if (token === "") return;
      this.#tried = true;
      this.#problem.hidden = true;
      submit(token);
    });
    this.element = h("main", { id: "content", class: "login", tabindex: "-1" }, form);
  }

  /** perfmon refused: without a token, or with the one that was tried. */
  show(): void {
    if (this.#tried) {
      setText(this.#problem, "perfmon does not accept this token.");
      this.#problem.hidden = false;
      this.#tried = false;
      this.#input.select();
    }
    if (document.activeElement === document.body) this.#input.focus();
  }
}
