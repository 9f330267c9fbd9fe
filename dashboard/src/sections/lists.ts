// The sections that are one table over one route: a title, a route, columns.
import type { Agent, Destination, List, Model, Process, RequestRecord, Tool, Workflow } from "../api";
import { windowed } from "../choice";
import { counted, dollars, errorTone, failed, name, perMinute, timed } from "../columns";
import { bytes, clock, count, duration, percent, rate, text, usd, words } from "../format";
import type { Refresher } from "../refresh";
import { Section } from "../section";
import { type Column, Table, type TableOptions } from "../table";

interface Listing<T> {
  id: string;
  path: () => string;
  table: TableOptions<T>;
  /** Words beside the title; without it the number of rows. */
  note?: (list: List<T>) => string;
}

function listing<T>(refresher: Refresher, { id, path, table: options, note }: Listing<T>): Section {
  const table = new Table<T>(options);
  const section = new Section(id, options.caption, options.searchable ? table.filterField() : null);
  section.body.append(table.element);
  const show = (list: List<T>): void => {
    section.say(note ? note(list) : count(list.total));
    table.update(list.items, list.total);
  };
  refresher.add(section.source(path, show));
  return section;
}

export function destinationsSection(refresher: Refresher): Section {
  const columns: Column<Destination>[] = [
    name("destination", "Destination", (row) => row.destination),
    name("service", "Asked by", (row) => row.service, "medium"),
    perMinute("wide"),
    failed((row) => row.count, "Failed requests and status 5xx"),
    {
      key: "availability",
      label: "Available",
      title: "Attempts that did not fail",
      numeric: true,
      room: "medium",
      value: (row) => row.availability,
      text: (row) => rate(row.availability),
      tone: (row) => (row.availability === null ? null : errorTone(1 - row.availability)),
    },
    timed("p50_ms", "p50", "Half were faster", (row) => row.p50_ms, "wide"),
    timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms),
    timed("p99_ms", "p99", "99 % were faster", (row) => row.p99_ms, "wide"),
  ];
  const keyOf = (row: Destination): string => `${row.service}\n${row.destination}`;
  const searchable = (row: Destination): string => `${row.service} ${row.destination}`;
  const table = { caption: "Destinations", columns, keyOf, searchable, empty: "No outgoing request seen in this window.", pageSize: 10 };
  return listing(refresher, { id: "destinations", path: windowed("api/v1/destinations"), table });
}

export function processesSection(refresher: Refresher): Section {
  const perSecond = (row: Process, value: number | null): string => (value === null || row.interval_ms <= 0 ? "–" : `${bytes((value * 1_000) / row.interval_ms)}/s`);
  const columns: Column<Process>[] = [
    { ...name<Process>("service", "Process", (row) => row.service), text: (row) => `${row.service} ${row.pid}`, hint: (row) => `${row.comm}, process ${row.pid}${row.container ? `, container ${row.container}` : ""}` },
    name("runtime", "Runtime", (row) => row.runtime, "wide"),
    { key: "cpu_percent", label: "CPU", title: "100 % = one core", numeric: true, value: (row) => row.cpu_percent, text: (row) => percent(row.cpu_percent) },
    {
      key: "memory_rss_bytes",
      label: "Memory",
      title: "Resident memory",
      numeric: true,
      value: (row) => row.memory_rss_bytes,
      text: (row) => bytes(row.memory_rss_bytes),
      hint: (row) => (row.leak ? `${row.leak}: ${bytes(row.memory_growth_bytes_per_hour)} more each hour` : percent(row.memory_percent)),
      tone: (row) => (row.leak === "growing" ? "bad" : row.leak ? "watch" : null),
    },
    counted("threads", "Threads", "Threads", (row) => row.threads, "medium"),
    counted("open_files", "Files", "Open descriptors, sockets too", (row) => row.open_files, "wide"),
    counted("connections", "Conns", "Established TCP connections", (row) => row.connections, "medium"),
    { key: "read_bytes", label: "Read", title: "Read from storage", numeric: true, room: "wide", value: (row) => row.read_bytes, text: (row) => perSecond(row, row.read_bytes) },
    { key: "write_bytes", label: "Written", title: "Written to storage", numeric: true, room: "wide", value: (row) => row.write_bytes, text: (row) => perSecond(row, row.write_bytes) },
    { key: "uptime_s", label: "Up", title: "Age of the process", numeric: true, room: "medium", value: (row) => row.uptime_s, text: (row) => duration(row.uptime_s === null ? null : row.uptime_s * 1_000) },
  ];
  const searchable = (row: Process): string => `${row.service} ${row.comm} ${row.pid} ${row.runtime ?? ""}`;
  const sort = { column: "cpu_percent", descending: true };
  const table = { caption: "Processes", columns, keyOf: (row: Process) => String(row.pid), searchable, sort, empty: "No process is being watched.", pageSize: 10 };
  return listing(refresher, { id: "processes", path: () => "api/v1/processes", table });
}

/** Cost of all rows; those without a price are said, not counted as free. */
export function modelsNote({ items, total }: List<Model>): string {
  const priced = items.filter((row) => row.cost_usd !== null);
  const cost = priced.length > 0 ? usd(priced.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0)) : "cost not known";
  const unpriced = priced.length > 0 && priced.length < items.length ? `, ${items.length - priced.length} without a price` : "";
  return items.length === 0 ? count(total) : `${count(total)} · ${cost}${unpriced}`;
}

export function modelsSection(refresher: Refresher): Section {
  const columns: Column<Model>[] = [
    name("model", "Model", (row) => row.model),
    name("provider", "Provider", (row) => row.provider, "medium"),
    name("destination", "Destination", (row) => row.destination, "wide"),
    counted("calls", "Calls", "Model calls in the window, retries too", (row) => row.calls, "medium"),
    failed((row) => row.calls, "Failed calls"),
    counted("input_tokens", "Tokens in", "Prompt tokens, cached ones included", (row) => row.input_tokens, "medium", true),
    counted("cache_read_tokens", "of it cached", "Prompt tokens read from the cache", (row) => row.cache_read_tokens, "wide", true),
    counted("output_tokens", "Tokens out", "Generated tokens, reasoning included", (row) => row.output_tokens, "medium", true),
    timed("ttft_p50_ms", "First token p50", "Time to the first generated content", (row) => row.ttft_p50_ms, "wide", true),
    timed("ttft_p95_ms", "First token p95", "Time to the first generated content", (row) => row.ttft_p95_ms, "wide", true),
    timed("p95_ms", "p95", "Duration of the call, 95 % were faster", (row) => row.p95_ms, "always", true),
    dollars(),
  ];
  const keyOf = (row: Model): string => [row.service, row.provider, row.model, row.destination].join("\n");
  const searchable = (row: Model): string => [row.service, row.provider, row.model, row.destination].join(" ");
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

/** What became of a request, in a word or a number. */
export function outcome(row: RequestRecord): string {
  if (row.error !== null) return row.status_code === null ? words(row.error) : `${row.status_code}, ${words(row.error)}`;
  return row.status_code === null ? "not seen" : String(row.status_code);
}

export function requestsSection(refresher: Refresher): Section {
  const bad = (row: RequestRecord): boolean => row.error !== null || (row.status_code ?? 0) >= 500;
  const columns: Column<RequestRecord>[] = [
    { key: "path", label: "Request", value: (row) => row.path, text: (row) => `${row.method ?? "?"} ${row.path ?? "?"}`, hint: (row) => `${row.method ?? "?"} ${row.path ?? "?"}` },
    { key: "service", label: "Service", room: "medium", value: (row) => row.service, text: (row) => (row.side === "client" ? `${row.service} → ${row.destination ?? row.peer}` : row.service) },
    { key: "outcome", label: "Outcome", value: outcome, text: outcome, tone: (row) => (bad(row) ? "bad" : null) },
    timed("response_time_ms", "Took", "Response time", (row) => row.response_time_ms),
    timed("time_to_first_byte_ms", "First byte", "Time to the first byte of the answer", (row) => row.time_to_first_byte_ms, "wide"),
    timed("queue_time_ms", "Queue", "Waited for the application", (row) => row.queue_time_ms, "wide"),
    { key: "peer", label: "Peer", room: "wide", value: (row) => row.peer, text: (row) => text(row.peer) },
    { key: "time", label: "At", room: "medium", numeric: true, value: (row) => row.time, text: (row) => clock(row.time), hint: (row) => row.time },
  ];
  const searchable = (row: RequestRecord): string => `${row.service} ${row.method ?? ""} ${row.path ?? ""} ${outcome(row)} ${row.destination ?? ""}`;
  const table = { caption: "Slow and failed requests", columns, keyOf: (row: RequestRecord) => `${row.side}${row.span_id}`, searchable, empty: "None lately.", pageSize: 15 };
  return listing(refresher, { id: "requests", path: () => "api/v1/records?kind=request&slow=true&limit=200", table, note: () => "newest first" });
}
