// The page of a real perfmon at PERFMON_URL: its values are the API's. PERFMON_RESTART, a command that restarts it at the same address,
// adds the restart test. Without PERFMON_URL nothing here runs.
import { execSync } from "node:child_process";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Alert, Endpoint, List, Model, Summary } from "../src/api";
import { type Watched, launch, live, open, overhang, tile } from "./browser";

const url = process.env["PERFMON_URL"] ?? "";
const restart = process.env["PERFMON_RESTART"] ?? "";
if (url === "") console.log("PERFMON_URL is not set: the page of a real perfmon is not looked at.");

let browser: Browser;
let watched: Watched | null = null;
beforeAll(async () => {
  if (url !== "") browser = await launch();
});
afterAll(() => browser?.close());
afterEach(async () => {
  const problems = watched?.problems ?? [];
  await watched?.page.context().close();
  watched = null;
  expect(problems).toEqual([]);
});

async function show(width = 1_440): Promise<Watched["page"]> {
  watched = await open(browser, url, { width });
  await live(watched.page);
  return watched.page;
}

async function api<T>(path: string): Promise<{ status: number; body: T }> {
  const response = await fetch(new URL(`api/v1/${path}`, url));
  return { status: response.status, body: (await response.json()) as T };
}

/** Reads API and page until they agree: both move while there is traffic. */
async function agree(read: () => Promise<[unknown, unknown]>): Promise<void> {
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

it.skipIf(url === "").each(["requests_per_minute", "error_rate", "p50_ms", "p95_ms", "p99_ms", "active_connections", "cost_usd"] as const)(
  "tile %s is the API's",
  async (key) => {
    const page = await show();
    const { body } = await api<Summary>("summary?window=5m");
    if (body[key] === undefined) {
      expect(await page.locator(`[data-tile="${key}"]:visible`).count()).toBe(key === "active_connections" ? 1 : 0);
      return;
    }
    await agree(async () => [(await api<Summary>("summary?window=5m")).body[key] ?? null, await tile(page, key)]);
  },
);

it.skipIf(url === "")("endpoints are the API's, in its order", async () => {
  const page = await show();
  const rows = page.locator("#endpoints tbody tr");
  await agree(async () => [
    (await api<List<Endpoint>>("endpoints?window=5m")).body.items
      .slice(0, 25)
      .map((row) => [`${row.method} ${row.endpoint}`, String(row.count), row.p95_ms === null ? null : String(row.p95_ms)]),
    await rows.evaluateAll((all) =>
      all.map((row) => [
        row.querySelector('[data-column="endpoint"]')?.textContent,
        ...["count", "p95_ms"].map((key) => row.querySelector(`[data-column="${key}"]`)?.getAttribute("data-value") ?? null),
      ]),
    ),
  ]);
});

it.skipIf(url === "")("model calls are the API's, or hidden", async () => {
  const page = await show();
  if ((await api("llm?window=5m")).status !== 200) {
    expect(await page.locator("#models:visible").count()).toBe(0);
    return;
  }
  await agree(async () => [
    (await api<List<Model>>("llm?window=5m")).body.items
      .slice(0, 25)
      .map((row) => [row.calls, row.input_tokens, row.output_tokens, row.cost_usd].map((value) => (value === null ? null : String(value)))),
    await page
      .locator("#models tbody tr")
      .evaluateAll((all) =>
        all.map((row) =>
          ["calls", "input_tokens", "output_tokens", "cost_usd"].map(
            (key) => row.querySelector(`[data-column="${key}"]`)?.getAttribute("data-value") ?? null,
          ),
        ),
      ),
  ]);
});

it.skipIf(url === "")("acknowledging a firing alert shows in the API", async (context) => {
  const { status, body } = await api<List<Alert>>("alerts");
  const firing = status === 200 ? body.items.find(({ state }) => state === "firing") : undefined;
  if (!firing) return context.skip("no alert is firing");
  const page = await show();
  await page
    .getByRole("button", { name: `Acknowledge: ${firing.rule}` })
    .first()
    .click();
  await page.getByLabel("Name").fill("browser test");
  await page.keyboard.press("Enter");
  const states = async (): Promise<string[]> =>
    (await api<List<Alert>>("alerts")).body.items.filter(({ alert_id }) => alert_id === firing.alert_id).map(({ state }) => state);
  await expect.poll(states, { timeout: 5_000 }).toContain("acknowledged");
  await page.locator('.alerts [data-state="acknowledged"]').first().waitFor({ timeout: 5_000 });
});

it.skipIf(url === "").each([360, 1_440])("fits %d pixels", async (width) => {
  const page = await show(width);
  expect(await overhang(page)).toBe(0);
});

it.skipIf(url === "" || restart === "")("reconnects after a restart", async () => {
  const page = await show();
  const again = page.waitForResponse((response) => response.url().endsWith("/api/v1/stream") && response.ok(), { timeout: 50_000 });
  execSync(restart, { stdio: "inherit" });
  await again;
  await page.getByText("Connection lost").waitFor({ state: "hidden" });
  await live(page);
  await agree(async () => [(await api<Summary>("summary?window=5m")).body.requests_per_minute, await tile(page, "requests_per_minute")]);
});
