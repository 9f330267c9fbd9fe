import { expect, it } from "vitest";
import { SPAN_S, Series } from "./series";

it("keeps the last 15 minutes of live samples, each once", () => {
  const series = new Series();
  for (let time = 0; time <= SPAN_S + 100; time += 1) series.add({ time, value: time });
  series.add({ time: 5, value: 99 });
  series.add({ time: SPAN_S + 100, value: 99 });
  const [times, values] = series.columns();
  expect([times[0], times.at(-1), times.length]).toEqual([100, SPAN_S + 100, SPAN_S + 1]);
  expect(values.at(-1)).toBe(SPAN_S + 100);
});

it("puts history where no live sample is, and keeps live ones", () => {
  const series = new Series();
  for (const time of [100, 101, 102, 200, 201]) series.add({ time, value: 1 });
  series.merge(
    [80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200].map((time) => ({ time, value: 7 })),
    10,
  );
  const [times, values] = series.columns();
  expect(times).toEqual([80, 90, 100, 101, 102, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200, 201]);
  expect(values.filter((value) => value === 1)).toHaveLength(5);
});

it("ends the line where samples are missing", () => {
  const series = new Series();
  for (const time of [0, 1, 300]) series.add({ time, value: 1 });
  expect(series.columns()).toEqual([
    [0, 1, 16, 300],
    [1, 1, null, 1],
  ]);
});

it("begins with the first known value: what was not measured yet takes no room", () => {
  const series = new Series();
  series.merge(
    Array.from({ length: 90 }, (_, index) => ({ time: index * 10, value: index < 80 ? null : index })),
    10,
  );
  expect(series.columns()[0]).toEqual([800, 810, 820, 830, 840, 850, 860, 870, 880, 890]);
  expect(new Series().columns()).toEqual([[], []]);
});
