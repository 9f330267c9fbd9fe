// Connection pools of clients as their sockets show them: those that are saturated first.
import type { Pool } from "../api";
import { counted, name, timed } from "../columns";
import type { Feed } from "../feed";
import { duration, percent } from "../format";
import { listing } from "../listing";
import type { Section } from "../section";
import type { Column } from "../table";
import { systemName } from "./databases";

const usedPart = (row: Pool): number => (row.open === 0 ? 0 : row.in_use / row.open);

const COLUMNS: Column<Pool>[] = [
  { ...name<Pool>("destination", "Pool to", (row) => row.destination), hint: (row) => `${systemName(row.system)} at ${row.destination}` },
  name("service", "Of", (row) => `${row.service} ${row.pid}`, "medium"),
  name("system", "System", (row) => systemName(row.system), "wide"),
  {
    key: "in_use",
    label: "In use",
    title: "Connections with a command under way or within a transaction, of those that are open",
    numeric: true,
    value: usedPart,
    text: (row) => `${row.in_use} of ${row.open}`,
    hint: (row) => `${percent(100 * usedPart(row))}; at most ${row.peak_in_use} at once in the last interval`,
    bar: usedPart,
    tone: (row) => (row.saturated ? "bad" : null),
  },
  {
    ...name<Pool>("saturated", "State", (row) => (row.saturated ? "saturated" : "enough")),
    hint: (row) => (row.saturated ? "All are in use nearly all the time, and there is more to do than connections" : null),
    tone: (row) => (row.saturated ? "bad" : null),
  },
  counted("size", "Size", "Most connections that were open at once", (row) => row.size, "medium"),
  counted("uses", "Uses", "Uses that ended in the last interval", (row) => row.uses, "wide"),
  timed("use_time_p95_ms", "Use p95", "95 % of the uses were shorter", (row) => row.use_time_p95_ms, "medium"),
  {
    key: "silent_in_use_ms",
    label: "Silent",
    title: "Longest time for which a connection in use had no traffic",
    numeric: true,
    room: "wide",
    value: (row) => row.silent_in_use_ms,
    text: (row) => duration(row.silent_in_use_ms),
  },
];

export function poolsSection(feed: Feed): Section {
  const table = {
    id: "pools",
    caption: "Connection pools",
    columns: COLUMNS,
    keyOf: (row: Pool): string => [row.pid, row.system, row.destination].join(" "),
    searchable: (row: Pool): string => [row.service, row.pid, row.destination, systemName(row.system)].join(" "),
    sort: { column: "saturated", descending: true },
    empty: "No connection pools seen.",
    pageSize: 10,
  };
  return listing<Pool>(feed, { route: "pools", path: () => "api/v1/pools", table });
}
