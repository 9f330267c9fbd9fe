// A small time chart (uPlot) with its name, its present value and, under the pointer, the value there. Colours come from the style
// sheet, so light and dark are decided in one place.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { h, setAttribute, setText } from "./dom";
import { clock } from "./format";
import { Series } from "./series";

export interface ChartOptions {
  title: string;
  /** How a value is written, with its unit. */
  format: (value: number | null) => string;
  /** How the axis writes it, where that is shorter. */
  tick?: (value: number) => string;
  /** Name of the CSS variable with the line's colour. */
  colour: string;
  /** Values up to this are always in view. */
  atLeast: number;
  /** No value is above this. */
  atMost?: number;
}

const HEIGHT = 132;
/** What is shown at least, so that the first samples do not fill the width. */
const SHORTEST_S = 120;
/** Charts with the same key move their pointers together. */
const SYNC = "perfmon";

export class Chart {
  readonly element: HTMLElement;
  readonly series = new Series();
  #value = h("strong", { class: "figure" }, "–");
  #when = h("span", { class: "when" });
  #box = h("div", { class: "plot", role: "img" });
  #plot: uPlot | null = null;

  constructor(private readonly options: ChartOptions) {
    const caption = h("figcaption", {}, h("span", {}, options.title), this.#when, this.#value);
    this.element = h("figure", { class: "chart" }, caption, this.#box);
    new ResizeObserver(() => this.#fit()).observe(this.#box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
  }

  /** Draws the series as it is now. */
  draw(): void {
    const latest = this.series.latest;
    if (!this.#plot) this.#rebuild();
    else this.#plot.setData(this.series.columns());
    if (this.#plot?.cursor.idx == null) this.#say(latest?.value ?? null, "");
    setAttribute(this.#box, "aria-label", `${this.options.title} over time; now ${this.options.format(latest?.value ?? null)}`);
  }

  #say(value: number | null, when: string): void {
    setText(this.#value, this.options.format(value));
    setText(this.#when, when);
  }

  #fit(): void {
    const width = this.#box.clientWidth;
    if (width > 0 && this.#plot && this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #rebuild(): void {
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#plotOptions(), this.series.columns(), this.#box);
  }

  #plotOptions(): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const { format, tick = format, atLeast, atMost } = this.options;
    const top = (_: uPlot, _low: number, high: number): uPlot.Range.MinMax => [
      0,
      Math.min(Math.max(atLeast, high * 1.1), atMost ?? Number.POSITIVE_INFINITY),
    ];
    const recent = (_: uPlot, from: number, to: number): uPlot.Range.MinMax => [to - Math.max(to - from, SHORTEST_S), to];
    return {
      width: Math.max(this.#box.clientWidth, 120),
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: recent }, y: { range: top } },
      axes: [
        {
          ...axis,
          space: 70,
          size: 24,
          values: (_, times) => times.map((time) => clock(new Date(time * 1_000).toISOString()).slice(0, 5)),
        },
        { ...axis, space: 32, size: 62, values: (_, ticks) => ticks.map(tick) },
      ],
      series: [
        {},
        {
          stroke: colour(this.options.colour),
          fill: `color-mix(in srgb, ${colour(this.options.colour)} 14%, transparent)`,
          width: 1.5,
          points: { show: false },
        },
      ],
      hooks: { setCursor: [(plot) => this.#underPointer(plot)] },
    };
  }

  #underPointer(plot: uPlot): void {
    const index = plot.cursor.idx;
    if (index == null) {
      this.#say(this.series.latest?.value ?? null, "");
      return;
    }
    const time = plot.data[0][index];
    this.#say(plot.data[1]?.[index] ?? null, time === undefined ? "" : clock(new Date(time * 1_000).toISOString()));
  }
}
