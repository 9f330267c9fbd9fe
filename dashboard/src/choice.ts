// What the reader chose: the window of the figures, in the address and, for the next visit, in the browser; and the name that
// acknowledgements carry, in the browser.
import { choose, chosen } from "./address";
import { WINDOWS, type Window } from "./api";

const WINDOW_KEY = "perfmon.window";
const NAME_KEY = "perfmon.name";

/** The chosen window; five minutes, the window of the health verdict, until another is chosen. */
export function chosenWindow(): Window {
  const known = (name: string | null | undefined): Window | undefined => WINDOWS.find((window) => window === name);
  return known(chosen("window")[0]) ?? known(localStorage.getItem(WINDOW_KEY)) ?? "5m";
}

export function chooseWindow(window: Window): void {
  localStorage.setItem(WINDOW_KEY, window);
  choose("window", [window]);
}

/** Who acknowledges; null until they said it. */
export function chosenName(): string | null {
  return localStorage.getItem(NAME_KEY);
}

export function chooseName(name: string): void {
  localStorage.setItem(NAME_KEY, name);
}

/** An API route with the chosen window. */
export function windowed(route: string): () => string {
  return () => `${route}?window=${chosenWindow()}`;
}
