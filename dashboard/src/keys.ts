// The page's keys: `/` goes to the filter of the table in view, `?` shows the keys, Escape leaves a filter.
import { h } from "./dom";

const KEYS: [key: string, what: string][] = [
  ["/", "Filter the table in view"],
  ["Esc", "Clear and leave the filter, or close this box"],
  ["1 5 0", "Figures of the last minute, 5 minutes, hour"],
  ["Tab", "Next button, column heading or row"],
  ["Enter", "Sort by a column, or open a row"],
  ["?", "Show these keys"],
];
const WINDOW_KEYS: Record<string, string> = { "1": "1m", "5": "5m", "0": "1h" };

/** Listens for the life of the page. */
export function listenForKeys(): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (event.key === "Escape" && target?.matches("input.filter")) leaveFilter(target as HTMLInputElement);
    const typing = target !== null && target.matches("input:not([type=radio]), textarea, select, dialog *");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && focusFilter()) event.preventDefault();
    if (event.key === "?") showKeys();
    const window = WINDOW_KEYS[event.key];
    if (window) document.querySelector<HTMLInputElement>(`.windows input[value="${window}"]`)?.click();
  });
}

/** The filter that is nearest to the top of the view; the first one when none is in view. */
function focusFilter(): boolean {
  const all = [...document.querySelectorAll<HTMLInputElement>("input.filter")].filter((field) => field.offsetParent !== null);
  const field = all.find((one) => one.getBoundingClientRect().top >= 0 && one.getBoundingClientRect().top < innerHeight) ?? all[0];
  field?.focus();
  field?.select();
  return field !== undefined;
}

function leaveFilter(field: HTMLInputElement): void {
  field.value = "";
  field.dispatchEvent(new Event("input"));
  field.blur();
}

/** The box with the keys. */
export function showKeys(): void {
  if (document.querySelector("dialog[open]")) return;
  const list = KEYS.map(([key, what]) => h("div", {}, h("dt", {}, ...key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)));
  const close = h("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
  const dialog = h(
    "dialog",
    { "class": "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, ...list),
    h("div", { class: "buttons" }, close),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
