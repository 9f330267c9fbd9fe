// What an opened row of the endpoints table shows: latencies to scale, classes of speed and of errors, and whether the two go together.
import type { Downstream, Endpoint, List } from "../api";
import { chosenWindow } from "../choice";
import { get } from "../client";
import { bar, group, latencyBars, query } from "../details";
import { type Child, fill, h } from "../dom";
import { bytes, count, decimal, duration, rate, words } from "../format";
import type { RecordList } from "../record_list";
import type { Details } from "../table";
import { requests } from "./work_records";

/** What errors and slowness have to do with each other, in a sentence; null when the figures do not say. */
export function correlationText({ correlation }: Endpoint): string | null {
  const { ok_mean_ms: ok, error_mean_ms: failed, slow_error_rate: slow, fast_error_rate: fast } = correlation;
  const parts: string[] = [];
  if (ok !== null && failed !== null) parts.push(`Failed requests took ${duration(failed)} on average, successful ones ${duration(ok)}`);
  if (slow !== null && fast !== null && slow + fast > 0)
    parts.push(`${rate(slow)} of the slow requests failed, ${rate(fast)} of the fast ones`);
  return parts.length > 0 ? `${parts.join("; ")}.` : null;
}

/** The command that comes again and again within one request, in a sentence. */
export function repeatedText({ downstream }: Endpoint): string | null {
  const repeated = downstream?.repeated ?? null;
  return (
    repeated &&
    `The last of ${count(repeated.requests)} requests with repeated commands sent ${count(repeated.calls)} times: ${repeated.query}`
  );
}

/** All of an endpoint's figures. */
export function endpointView(row: Endpoint): Child[] {
  const correlation = correlationText(row);
  const repeated = repeatedText(row);
  return [
    h(
      "div",
      { class: "detail-grid" },
      group("Response time", latencyBars(row)),
      group("Speed", categories(row)),
      group("Errors", pairs(errorPairs(row))),
      group("Waiting and first byte", pairs(waitPairs(row))),
      group("Load", pairs(loadPairs(row))),
      row.downstream !== null && group("Calls of a request", pairs(callPairs(row.downstream))),
    ),
    repeated !== null && h("p", { class: "sentence" }, repeated),
    correlation !== null && h("p", { class: "sentence" }, correlation),
  ];
}

/** The opened row: the table's rows have but the columns' fields, so its own row is asked. */
export function endpointDetails(): Details<Endpoint> {
  const figures = h("div", {}, h("p", { class: "note" }, "Loading…"));
  const lists = h("div", {});
  let list: RecordList | null = null;
  let busy = false;
  const ask = async ({ service, method, endpoint }: Endpoint): Promise<void> => {
    busy = true;
    try {
      const names = query({ window: chosenWindow(), service, method, endpoint });
      const [row] = (await get<List<Endpoint>>(`api/v1/endpoints${names}`)).items;
      if (row) fill(figures, ...endpointView(row));
    } catch (error) {
      fill(figures, h("p", { class: "note" }, `Not available: ${error instanceof Error ? error.message : String(error)}.`));
    }
    busy = false;
  };
  const update = (row: Endpoint): void => {
    if (!busy) void ask(row);
    if (list === null) {
      list = requests("Latest slow and failed requests", { service: row.service, method: row.method, endpoint: row.endpoint, slow: "1" });
      lists.append(list.element);
    }
    list.refresh();
  };
  return { element: h("div", {}, figures, lists), update };
}

/** A line of details. */
export type Pair = [name: string, value: string];

function pairs(list: Pair[]): HTMLElement {
  return h("dl", {}, ...list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function categories(row: Endpoint): HTMLElement {
  const { fast, moderate, slow } = row.categories;
  const all = fast + moderate + slow;
  const part = (name: string, value: number): HTMLElement => bar(name, count(value), all === 0 ? 0 : value / all);
  return h("dl", { class: "bars" }, part("fast, up to 500 ms", fast), part("moderate, up to 1 s", moderate), part("slow", slow));
}

function errorPairs(row: Endpoint): Pair[] {
  const seen = Object.entries(row.error_classes).filter(([, value]) => value > 0);
  if (seen.length === 0) return [["none", ""]];
  return seen.map(([name, value]) => [words(name), count(value)]);
}

function waitPairs(row: Endpoint): Pair[] {
  const list: Pair[] = [
    ["queue, median / p95", `${duration(row.queue_p50_ms)} / ${duration(row.queue_p95_ms)}`],
    ["queue, mean", duration(row.queue_mean_ms)],
    ["first byte, median / p95", `${duration(row.ttfb_p50_ms)} / ${duration(row.ttfb_p95_ms)}`],
  ];
  if (row.stream_p50_ms !== null)
    list.push([
      "stream duration, median / p95 / longest",
      [row.stream_p50_ms, row.stream_p95_ms, row.stream_max_ms].map(duration).join(" / "),
    ]);
  return list;
}

/** Calls and their time for each request, by whom they go to; of kinds that occur. */
export function callPairs(calls: Downstream): Pair[] {
  const kinds: [string, number | null, number | null][] = [
    ["databases", calls.db_calls_per_request, calls.db_ms_per_request],
    ["services", calls.http_calls_per_request, calls.http_ms_per_request],
    ["models", calls.llm_calls_per_request, calls.llm_ms_per_request],
  ];
  const seen = kinds.filter(([, made]) => made !== null && made > 0);
  const list: Pair[] = seen.map(([name, made, time]) => [name, `${decimal(made)} · ${duration(time)}`]);
  if (list.length === 0) list.push([calls.requests > 0 ? "none" : "not known", ""]);
  if (calls.requests_unsure > 0)
    list.push([
      "requests beside others, not counted here",
      `${count(calls.requests_unsure)} of ${count(calls.requests + calls.requests_unsure)}`,
    ]);
  return list;
}

function loadPairs(row: Endpoint): Pair[] {
  return [
    ["requests", `${count(row.count)}, ${decimal(row.requests_per_minute)} per min`],
    ["per second, now / peak", `${decimal(row.rate_now_per_second)} / ${decimal(row.rate_peak_per_second)}`],
    ["share of time", rate(row.share_of_time)],
    ["in flight, now / peak", `${count(row.in_flight)} / ${count(row.concurrency_peak)}`],
    ["mean body, request / response", `${bytes(row.request_size_mean_bytes)} / ${bytes(row.response_size_mean_bytes)}`],
    ["fully seen", rate(row.completeness)],
    ["service", row.service],
  ];
}
