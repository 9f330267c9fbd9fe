// The verdict with its reasons and recommendations. Limits are those that the health endpoint judges by.
import type { Health, Indicator } from "../api";
import { type Child, fill, h } from "../dom";
import { UNKNOWN, duration, percent, rate } from "../format";
import type { Feed } from "../feed";
import { Section } from "../section";

/** One indicator as it is shown. */
export interface Reason {
  name: string;
  value: string;
  /** What the API says; without a measurement it is `green` there, and `unknown` here. `info`: shown, and not part of the verdict. */
  state: Indicator | "unknown" | "info";
  /** What it is judged by. */
  limits: string;
}

const WORDS: Record<Reason["state"], string> = { green: "good", yellow: "watch", red: "bad", unknown: "no data", info: "" };
const MARKS: Record<Reason["state"], string> = { green: "●", yellow: "▲", red: "■", unknown: "○", info: "·" };
const VERDICTS: Record<Health["status"], string> = {
  healthy: "All four indicators are within their limits.",
  degraded: "Working, but something needs watching.",
  unhealthy: "Something needs attention now.",
};

/** The four indicators, worst first, and the CPU. */
export function reasons(health: Health): Reason[] {
  const metrics = health.performance_metrics;
  const states = health.health_indicators;
  const all: Reason[] = [
    {
      name: "Response time",
      value: duration(metrics.avg_response_time),
      state: states.response_time,
      limits: "watch from 500 ms, bad from 1,000 ms (mean)",
    },
    { name: "Error rate", value: rate(metrics.error_rate), state: states.error_rate, limits: "watch from 1 %, bad from 5 %" },
    {
      name: "Memory",
      value: percent(metrics.memory_percent),
      state: states.resource_usage,
      limits: "watch from 70 %, bad from 85 % of the host",
    },
    {
      name: "Agent time",
      value: duration(metrics.avg_agent_time),
      state: states.agent_performance,
      limits: "watch from 5 s, bad from 10 s (mean)",
    },
  ];
  const order: Reason["state"][] = ["red", "yellow", "green", "unknown"];
  for (const reason of all) if (reason.value === UNKNOWN) reason.state = "unknown";
  const cpu: Reason = {
    name: "CPU",
    value: percent(metrics.cpu_percent),
    state: "info",
    limits: "of the host, all cores; it does not change the verdict",
  };
  return [...all.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)), cpu];
}

function sentence({ status, performance_metrics: metrics }: Health): string {
  return status === "healthy" && metrics.avg_response_time === null ? "No requests seen yet." : VERDICTS[status];
}

/** The card's content. */
export function healthView(health: Health): Child[] {
  const list = reasons(health).map((reason) =>
    h(
      "li",
      { "data-state": reason.state, "title": reason.limits },
      h("span", { "class": "mark", "aria-hidden": "true" }, MARKS[reason.state]),
      h("span", { class: "name" }, reason.name),
      h("span", { class: "figure" }, reason.value),
      h("span", { class: "word" }, WORDS[reason.state]),
    ),
  );
  const advice = health.recommendations.map((text) => h("li", {}, text));
  return [
    h("p", { class: "sentence" }, h("strong", { "class": "verdict", "data-status": health.status }, health.status), " ", sentence(health)),
    h("ul", { class: "reasons" }, ...list),
    advice.length > 0 && h("ul", { "class": "advice", "aria-label": "Recommendations" }, ...advice),
  ];
}

/** Verdict of the last five minutes; also passed to `heard`. */
export function healthSection(feed: Feed, heard: (health: Health) => void): Section {
  const section = new Section("health", "Health");
  section.say("last 5 minutes");
  const show = (health: Health): void => {
    heard(health);
    fill(section.body, ...healthView(health));
  };
  // The verdict stands in the bar at the top too, so it is always wanted.
  const fields = ["status", "performance_metrics", "health_indicators", "recommendations"];
  feed.add(section.source({ route: "health", path: () => "health/performance", fields, show, always: true }));
  return section;
}
