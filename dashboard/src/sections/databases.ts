// Database commands by query: by the time that they take together (the query to mend first) until the reader sorts otherwise.
import type { List, Query } from "../api";
import { windowed } from "../choice";
import { askedBy, counted, failed, name, perMinute, timed } from "../columns";
import { workDetails } from "../details";
import type { Feed } from "../feed";
import { count, duration, rate } from "../format";
import { listing } from "../listing";
import type { Section } from "../section";
import type { Column } from "../table";
import { commands } from "./work_records";

const SYSTEMS: Record<string, string> = {
  http: "HTTP",
  postgresql: "PostgreSQL",
  mysql: "MySQL",
  redis: "Redis",
  memcached: "Memcached",
  mongodb: "MongoDB",
};

/** As people write it. */
export const systemName = (system: string): string => SYSTEMS[system] ?? system;

/** What was asked, as far as it is known. */
export const asked = (row: Query): string => row.query ?? `${row.operation ?? "?"} of an unknown text`;

/** Where: the system, and the database in it. */
export const where = (row: Query): string => {
  const system = systemName(row.system);
  return row.database ? `${system} ${row.database}` : system;
};

/** Commands that are seen at both of their ends are counted once. */
export function databasesNote({ items, total }: List<Query>): string {
  const bySystem = new Map<string, [number, number]>();
  for (const { system, side, count: commands } of items) {
    const sides = bySystem.get(system) ?? [0, 0];
    sides[side === "server" ? 1 : 0] += commands;
    bySystem.set(system, sides);
  }
  const all = [...bySystem.values()].reduce((sum, sides) => sum + Math.max(...sides), 0);
  return total === 0 ? count(0) : `${count(total)} · ${count(all)} ${all === 1 ? "command" : "commands"}`;
}

/** Each row with its part of the time of all rows of its side. */
export function withShares(rows: Query[]): (Query & { share_of_time: number | null })[] {
  const all = { client: 0, server: 0 };
  for (const row of rows) all[row.side] += row.time_total_ms ?? 0;
  return rows.map((row) => ({
    ...row,
    share_of_time: row.time_total_ms === null || all[row.side] === 0 ? null : row.time_total_ms / all[row.side],
  }));
}

const COLUMNS: Column<Query & { share_of_time?: number | null }>[] = [
  { ...name<Query>("query", "Query", asked), hint: (row) => `${where(row)}: ${asked(row)}` },
  askedBy(),
  name("system", "Database", where, "medium"),
  name("destination", "Destination", (row) => row.destination, "wide"),
  {
    key: "time_total_ms",
    label: "Time in all",
    title: "Time that all commands took together: the query to mend first",
    numeric: true,
    value: (row) => row.time_total_ms,
    text: (row) => duration(row.time_total_ms),
    hint: (row) => (row.share_of_time == null ? null : `${rate(row.share_of_time)} of the time of all queries`),
    bar: (row) => row.share_of_time ?? null,
  },
  counted("count", "Commands", "Commands in the window", (row) => row.count),
  perMinute("wide", "Per min", "Commands per minute"),
  failed((row) => row.count, "Commands that the server answered with an error"),
  counted("rows", "Rows", "Rows of all answers, or changed by them", (row) => row.rows, "wide", true),
  timed("p50_ms", "Median", "Half were faster", (row) => row.p50_ms, "wide"),
  timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms),
  timed("p99_ms", "p99", "99 % were faster", (row) => row.p99_ms, "wide"),
];

export function databasesSection(feed: Feed): Section {
  const keyOf = (row: Query): string =>
    [row.service, row.side, row.system, row.destination, row.database, row.operation, row.target, row.query].join(" ");
  const searchable = (row: Query): string => [row.service, row.destination, where(row), row.operation, row.target, row.query].join(" ");
  const details = workDetails<Query>(({ service, system, operation, query_id, destination }) => [
    commands("Latest commands", { service, system, operation, query_id, destination }),
  ]);
  const table = {
    id: "databases",
    caption: "Databases",
    columns: COLUMNS,
    keyOf,
    searchable,
    details,
    sort: { column: "time_total_ms", descending: true },
    empty: "No database commands in this window.",
    pageSize: 10,
  };
  const path = windowed("api/v1/databases");
  return listing<Query>(feed, { route: "databases", path, table, note: databasesNote, rows: withShares });
}
