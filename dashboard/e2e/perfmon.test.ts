// The page of a real perfmon at PERFMON_URL, under traffic: every value is the API's, changes come by themselves, an alert is
// acknowledged by keyboard. PERFMON_RESTART, a command that kills perfmon and starts it again at the same address with the same store,
// adds what happens then. With PERFMON_COMPLETE what is missing (restart, model calls, a firing alert) fails; without, it is skipped.
import { exec } from "node:child_process";
import { userInfo } from "node:os";
import type { Browser, Page } from "playwright-core";
import { type TestContext, afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Alert, Health, List, Summary } from "../src/api";
import { type Watched, launch, live, open, openMeasured, overhang, tile } from "./browser";
import { lags } from "./lag";

const url = process.env["PERFMON_URL"] ?? "";
const restart = process.env["PERFMON_RESTART"] ?? "";
const complete = (process.env["PERFMON_COMPLETE"] ?? "") !== "";
if (url === "") throw new Error("PERFMON_URL is not set: where is the perfmon whose page is to be looked at?");

type Row = Record<string, unknown>;

/** Columns of the table of processes that do not move with the traffic. */
const COVERAGE = ["service", "service_source", "runtime", "tls"];

/** Tables, the route of each, and the columns that are fields of its rows. */
const TABLES: [id: string, route: string, columns: string[]][] = [
  [
    "endpoints",
    "endpoints?window=5m",
    ["service", "share_of_time", "count", "requests_per_minute", "error_rate", "p50_ms", "p95_ms", "p99_ms", "queue_p95_ms", "in_flight"],
  ],
  [
    "destinations",
    "destinations?window=5m",
    ["destination", "service", "requests_per_minute", "error_rate", "availability", "p50_ms", "p95_ms", "p99_ms"],
  ],
  [
    "models",
    "llm?window=5m",
    [
      "request_model",
      "service",
      "provider",
      "destination",
      "calls",
      "rate_limited",
      "input_tokens",
      "cache_read_tokens",
      "output_tokens",
      "ttft_p50_ms",
      "ttft_p95_ms",
      "p95_ms",
      "cost_usd",
    ],
  ],
  ["agents", "agents?window=5m", ["agent_type", "count", "llm_calls", "tools_called", "tokens_used", "mean_ms", "p95_ms", "cost_usd"]],
  ["tools", "tools?window=5m", ["tool_name", "count", "error_rate", "mean_ms", "p95_ms"]],
  [
    "workflows",
    "workflows?window=5m",
    ["workflow_name", "service", "count", "agents", "llm_calls", "tools_called", "tokens_used", "mean_ms", "p95_ms", "cost_usd"],
  ],
];

let browser: Browser;
let watched: Watched | null = null;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());
afterEach(async () => {
  const problems = watched?.problems ?? [];
  await watched?.page.context().close();
  watched = null;
  expect(problems).toEqual([]);
});

async function show(width = 1_440, dark = false): Promise<Page> {
  watched = await open(browser, url, { width, dark });
  await live(watched.page);
  return watched.page;
}

async function api<T>(path: string): Promise<T> {
  const response = await fetch(new URL(path, url));
  expect(response.status, path).toBe(200);
  return (await response.json()) as T;
}

const list = async <T = Row>(path: string): Promise<T[]> => (await api<List<T>>(`api/v1/${path}`)).items;

/** What there must be for a test; skips it where that is allowed. */
function need(there: boolean, what: string, context: TestContext): void {
  if (there) return;
  if (complete) throw new Error(`${what} is missing`);
  context.skip(what);
}

/** Reads API and page until they agree: both move while there is traffic. */
async function agree(read: () => Promise<[api: unknown, page: unknown]>): Promise<void> {
  await expect
    .poll(
      async () => {
        const [fromApi, fromPage] = await read();
        return JSON.stringify(fromPage) === JSON.stringify(fromApi)
          ? "equal"
          : `page ${JSON.stringify(fromPage)}, API ${JSON.stringify(fromApi)}`;
      },
      { timeout: 30_000, interval: 300 },
    )
    .toBe("equal");
}

/** Rows as texts in a fixed order; the page's own order is the reader's. */
const sorted = (rows: (string | null)[][]): string[] => rows.map((row) => JSON.stringify(row)).sort();

it.each([1_440, 360])("the tiles are the summary's at %d pixels", async (width) => {
  const page = await show(width);
  const keys = ["requests_per_minute", "error_rate", "p50_ms", "p95_ms", "p99_ms", "active_connections", "cost_usd"] as const;
  await agree(async () => {
    const summary = await api<Summary>("api/v1/summary?window=5m");
    return [keys.map((key) => [key, summary[key] ?? null]), await Promise.all(keys.map(async (key) => [key, await tile(page, key)]))];
  });
});

it.each([1_440, 360])("the verdict and its reasons are the health endpoint's at %d pixels", async (width) => {
  const page = await show(width);
  const words = { green: "good", yellow: "watch", red: "bad" };
  await agree(async () => {
    const {
      status,
      health_indicators: indicators,
      performance_metrics: metrics,
      recommendations,
    } = await api<Health>("health/performance");
    const word = (state: keyof typeof words, value: number | null): string => (value === null ? "no data" : words[state]);
    return [
      [
        [status, status],
        [
          "CPU ",
          `Agent time ${word(indicators.agent_performance, metrics.avg_agent_time)}`,
          `Error rate ${word(indicators.error_rate, metrics.error_rate)}`,
          `Memory ${word(indicators.resource_usage, metrics.memory_percent)}`,
          `Response time ${word(indicators.response_time, metrics.avg_response_time)}`,
        ].sort(),
        recommendations,
      ],
      [
        await page.locator(".verdict").allTextContents(),
        (
          await page
            .locator(".reasons li")
            .evaluateAll((all) => all.map((li) => [".name", ".word"].map((part) => li.querySelector(part)?.textContent).join(" ")))
        ).sort(),
        await page.locator(".advice li").allTextContents(),
      ],
    ];
  });
});

it("every table is the API's", async () => {
  const page = await show();
  for (const table of TABLES) await agreeTable(page, ...table);
});

it("where the names of processes come from is the API's", async () => {
  const targets = async (): Promise<Row[]> => (await api<{ targets: Row[] }>("api/v1/self")).targets;
  await agreeRows(await show(), "coverage", "self", COVERAGE, targets);
});

async function agreeTable(page: Page, id: string, route: string, columns: string[]): Promise<void> {
  await agreeRows(page, id, route, columns, () => list(route));
}

async function agreeRows(page: Page, id: string, route: string, columns: string[], read: () => Promise<Row[]>): Promise<void> {
  const first = await read();
  if (complete) expect(first.length, `rows of ${route}`).toBeGreaterThan(0);
  for (const row of first) for (const column of columns) expect(row, route).toHaveProperty(column);
  const rows = page.locator(`#${id} tbody tr`);
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await agree(async () => {
    const fromApi = (await read()).map((row) => columns.map((key) => (row[key] == null ? null : String(row[key]))));
    const fromPage = await rows.evaluateAll(
      (all, keys) => all.map((row) => keys.map((key) => row.querySelector(`[data-column="${key}"]`)?.getAttribute("data-value") ?? null)),
      columns,
    );
    return [sorted(fromApi), sorted(fromPage)];
  });
}

it("the resources are the API's, and their curves are drawn", async () => {
  const page = await show();
  await page.locator("#resources").scrollIntoViewIfNeeded();
  const now = (title: string): Promise<string | null> => page.locator(".chart", { hasText: title }).locator(".figure").textContent();
  await agree(async () => {
    const { latest } = await api<{ latest: { cpu_percent: number; memory_percent: number } | null }>("api/v1/system?window=1m");
    const shown = [await now("CPU of the host"), await now("Memory of the host")].map((text) => Number.parseFloat(text ?? ""));
    // The page rounds to what it shows: two decimals below 1 and above 99, else one.
    const asShown = (value: number): number => Number(value.toFixed(value < 1 || value > 99 ? 2 : 1));
    return [[latest?.cpu_percent, latest?.memory_percent].map((value) => asShown(value ?? Number.NaN)), shown];
  });
  expect(await page.locator("#resources svg .line[d]").count()).toBe(4);
  const [processes] = await list("processes");
  if (complete) expect(processes?.["memory_rss_bytes"]).toBeGreaterThan(0);
});

it("takes few bytes: a first load, and each second", async () => {
  const measured = await openMeasured(browser, url);
  watched = measured;
  const { page, bytes, urls } = measured;
  await live(page);
  await page.waitForTimeout(1_300);
  const first = bytes();
  await page.waitForTimeout(5_000);
  const each = (bytes() - first) / 5;
  console.log(`first load ${first} bytes, then ${Math.round(each)} bytes/s`);
  expect(urls.filter((one, index) => urls.indexOf(one) !== index)).toEqual([]);
  expect(first).toBeLessThan(60_000);
  expect(each).toBeLessThan(40_000);
  // So that the figures are known to be those of the stream.
  expect(each).toBeGreaterThan(100);
});

it("shows a change of the API within 2 s", async () => {
  const page = await show();
  await page.getByText("1h", { exact: true }).click(); // where counts only grow
  // The machine may be busy with other things: the best of three measurements counts.
  let worst = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && worst > 2_000; attempt += 1) {
    const seen = await lags(page, async () =>
      (await list<{ count: number }>("endpoints?window=1h")).reduce((sum, row) => sum + row.count, 0),
    );
    if (complete) expect(seen.length, "changes of the API").toBeGreaterThan(3);
    worst = Math.min(worst, Math.max(0, ...seen));
    console.log(`${seen.length} changes of the API, shown after ${seen.map(Math.round).join(", ")} ms`);
  }
  expect(worst).toBeLessThanOrEqual(2_000);
}, 120_000);

it("acknowledges a firing alert, by keyboard alone", async (context) => {
  const find = async (id?: string): Promise<Alert | undefined> =>
    (await list<Alert>("alerts")).find(({ alert_id, state }) => (id === undefined ? state === "firing" : alert_id === id));
  await expect.poll(async () => (await find()) !== undefined || !complete, { timeout: 40_000 }).toBe(true);
  const firing = await find();
  need(firing !== undefined, "a firing alert", context);
  const { alert_id: id, rule, scope } = firing as Alert;
  const page = await show();
  const entry = page.locator(".alerts li", { hasText: `${rule}, ${scope}` }).first();
  const button = entry.getByRole("button", { name: `Acknowledge: ${rule}` });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Who are you?" }).waitFor();
  await page.keyboard.type("browser test");
  await page.keyboard.press("Enter");
  await expect.poll(async () => (await find(id))?.state, { timeout: 15_000 }).toBe("acknowledged");
  // The user at the other end of the connection; the name that was typed is a note.
  const user = userInfo().username;
  expect((await find(id))?.acknowledged_by).toBe(user);
  await page.locator('.alerts [data-state="acknowledged"]', { hasText: `by ${user}` }).waitFor({ timeout: 15_000 });
  expect(
    await page
      .getByRole("status")
      .filter({ hasText: `Acknowledged: ${rule}` })
      .count(),
  ).toBe(1);
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe(`Resolve: ${rule}`);
});

it.each([
  [360, false],
  [390, true],
  [1_440, false],
  [1_440, true],
])("fits %d pixels (dark: %s)", async (width, dark) => {
  const page = await show(width, dark);
  expect(await overhang(page)).toBe(0);
  for (const toggle of (await page.locator("#endpoints .toggle").all()).slice(0, 3)) await toggle.click();
  expect(await overhang(page)).toBe(0);
});

it("says that the connection is lost, and goes on after a restart", async (context) => {
  need(restart !== "", "PERFMON_RESTART", context);
  const page = await show();
  const before = await list<Alert>("alerts");
  const banner = page.getByText("Connection lost, reconnecting");
  const restarted = new Promise<void>((resolve, reject) => exec(restart, (error) => (error ? reject(error) : resolve())));
  await banner.waitFor();
  expect(await page.locator("#endpoints tbody tr").count()).toBeGreaterThan(0);
  await restarted;
  await banner.waitFor({ state: "hidden" });
  await live(page);
  await agree(async () => [(await api<Summary>("api/v1/summary?window=5m")).requests_per_minute, await tile(page, "requests_per_minute")]);
  // What somebody acknowledged stays acknowledged.
  const acknowledged = before.filter(({ state }) => state === "acknowledged");
  if (complete) expect(acknowledged.length).toBeGreaterThan(0);
  for (const { alert_id: id } of acknowledged) {
    const now = (await list<Alert>("alerts")).find(({ alert_id }) => alert_id === id);
    expect(now?.state).toBe("acknowledged");
  }
});
