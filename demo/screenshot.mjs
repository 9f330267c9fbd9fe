// Takes a picture of perfmon's page for the README: `node demo/screenshot.mjs URL PNG`, run by `cargo xtask demo --screenshot PNG`.
// Waits until the page is live, shows it down to the agents' work, writes a PNG of 256 colours (a third of the size), and fails when the
// page met an error. Browser: Debian's chromium, or CHROMIUM.
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { crc32, deflateSync } from "node:zlib";

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
  const last = page.locator("section", { has: page.getByRole("heading", { name: "Workflows" }) });
  await last.getByRole("row").nth(1).waitFor();
  await page.waitForTimeout(4_000);
  const box = await last.boundingBox();
  const clip = { x: 0, y: 0, width: 1_280, height: Math.ceil(box.y + box.height + 8) };
  const shot = await page.screenshot({ fullPage: true, animations: "disabled", clip });
  if (problems.length > 0) throw new Error(`the page met errors:\n${problems.join("\n")}`);
  const picture = await indexed(shot);
  if (picture.length > MOST_BYTES) throw new Error(`${file} would have ${picture.length} bytes, more than ${MOST_BYTES}`);
  await writeFile(file, picture);
  console.log(`${file}: ${clip.width} x ${clip.height}, ${picture.length} bytes`);
} finally {
  await browser.close();
}

/** The same picture with its 256 most frequent colours; any other becomes the nearest of them. */
async function indexed(png) {
  const page = await browser.newPage(); // an empty one, without the policy of perfmon's page
  const { width, height, rgba } = await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    canvas.drawImage(bitmap, 0, 0);
    const { data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
    let text = "";
    for (let at = 0; at < data.length; at += 32_768) text += String.fromCharCode(...data.subarray(at, at + 32_768));
    return { width: bitmap.width, height: bitmap.height, rgba: btoa(text) };
  }, png.toString("base64"));
  const data = Buffer.from(rgba, "base64");
  const colour = (at) => (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) counts.set(colour(at), (counts.get(colour(at)) ?? 0) + 1);
  const parts = (value) => [value >> 16, (value >> 8) & 255, value & 255];
  const vivid = (value) => Math.max(...parts(value)) - Math.min(...parts(value)); // small coloured marks count for more than grey edges of letters
  const weight = ([value, count]) => count * (1 + vivid(value) / 8);
  const palette = [...counts].sort((a, b) => weight(b) - weight(a)).slice(0, 256).map(([value]) => value);
  const distance = (a, b) => parts(a).reduce((sum, part, at) => sum + (part - parts(b)[at]) ** 2, 0);
  const nearest = new Map([...counts.keys()].map((value) => [value, closest(palette, (other) => distance(value, other))]));
  const rows = Buffer.alloc((width + 1) * height); // each row begins with its filter: none
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = nearest.get(colour(4 * (y * width + x)));
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8); // 8 bits, indexed
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const plte = Buffer.from(palette.flatMap(parts));
  return Buffer.concat([signature, chunk("IHDR", head), chunk("PLTE", plte), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND")]);
}

/** Where in `list` the smallest of `of` is. */
function closest(list, of) {
  let best = 0;
  for (let at = 1; at < list.length; at++) if (of(list[at]) < of(list[best])) best = at;
  return best;
}

/** A chunk of a PNG. */
function chunk(name, data = Buffer.alloc(0)) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
