// The endpoints table: by their share of all time (the bottleneck first) until the reader sorts otherwise.
import type { Endpoint, List } from "../api";
import { windowed } from "../choice";
import { counted, failed, latencyTone, name, perMinute, timed } from "../columns";
import type { Feed } from "../feed";
import { count, duration, path, rate } from "../format";
import { Section } from "../section";
import { type Column, Table } from "../table";
import { endpointDetails } from "./endpoint_details";

const COLUMNS: Column<Endpoint>[] = [
  {
    key: "endpoint",
    label: "Endpoint",
    title: "Method and path template",
    value: (row) => `${row.endpoint} ${row.method}`,
    text: (row) => `${row.method} ${path(row.endpoint)}`,
    hint: (row) => `${row.service}: ${row.method} ${row.endpoint}`,
  },
  name("service", "Service", (row) => row.service, "medium"),
  {
    key: "share_of_time",
    label: "Share of time",
    title: "Part of the time that all requests took: the bottleneck order",
    numeric: true,
    room: "medium",
    value: (row) => row.share_of_time,
    text: (row) => rate(row.share_of_time),
    bar: (row) => row.share_of_time,
  },
  counted("count", "Count", "Requests in the window", (row) => row.count, "wide"),
  perMinute(),
  failed((row) => row.count, "Failed requests and status 5xx"),
  timed("p50_ms", "Median", "Half of the requests were faster", (row) => row.p50_ms, "wide"),
  timed("p95_ms", "p95", "95 % of the requests were faster", (row) => row.p95_ms),
  timed("p99_ms", "p99", "99 % of the requests were faster", (row) => row.p99_ms, "medium"),
  timed("queue_p95_ms", "Queue p95", "Time that requests waited for the application, 95th percentile", (row) => row.queue_p95_ms, "wide"),
  {
    key: "in_flight",
    label: "In flight",
    title: "Requests under way now, and the age of the oldest",
    numeric: true,
    room: "wide",
    value: (row) => row.in_flight,
    text: (row) => (row.in_flight ? `${count(row.in_flight)} (${duration(row.oldest_in_flight_ms)})` : count(row.in_flight)),
    tone: (row) => (row.in_flight ? latencyTone(row.oldest_in_flight_ms) : "quiet"),
  },
];

/** The table alone. */
export function endpointsTable(): Table<Endpoint> {
  return new Table<Endpoint>({
    id: "endpoints",
    caption: "Endpoints",
    columns: COLUMNS,
    keyOf: (row) => `${row.service} ${row.method} ${row.endpoint}`,
    empty: "No requests in this window.",
    sort: { column: "share_of_time", descending: true },
    searchable: (row) => `${row.service} ${row.method} ${row.endpoint} ${path(row.endpoint)}`,
    details: endpointDetails,
  });
}

/** What the table shows; the rest comes when a row is opened. */
const FIELDS = [
  ...["service", "method", "endpoint", "share_of_time", "count", "requests_per_minute", "errors", "error_rate"],
  ...["p50_ms", "p95_ms", "p99_ms", "queue_p95_ms", "in_flight", "oldest_in_flight_ms"],
];

export function endpointsSection(feed: Feed): Section {
  const table = endpointsTable();
  const section = new Section("endpoints", "Endpoints", table.filterField());
  section.body.append(table.element);
  const show = (list: List<Endpoint>): void => {
    section.say(count(list.total));
    table.update(list.items, list.total);
  };
  feed.add(section.source({ route: "endpoints", path: windowed("api/v1/endpoints"), fields: FIELDS, show }));
  return section;
}
