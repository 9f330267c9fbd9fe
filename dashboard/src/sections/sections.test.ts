// What the sections make of the API's answers: hostile text, what is not known, losses, order.
import { beforeEach, describe, expect, it } from "vitest";
import * as fixtures from "../../e2e/mock/fixtures.mjs";
import type { Alert, BusinessMetric, Endpoint, Finding, Health, Model, Query, RequestRecord, Self, Summary, System, Target } from "../api";
import { type Child, h } from "../dom";
import { businessRows, businessValue } from "./business";
import { AlertList, alertsNote, currentAlerts } from "./alerts";
import { correlationText, endpointView } from "./endpoint_details";
import { asked, databasesNote, where, withShares } from "./databases";
import { endpointsTable } from "./endpoints";
import { findingView } from "./findings";
import { healthView, reasons } from "./health";
import { failures, modelsNote } from "./models";
import { outcome, outcomeSentence } from "./outcome";
import { alertsWithin, chosenTime, rangeAround } from "./past";
import { historyPoints, hostView, trendPoints } from "./resources";
import { blindSpots, coverageTable } from "./self";
import { tiles } from "./tiles";

const box = (children: Child[]): HTMLElement => h("div", {}, ...children);
const health = fixtures.health() as Health;
const summary = fixtures.summary("5m") as Summary;
const endpoints = fixtures.endpoints(7) as Endpoint[];
const [checkout] = endpoints as [Endpoint];
const alerts = (): Alert[] => fixtures.alerts() as unknown as Alert[];

describe("health", () => {
  it("gives reasons with the worst first, in words too", () => {
    expect(reasons(health).map(({ name, state }) => `${name} ${state}`)).toEqual([
      "Error rate yellow",
      "Response time green",
      "Memory green",
      "Agent time green",
      "CPU info",
    ]);
    expect(box(healthView(health)).textContent).toContain("CPU37.5 %");
    const view = box(healthView(health));
    expect(view.querySelector('[data-state="yellow"]')?.textContent).toBe("▲Error rate1.2 %watch");
    expect(view.querySelector(".advice")?.textContent).toBe(health.recommendations[0]);
  });
  it("shows what was not measured as not known", () => {
    const metrics = { ...health.performance_metrics, avg_response_time: null, error_rate: null, avg_agent_time: null };
    const unmeasured = { ...health, status: "healthy" as const, performance_metrics: metrics };
    expect(reasons(unmeasured).map(({ value, state }) => `${value} ${state}`)).toEqual([
      "61.3 % green",
      "– unknown",
      "– unknown",
      "– unknown",
      "37.5 % info",
    ]);
    expect(box(healthView(unmeasured)).textContent).toContain("No requests seen yet.");
  });
});

describe("business metrics", () => {
  const rows = businessRows(fixtures.business as BusinessMetric[]);
  it("have a row for each series, and one where nothing was counted", () => {
    expect(rows.map((row) => [row.metric, row.labels, businessValue(row)])).toEqual([
      ["orders_created", "", "412"],
      ["order_time", "", "231 ms"],
      ["order_failures", "", "4.2 %"],
      ["bytes_by_status", "status_code 201", "1.00 MiB"],
      ["bytes_by_status", "status_code 500", "–"],
      ["refunds", "", "–"],
    ]);
  });
});

describe("databases", () => {
  const rows = fixtures.databases as Query[];
  it("say what was asked and where, a text that is not known too", () => {
    expect(rows.map((row) => `${where(row)}: ${asked(row)}`).slice(2)).toEqual([
      "PostgreSQL shop: EXECUTE of an unknown text",
      "Redis: GET session:?",
    ]);
  });
  it("count a command once that is seen at both of its ends", () => {
    const both = [...rows, { ...(rows[3] as Query), side: "server" as const, service: "redis-server" }];
    expect(databasesNote({ items: both, total: 5 })).toBe("5 · 53,653 commands");
    expect(databasesNote({ items: [], total: 0 })).toBe("0");
  });
  it("have their part of the time of all of their side", () => {
    const served = { ...(rows[3] as Query), side: "server" as const };
    const shares = withShares([...rows, served]).map(({ share_of_time: share }) =>
      share === null ? null : Math.round(share * 1_000) / 1_000,
    );
    expect(shares).toEqual([0.951, 0.007, 0, 0.042, 1]);
    expect(withShares([{ ...served, time_total_ms: null }])[0]?.share_of_time).toBeNull();
  });
});

describe("tiles", () => {
  it("writes figures with units and keeps them exact", () => {
    const shown = Object.fromEntries(tiles(summary, health).map((tile) => [tile.key, [tile.value, tile.exact]]));
    expect(shown).toEqual({
      requests_per_minute: ["6,490", 6_490],
      error_rate: ["1.2 %", 77 / 6_490],
      p50_ms: ["11.3 ms", 11.3],
      p95_ms: ["402 ms", 402.118],
      p99_ms: ["1.31 s", 1_310.4],
      active_connections: ["42", 42],
      cost_usd: ["$0.4120", summary.cost_usd],
      avg_agent_time: ["3.48 s", 3_480],
    });
  });
  it("tells what is not known from what this perfmon does not have", () => {
    const { cost_usd: _, agent_runs: __, ...without } = summary;
    expect(tiles(without, health).map(({ key }) => key)).not.toContain("cost_usd");
    expect(tiles(without, health).map(({ key }) => key)).not.toContain("avg_agent_time");
    const silent = { ...health, performance_metrics: { ...health.performance_metrics, active_connections: null } };
    const unknown = tiles({ ...summary, cost_usd: null, p95_ms: null, active_connections: null }, silent);
    expect(unknown.filter(({ value }) => value === "–").map(({ key }) => key)).toEqual(["p95_ms", "active_connections", "cost_usd"]);
  });
});

describe("endpoints", () => {
  it("stand in the bottleneck order, hostile names as text", () => {
    const table = endpointsTable();
    table.update([...endpoints].reverse());
    const names = [...table.element.querySelectorAll('td[data-column="endpoint"]')].map(({ textContent }) => textContent);
    expect(names.slice(0, 3)).toEqual(["POST /checkout", "GET /products/{id}", `GET ${fixtures.HOSTILE}`]);
    expect(table.element.querySelector("img")).toBeNull();
    const p95 = table.element.querySelector('td[data-column="p95_ms"]');
    expect([p95?.textContent, p95?.getAttribute("title"), p95?.getAttribute("data-tone")]).toEqual(["1.84 s", "1842.113 ms", "bad"]);
    expect(table.element.querySelector("tbody tr:last-child td[data-column=p95_ms]")?.textContent).toBe("–");
  });
  it("open to all that is known", () => {
    const text = box(endpointView(checkout)).textContent;
    for (const part of [
      "status 5xx22",
      "timeout5",
      "slow53",
      "queue, median / p950.02 ms / 96.4 ms",
      "fully seen99.51 %",
      "in flight, now / peak3 / 6",
      "databases27.5 · 402 ms",
      "services1.00 · 88.4 ms",
      "requests beside others, not counted here32 of 412",
      "The last of 350 requests with repeated commands sent 24 times: SELECT price FROM items WHERE id = ?",
    ])
      expect(text).toContain(part);
    expect(text).not.toContain("reset");
    expect(text).not.toContain("models");
    expect(correlationText(checkout)).toBe(
      "Failed requests took 1.51 s on average, successful ones 548 ms; 34.0 % of the slow requests failed, 1.1 % of the fast ones.",
    );
    expect(correlationText(endpoints[1] as Endpoint)).toBeNull();
    const never = { ok_mean_ms: 5, error_mean_ms: null, slow_error_rate: 0, fast_error_rate: 0 };
    expect(correlationText({ ...checkout, correlation: never })).toBeNull();
  });
});

describe("alerts", () => {
  let acted: string[];
  let list: AlertList;
  beforeEach(() => {
    acted = [];
    list = new AlertList((id, action) =>
      id === "a2" ? Promise.reject(new Error("gone")) : Promise.resolve(void acted.push(`${action} ${id}`)),
    );
  });
  const buttons = (): string[] => [...list.element.querySelectorAll("button")].map((button) => button.getAttribute("aria-label") ?? "");

  it("are one entry each in their newest state, the worst first", () => {
    const [first, second, over] = alerts() as [Alert, Alert, Alert];
    const later = { ...first, state: "acknowledged" as const, time: new Date().toISOString() };
    expect(currentAlerts([over, first, second, later]).map(({ alert_id, state }) => `${alert_id} ${state}`)).toEqual([
      "a2 firing",
      "a1 acknowledged",
      "a0 resolved",
    ]);
    expect(currentAlerts([second, first]).map(({ alert_id }) => alert_id)).toEqual(["a1", "a2"]);
    expect(alertsNote(currentAlerts([over, second, later]))).toBe("1 firing, 1 acknowledged");
    expect(alertsNote([over])).toBe("none open");
  });
  it("show at most five that are over", () => {
    const [first, , over] = alerts() as [Alert, Alert, Alert];
    const many = Array.from({ length: 90 }, (_, index) => ({ ...over, alert_id: `o${index}` }));
    expect(currentAlerts([...many, first])).toHaveLength(6);
  });
  it("offer what can be done, keep their buttons over refreshes, say what went wrong", async () => {
    list.show(currentAlerts(alerts()));
    expect(buttons()).toEqual([
      "Acknowledge: error_rate_5min",
      "Resolve: error_rate_5min",
      "Acknowledge: response_time_p95",
      "Resolve: response_time_p95",
    ]);
    const button = list.element.querySelector("button");
    list.show(currentAlerts(alerts()));
    expect(list.element.querySelector("button")).toBe(button);
    button?.click();
    list.element.querySelectorAll("button")[3]?.click();
    await new Promise((resolve) => setTimeout(resolve));
    expect(acted).toEqual(["ack a1"]);
    expect(list.element.querySelector(".error")?.textContent).toContain("gone");
    expect(list.element.textContent).toContain("not delivered to hook");
  });
  it("change their buttons with their state", () => {
    const [first] = alerts() as [Alert];
    list.show([first]);
    list.show([{ ...first, state: "acknowledged" }]);
    expect(buttons()).toEqual(["Resolve: error_rate_5min"]);
    list.show([{ ...first, state: "resolved" }]);
    expect(buttons()).toEqual([]);
  });
  it("and findings write hostile text as text", () => {
    const [first] = alerts() as [Alert];
    list.show([{ ...first, message: fixtures.HOSTILE, scope: fixtures.HOSTILE }]);
    const finding = findingView({ ...(fixtures.findings()[0] as unknown as Finding), message: fixtures.HOSTILE });
    for (const element of [list.element, finding]) {
      expect(element.querySelector("img")).toBeNull();
      expect(element.textContent).toContain(fixtures.HOSTILE);
    }
  });
});

it("says which models have no price instead of counting them as free", () => {
  const models = fixtures.llm as Model[];
  expect(modelsNote({ total: 3, items: models })).toBe("3 · $0.4147, 8 calls without a price, 4 calls refused by a rate limit");
  expect(modelsNote({ total: 1, items: models.slice(2) })).toBe("1 · cost not known");
  expect(modelsNote({ total: 0, items: [] })).toBe("0");
});

it("tells calls that a rate limit refused from failed ones and from calls without a price", () => {
  const [model] = fixtures.llm as [Model];
  const refused = { ...model, errors: 12, rate_limited: 10, unpriced_calls: 2 };
  expect(failures(refused)).toBe(2);
  expect(modelsNote({ total: 1, items: [refused] })).toBe("1 · $0.4121, 2 calls without a price, 10 calls refused by a rate limit");
});

it("tells how a request ended", () => {
  expect((fixtures.requests() as RequestRecord[]).map(outcome)).toEqual([
    "500 Internal Server Error",
    "200",
    "no answer in time",
    "200, client hung up",
  ]);
  expect(outcome({ ...(fixtures.requests()[0] as RequestRecord), status_code: null })).toBe("answer not seen");
  const refused = { status_code: 429, error: "client_closed" };
  expect(outcome(refused)).toBe("429 Too Many Requests, client hung up");
  expect(outcomeSentence(refused)).toBe(
    "The server answered 429 Too Many Requests. The client closed the connection before the answer was complete.",
  );
});

describe("what perfmon did not see", () => {
  it("is said: losses with their reasons, processes partly seen, probes that failed", () => {
    const spots = blindSpots({ ...(fixtures.self(1_204) as Self), probes: [{ name: "openssl", state: "failed", reason: "no symbol" }] });
    expect(spots).toEqual([
      "1,204 events were lost (ring full 1,204): figures may be too low.",
      "Not fully seen: shop 99.51 %.",
      "Not attached: openssl (no symbol).",
    ]);
  });
  it("is said too of history and export that do not get through", () => {
    const self = { ...(fixtures.self(0) as Self), targets: [], probes: [] };
    const receiver = { target: "otlp", signal: "traces", queued: 4, sent: 9, refused: 0, dropped: 1 };
    expect(
      blindSpots({
        ...self,
        store: { path: "/db", state: "degraded", reason: "disk full", bytes: null },
        export: [
          { ...receiver, last_error: "status 401" },
          { ...receiver, signal: "logs", last_error: null },
        ],
      }),
    ).toEqual(["History is not being written: disk full.", "Export of traces to otlp fails: status 401."]);
  });
  it("is said of protocols that are not read, with who speaks them", () => {
    const self = fixtures.self(0) as Self;
    const target = { ...(self.targets as Target[])[1], completeness: null } as Target;
    const targets = [
      { ...target, service: "api", unread: ["h2"] },
      { ...target, service: "api", unread: ["h2"] },
      { ...target, service: "shop", unread: ["h2"] },
      { ...target, service: "old", unread: [] },
    ];
    expect(blindSpots({ ...self, targets, probes: [] })).toEqual(["h2 is recognised but not decoded: api, shop."]);
  });
  it("is said of processes that cannot be read, with the reason, and not of names", () => {
    const self = fixtures.self(0) as Self;
    const target = { ...(self.targets as Target[])[1], completeness: null } as Target;
    const spot = { part: "requests", reason: "it is a 32-bit program" };
    const targets = [
      { ...target, service: "till", not_seen: [spot] },
      { ...target, service: "till", not_seen: [spot] },
      { ...target, service: "shop", not_seen: [spot, { part: "service_name", reason: "it has a title" }] },
      { ...target, service: "old" },
    ];
    expect(blindSpots({ ...self, targets, probes: [] })).toEqual(["Not seen of till, shop: it is a 32-bit program."]);
  });
  it("is nothing when all was seen", () => {
    expect(blindSpots({ ...(fixtures.self(0) as Self), targets: [], probes: [] })).toEqual([]);
  });
});

it("marks names that come from the environment of a process", () => {
  const table = coverageTable();
  table.update(fixtures.self(0).targets as Target[]);
  const cell = (name: string): Element | null =>
    table.element.querySelector(`tr:has([data-value="${name}"]) td[data-column="service_source"]`);
  const told = ["shop", "nginx"].map(cell).map((cell) => [cell?.textContent, cell?.getAttribute("data-tone")]);
  expect(told).toEqual([
    ["its environment", "watch"],
    ["unit", null],
  ]);
});

it("tells a model asked from the same model served, and counts their cost once", () => {
  const [model] = fixtures.llm as [Model];
  const both = [model, { ...model, side: "server" as const, service: "gateway" }];
  expect(modelsNote({ total: 2, items: both })).toBe("2 · $0.4121, 2 calls without a price");
  expect(modelsNote({ total: 1, items: both.slice(1) })).toBe("1 · $0.4121, 2 calls without a price");
});

describe("resources", () => {
  it("take the host's course, unknown samples too", () => {
    const trend = [{ time: "2026-11-23T10:00:00.25Z", cpu_percent: null, memory_percent: 61 }];
    expect(trendPoints(trend, "cpu_percent")).toEqual([{ time: 1_795_428_000.25, value: null }]);
    expect(trendPoints(trend, "memory_percent")).toEqual([{ time: 1_795_428_000.25, value: 61 }]);
  });
  it("show the host with units and what is not known as such", () => {
    const text = box(hostView(fixtures.system(1) as System)).textContent;
    for (const part of ["Load, 1 min1.42", "Disk /71.2 % used, 29.1 GiB free", "Network eth0in 1.15 MiB/s, out 8.40 MiB/s"])
      expect(text).toContain(part);
  });
  it("read history in seconds and leave broken times out", () => {
    const points = [
      { time: "2026-11-23T10:00:00Z", value: 1 },
      { time: "soon", value: 2 },
      { time: "2026-11-23T10:00:10.5Z", value: null },
    ];
    expect(historyPoints({ metric: "cpu_percent", points })).toEqual([
      { time: 1_795_428_000, value: 1 },
      { time: 1_795_428_010.5, value: null },
    ]);
  });
});

describe("the time in the address", () => {
  it("is read, or left alone", () => {
    for (const [search, seconds] of [
      ["?at=2026-11-27T03:12:05Z", 1_795_749_125],
      ["?at=soon", null],
      ["", null],
    ] as const) {
      history.replaceState(null, "", `/${search}`);
      expect(chosenTime()).toBe(seconds);
    }
    history.replaceState(null, "", "/");
  });
  it("shows more of what was before it, and nothing after now", () => {
    expect(rangeAround(10_000, 90_000)).toEqual({ from: 9_400, to: 10_300 });
    expect(rangeAround(10_000, 10_020)).toEqual({ from: 9_120, to: 10_020 });
  });
  it("names the alerts that were open then", () => {
    const [one] = alerts() as [Alert];
    const began = { ...one, started_at: "2026-11-27T03:00:00Z", time: "2026-11-27T03:20:00Z", state: "resolved" as const };
    const at = Date.parse("2026-11-27T03:12:05Z") / 1_000;
    expect(alertsWithin([began], at - 600, at + 300)).toHaveLength(1);
    expect(alertsWithin([began], at + 600, at + 900)).toHaveLength(0);
    expect(alertsWithin([began], at - 4_000, at - 3_000)).toHaveLength(0);
    expect(alertsWithin([{ ...began, time: began.started_at, state: "firing" }, began], at + 600, at + 900)).toHaveLength(0);
  });
});
