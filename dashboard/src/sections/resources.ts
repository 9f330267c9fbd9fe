// Traffic and resources over the last 15 minutes, and the host's disks and network now. Lines begin with what the store remembers,
// where perfmon has one, and go on with live samples.
import type { History, Summary, System, SystemAnswer } from "../api";
import { Chart, type ChartOptions } from "../chart";
import { get } from "../client";
import { type Child, fill, h } from "../dom";
import type { Feed } from "../feed";
import { bytes, decimal, duration, percent } from "../format";
import { Section } from "../section";
import { type Point, SPAN_S } from "../series";

const wholePercent = (value: number): string => `${value} %`;
export const CHARTS = {
  requests_per_minute: { title: "Requests per minute", format: decimal, colour: 1, atLeast: 1 },
  response_time_p95: { title: "Response time, p95", format: duration, colour: 2, atLeast: 1 },
  cpu_percent: { title: "CPU of the host", format: percent, tick: wholePercent, colour: 3, atLeast: 10, atMost: 100 },
  memory_percent: { title: "Memory of the host", format: percent, tick: wholePercent, colour: 4, atLeast: 100, atMost: 100 },
} satisfies Record<string, ChartOptions>;
export type Metric = keyof typeof CHARTS;
const TRAFFIC: Metric[] = ["requests_per_minute", "response_time_p95"];
export const METRICS = Object.keys(CHARTS) as Metric[];
export const STEP_S = 10;

/** History as points in seconds. */
export function historyPoints(history: History): Point[] {
  return history.points.map(({ time, value }) => ({ time: Date.parse(time) / 1_000, value })).filter(({ time }) => Number.isFinite(time));
}

/** One figure of the host over time. */
export function trendPoints(trend: NonNullable<SystemAnswer["trend"]>, metric: "cpu_percent" | "memory_percent"): Point[] {
  return trend.map((sample) => ({ time: Date.parse(sample.time) / 1_000, value: sample[metric] }));
}

/** Facts of the host beside the charts. */
export function hostView(system: System): Child[] {
  const perSecond = (value: number): string => `${bytes(system.interval_ms > 0 ? (value * 1_000) / system.interval_ms : null)}/s`;
  const facts: [string, string, string?][] = [
    ["Load, 1 min", decimal(system.load_1m)],
    ["Memory available", bytes(system.memory_available_bytes)],
  ];
  if (system.swap_percent !== null) facts.push(["Swap used", percent(system.swap_percent)]);
  if (system.psi)
    facts.push(["Stalled on CPU / memory / I/O", [system.psi.cpu, system.psi.memory, system.psi.io].map(percent).join(" / ")]);
  for (const disk of system.disks) {
    const full = disk.full_in_s === null ? "" : `, full in ${duration(disk.full_in_s * 1_000)}`;
    facts.push([
      `Disk ${disk.mount}`,
      `${percent(disk.used_percent)} used, ${bytes(disk.free_bytes)} free${full}`,
      disk.used_percent > 90 ? "bad" : undefined,
    ]);
  }
  for (const net of system.network) facts.push([`Network ${net.name}`, `in ${perSecond(net.rx_bytes)}, out ${perSecond(net.tx_bytes)}`]);
  return [
    h(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value, tone]) => h("div", {}, h("dt", {}, name), h("dd", { "data-tone": tone }, value))),
    ),
  ];
}

export class Resources {
  readonly section = new Section("resources", "Load and resources");
  #charts = new Map(METRICS.map((metric) => [metric, new Chart(CHARTS[metric])]));
  #host = h("div", {});

  constructor(feed: Feed) {
    this.section.say("up to 15 minutes back");
    this.section.body.append(h("div", { class: "charts" }, ...[...this.#charts.values()].map(({ element }) => element)), this.#host);
    // Taken also while nobody looks, so that the lines have no holes when somebody does; of a minute, for their detail.
    const show = (answer: SystemAnswer): void => this.#system(answer);
    feed.add(this.section.source<SystemAnswer>({ route: "system", path: () => "api/v1/system?window=1m", show, always: true }));
    const traffic = (summary: Summary | null): void => {
      if (summary) this.#traffic(summary);
    };
    const fields = ["time", "requests_per_minute", "p95_ms"];
    feed.add<Summary>({ route: "summary@1m", path: () => "api/v1/summary?window=1m", fields, show: traffic });
  }

  /** Adds what perfmon remembers of the time before: the host's samples from its memory, the traffic from its store, if it has one. */
  async recall(nowMs: number): Promise<void> {
    void this.#recallHost();
    const from = new Date(nowMs - SPAN_S * 1_000).toISOString();
    const to = new Date(nowMs).toISOString();
    await Promise.all(TRAFFIC.map((metric) => this.#recallOne(metric, `from=${from}&to=${to}&step=${STEP_S}s`)));
  }

  async #recallOne(metric: Metric, range: string): Promise<void> {
    try {
      const history = await get<History>(`api/v1/history?metric=${metric}&${range}`);
      this.#merge(metric, historyPoints(history), STEP_S);
    } catch {
      // Without a store, the lines begin when the page was opened.
    }
  }

  async #recallHost(): Promise<void> {
    try {
      const { trend = [] } = await get<SystemAnswer>(`api/v1/system?window=1h&step=${STEP_S}s`);
      for (const metric of ["cpu_percent", "memory_percent"] as const) this.#merge(metric, trendPoints(trend, metric), STEP_S);
    } catch {
      // The section's own source says what is wrong with the route.
    }
  }

  #system({ latest, trend }: SystemAnswer): void {
    for (const metric of ["cpu_percent", "memory_percent"] as const)
      this.#add(metric, trendPoints(trend ?? (latest ? [latest] : []), metric));
    if (latest) fill(this.#host, ...hostView(latest));
  }

  #traffic(summary: Summary): void {
    const time = Date.parse(summary.time) / 1_000;
    this.#add("requests_per_minute", [{ time, value: summary.requests_per_minute }]);
    this.#add("response_time_p95", [{ time, value: summary.p95_ms }]);
  }

  #merge(metric: Metric, points: Point[], stepS: number): void {
    const chart = this.#charts.get(metric);
    chart?.series.merge(points, stepS);
    chart?.draw();
  }

  #add(metric: Metric, points: Point[]): void {
    const chart = this.#charts.get(metric);
    for (const point of points) chart?.series.add(point);
    if (document.visibilityState === "visible") chart?.draw();
  }
}
