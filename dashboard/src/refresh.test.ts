import { beforeEach, expect, it } from "vitest";
import { ApiError } from "./client";
import { Refresher, type Source } from "./refresh";

let now = 0;
let asked: string[] = [];
let timers: { run: () => void; at: number }[] = [];
let answers: Map<string, unknown>;
let refresher: Refresher;
const settle = async (): Promise<void> => void (await new Promise((resolve) => setTimeout(resolve)));

beforeEach(() => {
  [now, asked, timers, answers] = [0, [], [], new Map()];
  const get = (path: string): Promise<unknown> => {
    asked.push(path);
    const answer = answers.get(path) ?? path;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  refresher = new Refresher({ get, now: () => now, later: (run, ms) => timers.push({ run, at: now + ms }) });
});

async function pass(ms: number): Promise<void> {
  now += ms;
  const due = timers.filter(({ at }) => at <= now);
  timers = timers.filter(({ at }) => at > now);
  for (const { run } of due) run();
  await settle();
}

function source(path: string, shown: unknown[] = [], wanted = true): Source {
  return { path: () => path, wanted: () => wanted, show: (answer) => shown.push(answer) };
}

it("asks at most twice a second, however much happens", async () => {
  refresher.add(source("a"));
  for (let i = 0; i < 40; i += 1) {
    refresher.changed();
    await pass(100);
  }
  expect(asked.length).toBeGreaterThanOrEqual(7);
  expect(asked.length).toBeLessThanOrEqual(9);
});

it("falls in with news that come each second, whenever the first round was", async () => {
  refresher.add(source("a"));
  refresher.all();
  await pass(100);
  refresher.changed(); // news, just after the first round
  await pass(500);
  expect(asked).toHaveLength(2);
  await pass(500);
  refresher.changed(); // the next news are asked about at once
  await settle();
  expect(asked).toHaveLength(3);
});

it("asks what is wanted, and everything when told so", async () => {
  refresher.add(source("seen"));
  refresher.add(source("unseen", [], false));
  refresher.changed();
  await settle();
  expect(asked).toEqual(["seen"]);
  refresher.all();
  await settle();
  expect(asked).toEqual(["seen", "seen", "unseen"]);
});

it("hides what perfmon does not have and asks again after a reconnect only", async () => {
  const shown: unknown[] = [];
  answers.set("new", new ApiError(404, "no such route"));
  refresher.add(source("new", shown));
  refresher.all();
  await settle();
  refresher.changed();
  await pass(1_000);
  expect([shown, asked]).toEqual([[null], ["new"]]);
  answers.set("new", { items: [] });
  refresher.all();
  await settle();
  expect(shown).toEqual([null, { items: [] }]);
});

it("keeps what it shows when a route fails, and goes on", async () => {
  const [shown, failures]: [unknown[], string[]] = [[], []];
  refresher.add({ ...source("a", shown), fail: (error) => failures.push(error.message) });
  refresher.add({
    path: () => "odd",
    wanted: () => true,
    show: () =>
      []
        .map((x: { y: number }) => x.y)
        .concat(null as never)
        .forEach((x: number) => x.toFixed()),
    fail: (error) => failures.push(error.message),
  });
  answers.set("a", new ApiError(500, "broken"));
  refresher.changed();
  await settle();
  expect(shown).toEqual([]);
  expect(failures).toHaveLength(2);
  expect(failures[0]).toContain("broken");
  expect(failures[1]).toContain("not understood");
  answers.set("a", 1);
  refresher.changed();
  await pass(1_000);
  expect(shown).toEqual([1]);
});

it("drops the answer to a question that is no longer asked", async () => {
  const shown: unknown[] = [];
  let window = "5m";
  refresher.add({ path: () => `a?window=${window}`, wanted: () => true, show: (answer) => shown.push(answer) });
  refresher.changed();
  window = "1h";
  refresher.all();
  await settle();
  await pass(1_000);
  expect(shown).toEqual(["a?window=1h"]);
});
