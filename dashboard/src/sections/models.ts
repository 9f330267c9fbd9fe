// Model calls, and the agents, tools and workflows around them.
import type { Agent, List, Model, Tool, Workflow } from "../api";
import { windowed } from "../choice";
import { counted, dollars, failed, name, timed } from "../columns";
import { count, usd } from "../format";
import { listing } from "../listing";
import type { Refresher } from "../refresh";
import type { Section } from "../section";
import type { Column } from "../table";

/** Cost of all rows; calls without a price are said, not counted as free. A call seen at both of its ends counts once. */
export function modelsNote({ items, total }: List<Model>): string {
  const asked = items.filter(({ side }) => side === "client");
  const rows = asked.length > 0 ? asked : items;
  const priced = rows.filter(({ cost_usd }) => cost_usd !== null);
  const cost = priced.length > 0 ? usd(priced.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0)) : "cost not known";
  const without = rows.reduce((sum, row) => sum + row.unpriced_calls, 0);
  const unpriced = priced.length > 0 && without > 0 ? `, ${count(without)} ${without === 1 ? "call" : "calls"} without a price` : "";
  return items.length === 0 ? count(total) : `${count(total)} · ${cost}${unpriced}`;
}

const served = (row: Model): string => (row.side === "server" ? `${row.service} (serves it)` : row.service);

function priceHint({ cost_usd: cost, unpriced_calls: unpriced }: Model): string | null {
  const without = unpriced > 0 ? `${count(unpriced)} of the calls without a price` : null;
  return cost === null ? without : [`$${cost}`, without].filter(Boolean).join(", ");
}

export function modelsSection(refresher: Refresher): Section {
  const columns: Column<Model>[] = [
    name("request_model", "Model", (row) => row.request_model),
    { ...name<Model>("service", "Asked by", (row) => row.service, "medium"), text: served, hint: served },
    name("provider", "Provider", (row) => row.provider, "wide"),
    name("destination", "Destination", (row) => row.destination, "wide"),
    counted("calls", "Calls", "Model calls in the window, retries too", (row) => row.calls, "medium"),
    failed((row) => row.calls, "Failed calls"),
    counted("input_tokens", "Tokens in", "Prompt tokens, cached ones included", (row) => row.input_tokens, "medium", true),
    counted("cache_read_tokens", "of it cached", "Prompt tokens read from the cache", (row) => row.cache_read_tokens, "wide", true),
    counted("output_tokens", "Tokens out", "Generated tokens, reasoning included", (row) => row.output_tokens, "medium", true),
    timed("ttft_p50_ms", "First token p50", "Time to the first generated content", (row) => row.ttft_p50_ms, "wide", true),
    timed("ttft_p95_ms", "First token p95", "Time to the first generated content", (row) => row.ttft_p95_ms, "wide", true),
    timed("p95_ms", "p95", "Duration of the call, 95 % were faster", (row) => row.p95_ms, "always", true),
    { ...dollars<Model>(), hint: priceHint },
  ];
  const keyOf = (row: Model): string => [row.service, row.side, row.provider, row.request_model, row.destination].join("\n");
  const searchable = (row: Model): string => [row.service, row.provider, row.request_model, row.destination].join(" ");
  const table = { caption: "Model calls", columns, keyOf, searchable, empty: "No model call seen in this window." };
  return listing(refresher, { id: "models", path: windowed("api/v1/llm"), table, note: modelsNote });
}

export function agentsSection(refresher: Refresher): Section {
  const columns: Column<Agent>[] = [
    name("agent_type", "Agent", (row) => row.agent_type ?? row.service),
    counted("count", "Runs", "Runs in the window", (row) => row.count),
    failed((row) => row.count, "Failed runs"),
    counted("llm_calls", "Model calls", "Attempts, retries too", (row) => row.llm_calls, "wide"),
    counted("tools_called", "Tools", "Tools executed", (row) => row.tools_called, "medium"),
    counted("tokens_used", "Tokens", "Input and output together", (row) => row.tokens_used, "medium", true),
    timed("p50_ms", "p50", "Half of the runs were faster", (row) => row.p50_ms, "medium", true),
    timed("p95_ms", "p95", "95 % of the runs were faster", (row) => row.p95_ms, "wide", true),
    dollars(),
  ];
  const keyOf = (row: Agent): string => `${row.service ?? ""}\n${row.agent_type ?? ""}`;
  const table = { caption: "Agents", columns, keyOf, empty: "No agent run seen in this window.", pageSize: 10 };
  return listing(refresher, { id: "agents", path: windowed("api/v1/agents"), table });
}

export function toolsSection(refresher: Refresher): Section {
  const columns: Column<Tool>[] = [
    name("tool_name", "Tool", (row) => row.tool_name),
    name("source", "Seen by", (row) => (row.server ? `${row.source ?? ""} ${row.server}` : row.source), "medium"),
    counted("count", "Runs", "Executions in the window", (row) => row.count),
    failed((row) => row.count, "Failed executions"),
    timed("p50_ms", "p50", "Half were faster", (row) => row.p50_ms, "medium", true),
    timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms, "always", true),
  ];
  const keyOf = (row: Tool): string => `${row.source ?? ""}\n${row.server ?? ""}\n${row.tool_name}`;
  const table = { caption: "Tools", columns, keyOf, empty: "No tool execution seen in this window.", pageSize: 10 };
  return listing(refresher, { id: "tools", path: windowed("api/v1/tools"), table });
}

export function workflowsSection(refresher: Refresher): Section {
  const columns: Column<Workflow>[] = [
    name("workflow_name", "Workflow", (row) => row.workflow_name),
    name("service", "Service", (row) => row.service, "wide"),
    counted("count", "Runs", "Runs in the window", (row) => row.count),
    failed((row) => row.count, "Failed runs"),
    counted("agents", "Agents", "Agent runs in them", (row) => row.agents, "wide"),
    counted("llm_calls", "Model calls", "Model calls in them", (row) => row.llm_calls, "medium"),
    counted("tools_called", "Tools", "Tools executed in them", (row) => row.tools_called, "wide"),
    counted("tokens_used", "Tokens", "Input and output together", (row) => row.tokens_used, "medium", true),
    timed("p95_ms", "p95", "95 % of the runs were faster", (row) => row.p95_ms, "medium", true),
    dollars(),
  ];
  const keyOf = (row: Workflow): string => `${row.service ?? ""}\n${row.workflow_name}`;
  const table = { caption: "Workflows", columns, keyOf, empty: "No workflow seen in this window.", pageSize: 10 };
  return listing(refresher, { id: "workflows", path: windowed("api/v1/workflows"), table });
}
