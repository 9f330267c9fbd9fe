// Model calls, and the agents, tools and workflows around them.
import type { Agent, List, Model, Tool, Workflow } from "../api";
import { windowed } from "../choice";
import { askedBy, counted, dollars, failed, name, share, timed } from "../columns";
import { workDetails } from "../details";
import type { Feed } from "../feed";
import { count, path, usd } from "../format";
import { listing } from "../listing";
import type { Section } from "../section";
import type { Column } from "../table";
import { agentRuns, modelCalls, toolRuns, workflowRuns } from "./work_records";

/** Cost of all rows; calls without a price are said, not counted as free. A call seen at both of its ends counts once. */
export function modelsNote({ items, total }: List<Model>): string {
  const asked = items.filter(({ side }) => side === "client");
  const rows = asked.length > 0 ? asked : items;
  const priced = rows.filter(({ cost_usd }) => cost_usd !== null);
  const cost = priced.length > 0 ? usd(priced.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0)) : "cost not known";
  const calls = (number: number, what: string): string =>
    number > 0 ? `, ${count(number)} ${number === 1 ? "call" : "calls"} ${what}` : "";
  const unpriced =
    priced.length > 0
      ? calls(
          rows.reduce((sum, row) => sum + row.unpriced_calls, 0),
          "without a price",
        )
      : "";
  const refused = calls(
    rows.reduce((sum, row) => sum + row.rate_limited, 0),
    "refused by a rate limit",
  );
  return items.length === 0 ? count(total) : `${count(total)} · ${cost}${unpriced}${refused}`;
}

/** Failed calls, those apart that a rate limit refused. */
export const failures = (row: Model): number => row.errors - row.rate_limited;

function priceHint({ cost_usd: cost, unpriced_calls: unpriced }: Model): string | null {
  const without = unpriced > 0 ? `${count(unpriced)} of the calls without a price` : null;
  return cost === null ? without : [`$${cost}`, without].filter(Boolean).join(", ");
}

const MODEL_COLUMNS: Column<Model>[] = [
  name("request_model", "Model", (row) => row.request_model),
  askedBy(),
  name("provider", "Provider", (row) => row.provider, "wide"),
  name("destination", "Destination", (row) => row.destination, "wide"),
  counted("calls", "Calls", "Model calls in the window, retries included", (row) => row.calls, "medium"),
  share("failures", "Failed calls, without those that a rate limit refused", failures, (row) => row.calls),
  {
    ...counted<Model>("rate_limited", "429s", "Calls that the provider's rate limit refused", (row) => row.rate_limited, "medium"),
    tone: (row) => (row.rate_limited > 0 ? "watch" : "quiet"),
  },
  counted("input_tokens", "Tokens in", "Prompt tokens, cached ones included", (row) => row.input_tokens, "medium", true),
  counted("cache_read_tokens", "Cached", "Prompt tokens read from the cache", (row) => row.cache_read_tokens, "wide", true),
  counted("output_tokens", "Tokens out", "Generated tokens, reasoning included", (row) => row.output_tokens, "medium", true),
  timed("ttft_p50_ms", "First token", "Time to the first generated content, median", (row) => row.ttft_p50_ms, "wide", true),
  timed("ttft_p95_ms", "First token p95", "Time to the first generated content, 95 % were faster", (row) => row.ttft_p95_ms, "wide", true),
  timed("p95_ms", "p95", "Duration of the call, 95 % were faster", (row) => row.p95_ms, "always", true),
  { ...dollars<Model>(), hint: priceHint },
];

export function modelsSection(feed: Feed): Section {
  const keyOf = (row: Model): string => [row.service, row.side, row.provider, row.request_model, row.destination].join(" ");
  const searchable = (row: Model): string => [row.service, row.provider, row.request_model, row.destination].join(" ");
  const details = workDetails<Model>(({ service, request_model, destination }) => [
    modelCalls("Latest calls", { service, request_model, destination }),
  ]);
  const table = {
    id: "models",
    caption: "Model calls",
    columns: MODEL_COLUMNS,
    keyOf,
    searchable,
    details,
    sort: { column: "calls", descending: true },
    empty: "No model calls in this window.",
  };
  return listing(feed, { route: "llm", path: windowed("api/v1/llm"), table, note: modelsNote });
}

export function agentsSection(feed: Feed): Section {
  const columns: Column<Agent>[] = [
    name("agent_type", "Agent", (row) => row.agent_type ?? row.service),
    name("service", "Service", (row) => row.service, "wide"),
    counted("count", "Runs", "Runs in the window", (row) => row.count),
    failed((row) => row.count, "Failed runs"),
    counted("llm_calls", "Model calls", "Attempts, retries included", (row) => row.llm_calls, "medium"),
    counted("tools_called", "Tool calls", "Tools executed", (row) => row.tools_called, "medium"),
    counted("tokens_used", "Tokens", "Input and output together", (row) => row.tokens_used, "medium", true),
    timed("mean_ms", "Mean", "Mean duration of a run", (row) => row.mean_ms, "medium", true),
    timed("p95_ms", "p95", "95 % of the runs were faster", (row) => row.p95_ms, "always", true),
    dollars(),
  ];
  const keyOf = (row: Agent): string => `${row.service ?? ""} ${row.agent_type ?? ""}`;
  const details = workDetails<Agent>(({ service, agent_type }) => [agentRuns("Latest runs", { service, agent_type })]);
  const sort = { column: "count", descending: true };
  const table = { id: "agents", caption: "Agents", columns, keyOf, details, sort, empty: "No agent runs in this window.", pageSize: 10 };
  return listing(feed, { route: "agents", path: windowed("api/v1/agents"), table });
}

export function toolsSection(feed: Feed): Section {
  const columns: Column<Tool>[] = [
    name("tool_name", "Tool", (row) => row.tool_name),
    name("source", "Seen in", (row) => (row.server ? `${row.source ?? ""} ${row.server}` : row.source), "medium"),
    counted("count", "Calls", "Executions in the window", (row) => row.count),
    failed((row) => row.count, "Failed executions"),
    timed("mean_ms", "Mean", "Mean duration", (row) => row.mean_ms, "medium", true),
    timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms, "always", true),
  ];
  const keyOf = (row: Tool): string => [row.service ?? "", row.source ?? "", row.server ?? "", row.tool_name].join(" ");
  const details = workDetails<Tool>(({ service, tool_name }) => [toolRuns("Latest calls", { service, tool_name })]);
  const sort = { column: "count", descending: true };
  const table = { id: "tools", caption: "Tools", columns, keyOf, details, sort, empty: "No tool calls in this window.", pageSize: 10 };
  return listing(feed, { route: "tools", path: windowed("api/v1/tools"), table });
}

export function workflowsSection(feed: Feed): Section {
  const columns: Column<Workflow>[] = [
    { ...name<Workflow>("workflow_name", "Workflow", (row) => row.workflow_name), text: (row) => path(row.workflow_name) },
    name("service", "Service", (row) => row.service, "wide"),
    counted("count", "Runs", "Runs in the window", (row) => row.count),
    failed((row) => row.count, "Failed runs"),
    counted("agents", "Agent runs", "Agent runs in them", (row) => row.agents, "wide"),
    counted("llm_calls", "Model calls", "Model calls in them", (row) => row.llm_calls, "medium"),
    counted("tools_called", "Tool calls", "Tools executed in them", (row) => row.tools_called, "medium"),
    counted("tokens_used", "Tokens", "Input and output together", (row) => row.tokens_used, "medium", true),
    timed("mean_ms", "Mean", "Mean duration of a run", (row) => row.mean_ms, "medium", true),
    timed("p95_ms", "p95", "95 % of the runs were faster", (row) => row.p95_ms, "always", true),
    dollars(),
  ];
  const keyOf = (row: Workflow): string => `${row.service ?? ""} ${row.workflow_name}`;
  const details = workDetails<Workflow>(({ service, workflow_name }) => [workflowRuns("Latest runs", { service, workflow_name })]);
  const sort = { column: "count", descending: true };
  const table = {
    id: "workflows",
    caption: "Workflows",
    columns,
    keyOf,
    details,
    sort,
    empty: "No workflows in this window.",
    pageSize: 10,
  };
  return listing(feed, { route: "workflows", path: windowed("api/v1/workflows"), table });
}
