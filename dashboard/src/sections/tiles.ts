// The figures that are read first. A tile whose field is absent belongs to a capability that this perfmon lacks, and is left out.
import type { Health, Summary } from "../api";
import { fill, h, setAttribute, setText } from "../dom";
import { compact, count, decimal, duration, rate, usd } from "../format";

export interface Tile {
  key: string;
  label: string;
  value: string;
  /** The figure itself, as the API has it. */
  exact: number | null;
  /** A line under it. */
  note: string;
}

/** Tiles of a summary; the agent time is the health endpoint's. */
export function tiles(summary: Summary, health: Health | null): Tile[] {
  const all: (Tile & { there: unknown })[] = [
    tile("requests_per_minute", "Requests/min", decimal, summary.requests_per_minute, peak(summary)),
    tile("error_rate", "Error rate", rate, summary.error_rate, `${count(summary.errors)} of ${count(summary.requests)} requests`),
    tile("p50_ms", "Median", duration, summary.p50_ms, summary.p50_ms === null ? "" : "half are faster"),
    tile("p95_ms", "p95", duration, summary.p95_ms, summary.p95_ms === null ? "" : "95 % are faster"),
    tile("p99_ms", "p99", duration, summary.p99_ms, summary.max_ms === null ? "" : `slowest ${duration(summary.max_ms)}`),
    tile(
      "active_connections",
      "Active connections",
      count,
      summary.active_connections ?? health?.performance_metrics.active_connections,
      busiest(summary),
    ),
    tile("cost_usd", "Model cost", usd, summary.cost_usd, `${calls(summary.llm_calls)}${tokens(summary)}`),
    tile(
      "avg_agent_time",
      "Agent time",
      duration,
      summary.agent_runs === undefined ? undefined : (health?.performance_metrics.avg_agent_time ?? null),
      runs(summary),
    ),
  ];
  return all.filter(({ there }) => there !== undefined);
}

type Num = number | null | undefined;

function tile(key: string, label: string, format: (value: Num) => string, value: Num, note: string): Tile & { there: Num } {
  return { key, label, value: format(value), exact: value ?? null, note, there: value };
}

function peak(summary: Summary): string {
  if (summary.rate_peak_per_second == null) return "";
  return `now ${decimal(summary.rate_now_per_second)}/s, peak ${decimal(summary.rate_peak_per_second)}/s`;
}

function busiest(summary: Summary): string {
  return summary.concurrency_peak == null ? "" : `up to ${count(summary.concurrency_peak)} requests at once`;
}

function calls(value: Num): string {
  return value == null ? "" : `${compact(value)} ${value === 1 ? "call" : "calls"}`;
}

function tokens(summary: Summary): string {
  if (summary.input_tokens == null && summary.output_tokens == null) return "";
  return `, ${compact(summary.input_tokens)} tokens in, ${compact(summary.output_tokens)} out`;
}

function runs(summary: Summary): string {
  const seen = summary.agent_runs == null ? "" : `; ${compact(summary.agent_runs)} runs, ${compact(summary.tool_calls)} tools`;
  return `mean of 5 min${seen}`;
}

/** The row of tiles; rewritten in place. */
export class TileRow {
  readonly element = h("div", { class: "tiles", hidden: true });
  #keys = "";

  show(list: readonly Tile[]): void {
    this.element.hidden = list.length === 0;
    const keys = list.map(({ key }) => key).join();
    if (keys !== this.#keys) {
      this.#keys = keys;
      fill(
        this.element,
        ...list.map(({ key, label }) =>
          h("div", { "class": "tile", "data-tile": key }, h("h3", {}, label), h("p", { class: "figure" }), h("p", { class: "note" })),
        ),
      );
    }
    list.forEach((tile, index) => {
      const [, figure, note] = this.element.children[index]?.children ?? [];
      if (!figure || !note) return;
      setText(figure, tile.value);
      setAttribute(figure, "data-value", tile.exact);
      setText(note, tile.note);
    });
  }
}
