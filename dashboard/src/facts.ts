// All that the API says of a row or a record, as names and values: what a field is called decides how it is written.
import { h } from "./dom";
import { bytes, clock, count, decimal, duration, path, percent, rate, usd, words } from "./format";

type Value = unknown;

/** How a field is written; null when there is nothing to write. */
export function factText(name: string, value: Value): string | null {
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return numberText(name, value);
  if (Array.isArray(value)) return value.length === 0 ? null : value.map((item) => itemText(item)).join(", ");
  if (typeof value === "object") return itemText(value);
  const text = String(value);
  if (/^(time|first_seen|last_seen)$/.test(name)) return `${text.slice(0, 10)} ${clock(text)}`;
  return /^(path|endpoint|workflow_name)$/.test(name) ? path(text) : text;
}

function numberText(name: string, value: number): string {
  if (name.endsWith("_ms")) return duration(value);
  if (name.endsWith("_bytes") || name.endsWith("_size")) return bytes(value);
  if (name.endsWith("_usd")) return usd(value);
  if (name.endsWith("_percent")) return percent(value);
  if (/(_rate|availability|completeness|share_of_time)$/.test(name)) return rate(value);
  if (/per_(minute|second)$/.test(name)) return decimal(value);
  if (/^(pid|status_code|grpc_status|close_code)$/.test(name)) return String(value);
  return count(value);
}

/** An item of a list or a nested object, `{"name":"a","id":"x"}` → "a". */
function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null) return String(item);
  const named = (item as { name?: unknown }).name;
  if (typeof named === "string") return named;
  return Object.entries(item)
    .filter(([, value]) => value !== 0 && value !== null)
    .map(([name, value]) => `${words(name)} ${factText(name, value) ?? "–"}`)
    .join(", ");
}

const UNITS = /_(ms|bytes|usd|percent)$/;
const NAMES: Record<string, string> = {
  llm_calls: "model calls",
  tools_called: "tool calls",
  tokens_used: "tokens",
  cost_usd: "cost",
  comm: "process name",
  pid: "process id",
  rate_limited: "refused by a rate limit (429)",
  unpriced_calls: "calls without a price",
  ttft_p50_ms: "first token, median",
  ttft_p95_ms: "first token, p95",
  ttfb_p50_ms: "first byte, median",
  ttfb_p95_ms: "first byte, p95",
  completeness: "fully seen",
};

/** What a field is called on the page. */
export function factName(name: string): string {
  return NAMES[name] ?? words(name.replace(UNITS, ""));
}

/** Names and values of an object; what is unknown or in `without` is left out. */
export function facts(of: object, without: readonly string[] = []): [name: string, value: string][] {
  return Object.entries(of)
    .filter(([name]) => !without.includes(name))
    .map(([name, value]) => [factName(name), factText(name, value)] as const)
    .filter((fact): fact is [string, string] => fact[1] !== null);
}

/** The same as a list in columns. */
export function factList(of: object, without: readonly string[] = []): HTMLElement {
  const list = facts(of, without).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("dl", { class: "fact-list" }, ...list);
}
