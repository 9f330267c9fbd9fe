// Takes a picture of perfmon's page for the README: `node demo/screenshot.mjs URL PNG`, run by `cargo xtask demo --screenshot PNG`.
// Waits until the page is live and its panels have data, fails when the page met an error. Browser: Debian's chromium, or CHROMIUM.
import { createRequire } from "node:module";
import { stat } from "node:fs/promises";

const { chromium } = createRequire(new URL("../dashboard/package.json", import.meta.url))("playwright-core");
const [url, file] = process.argv.slice(2);
const MOST_BYTES = 300_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 900 }, colorScheme: "light" });
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await page.locator('.link[data-state="live"]').waitFor();
  await page.locator("[data-tile]").first().waitFor();
  await page.waitForTimeout(4_000);
  await page.screenshot({ path: file, fullPage: true, animations: "disabled" });
  if (problems.length > 0) throw new Error(`the page met errors:\n${problems.join("\n")}`);
  const { size } = await stat(file);
  if (size > MOST_BYTES) throw new Error(`${file} has ${size} bytes, more than ${MOST_BYTES}`);
  console.log(`${file}: ${size} bytes`);
} finally {
  await browser.close();
}
