// perfmon's own state: what it costs, how it sees, and above all what it did not see.
import type { Self, Target } from "../api";
import { type Child, fill, h } from "../dom";
import type { Feed } from "../feed";
import { bytes, count, percent, rate, text, words } from "../format";
import { Section } from "../section";
import { Table } from "../table";

/** Losses and blind spots in one sentence each; empty when all is seen. */
export function blindSpots(self: Self): string[] {
  const spots: string[] = [];
  if (self.events_lost && self.events_lost.total > 0) {
    const reasons = Object.entries(self.events_lost.by_reason).filter(([, value]) => value > 0);
    const by = reasons.map(([reason, value]) => `${words(reason)} ${count(value)}`).join(", ");
    spots.push(`${count(self.events_lost.total)} events were lost${by ? ` (${by})` : ""}: figures may be too low.`);
  }
  const partly = (self.targets ?? []).filter(({ completeness }) => completeness !== null && completeness < 1);
  if (partly.length > 0) {
    const names = partly.slice(0, 5).map((target) => `${target.service} ${rate(target.completeness)}`);
    spots.push(`Not fully seen: ${names.join(", ")}${partly.length > 5 ? ` and ${count(partly.length - 5)} more` : ""}.`);
  }
  for (const [protocol, services] of unread(self.targets ?? [])) {
    const more = services.length > 5 ? ` and ${count(services.length - 5)} more` : "";
    spots.push(`${protocol} is recognised but not decoded: ${services.slice(0, 5).join(", ")}${more}.`);
  }
  for (const [reason, services] of notSeen(self.targets ?? [])) {
    const more = services.length > 5 ? ` and ${count(services.length - 5)} more` : "";
    spots.push(`Not seen of ${services.slice(0, 5).join(", ")}${more}: ${reason}.`);
  }
  const missing = (self.probes ?? []).filter(({ state }) => state === "failed");
  if (missing.length > 0)
    spots.push(`Not attached: ${missing.map(({ name, reason }) => (reason ? `${name} (${reason})` : name)).join(", ")}.`);
  if (self.store?.state === "degraded") spots.push(`History is not being written: ${self.store.reason ?? "reason unknown"}.`);
  for (const { target, signal, last_error: error } of self.export ?? [])
    if (error !== null) spots.push(`Export of ${signal} to ${target} fails: ${error}.`);
  return spots;
}

/** The services of which each of the words that `of` gives is true. */
function servicesBy(targets: Target[], of: (target: Target) => string[]): Map<string, string[]> {
  const services = new Map<string, string[]>();
  for (const target of targets)
    for (const word of of(target)) {
      const known = services.get(word) ?? [];
      if (!known.includes(target.service)) services.set(word, [...known, target.service]);
    }
  return services;
}

/** The services that speak each protocol that is not read. */
const unread = (targets: Target[]) => servicesBy(targets, ({ unread: protocols }) => protocols ?? []);

/** The services of which something is not seen, by the reason. A name that is not known hides no traffic: the table says it. */
const notSeen = (targets: Target[]) =>
  servicesBy(targets, ({ not_seen: spots }) => (spots ?? []).filter(({ part }) => part !== "service_name").map(({ reason }) => reason));

/** Whoever starts a process chooses its environment, and with it the name. */
const claimsItsName = ({ service_source: source }: Target): boolean => source === "environment";

/** All reasons of a process, one in a line. */
const reasons = ({ not_seen: spots }: Target): string | null => spots?.map(({ reason }) => reason).join("\n") || null;

function facts(self: Self): Child {
  const nanoseconds = self.kernel_ns_per_event === null ? "–" : `${count(self.kernel_ns_per_event)} ns`;
  const list: [string, string][] = [
    ["Capture tier", self.capture_tier === null ? "–" : String(self.capture_tier)],
    ["CPU", percent(self.cpu_percent)],
    ["Memory", bytes(self.rss_bytes)],
    ["Kernel maps", bytes(self.map_bytes)],
    ["Kernel time per event", nanoseconds],
    ["Events seen", count(self.events_seen)],
    ["Events lost", count(self.events_lost?.total)],
  ];
  if (self.store) list.push(["History on disk", self.store.bytes === null ? self.store.state : bytes(self.store.bytes)]);
  for (const { target, signal, sent, queued, refused, dropped } of self.export ?? []) {
    const lost = refused + dropped > 0 ? `, ${count(refused + dropped)} lost` : "";
    list.push([`Export, ${signal} to ${target}`, `${count(sent)} sent, ${count(queued)} waiting${lost}`]);
  }
  return h("dl", { class: "facts" }, ...list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function probes(self: Self): Child {
  if (!self.probes || self.probes.length === 0) return null;
  const items = self.probes.map((probe) =>
    h(
      "li",
      { "data-tone": probe.state === "failed" ? "watch" : null },
      `${probe.name}: ${probe.state}${probe.reason === null ? "" : `, ${probe.reason}`}`,
    ),
  );
  return h("details", { class: "probes" }, h("summary", {}, `Probes (${count(self.probes.length)})`), h("ul", {}, ...items));
}

export function coverageTable(): Table<Target> {
  return new Table<Target>({
    id: "coverage",
    caption: "Coverage of each process",
    keyOf: (row) => String(row.pid),
    empty: "No requests of a watched process seen yet.",
    pageSize: 10,
    sort: { column: "completeness", descending: false },
    columns: [
      {
        key: "service",
        label: "Process",
        value: (row) => row.service,
        text: (row) => `${row.service} ${row.pid}`,
        hint: (row) => (claimsItsName(row) ? "The name comes from the process's own environment." : null),
      },
      {
        key: "service_source",
        label: "Named by",
        title: "Where the name comes from. Whoever starts a process chooses its environment.",
        room: "medium",
        value: (row) => row.service_source ?? null,
        text: (row) => text(claimsItsName(row) ? "its environment" : (row.service_source ?? null)),
        tone: (row) => (claimsItsName(row) ? "watch" : null),
      },
      { key: "runtime", label: "Runtime", room: "medium", value: (row) => row.runtime, text: (row) => text(row.runtime) },
      { key: "tls", label: "TLS library", room: "medium", value: (row) => row.tls, text: (row) => text(row.tls), hint: (row) => row.tls },
      {
        key: "not_seen",
        label: "Not seen",
        title: "What is not seen of the process whatever its traffic",
        room: "wide",
        value: (row) => row.not_seen?.length ?? 0,
        text: (row) => text(row.not_seen?.map(({ part }) => words(part)).join(", ") || null),
        hint: reasons,
      },
      {
        key: "exchanges",
        label: "Requests",
        numeric: true,
        room: "medium",
        value: (row) => row.exchanges,
        text: (row) => count(row.exchanges),
      },
      {
        key: "events_lost",
        label: "Lost",
        title: "Events lost because the ring buffer was full",
        numeric: true,
        room: "wide",
        value: (row) => row.events_lost,
        text: (row) => count(row.events_lost),
        tone: (row) => (row.events_lost ? "bad" : null),
      },
      {
        key: "completeness",
        label: "Fully seen",
        title: "Part of the requests that were fully seen",
        numeric: true,
        value: (row) => row.completeness,
        text: (row) => rate(row.completeness),
        tone: (row) => (row.completeness === null || row.completeness === 1 ? null : row.completeness < 0.95 ? "bad" : "watch"),
      },
    ],
  });
}

const FIELDS = [
  ...["cpu_percent", "rss_bytes", "map_bytes", "kernel_ns_per_event", "events_seen", "events_lost", "capture_tier"],
  ...["probes", "targets", "store", "export"],
];

/** Also fills `warning`, which stands at the top of the page. */
export function selfSection(feed: Feed, warning: HTMLElement): Section {
  const section = new Section("self", "perfmon itself");
  const table = coverageTable();
  const [above, below] = [h("div", {}), h("div", {})];
  let wasOpen = false;
  section.body.append(above, table.element, below);
  const show = (self: Self): void => {
    const spots = blindSpots(self);
    warning.hidden = spots.length === 0;
    fill(warning, ...spots.map((spot) => h("p", {}, spot)));
    fill(above, facts(self));
    wasOpen = below.querySelector("details")?.open ?? wasOpen;
    fill(below, probes(self));
    const details = below.querySelector("details");
    if (details) details.open = wasOpen;
    table.update(self.targets ?? []);
  };
  // Losses must be seen wherever the reader is.
  feed.add(section.source({ route: "self", path: () => "api/v1/self", fields: FIELDS, show, always: true }));
  return section;
}
