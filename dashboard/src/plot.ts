// The geometry of a time chart, without a DOM: paths through points, round ticks of both axes.

/** Where a chart draws: seconds and values to pixels. */
export interface Scale {
  from: number;
  to: number;
  /** The value at the upper edge; 0 is at the lower one. */
  top: number;
  left: number;
  right: number;
  above: number;
  below: number;
}

type Values = readonly (number | null)[];

/** Runs of known values as pixel positions. */
function runs(times: readonly number[], values: Values, scale: Scale): [x: number, y: number][][] {
  const all: [number, number][][] = [];
  let run: [number, number][] = [];
  times.forEach((time, index) => {
    const value = values[index];
    if (value === null || value === undefined) {
      if (run.length > 0) all.push(run);
      run = [];
      return;
    }
    const x = scale.left + ((time - scale.from) / (scale.to - scale.from || 1)) * (scale.right - scale.left);
    run.push([x, scale.below - (Math.min(value, scale.top) / scale.top) * (scale.below - scale.above)]);
  });
  return run.length > 0 ? [...all, run] : all;
}

const write = (run: [number, number][]): string => run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");

/** The line; it ends where a value is not known. */
export function linePath(times: readonly number[], values: Values, scale: Scale): string {
  return runs(times, values, scale)
    .map((run) => `M${write(run)}`)
    .join("");
}

/** What lies between the line and 0. */
export function areaPath(times: readonly number[], values: Values, scale: Scale): string {
  return runs(times, values, scale)
    .map((run) => `M${run[0]?.[0].toFixed(1)},${scale.below}L${write(run)}V${scale.below}Z`)
    .join("");
}

/** Round values from 0 on, three to five of them, the last at or above `highest`. */
export function axisTicks(highest: number): number[] {
  if (!(highest > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(highest / 3));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => highest / one <= 4) ?? 10 * power;
  return Array.from({ length: Math.ceil(highest / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

const STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900];
/** Room that a clock time takes. */
const MARK_PX = 64;
/** Half of its width: closer to an edge it would be cut. */
const EDGE_PX = 26;

/** Clock times along the axis, as many as there is room for. */
export function timeTicks(scale: Scale): { x: number; text: string }[] {
  const width = scale.right - scale.left;
  const step = STEPS_S.find((one) => (one / (scale.to - scale.from)) * width >= MARK_PX) ?? 900;
  const marks = [];
  for (let time = Math.ceil(scale.from / step) * step; time <= scale.to; time += step) {
    const x = scale.left + ((time - scale.from) / (scale.to - scale.from)) * width;
    if (x > scale.left + EDGE_PX && x < scale.right - EDGE_PX) marks.push({ x, text: clockText(time, step < 60) });
  }
  return marks;
}

function clockText(time: number, seconds: boolean): string {
  const date = new Date(time * 1_000);
  const parts = [date.getHours(), date.getMinutes(), ...(seconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
