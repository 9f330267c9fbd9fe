// What the reader chose, kept in the browser: the window of the figures and the name that acknowledgements carry.
import { WINDOWS, type Window } from "./api";

const WINDOW_KEY = "perfmon.window";
const NAME_KEY = "perfmon.name";

/** The chosen window; five minutes, the window of the health verdict, until another is chosen. */
export function chosenWindow(): Window {
  const kept = localStorage.getItem(WINDOW_KEY);
  return WINDOWS.find((window) => window === kept) ?? "5m";
}

export function chooseWindow(window: Window): void {
  localStorage.setItem(WINDOW_KEY, window);
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
