// Questions for names (DNS) by service and name: those that were asked most, until the reader sorts otherwise.
import type { NameAsked } from "../api";
import { windowed } from "../choice";
import { counted, failed, name, perMinute, timed } from "../columns";
import type { Feed } from "../feed";
import { count } from "../format";
import { listing } from "../listing";
import type { Section } from "../section";
import type { Column } from "../table";

/** The codes that came, the good one too: "NOERROR 12, NXDOMAIN 3". */
export const codes = ({ rcodes }: NameAsked): string =>
  Object.entries(rcodes)
    .filter(([, number]) => number > 0)
    .map(([code, number]) => `${code} ${count(number)}`)
    .join(", ");

const COLUMNS: Column<NameAsked>[] = [
  { ...name<NameAsked>("name", "Name", (row) => row.name), hint: (row) => `${row.name}: ${codes(row)}` },
  name("service", "Asked by", (row) => row.service, "medium"),
  name("qtype", "Type", (row) => row.qtype),
  counted("count", "Questions", "Questions, each with its retries", (row) => row.count),
  perMinute("wide", "Per min", "Questions per minute"),
  {
    ...failed<NameAsked>((row) => row.count, "Questions that had no answer, or another code than NOERROR"),
    hint: codes,
  },
  {
    ...counted<NameAsked>("attempts", "Attempts", "Times that all were asked, retries too", (row) => row.attempts, "medium"),
    tone: (row) => (row.attempts > row.count ? "watch" : null),
  },
  counted(
    "search_misses",
    "Search misses",
    "Names that did not exist, after which the resolver went on with its search list",
    (row) => row.search_misses,
    "wide",
  ),
  timed("p50_ms", "Median", "Half were faster", (row) => row.p50_ms, "wide"),
  timed("p95_ms", "p95", "95 % were faster", (row) => row.p95_ms),
];

export function namesSection(feed: Feed): Section {
  const table = {
    id: "dns",
    caption: "DNS",
    columns: COLUMNS,
    keyOf: (row: NameAsked): string => [row.service, row.name, row.qtype].join(" "),
    searchable: (row: NameAsked): string => [row.service, row.name, row.qtype, codes(row)].join(" "),
    sort: { column: "count", descending: true },
    empty: "No questions for names in this window.",
    pageSize: 10,
  };
  return listing<NameAsked>(feed, { route: "dns", path: windowed("api/v1/dns"), table });
}
