// How long after the API the page shows a number that only grows: both are watched for some seconds by the same clock.
import type { Page } from "playwright-core";

const WATCHED_MS = 8_000;
const ASKED_EACH_MS = 100;
/** How long the page is still waited for at the end. */
const GRACE_MS = 10_000;

interface Sample {
  at: number;
  value: number;
}

/** For each change that `ask` saw: milliseconds until the sum of the endpoints' counts on the page was there too. */
export async function lags(page: Page, ask: () => Promise<number>): Promise<number[]> {
  await page.evaluate(() => {
    const samples: Sample[] = ((window as unknown as { samples: Sample[] }).samples = []);
    const read = (): void => {
      const cells = [...document.querySelectorAll('#endpoints td[data-column="count"]')];
      samples.push({ at: Date.now(), value: cells.reduce((sum, cell) => sum + Number(cell.getAttribute("data-value")), 0) });
    };
    new MutationObserver(read).observe(document.querySelector("#endpoints") as Element, {
      subtree: true,
      attributes: true,
      childList: true,
    });
    read();
  });
  const changes: Sample[] = [];
  const end = Date.now() + WATCHED_MS;
  while (Date.now() < end) {
    const value = await ask();
    if (value > (changes.at(-1)?.value ?? 0)) changes.push({ at: Date.now(), value });
    await page.waitForTimeout(ASKED_EACH_MS);
  }
  // The first one had changed before anybody looked.
  const wanted = changes.slice(1);
  const last = wanted.at(-1);
  const shown = (): Promise<Sample[]> => page.evaluate(() => (window as unknown as { samples: Sample[] }).samples);
  const deadline = Date.now() + GRACE_MS;
  while (last && Date.now() < deadline && !(await shown()).some(({ value }) => value >= last.value))
    await page.waitForTimeout(ASKED_EACH_MS);
  const samples = await shown();
  return wanted.map(({ at, value }) => Math.max(0, (samples.find((sample) => sample.value >= value)?.at ?? Number.POSITIVE_INFINITY) - at));
}
