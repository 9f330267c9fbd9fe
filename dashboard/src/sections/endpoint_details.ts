// What an opened row of the endpoints table shows: latencies to scale, classes of speed and of errors, and whether the two go together.
import type { Endpoint } from "../api";
import { type Child, h } from "../dom";
import { bytes, count, decimal, duration, rate, words } from "../format";

/** What errors and slowness have to do with each other, in a sentence; null when the figures do not say. */
export function correlationText({ correlation }: Endpoint): string | null {
  const { ok_mean_ms: ok, error_mean_ms: failed, slow_error_rate: slow, fast_error_rate: fast } = correlation;
  const parts: string[] = [];
  if (ok !== null && failed !== null) parts.push(`Failed requests took ${duration(failed)} on average, good ones ${duration(ok)}`);
  if (slow !== null && fast !== null) parts.push(`of the slow requests ${rate(slow)} failed, of the fast ones ${rate(fast)}`);
  return parts.length > 0 ? `${parts.join("; ")}.` : null;
}

export function endpointDetails(row: Endpoint): Child[] {
  const correlation = correlationText(row);
  return [
    h(
      "div",
      { class: "detail-grid" },
      group("Latency", scaled(row)),
      group("Speed", categories(row)),
      group("Errors", pairs(errorPairs(row))),
      group("Wait and first byte", pairs(waitPairs(row))),
      group("Load", pairs(loadPairs(row))),
    ),
    correlation !== null && h("p", { class: "sentence" }, correlation),
  ];
}

type Pair = [name: string, value: string];

function group(title: string, content: HTMLElement): HTMLElement {
  return h("div", {}, h("h4", {}, title), content);
}

function pairs(list: Pair[]): HTMLElement {
  return h("dl", {}, ...list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function scaled(row: Endpoint): HTMLElement {
  const longest = row.max_ms ?? 0;
  const bars: [string, number | null][] = [
    ["mean", row.mean_ms],
    ["p50", row.p50_ms],
    ["p95", row.p95_ms],
    ["p99", row.p99_ms],
    ["max", row.max_ms],
  ];
  return h(
    "dl",
    { class: "bars" },
    ...bars.map(([name, value]) => bar(name, duration(value), value === null || longest === 0 ? 0 : value / longest)),
  );
}

function categories(row: Endpoint): HTMLElement {
  const { fast, moderate, slow } = row.categories;
  const all = fast + moderate + slow;
  const part = (name: string, value: number): HTMLElement => bar(name, count(value), all === 0 ? 0 : value / all);
  return h("dl", { class: "bars" }, part("fast, up to 500 ms", fast), part("moderate, up to 1 s", moderate), part("slow", slow));
}

function bar(name: string, value: string, part: number): HTMLElement {
  const line = h("div", {}, h("dt", {}, name), h("dd", {}, value));
  line.style.setProperty("--bar", `${Math.round(part * 100)}%`);
  return line;
}

function errorPairs(row: Endpoint): Pair[] {
  const seen = Object.entries(row.error_classes).filter(([, value]) => value > 0);
  if (seen.length === 0) return [["none", ""]];
  return seen.map(([name, value]) => [words(name), count(value)]);
}

function waitPairs(row: Endpoint): Pair[] {
  const list: Pair[] = [
    ["queue p50 / p95", `${duration(row.queue_p50_ms)} / ${duration(row.queue_p95_ms)}`],
    ["queue mean", duration(row.queue_mean_ms)],
    ["first byte p50 / p95", `${duration(row.ttfb_p50_ms)} / ${duration(row.ttfb_p95_ms)}`],
  ];
  if (row.stream_p50_ms !== null)
    list.push(["stream life p50 / p95 / max", [row.stream_p50_ms, row.stream_p95_ms, row.stream_max_ms].map(duration).join(" / ")]);
  return list;
}

function loadPairs(row: Endpoint): Pair[] {
  return [
    ["requests", `${count(row.count)}, ${decimal(row.requests_per_minute)} per min`],
    ["per second now / peak", `${decimal(row.rate_now_per_second)} / ${decimal(row.rate_peak_per_second)}`],
    ["share of time", rate(row.share_of_time)],
    ["in flight / peak at once", `${count(row.in_flight)} / ${count(row.concurrency_peak)}`],
    ["body in / out, mean", `${bytes(row.request_size_mean_bytes)} / ${bytes(row.response_size_mean_bytes)}`],
    ["fully seen", rate(row.completeness)],
    ["service", row.service],
  ];
}
