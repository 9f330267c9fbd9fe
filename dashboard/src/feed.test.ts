import { beforeEach, expect, it } from "vitest";
import { ApiError } from "./client";
import { Feed, type Source } from "./feed";

let asked: string[];
let answers: Map<string, unknown>;
let feed: Feed;

beforeEach(() => {
  [asked, answers] = [[], new Map()];
  feed = new Feed((path) => {
    asked.push(path);
    const answer = answers.get(path) ?? path;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
});

function source(route: string, shown: unknown[] = [], more: Partial<Source> = {}): Source {
  return { route, path: () => `api/${route}`, show: (answer) => shown.push(structuredClone(answer)), ...more };
}
const change = (data: unknown): void => feed.take({ type: "change", data: JSON.stringify(data) });

it("follows every route once, with its fields, and asks nothing else", () => {
  feed.add(source("summary"));
  feed.add(source("summary@1m", [], { fields: ["time", "p95_ms"] }));
  feed.add(source("llm"));
  feed.add(source("endpoints", [], { fields: ["count"] }));
  expect(feed.path("1h")).toBe("api/v1/stream?window=1h&follow=summary@1m,llm,endpoints&fields.summary=time,p95_ms&fields.endpoints=count");
  expect(asked).toEqual([]);
});

it("puts what changed into lists and objects", () => {
  const rows: unknown[] = [];
  const health: unknown[] = [];
  feed.add(source("llm", rows));
  feed.add(source("health", health));
  change({
    route: "llm",
    window_s: 60,
    total: 2,
    rows: [
      [0, { model: "a", calls: 1 }],
      [1, { model: "b", calls: 1 }],
    ],
    gone: [],
  });
  change({ route: "llm", window_s: 60, total: 2, rows: [[1, { calls: 2 }]], gone: [], order: [1, 0] });
  change({ route: "llm", window_s: 60, total: 1, rows: [], gone: [0], order: [1] });
  expect(rows[0]).toEqual({
    window_s: 60,
    total: 2,
    items: [
      { model: "a", calls: 1 },
      { model: "b", calls: 1 },
    ],
  });
  expect(rows.slice(1)).toEqual([
    {
      window_s: 60,
      total: 2,
      items: [
        { model: "b", calls: 2 },
        { model: "a", calls: 1 },
      ],
    },
    { window_s: 60, total: 1, items: [{ model: "b", calls: 2 }] },
  ]);
  change({ route: "health", fields: { status: "healthy", score: 1 } });
  change({ route: "health", fields: { score: null } });
  expect(health).toEqual([
    { status: "healthy", score: 1 },
    { status: "healthy", score: null },
  ]);
});

it("starts anew with each stream", () => {
  const rows: unknown[] = [];
  feed.add(source("llm", rows));
  change({ route: "llm", total: 1, rows: [[0, { model: "a" }]], gone: [] });
  feed.begin();
  change({ route: "llm", total: 1, rows: [[0, { model: "b" }]], gone: [] });
  expect(rows.at(-1)).toEqual({ window_s: null, total: 1, items: [{ model: "b" }] });
});

it("gives the summary of the stream to who shows it", () => {
  const shown: unknown[] = [];
  const minute: unknown[] = [];
  feed.add(source("summary", shown));
  feed.add(source("summary@1m", minute));
  feed.take({ type: "summary", data: '{"requests":3}' });
  feed.take({ type: "summary", data: "{broken" });
  feed.take({ type: "alert", data: "{}" });
  expect([shown, minute]).toEqual([[{ requests: 3 }], []]);
});

it("asks the routes where there is no stream, and says which are missing or fail", async () => {
  const first: unknown[] = [];
  const missing: unknown[] = [];
  const failed: unknown[] = [];
  feed.add(source("llm", first));
  feed.add(source("agents", missing));
  feed.add(source("tools", [], { fail: (error) => failed.push(error.status) }));
  answers.set("api/agents", new ApiError(404, "no such route"));
  answers.set("api/tools", new ApiError(500, "broken"));
  await feed.ask();
  expect([first, missing, failed]).toEqual([["api/llm"], [null], [500]]);
});

it("does not let an answer that one part cannot show stop the others", () => {
  const rest: unknown[] = [];
  const failed: unknown[] = [];
  const broken = (): never => {
    throw new Error("no such field");
  };
  feed.add(source("llm", [], { show: broken, fail: (error) => failed.push(error.message) }));
  feed.add(source("llm", rest));
  change({ route: "llm", total: 0, rows: [], gone: [] });
  expect([rest.length, failed.length]).toEqual([1, 1]);
});

it("says after a whole round which routes this perfmon does not have", () => {
  const [there, missing]: [unknown[], unknown[]] = [[], []];
  feed.add(source("llm", there));
  feed.add(source("agents", missing));
  feed.begin();
  feed.take({ type: "summary", data: "{}" });
  change({ route: "llm", total: 0, rows: [], gone: [] });
  expect(missing).toEqual([]);
  feed.take({ type: "summary", data: "{}" });
  feed.take({ type: "summary", data: "{}" });
  expect([there.length, missing]).toEqual([1, [null]]);
});
