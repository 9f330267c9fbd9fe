// Destinations, processes, slow and failed requests.
import type { Destination, Process, RequestRecord } from "../api";
import { windowed } from "../choice";
import { counted, errorTone, failed, name, perMinute, timed } from "../columns";
import { bytes, clock, duration, percent, rate, text, words } from "../format";
import { listing } from "../listing";
import type { Refresher } from "../refresh";
import type { Section } from "../section";
import type { Column } from "../table";

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
    caption: "Processes",
    columns,
    keyOf: (row: Process) => String(row.pid),
    searchable,
    sort,
    empty: "No process is being watched.",
    pageSize: 10,
  };
  return listing(refresher, { id: "processes", path: () => "api/v1/processes", table });
}

/** What became of a request, in a word or a number. */
export function outcome(row: RequestRecord): string {
  if (row.error !== null) return row.status_code === null ? words(row.error) : `${row.status_code}, ${words(row.error)}`;
  return row.status_code === null ? "not seen" : String(row.status_code);
}

export function requestsSection(refresher: Refresher): Section {
  const bad = (row: RequestRecord): boolean => row.error !== null || (row.status_code ?? 0) >= 500;
  const columns: Column<RequestRecord>[] = [
    {
      key: "path",
      label: "Request",
      value: (row) => row.path,
      text: (row) => `${row.method ?? "?"} ${row.path ?? "?"}`,
      hint: (row) => `${row.method ?? "?"} ${row.path ?? "?"}`,
    },
    {
      key: "service",
      label: "Service",
      room: "medium",
      value: (row) => row.service,
      text: (row) => (row.side === "client" ? `${row.service} → ${row.destination ?? row.peer}` : row.service),
    },
    { key: "outcome", label: "Outcome", value: outcome, text: outcome, tone: (row) => (bad(row) ? "bad" : null) },
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
    `${row.service} ${row.method ?? ""} ${row.path ?? ""} ${outcome(row)} ${row.destination ?? ""}`;
  const table = {
    caption: "Slow and failed requests",
    columns,
    keyOf: (row: RequestRecord) => `${row.side}${row.span_id}`,
    searchable,
    empty: "None lately.",
    pageSize: 15,
  };
  return listing(refresher, {
    id: "requests",
    path: () => "api/v1/records?kind=request&slow=true&limit=200",
    table,
    note: () => "newest first",
  });
}
