// A dialog with one question and one line to answer it.
import { h } from "./dom";

export interface Question {
  title: string;
  text: string;
  label: string;
  submit: string;
}

/** The answer, trimmed; null when the dialog was closed without one. */
export function askLine(question: Question): Promise<string | null> {
  return new Promise((resolve) => {
    const input = h("input", {
      type: "text",
      required: true,
      autocomplete: "off",
      maxlength: "512",
      id: "answer",
    });
    const cancel = h("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Cancel");
    const buttons = h("div", { class: "buttons" }, cancel, h("button", { type: "submit", class: "primary" }, question.submit));
    const label = h("label", { for: "answer" }, question.label);
    const form = h("form", {}, h("h2", { id: "question" }, question.title), h("p", {}, question.text), label, input, buttons);
    const dialog = h("dialog", { "aria-labelledby": "question" }, form);
    let answer: string | null = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer = input.value.trim() || null;
      if (answer) dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
