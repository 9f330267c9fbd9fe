// What opened rows have in common: latencies to scale, the row's other figures, and the records behind them.
import type { Latency } from "./api";
import { type Child, fill, h } from "./dom";
import { factList } from "./facts";
import { duration } from "./format";
import type { RecordList } from "./record_list";
import type { Details } from "./table";

const LATENCY = ["mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"];

/** A named group of figures. */
export function group(title: string, content: HTMLElement): HTMLElement {
  return h("div", {}, h("h4", {}, title), content);
}

/** A figure with a bar; `part` 0..1. */
export function bar(name: string, value: string, part: number): HTMLElement {
  const line = h("div", {}, h("dt", {}, name), h("dd", {}, value));
  line.style.setProperty("--bar", `${Math.round(part * 100)}%`);
  return line;
}

/** Mean and percentiles, each as part of the longest. */
export function latencyBars(row: Latency): HTMLElement {
  const longest = row.max_ms ?? 0;
  const bars: [string, number | null][] = [
    ["mean", row.mean_ms],
    ["median", row.p50_ms],
    ["p95", row.p95_ms],
    ["p99", row.p99_ms],
    ["slowest", row.max_ms],
  ];
  return h(
    "dl",
    { class: "bars" },
    ...bars.map(([name, value]) => bar(name, duration(value), value === null || longest === 0 ? 0 : value / longest)),
  );
}

/** Details of a row of durations, with the records behind it. `lists` is called once, with the row as it is when it is opened. */
export function workDetails<T extends Latency>(lists: (row: T) => RecordList[], without: readonly string[] = []): () => Details<T> {
  return () => {
    const figures = h("div", { class: "detail-grid narrow" });
    const below = h("div", {});
    let records: RecordList[] | null = null;
    const update = (row: T): void => {
      fill(figures, group("Duration", latencyBars(row)), group("All figures", factList(row, [...LATENCY, ...without])));
      if (records === null) {
        records = lists(row);
        below.append(...records.map(({ element }) => element));
      }
      for (const list of records) list.refresh();
    };
    return { element: h("div", {}, figures, below), update };
  };
}

/** `?a=1&b=2` of those values that are there. */
export function query(values: Record<string, string | number | null | undefined>): string {
  const known = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `?${new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString()}`;
}

/** Parts of a line that are there, with dots between. */
export function dotted(...parts: Child[]): string {
  return parts.filter((part) => typeof part === "string" && part !== "").join(" · ");
}
