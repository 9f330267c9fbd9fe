// The page against a server with fixed answers: what it shows, how it stays live, that it is safe and fits.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Watched, launch, live, open, overhang } from "./browser";
import { HOSTILE, endpoints } from "./mock/fixtures.mjs";
import { MockPerfmon } from "./mock/server.mjs";

let browser: Browser;
let mock: MockPerfmon;
let watched: Watched | null = null;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  mock = await new MockPerfmon().start(0);
});
afterEach(async () => {
  const problems = watched?.problems ?? [];
  await watched?.page.context().close();
  watched = null;
  await mock.stop();
  expect(problems).toEqual([]);
});

async function show(view = {}): Promise<Watched["page"]> {
  watched = await open(browser, mock.url, view);
  await live(watched.page);
  return watched.page;
}

it("shows the API's figures", async () => {
  const page = await show();
  const tiles = await page
    .locator("[data-tile]")
    .evaluateAll((all) => all.map((tile) => [tile.getAttribute("data-tile"), tile.querySelector(".figure")?.textContent]));
  expect(Object.fromEntries(tiles)).toEqual({
    requests_per_minute: "6,490",
    error_rate: "1.2 %",
    p50_ms: "11.3 ms",
    p95_ms: "402 ms",
    p99_ms: "1.31 s",
    active_connections: "42",
    cost_usd: "$0.4120",
    avg_agent_time: "3.48 s",
  });
  const first = await page.locator("#endpoints tbody tr").first().locator("td").allTextContents();
  expect(first).toEqual([
    "POST /checkout",
    "shop",
    "43.1 %",
    "412",
    "82.4",
    "6.6 %",
    "388 ms",
    "1.84 s",
    "2.41 s",
    "96.4 ms",
    "3 (1.24 s)",
  ]);
  const model = await page.locator("#models tbody tr").last().locator("td").allTextContents();
  expect(model).toEqual(["qwen3:8b", "assistant", "ollama", "127.0.0.1:11434", "6", "0 %", "1,880", "–", "486", "–", "–", "9.00 s", "–"]);
  expect(await page.title()).toBe("perfmon: degraded");
  expect(await page.locator("#resources canvas").count()).toBe(4);
});

it("treats names from the traffic as text", async () => {
  const page = await show();
  await page.getByRole("button", { name: `GET ${HOSTILE}` }).click();
  await page.locator("#endpoints .details").waitFor();
  expect(await page.locator("main img").count()).toBe(0);
  expect(await page.evaluate(() => (window as { hacked?: number }).hacked)).toBeUndefined();
});

describe("live", () => {
  it("shows a change by itself", async () => {
    const page = await show();
    const before = performance.now();
    const [first] = mock.endpoints as [{ p95_ms: number }];
    first.p95_ms = 777.7;
    await page.locator('#endpoints td[data-column="p95_ms"][data-value="777.7"]').waitFor({ timeout: 5_000 });
    console.log(`a change was seen after ${Math.round(performance.now() - before)} ms`);
  });

  it("says when the connection is lost, and goes on by itself", async () => {
    const page = await show();
    await mock.stop();
    const banner = page.getByText("Connection lost, reconnecting");
    await banner.waitFor();
    expect(await page.locator("#endpoints tbody tr").count()).toBeGreaterThan(5);
    mock.absent.add("llm");
    mock.endpoints = endpoints(40).slice(1);
    await mock.start();
    await banner.waitFor({ state: "hidden" });
    await live(page);
    await page.locator("#models").waitFor({ state: "hidden" });
    expect(await page.locator("#endpoints tbody td").first().textContent()).toBe("GET /products/{id}");
  });

  it("asks as often as there is news: once a second", async () => {
    const page = await show();
    const [before, start] = [mock.asked.length, performance.now()];
    await page.waitForTimeout(4_200);
    const asked = mock.asked.slice(before).filter((path: string) => path.startsWith("/api/v1/endpoints"));
    const seconds = (performance.now() - start) / 1_000;
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(asked.length).toBeLessThanOrEqual(seconds + 2);
  });

  it("does not ask for what is out of view", async () => {
    const page = await show({ height: 500 });
    await page.waitForTimeout(1_500);
    const before = mock.asked.length;
    await page.waitForTimeout(2_500);
    const asked = mock.asked.slice(before);
    expect(asked.some((path: string) => path.includes("/records"))).toBe(false);
    await page.locator("#requests").scrollIntoViewIfNeeded();
    await expect.poll(() => mock.asked.slice(before).some((path: string) => path.includes("/records")), { timeout: 4_000 }).toBe(true);
  });
});

describe("alerts", () => {
  it("are acknowledged under a name that is asked once", async () => {
    const page = await show();
    await page.getByRole("button", { name: "Acknowledge: error_rate_5min" }).click();
    await page.getByLabel("Name").fill("  Ada ");
    await page.keyboard.press("Enter");
    await page.getByText("1 firing, 1 acknowledged").waitFor({ timeout: 5_000 });
    await page.reload();
    await live(page);
    await page.getByRole("button", { name: "Resolve: response_time_p95" }).click();
    await page.getByText("1 acknowledged", { exact: true }).waitFor({ timeout: 5_000 });
    expect(mock.posts).toEqual([
      { id: "a1", action: "ack", body: { by: "Ada", note: "" } },
      { id: "a2", action: "resolve", body: { by: "Ada", note: "" } },
    ]);
  });

  it("do nothing when the name is not given, and say what went wrong", async () => {
    const page = await show();
    const button = page.getByRole("button", { name: "Acknowledge: error_rate_5min" });
    await button.click();
    await page.keyboard.press("Escape");
    expect(mock.posts).toEqual([]);
    mock.gone.add("a1");
    await button.click();
    await page.getByLabel("Name").fill("Ada");
    await page.keyboard.press("Enter");
    await page.getByText("Acknowledge did not work: there is no alert a1.").waitFor();
  });
});

it("reads sensibly before anything was seen", async () => {
  mock.fresh = true;
  const page = await show();
  await page.getByText("No request seen yet.").waitFor();
  for (const text of ["No alert. Thresholds are being watched.", "Nothing stands out.", "No request seen in this window.", "None lately."])
    await page.getByText(text).waitFor();
  await expect.poll(() => page.locator("section:visible").count()).toBe(13);
  expect(await page.locator("main").innerText()).not.toMatch(/NaN|undefined|null|Infinity|Invalid/);
  expect(await page.locator('[data-tile="p95_ms"] .figure').textContent()).toBe("–");
  mock.fresh = false;
  await page.locator('#endpoints td[data-column="endpoint"]').first().waitFor();
});

it("hides what this perfmon does not have", async () => {
  for (const route of ["llm", "agents", "tools", "workflows", "alerts", "findings", "history", "system"]) mock.absent.add(route);
  const page = await show();
  await page.locator("#endpoints tbody tr").first().waitFor();
  expect(await page.locator("section:visible").evaluateAll((all) => all.map(({ id }) => id))).toEqual([
    "health",
    "endpoints",
    "destinations",
    "processes",
    "requests",
    "self",
  ]);
});

it("shows losses at the top", async () => {
  mock.lost = 1_204;
  const page = await show();
  await page.getByText("1,204 events were lost (ring full 1,204): figures may be too low.").waitFor();
  expect(await page.locator('#self td[data-column="events_lost"][data-tone="bad"]').textContent()).toBe("1,204");
});

it("keeps the chosen window", async () => {
  const page = await show();
  await page.getByText("1h", { exact: true }).click();
  await page.getByText("4,620 of 389,400 requests").waitFor();
  await page.reload();
  await live(page);
  await page.getByText("4,620 of 389,400 requests").waitFor();
  expect(mock.asked.at(-1)).not.toContain("window=5m");
});

it("asks for the token that perfmon wants", async () => {
  mock.token = "s3cret" as never;
  watched = await open(browser, mock.url);
  const { page } = watched;
  await page.getByRole("button", { name: "Enter the token" }).click();
  await page.getByRole("textbox", { name: "Token" }).fill("s3cret");
  await page.keyboard.press("Enter");
  await live(page);
});

it("works by keyboard alone", async () => {
  const page = await show();
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
  const header = page.locator("#endpoints th", { hasText: "Req/min" });
  await header.getByRole("button").focus();
  await page.keyboard.press("Enter");
  expect(await header.getAttribute("aria-sort")).toBe("descending");
  expect(await page.locator("#endpoints tbody td").first().textContent()).toBe("GET /static/{file}");
  const toggle = page.getByRole("button", { name: "GET /static/{file}" });
  await toggle.focus();
  await page.keyboard.press("Space");
  await page.waitForTimeout(1_500);
  expect(await toggle.getAttribute("aria-expanded")).toBe("true");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("GET /static/{file}");
});

it("stays light with 1,000 endpoints", async () => {
  mock.endpoints = endpoints(1_000);
  const page = await show();
  await page.evaluate(() => {
    const seen: number[] = ((window as unknown as { tasks: number[] }).tasks = []);
    new PerformanceObserver((list) => seen.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  await page.waitForTimeout(4_000);
  const tasks = await page.evaluate(() => (window as unknown as { tasks: number[] }).tasks);
  console.log(`1,000 endpoints: ${tasks.length} tasks over 50 ms in 4 s, the longest ${Math.max(0, ...tasks)} ms`);
  expect(await page.locator("#endpoints tbody tr").count()).toBe(25);
  await page.getByLabel("Filter: Endpoints").fill("items/993/");
  await expect.poll(() => page.locator("#endpoints tbody tr").count()).toBe(1);
});

describe.each([320, 360, 768, 1_000, 1_440, 2_200])("at %d pixels", (width) => {
  it.each([false, true])("does not scroll sideways (dark: %s)", async (dark) => {
    mock.lost = 5;
    const page = await show({ width, dark });
    await page.locator("#endpoints .toggle").first().click();
    expect(await overhang(page)).toBe(0);
    for (const figure of await page.locator('#endpoints tr:not(.details) td[data-column="p95_ms"]:visible').all()) {
      const box = await figure.boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width);
    }
  });
});

it.each([false, true])("has readable colours (dark: %s)", async (dark) => {
  const page = await show({ dark });
  const ratios = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    const hex = (name: string): string =>
      style
        .getPropertyValue(name)
        .trim()
        .replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
    const luminance = (name: string): number => {
      const [r, g, b] = [1, 3, 5]
        .map((at) => Number.parseInt(hex(name).slice(at, at + 2), 16) / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as [number, number, number];
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const pairs = [
      "text card",
      "muted card",
      "muted raised",
      "muted page",
      "accent card",
      "on-accent accent",
      "good card",
      "watch card",
      "bad card",
      "watch raised",
      "bad raised",
      "good good-soft",
      "watch watch-soft",
      "bad bad-soft",
    ];
    return pairs.map((pair) => {
      const [a, b] = pair.split(" ").map((name) => luminance(`--${name}`)) as [number, number];
      return [pair, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)] as const;
    });
  });
  expect(ratios.filter(([, ratio]) => !(ratio >= 4.5))).toEqual([]);
});
