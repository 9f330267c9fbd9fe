// Destinations, processes, slow and failed requests.
import type { AnyRecord, Destination, List, Process, RequestRecord } from "../api";
import { windowed } from "../choice";
import { get } from "../client";
import { counted, errorTone, failed, name, perMinute, timed } from "../columns";
import { query, workDetails } from "../details";
import { fill, h } from "../dom";
import { factList } from "../facts";
import type { Feed } from "../feed";
import { bytes, clock, count, duration, path, percent, rate, text } from "../format";
import { listing } from "../listing";
import type { Section } from "../section";
import type { Column, Details } from "../table";
import { outcome, outcomeSentence } from "./outcome";
import { requests } from "./work_records";

export function destinationsSection(feed: Feed): Section {
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
    {
      ...timed<Destination>("connect_p95_ms", "Connect p95", "95 % of connect() were faster", (row) => row.connect_p95_ms, "wide", true),
      hint: (row) => `${count(row.connects)} connections opened; TLS handshakes p95 ${duration(row.tls_p95_ms)}`,
    },
    {
      ...timed<Destination>(
        "round_trip_ms",
        "Round trip",
        "Mean round-trip time of its connections",
        (row) => row.round_trip_ms,
        "wide",
        true,
      ),
      hint: (row) =>
        `${count(row.retransmits)} of ${count(row.segments)} TCP segments sent again; name look-up p95 ${duration(row.dns_p95_ms)}; ${count(row.retries)} retries`,
    },
    timed("p50_ms", "Median", "Half were faster", (row) => row.p50_ms, "wide"),
    timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms),
    timed("p99_ms", "p99", "99 % were faster", (row) => row.p99_ms, "wide"),
  ];
  const keyOf = (row: Destination): string => `${row.service} ${row.destination}`;
  const searchable = (row: Destination): string => `${row.service} ${row.destination}`;
  const details = workDetails<Destination>(({ service, destination }) => [
    requests("Latest slow and failed requests", { service, destination, slow: "1" }),
    requests("Latest requests", { service, destination }),
  ]);
  const table = {
    id: "destinations",
    caption: "Destinations",
    columns,
    keyOf,
    searchable,
    details,
    sort: { column: "requests_per_minute", descending: true },
    empty: "No outgoing requests in this window.",
    pageSize: 10,
  };
  return listing(feed, { route: "destinations", path: windowed("api/v1/destinations"), table });
}

const PROCESS_FIELDS = [
  ...[
    "pid",
    "comm",
    "service",
    "container",
    "runtime",
    "cpu_percent",
    "memory_rss_bytes",
    "memory_percent",
    "memory_growth_bytes_per_hour",
  ],
  ...["leak", "threads", "open_files", "connections", "read_bytes", "write_bytes", "uptime_s", "interval_ms"],
];

export function processesSection(feed: Feed): Section {
  const perSecond = (row: Process, value: number | null): string =>
    value === null || row.interval_ms <= 0 ? "–" : `${bytes((value * 1_000) / row.interval_ms)}/s`;
  const columns: Column<Process>[] = [
    {
      ...name<Process>("service", "Process", (row) => row.service),
      text: (row) => `${row.service} ${row.pid}`,
      hint: (row) => `${row.comm}, process ${row.pid}${row.container ? `, container ${row.container}` : ""}`,
    },
    name("runtime", "Runtime", (row) => row.runtime, "wide"),
    {
      key: "cpu_percent",
      label: "CPU",
      title: "100 % = one core",
      numeric: true,
      value: (row) => row.cpu_percent,
      text: (row) => percent(row.cpu_percent),
    },
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
    {
      key: "read_bytes",
      label: "Read",
      title: "Read from storage",
      numeric: true,
      room: "wide",
      value: (row) => row.read_bytes,
      text: (row) => perSecond(row, row.read_bytes),
    },
    {
      key: "write_bytes",
      label: "Written",
      title: "Written to storage",
      numeric: true,
      room: "wide",
      value: (row) => row.write_bytes,
      text: (row) => perSecond(row, row.write_bytes),
    },
    {
      key: "uptime_s",
      label: "Up",
      title: "Age of the process",
      numeric: true,
      room: "medium",
      value: (row) => row.uptime_s,
      text: (row) => duration(row.uptime_s === null ? null : row.uptime_s * 1_000),
    },
  ];
  const searchable = (row: Process): string => `${row.service} ${row.comm} ${row.pid} ${row.runtime ?? ""}`;
  const sort = { column: "cpu_percent", descending: true };
  const table = {
    id: "processes",
    caption: "Processes",
    columns,
    keyOf: (row: Process) => String(row.pid),
    searchable,
    sort,
    empty: "perfmon watches no process.",
    pageSize: 10,
  };
  return listing(feed, { route: "processes", path: () => "api/v1/processes", fields: PROCESS_FIELDS, table });
}

/** All that is known of a request, and of the model call that it carried. */
function requestDetails(): Details<RequestRecord> {
  const element = h("div", {}, h("p", { class: "note" }, "Loading…"));
  let asked = false;
  const ask = async (row: RequestRecord): Promise<void> => {
    try {
      const { items } = await get<List<AnyRecord>>(`api/v1/records${query({ span_id: row.span_id, limit: 10 })}`);
      const shown = items.map((record) =>
        h("div", {}, h("h4", {}, record.kind === "llm" ? "Model call" : "Request"), factList(record, ["kind"])),
      );
      const forgotten = shown.length === 0 && h("p", { class: "note" }, "perfmon no longer keeps this request in memory.");
      fill(element, h("p", { class: "sentence" }, outcomeSentence(row)), ...shown, forgotten);
    } catch (error) {
      fill(element, h("p", { class: "note" }, `Not available: ${error instanceof Error ? error.message : String(error)}.`));
    }
  };
  return {
    element,
    update: (row) => {
      // A request does not change once it has ended.
      if (!asked) void ask(row);
      asked = true;
    },
  };
}

const REQUEST_FIELDS = [
  ...["time", "service", "side", "method", "path", "destination", "peer", "status_code", "error"],
  ...["response_time_ms", "time_to_first_byte_ms", "queue_time_ms", "streaming", "span_id"],
];

export function requestsSection(feed: Feed): Section {
  const bad = (row: RequestRecord): boolean => row.error !== null || (row.status_code ?? 0) >= 500;
  const columns: Column<RequestRecord>[] = [
    {
      key: "path",
      label: "Request",
      value: (row) => row.path,
      text: (row) => `${row.method ?? "?"} ${path(row.path ?? "?")}`,
      hint: (row) => `${row.method ?? "?"} ${row.path ?? "?"}`,
    },
    {
      key: "service",
      label: "Service",
      room: "medium",
      value: (row) => row.service,
      text: (row) => (row.side === "client" ? `${row.service} → ${row.destination ?? row.peer}` : row.service),
    },
    {
      key: "outcome",
      label: "Outcome",
      value: outcome,
      text: outcome,
      hint: outcomeSentence,
      tone: (row) => (bad(row) ? "bad" : null),
    },
    timed("response_time_ms", "Took", "Response time", (row) => row.response_time_ms),
    timed("time_to_first_byte_ms", "First byte", "Time to the first byte of the answer", (row) => row.time_to_first_byte_ms, "wide"),
    timed("queue_time_ms", "Queue", "Waited for the application", (row) => row.queue_time_ms, "wide"),
    { key: "peer", label: "Peer", room: "wide", value: (row) => row.peer, text: (row) => text(row.peer) },
    {
      key: "time",
      label: "At",
      room: "medium",
      numeric: true,
      value: (row) => row.time,
      text: (row) => clock(row.time),
      hint: (row) => row.time,
    },
  ];
  const searchable = (row: RequestRecord): string =>
    `${row.service} ${row.method ?? ""} ${row.path ?? ""} ${path(row.path ?? "")} ${outcome(row)} ${row.destination ?? ""}`;
  const table = {
    id: "requests",
    caption: "Slow and failed requests",
    columns,
    keyOf: (row: RequestRecord) => `${row.side} ${row.span_id}`,
    searchable,
    details: requestDetails,
    empty: "None so far.",
    pageSize: 15,
  };
  return listing(feed, {
    route: "records",
    path: () => "api/v1/records?kind=request&slow=true&limit=100",
    fields: REQUEST_FIELDS,
    table,
    note: () => "newest first",
  });
}
