// Traffic and resources around the time in the page's address, `?at=2026-11-27T03:12:05Z`, as links in notifications have it: from the
// history on disk, some minutes before and after. Stands above the live sections until it is closed.
import { choose, chosen } from "../address";
import type { Alert, History, List } from "../api";
import { Chart } from "../chart";
import { get } from "../client";
import { fill, h } from "../dom";
import { clock } from "../format";
import { type Point, SPAN_S } from "../series";
import { CHARTS, METRICS, type Metric, STEP_S, historyPoints } from "./resources";

const KEY = "at";
/** Of what is shown, so much lies behind the time: what led to an alert is more telling than what came after it. */
const AFTER_S = SPAN_S / 3;

/** The time in the page's address in seconds; null when there is none that can be read. */
export function chosenTime(): number | null {
  const at = Date.parse(chosen(KEY)[0] ?? "");
  return Number.isFinite(at) ? at / 1_000 : null;
}

/** What is shown for a time, in seconds; nothing after now. */
export function rangeAround(at: number, now: number): { from: number; to: number } {
  const to = Math.min(at + AFTER_S, Math.max(now, at));
  return { from: to - SPAN_S, to };
}

/** The newest state of each alert that began before the end of a range and was not over before its beginning. */
export function alertsWithin(alerts: readonly (Alert & { started_at?: string })[], from: number, to: number): string[] {
  const seconds = (time: string | undefined): number => Date.parse(time ?? "") / 1_000;
  const newest = new Map<string, Alert & { started_at?: string }>();
  for (const alert of alerts) {
    const known = newest.get(alert.alert_id);
    if (!known || alert.time > known.time) newest.set(alert.alert_id, alert);
  }
  return [...newest.values()]
    .filter((alert) => seconds(alert.started_at ?? alert.time) <= to && (alert.state !== "resolved" || seconds(alert.time) >= from))
    .map((alert) => `${clock(alert.started_at ?? alert.time)} ${alert.rule}, ${alert.scope}: ${alert.message}`);
}

export class Past {
  readonly element = h("section", { "id": "past", "class": "card", "aria-labelledby": "past-title", "hidden": true });
  #title = h("h2", { id: "past-title" });
  #note = h("span", { class: "note" });
  #problem = h("p", { class: "error", role: "status", hidden: true });
  /** Made when there is a time to show. */
  #charts = new Map<Metric, Chart>();
  #plots = h("div", { class: "charts" });
  #alerts = h("ul", { class: "past-alerts" });

  constructor() {
    const close = h("button", { type: "button", class: "quiet", on: { click: () => this.#close() } }, "Back to now");
    const head = h("header", {}, this.#title, this.#note, h("div", { class: "tools" }, close));
    this.element.append(head, this.#problem, h("div", { class: "body" }, this.#plots, this.#alerts));
  }

  /** Shows the time in the page's address, if there is one. */
  async show(nowMs: number): Promise<void> {
    const at = chosenTime();
    this.element.hidden = at === null;
    if (at === null) return;
    if (this.#charts.size === 0) {
      this.#charts = new Map(METRICS.map((metric) => [metric, new Chart(CHARTS[metric])]));
      fill(this.#plots, ...[...this.#charts.values()].map(({ element }) => element));
    }
    const when = new Date(at * 1_000);
    const { from, to } = rangeAround(at, nowMs / 1_000);
    this.#title.textContent = `At ${when.toLocaleDateString()}, ${clock(when.toISOString())}`;
    this.#note.textContent = `${Math.round((at - from) / 60)} minutes before it and ${Math.round((to - at) / 60)} after`;
    const iso = (seconds: number): string => new Date(seconds * 1_000).toISOString();
    const range = `from=${iso(from)}&to=${iso(to)}&step=${STEP_S}s`;
    try {
      const answers = await Promise.all(METRICS.map((metric) => get<History>(`api/v1/history?metric=${metric}&${range}`)));
      METRICS.forEach((metric, index) => this.#draw(metric, answers[index] ? historyPoints(answers[index]) : []));
      const nothing = answers.every(({ points }) => points.every(({ value }) => value === null));
      this.#say(nothing ? "The history has nothing of this time." : null);
    } catch (error) {
      this.#say(`Not available: ${error instanceof Error ? error.message : String(error)}.`);
    }
    await this.#list(from, to);
  }

  async #list(from: number, to: number): Promise<void> {
    try {
      const { items } = await get<List<Alert>>("api/v1/alerts");
      fill(this.#alerts, ...alertsWithin(items, from, to).map((line) => h("li", {}, line)));
    } catch {
      // The section of alerts says what is wrong with the route.
    }
  }

  #draw(metric: Metric, points: Point[]): void {
    const chart = this.#charts.get(metric);
    chart?.series.merge(points, STEP_S);
    chart?.draw();
  }

  #say(problem: string | null): void {
    this.#problem.textContent = problem ?? "";
    this.#problem.hidden = problem === null;
  }

  #close(): void {
    choose(KEY, []);
    this.element.hidden = true;
  }
}
