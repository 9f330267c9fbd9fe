// A time series of the last minutes for a chart: live samples as they come, history put in where no live sample is.

/** A value at a time in seconds since 1970. */
export interface Point {
  time: number;
  value: number | null;
}

/** How much a chart shows. */
export const SPAN_S = 15 * 60;
/** Samples further apart than this are not joined by a line. */
const GAP_S = 30;

export class Series {
  #points: Point[] = [];

  /** Adds a live sample; an older or repeated one is left out. */
  add(point: Point): void {
    const last = this.#points.at(-1);
    if (last && point.time <= last.time) return;
    this.#points.push(point);
    this.#trim();
  }

  /** Puts history in where no sample is nearer than half of its step. */
  merge(history: readonly Point[], stepS: number): void {
    const near = (time: number): boolean => this.#points.some((point) => Math.abs(point.time - time) < stepS / 2);
    const fresh = history.filter((point) => !near(point.time));
    this.#points = [...this.#points, ...fresh].sort((a, b) => a.time - b.time);
    this.#trim();
  }

  get latest(): Point | null {
    return this.#points.at(-1) ?? null;
  }

  /** The sample nearest to a time; null without one. */
  nearest(time: number): Point | null {
    return this.#points.reduce<Point | null>(
      (best, point) => (best === null || Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best),
      null,
    );
  }

  /** Times and values for the chart, from the first known value on; a null between samples that are too far apart ends the line there. */
  columns(): [number[], (number | null)[]] {
    const times: number[] = [];
    const values: (number | null)[] = [];
    const first = this.#points.findIndex(({ value }) => value !== null);
    for (const point of first < 0 ? [] : this.#points.slice(first)) {
      const before = times.at(-1);
      if (before !== undefined && point.time - before > GAP_S) {
        times.push(before + GAP_S / 2);
        values.push(null);
      }
      times.push(point.time);
      values.push(point.value);
    }
    return [times, values];
  }

  #trim(): void {
    const end = this.#points.at(-1)?.time ?? 0;
    const first = this.#points.findIndex((point) => point.time >= end - SPAN_S);
    if (first > 0) this.#points.splice(0, first);
  }
}
