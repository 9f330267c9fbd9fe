// What the reader chose, in the page's address, so that a link or a reload shows the same: `?window=1h&endpoints.sort=-p95_ms`. Without
// an address to write (unit tests) it lasts as long as the page.

/** The values of a key, in their order. */
export function chosen(key: string): string[] {
  return new URLSearchParams(location.search).getAll(key);
}

/** Replaces the values of a key; none takes it out. */
export function choose(key: string, values: readonly string[]): void {
  const query = new URLSearchParams(location.search);
  query.delete(key);
  for (const value of values) query.append(key, value);
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%7B", "{").replaceAll("%7D", "}");
  const address = `${location.pathname}${text === "" ? "" : `?${text}`}${location.hash}`;
  if (address !== `${location.pathname}${location.search}${location.hash}`) history.replaceState(null, "", address);
}
