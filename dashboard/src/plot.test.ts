import { expect, it } from "vitest";
import { areaPath, axisTicks, linePath, timeTicks } from "./plot";

const scale = { from: 0, to: 100, top: 10, left: 0, right: 100, above: 0, below: 50 };

it("draws a line from edge to edge and ends it where a value is missing", () => {
  expect(linePath([0, 50, 60, 100], [0, 10, null, 5], scale)).toBe("M0.0,50.0L50.0,0.0M100.0,25.0");
  expect(areaPath([0, 50], [0, 10], scale)).toBe("M0.0,50L0.0,50.0L50.0,0.0V50Z");
  expect(linePath([], [], scale)).toBe("");
});

it.each([
  [0, [0, 1]],
  [1, [0, 0.25, 0.5, 0.75, 1]],
  [7, [0, 2, 4, 6, 8]],
  [100, [0, 25, 50, 75, 100]],
  [431, [0, 200, 400, 600]],
  [0.31, [0, 0.1, 0.2, 0.3, 0.4]],
])("has round ticks up to %d", (highest, ticks) => expect(axisTicks(highest)).toEqual(ticks));

it("marks as many times as there is room for", () => {
  const marks = (width: number, seconds: number): number => timeTicks({ ...scale, to: seconds, right: width }).length;
  expect(marks(300, 30)).toBeGreaterThanOrEqual(2);
  for (const width of [200, 300, 700]) for (const seconds of [30, 120, 900]) expect(marks(width, seconds)).toBeLessThanOrEqual(width / 60);
});

it("marks no time where its text would be cut", () => {
  for (let from = 0; from < 60; from += 1)
    for (const { x } of timeTicks({ ...scale, from, to: from + 90, right: 240 })) {
      expect(x).toBeGreaterThan(24);
      expect(x).toBeLessThan(216);
    }
});
