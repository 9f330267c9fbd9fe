// A small time chart (SVG) with its name, its present value and, under the pointer, the value there. It grows with its data. Colours come
// from the style sheet, so light and dark are decided in one place.
import { fill, h, setAttribute, setText, svg } from "./dom";
import { clock } from "./format";
import { Series } from "./series";
import { type Scale, areaPath, axisTicks, linePath, timeTicks } from "./plot";

export interface ChartOptions {
  title: string;
  /** How a value is written, with its unit. */
  format: (value: number | null) => string;
  /** How the axis writes it, where that is shorter. */
  tick?: (value: number) => string;
  /** Number of the line's colour in the style sheet. */
  colour: 1 | 2 | 3 | 4;
  /** Values up to this are always in view. */
  atLeast: number;
  /** No value is above this. */
  atMost?: number;
}

const HEIGHT = 132;
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 4, 8, 20];
/** What is shown at least, so that the first two samples do not fill the width. */
const SHORTEST_S = 30;
/** All charts: a pointer over one shows the same time in the others. */
const charts = new Set<Chart>();

export class Chart {
  readonly element: HTMLElement;
  readonly series = new Series();
  #value = h("strong", { class: "figure" }, "–");
  #when = h("span", { class: "when" });
  #area = svg("path", { class: "area" });
  #line = svg("path", { class: "line" });
  #axes = svg("g", { class: "axes" });
  #pointer = svg("g", { class: "pointer", visibility: "hidden" });
  #plot = svg("svg", { height: HEIGHT, role: "img" });
  #box = h("div", { class: "plot" });
  /** The time under the pointer. */
  #at: number | null = null;
  #scale: Scale | null = null;

  constructor(private readonly options: ChartOptions) {
    this.#pointer.append(svg("line", { y1: TOP, y2: HEIGHT - BOTTOM }), svg("circle", { r: 3 }));
    this.#plot.append(this.#axes, this.#area, this.#line, this.#pointer);
    this.#box.append(this.#plot);
    const caption = h("figcaption", {}, h("span", {}, options.title), this.#when, this.#value);
    this.element = h("figure", { "class": "chart", "data-colour": options.colour }, caption, this.#box);
    this.#plot.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.#plot.addEventListener("pointerleave", () => this.#point(null));
    new ResizeObserver(() => this.draw()).observe(this.#box);
    charts.add(this);
  }

  /** Draws the series as it is now. */
  draw(): void {
    const [times, values] = this.series.columns();
    const width = Math.max(this.#box.clientWidth, 120);
    const [first, last] = [times[0], times.at(-1)];
    setAttribute(this.#plot, "width", width);
    setAttribute(
      this.#plot,
      "aria-label",
      `${this.options.title} over time; now ${this.options.format(this.series.latest?.value ?? null)}`,
    );
    if (first === undefined || last === undefined) return this.#say();
    const { atLeast, atMost = Number.POSITIVE_INFINITY, format, tick = format } = this.options;
    const highest = values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
    const ticks = axisTicks(Math.min(Math.max(atLeast, highest * 1.1), atMost));
    const scale = {
      from: Math.min(first, last - SHORTEST_S),
      to: last,
      top: ticks.at(-1) ?? 1,
      left: LEFT,
      right: width - RIGHT,
      above: TOP,
      below: HEIGHT - BOTTOM,
    };
    this.#scale = scale;
    setAttribute(this.#line, "d", linePath(times, values, scale));
    setAttribute(this.#area, "d", areaPath(times, values, scale));
    this.#drawAxes(scale, ticks, tick);
    this.#say();
  }

  #drawAxes(scale: Scale, ticks: number[], write: (value: number) => string): void {
    const label = (x: number, y: number, anchor: string, text: string): SVGTextElement => {
      const element = svg("text", { "x": x, "y": y, "text-anchor": anchor });
      element.textContent = text;
      return element;
    };
    const rows = ticks.flatMap((value) => {
      const y = scale.below - (value / scale.top) * (scale.below - scale.above);
      return [svg("line", { x1: scale.left, x2: scale.right, y1: y, y2: y }), label(scale.left - 6, y + 4, "end", write(value))];
    });
    const marks = timeTicks(scale).map(({ x, text }) => label(x, HEIGHT - 5, "middle", text));
    fill(this.#axes, ...rows, ...marks);
  }

  #point(x: number | null): void {
    const scale = this.#scale;
    const at = x === null || !scale ? null : scale.from + ((x - scale.left) / (scale.right - scale.left)) * (scale.to - scale.from);
    for (const chart of charts) {
      chart.#at = at;
      chart.#say();
    }
  }

  /** Writes the value under the pointer, or the present one. */
  #say(): void {
    const near = this.#at === null ? null : this.series.nearest(this.#at);
    const scale = this.#scale;
    setText(this.#value, this.options.format((near ?? this.series.latest)?.value ?? null));
    setText(this.#when, near ? clock(new Date(near.time * 1_000).toISOString()) : "");
    const shown = near !== null && near.value !== null && scale !== null;
    setAttribute(this.#pointer, "visibility", shown ? null : "hidden");
    if (!shown) return;
    const x = scale.left + ((near.time - scale.from) / (scale.to - scale.from)) * (scale.right - scale.left);
    const y = scale.below - ((near.value ?? 0) / scale.top) * (scale.below - scale.above);
    setAttribute(this.#pointer, "transform", `translate(${x.toFixed(1)} 0)`);
    setAttribute(this.#pointer.querySelector("circle") as Element, "cy", y.toFixed(1));
  }
}
