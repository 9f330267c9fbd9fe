// The page against a server with fixed answers: what it shows, how it stays live, that it is safe and fits.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Watched, launch, live, open, openMeasured, overhang } from "./browser";
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

async function show(view = {}, query = ""): Promise<Watched["page"]> {
  watched = await open(browser, mock.url + query, view);
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
  expect(model).toEqual([
    "qwen3:8b",
    "assistant",
    "ollama",
    "127.0.0.1:11434",
    "6",
    "0 %",
    "0",
    "1,880",
    "–",
    "486",
    "–",
    "–",
    "9.00 s",
    "–",
  ]);
  const limited = await page.locator("#models tbody tr", { hasText: "claude-sonnet-4-5" }).locator("td").allTextContents();
  expect(limited.slice(4, 7)).toEqual(["31", "0 %", "4"]);
  expect(await page.title()).toBe("perfmon: degraded");
  expect(await page.locator("#resources svg .line[d]").count()).toBe(4);
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

  it("asks each address once, then nothing: news come over the one stream", async () => {
    const page = await show();
    await page.waitForTimeout(4_200);
    const counts = new Map<string, number>();
    for (const path of mock.asked as string[]) counts.set(path, (counts.get(path) ?? 0) + 1);
    expect([...counts].filter(([, times]) => times > 1)).toEqual([]);
    const routes = [...counts.keys()].map((path) => path.replace(/\?.*/, "")).sort();
    expect(routes).toEqual(["/api/v1/history", "/api/v1/history", "/api/v1/stream", "/api/v1/system"]);
  });

  it("opens the stream anew for another window, without a word of a lost connection", async () => {
    const page = await show();
    const states = page.evaluate(
      () =>
        new Promise<string[]>((resolve) => {
          const seen: string[] = [];
          const link = document.querySelector(".link") as Element;
          new MutationObserver(() => seen.push(link.getAttribute("data-state") ?? "")).observe(link, { attributes: true });
          setTimeout(() => resolve(seen), 2_500);
        }),
    );
    await page.getByText("1m", { exact: true }).click();
    await page.getByText("77 of 6,490 requests").waitFor();
    expect((await states).filter((state) => state !== "live")).toEqual([]);
    expect(mock.asked.filter((path: string) => path.startsWith("/api/v1/stream"))).toHaveLength(2);
  });

  it("asks the routes where perfmon has no stream to spare", async () => {
    mock.full = true;
    watched = await open(browser, mock.url);
    const { page } = watched;
    await page.locator('.link[data-state="polled"]').waitFor();
    await page.locator("#endpoints tbody tr").first().waitFor();
    const [first] = mock.endpoints as [{ p95_ms: number }];
    first.p95_ms = 777.7;
    await page.locator('#endpoints td[data-column="p95_ms"][data-value="777.7"]').waitFor({ timeout: 8_000 });
  });

  it("draws what is out of view when it comes into view", async () => {
    const page = await show({ height: 500 });
    await page.waitForTimeout(1_500);
    mock.lost = 77;
    await page.waitForTimeout(2_000);
    await page.locator("#self").scrollIntoViewIfNeeded();
    await page.locator('#self td[data-column="events_lost"][data-value="77"]').waitFor({ timeout: 4_000 });
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
    await page.getByText("Acknowledge failed: there is no alert a1.").waitFor();
  });
});

it("reads sensibly before anything was seen", async () => {
  mock.fresh = true;
  const page = await show();
  await page.getByText("No requests seen yet.").waitFor();
  for (const text of ["No alerts. perfmon checks the thresholds.", "No problems found.", "No requests in this window.", "None so far."])
    await page.getByText(text).waitFor();
  await expect.poll(() => page.locator("section:visible").count()).toBe(16);
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
    "business",
    "destinations",
    "processes",
    "databases",
    "pools",
    "dns",
    "requests",
    "self",
  ]);
});

it("shows business metrics with their units, a row for each series", async () => {
  const page = await show();
  const cells = (column: string): Promise<string[]> => page.locator(`#business td[data-column="${column}"]`).allTextContents();
  await page.locator("#business tbody tr").first().waitFor();
  expect(await cells("value")).toEqual(["412", "231 ms", "4.2 %", "1.00 MiB", "–", "–"]);
  expect((await cells("labels")).slice(3, 5)).toEqual(["status_code 201", "status_code 500"]);
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

it("shows a login and nothing else while perfmon wants a token", async () => {
  mock.token = "s3cret" as never;
  watched = await open(browser, mock.url);
  const { page } = watched;
  const field = page.getByLabel("Token");
  await field.waitFor();
  expect(await page.locator("section, .tiles, .windows").count()).toBe(0);
  expect(await page.locator("body").innerText()).not.toMatch(/alert|request|healthy/i);
  expect(await page.locator("h1").innerText()).toBe("Log in to perfmon");
  expect(mock.asked.filter((path: string) => !path.startsWith("/api/v1/stream"))).toEqual([]);
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("perfmon does not accept this token.").waitFor();
  await field.fill("s3cret");
  await page.keyboard.press("Enter");
  await live(page);
  expect(await page.getByLabel("Token").count()).toBe(0);
});

it("says why it refuses a user and how to be let in, and opens once it does", async () => {
  mock.refuses = true;
  watched = await open(browser, mock.url);
  const { page } = watched;
  await page.getByText("user bob may only see health here; ask as root").waitFor();
  expect(await page.locator("h1").innerText()).toBe("perfmon does not let you in");
  expect(await page.locator("main").innerText()).toContain("allow_users");
  expect(await page.locator("section, .tiles, .windows, #token").count()).toBe(0);
  expect(await page.locator("body").innerText()).not.toMatch(/connection lost|reconnecting/i);
  expect(await page.getByRole("link", { name: "the health of the services" }).getAttribute("href")).toBe("health/performance");
  mock.refuses = false;
  await live(page);
  expect(await page.getByText("perfmon does not let you in").count()).toBe(0);
});

describe("the address", () => {
  it("holds window, filter, sort and open rows", async () => {
    const page = await show();
    await page.getByText("1h", { exact: true }).click();
    await page.getByLabel("Filter: Endpoints").fill("shop");
    await page.locator("#endpoints th", { hasText: "p95" }).first().getByRole("button").click();
    await page.getByRole("button", { name: "GET /cart" }).click();
    await page.locator("#endpoints .details dl").first().waitFor();
    const address = page.url();
    expect(new URL(address).search).toBe("?window=1h&endpoints.filter=shop&endpoints.sort=-p95_ms&endpoints.open=shop+GET+/cart");
    await page.context().close();
    const again = await show({}, new URL(address).search);
    expect(await again.getByLabel("Filter: Endpoints").inputValue()).toBe("shop");
    expect(await again.locator('#endpoints th[aria-sort="descending"]').innerText()).toContain("p95");
    expect(await again.locator("#endpoints tbody > tr:not(.details)").count()).toBe(5);
    await again.locator("#endpoints .details", { hasText: "slowest" }).waitFor();
    await again.getByText("4,620 of 389,400 requests").waitFor();
  });
});

describe("keys", () => {
  it("focus the filter with / and show themselves with ?", async () => {
    const page = await show();
    await page.keyboard.press("/");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Filter: Endpoints");
    await page.keyboard.type("a?/");
    expect(await page.getByLabel("Filter: Endpoints").inputValue()).toBe("a?/");
    await page.keyboard.press("Escape");
    expect(await page.getByLabel("Filter: Endpoints").inputValue()).toBe("");
    await page.keyboard.press("?");
    const box = page.getByRole("dialog", { name: "Keys" });
    await box.waitFor();
    await page.keyboard.press("Escape");
    await box.waitFor({ state: "detached" });
  });
});

it("has one heading of the first rank", async () => {
  const page = await show();
  expect(await page.locator("h1:visible").allInnerTexts()).toEqual(["perfmon"]);
});

describe("opened rows", () => {
  it("show an agent's runs, and each run its calls and tools", async () => {
    const page = await show();
    await page.locator("#agents .toggle").first().click();
    const run = page.locator("#agents .records summary", { hasText: "2 model calls · 1 tool call · 5,230 tokens · $0.0123" });
    await run.click();
    const inner = page.locator("#agents .record");
    await inner.getByText("search_catalog · succeeded · 300 ms").waitFor();
    await inner.getByText("gpt-5 · stop").waitFor();
    for (const fact of ["model time", "tool time", "local time", "conversation id"]) await inner.getByText(fact, { exact: true }).waitFor();
    // What is open stays open over the refreshes.
    await page.waitForTimeout(4_000);
    expect(await inner.getByText("gpt-5 · stop").isVisible()).toBe(true);
  });
  it.each([
    ["models", "claude-sonnet-4-5", "429, rate limit (rate limit error)"],
    ["tools", "search_catalog", "search_catalog · succeeded"],
    ["workflows", "POST /chat", "success · 3.60 s"],
    ["destinations", "api.openai.com", "Latest requests"],
    ["databases", "SELECT * FROM orders", "Latest commands"],
    ["requests", "POST /checkout", "user agent"],
  ])("%s: %s", async (section, row, text) => {
    const page = await show();
    await page.locator(`#${section} .toggle`, { hasText: row }).first().click();
    if (section === "requests") {
      await page.locator("#requests .details", { hasText: "response time" }).waitFor();
      await page.locator("#requests .details", { hasText: "The server answered 500 Internal Server Error." }).waitFor();
    } else await page.locator(`#${section} .details`, { hasText: text }).waitFor();
  });
});

it("shows mean, p95, tokens, tools and calls of agents and workflows at desktop width", async () => {
  const page = await show();
  for (const section of ["agents", "workflows"]) {
    const heads = await page.locator(`#${section} th:visible`).allInnerTexts();
    expect(heads).toEqual(expect.arrayContaining(["Mean", "p95", "Tokens", "Tool calls", "Model calls"]));
  }
});

it("shows percent-encoded paths as they read, and finds them so", async () => {
  mock.endpoints = endpoints(9).map((row, index) => (index === 4 ? { ...row, endpoint: "/caf%C3%A9/{id}" } : row));
  const page = await show();
  await page.getByLabel("Filter: Endpoints").fill("café");
  expect(await page.locator("#endpoints tbody td").first().textContent()).toBe("GET /café/{id}");
  await page.getByLabel("Filter: Endpoints").fill("%C3%A9");
  expect(await page.locator("#endpoints tbody tr").count()).toBe(1);
});

it.each([900, 1_024, 1_440])(
  "leaves no chart alone in a row, and no empty room beside an endpoint's figures, at %d pixels",
  async (width) => {
    const page = await show({ width });
    const tops = await page.locator(".chart").evaluateAll((all) => all.map((chart) => Math.round(chart.getBoundingClientRect().top)));
    expect([1, 2]).toContain(new Set(tops).size);
    for (const top of tops) expect(tops.filter((other) => other === top).length).toBeGreaterThan(1);
    await page.locator("#endpoints .toggle").first().click();
    await page.locator("#endpoints .detail-grid").waitFor();
    const free = await page.locator("#endpoints .detail-grid").evaluate((grid) => {
      const boxes = [...grid.children].map((child) => child.getBoundingClientRect());
      const all = grid.getBoundingClientRect();
      const columns = [...new Set(boxes.map(({ left }) => Math.round(left)))];
      const lowest = columns.map((left) => Math.max(...boxes.filter((box) => Math.round(box.left) === left).map(({ bottom }) => bottom)));
      const right = Math.max(...boxes.map((box) => box.right));
      return { below: all.bottom - Math.min(...lowest), beside: all.right - right };
    });
    expect(free.beside).toBeLessThan(40);
    expect(free.below).toBeLessThan(140);
  },
);

it("lets charts grow with their data", async () => {
  mock.young = 60;
  const page = await show();
  const first = page.locator(".chart", { hasText: "Requests per minute" });
  await expect.poll(async () => (await first.locator(".line").getAttribute("d"))?.split("L").length ?? 0).toBeGreaterThan(3);
  const { from, width } = await first.locator("svg").evaluate((svg) => {
    const line = svg.querySelector(".line") as SVGPathElement;
    return { from: line.getBBox().x, width: svg.getBoundingClientRect().width };
  });
  expect(from).toBeLessThan(width / 4);
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

it("takes few bytes each second: what changed, not whole lists", async () => {
  mock.endpoints = endpoints(400);
  const measured = await openMeasured(browser, mock.url);
  watched = measured;
  const { page, bytes, urls } = measured;
  await live(page);
  await page.waitForTimeout(1_500);
  const before = bytes();
  await page.waitForTimeout(4_000);
  const each = (bytes() - before) / 4;
  console.log(`400 endpoints at rest: ${Math.round(each)} bytes/s, not packed`);
  expect(each).toBeGreaterThan(500);
  expect(each).toBeLessThan(12_000);
  expect(urls.filter((one, index) => urls.indexOf(one) !== index)).toEqual([]);
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

it("shows the time that a notification links to, until it is closed", async () => {
  const page = await show({}, "?at=2026-11-27T03:12:05Z");
  const past = page.locator("#past");
  await past.locator("h2").waitFor();
  expect(await past.locator("h2").textContent()).toContain("12:05");
  await expect.poll(() => past.locator(".line").evaluateAll((lines) => lines.filter((line) => line.getAttribute("d")).length)).toBe(4);
  await past.getByRole("button", { name: "Back to now" }).click();
  expect(await past.isHidden()).toBe(true);
  expect(page.url()).not.toContain("at=");
});
