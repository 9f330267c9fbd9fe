// Making and changing elements. Text is only ever set as text: names and paths come from the traffic and may be hostile, so nothing
// here, or anywhere in the page, takes HTML.

export type Child = Node | string | null | undefined | false;

/** Attributes by name, `on…` listeners by event name; null and false leave one out, true sets it empty. */
export interface Props {
  class?: string | null;
  on?: { [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };
  [attribute: string]: unknown;
}

/** Makes an element. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") continue;
    if (name.startsWith("on") || name === "style") throw new Error(`${name} is not set by attribute: the page's policy forbids it`);
    setAttribute(element, name, value);
  }
  for (const [event, listener] of Object.entries(props.on ?? {})) element.addEventListener(event, listener as EventListener);
  append(element, children);
  return element;
}

/** Makes an SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: Node[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Sets, changes or removes an attribute; leaves it alone when it is as it should be. */
export function setAttribute(element: Element, name: string, value: unknown): void {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets the text of an element; leaves it alone when it is as it should be, so that a selection in it survives. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the children of an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** Puts `wanted` in this order under `parent`. Moving an element takes the focus from it, so it gets it back. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  const focused = document.activeElement;
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, index) => {
    const there = parent.children[index];
    if (there !== child) parent.insertBefore(child, there ?? null);
  });
  if (focused !== document.activeElement && focused instanceof HTMLElement && parent.contains(focused))
    focused.focus({ preventScroll: true });
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child);
}
