// The bar at the top: name, verdict, window, keys, state of the connection; under it the banner of a lost connection.
import { WINDOWS, type Health, type Window } from "./api";
import { chooseWindow, chosenWindow } from "./choice";
import { h, setAttribute, setText } from "./dom";
import { mark } from "./mark";
import { showKeys } from "./keys";
import type { LinkState } from "./stream";

const LINK_WORDS: Record<LinkState, string> = {
  connecting: "Connecting",
  live: "Live",
  polled: "Polling",
  lost: "Reconnecting",
  locked: "Locked",
  refused: "Refused",
};
const WINDOW_WORDS: Record<Window, string> = { "1m": "minute", "5m": "5 minutes", "1h": "hour" };

export class Header {
  readonly element: HTMLElement;
  readonly lost = h(
    "p",
    { class: "banner bad", role: "alert", hidden: true },
    "Connection lost, reconnecting… The figures below are from before.",
  );
  #verdict = h("span", { class: "verdict" });
  #link = h("span", { class: "link" });

  constructor(windowChosen: () => void) {
    const brand = h("h1", { class: "brand" }, mark(), h("span", {}, "perfmon"));
    const keys = h(
      "button",
      { "type": "button", "class": "quiet help", "aria-label": "Keys", "title": "Keys (?)", "on": { click: showKeys } },
      "?",
    );
    this.element = h(
      "header",
      { class: "top" },
      brand,
      this.#verdict,
      h("span", { class: "space" }),
      windowPicker(windowChosen),
      keys,
      this.#link,
    );
    this.link("connecting");
  }

  /** Shows the connection's state. */
  link(state: LinkState): void {
    setAttribute(this.#link, "data-state", state);
    setText(this.#link, LINK_WORDS[state]);
    this.lost.hidden = state !== "lost";
    document.body.classList.toggle("stale", state === "lost");
  }

  /** Shows the verdict, also in the title of the browser's tab. */
  verdict(health: Health): void {
    setAttribute(this.#verdict, "data-status", health.status);
    setText(this.#verdict, health.status);
    const title = health.status === "healthy" ? "perfmon" : `perfmon: ${health.status}`;
    if (document.title !== title) document.title = title;
  }
}

function windowPicker(chosen: () => void): HTMLElement {
  const options = WINDOWS.map((window) => {
    const choose = (): void => {
      chooseWindow(window);
      chosen();
    };
    const input = h("input", { type: "radio", name: "window", value: window, checked: window === chosenWindow(), on: { change: choose } });
    return h("label", { title: `Figures of the last ${WINDOW_WORDS[window]}` }, input, h("span", {}, window));
  });
  return h("fieldset", { class: "windows" }, h("legend", { class: "hidden" }, "Period of the figures"), ...options);
}
