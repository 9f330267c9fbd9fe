// Columns that several tables share, and by which limits their figures are coloured.
import { count, decimal, duration, rate, usd, compact } from "./format";
import type { Column, Room } from "./table";

type Num = number | null | undefined;
type Tone = "watch" | "bad" | "quiet" | null;

/** How a latency is judged: the API's categories. */
export function latencyTone(ms: Num): Tone {
  if (ms == null || ms <= 500) return null;
  return ms <= 1_000 ? "watch" : "bad";
}

/** How an error rate is judged: the health endpoint's limits. */
export function errorTone(value: Num): Tone {
  if (value == null || value === 0) return "quiet";
  if (value < 0.01) return null;
  return value < 0.05 ? "watch" : "bad";
}

/** A name. */
export function name<T>(key: string, label: string, value: (row: T) => string | null | undefined, room: Room = "always"): Column<T> {
  return { key, label, room, value, text: (row) => value(row) || "–", hint: value as (row: T) => string | null };
}

/** A count; `short` writes 12.3 k. */
export function counted<T>(
  key: string,
  label: string,
  title: string,
  value: (row: T) => Num,
  room: Room = "always",
  short = false,
): Column<T> {
  return {
    key,
    label,
    title,
    numeric: true,
    room,
    value,
    text: (row) => (short ? compact : count)(value(row)),
    hint: (row) => (short ? count(value(row)) : null),
  };
}

/** The service that asked; of what is only seen where it is served, that one. */
export function askedBy<T extends { service: string; side: "client" | "server" }>(): Column<T> {
  const text = (row: T): string => (row.side === "server" ? `${row.service} (serves it)` : row.service);
  return { ...name<T>("service", "Asked by", (row) => row.service, "medium"), text, hint: text };
}

export function perMinute<T extends { requests_per_minute: number | null }>(
  room: Room = "medium",
  label = "Req/min",
  title = "Requests per minute",
): Column<T> {
  const value = (row: T): Num => row.requests_per_minute;
  return {
    key: "requests_per_minute",
    label,
    title,
    numeric: true,
    room,
    value,
    text: (row) => decimal(value(row)),
  };
}

/** Share of failed ones, from the rate or else from the counts. */
export function failed<T extends { errors: number; error_rate?: number | null }>(total: (row: T) => number, title: string): Column<T> {
  const ratio = (row: T): Num => (total(row) > 0 ? row.errors / total(row) : null);
  return share(
    "error_rate",
    title,
    (row) => row.errors,
    total,
    (row) => (row.error_rate === undefined ? ratio(row) : row.error_rate),
  );
}

/** Share of failed ones. */
export function share<T>(
  key: string,
  title: string,
  part: (row: T) => number,
  total: (row: T) => number,
  value: (row: T) => Num = (row) => (total(row) > 0 ? part(row) / total(row) : null),
): Column<T> {
  return {
    key,
    label: "Errors",
    title,
    numeric: true,
    value,
    text: (row) => rate(value(row)),
    hint: (row) => `${count(part(row))} of ${count(total(row))}`,
    tone: (row) => errorTone(value(row)),
  };
}

/** A duration in milliseconds; coloured by the limits of requests unless `plain`. */
export function timed<T>(
  key: string,
  label: string,
  title: string,
  value: (row: T) => Num,
  room: Room = "always",
  plain = false,
): Column<T> {
  const exact = (row: T): string | null => {
    const ms = value(row);
    return ms == null ? null : `${ms.toFixed(3)} ms`;
  };
  return {
    key,
    label,
    title,
    numeric: true,
    room,
    value,
    text: (row) => duration(value(row)),
    hint: exact,
    tone: (row) => (plain ? null : latencyTone(value(row))),
  };
}

export function dollars<T extends { cost_usd: number | null }>(room: Room = "always"): Column<T> {
  const value = (row: T): Num => row.cost_usd;
  return {
    key: "cost_usd",
    label: "Cost",
    title: "US dollars by the price table; – means the price is unknown",
    numeric: true,
    room,
    value,
    text: (row) => usd(value(row)),
    hint: (row) => (row.cost_usd === null ? null : `$${row.cost_usd}`),
  };
}
