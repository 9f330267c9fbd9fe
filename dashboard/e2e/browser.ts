// Opens the page in chromium and watches for what must not happen: errors, violations of the policy, questions to another host.
import { type Browser, type Page, chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage", // containers often have little of it
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface View {
  width?: number;
  height?: number;
  dark?: boolean;
  token?: string;
}

/** A page and what went wrong on it. */
export interface Watched {
  page: Page;
  problems: string[];
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ARGS });
}

/** Opens `url` in a fresh profile; done when the page is live. */
export async function open(browser: Browser, url: string, { width = 1_440, height = 900, dark = false }: View = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    // The browser itself writes this line for a route that perfmon does not have or keeps nothing for, and when it is down.
    if (
      ["error", "warning"].includes(message.type()) &&
      !/^Failed to load resource: .*(404|501|503|401|403|net::ERR_)/.test(message.text())
    )
      problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    if (url !== "about:blank" && new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("data:"))
      problems.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  await page.goto(url);
  return { page, problems };
}

/** A page with what passed on the wire since before it was opened: headers and bodies as they are sent, and the addresses asked. */
export interface Measured extends Watched {
  bytes: () => number;
  urls: string[];
}

/** Opens `url` and counts. */
export async function openMeasured(browser: Browser, url: string): Promise<Measured> {
  const watched = await open(browser, "about:blank");
  const { page } = watched;
  const session = await page.context().newCDPSession(page);
  const urls: string[] = [];
  let bytes = 0;
  // The browser's own question for the icon of the tab is seen here alone.
  session.on("Network.requestWillBeSent", ({ request }) => void urls.push(request.url));
  session.on("Network.dataReceived", ({ encodedDataLength }) => void (bytes += encodedDataLength));
  session.on("Network.responseReceived", ({ response }) => void (bytes += response.encodedDataLength));
  await session.send("Network.enable");
  await page.goto(url);
  return { ...watched, bytes: () => bytes, urls };
}

/** Waits until the page says that it is live. */
export async function live(page: Page): Promise<void> {
  await page.locator('.link[data-state="live"]').waitFor();
  await page.locator("[data-tile]").first().waitFor();
}

/** How much wider than the screen the page is: 0 = it does not scroll sideways. */
export function overhang(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

/** The exact value behind a tile's figure; null when it is not known. */
export async function tile(page: Page, key: string): Promise<number | null> {
  const value = await page.locator(`[data-tile="${key}"] .figure`).getAttribute("data-value");
  return value === null ? null : Number(value);
}
