// Puts the page together: sections in their order, each with its routes; one stream that says when to ask again.
import "./style/page.css";
import "./style/parts.css";
import "./style/controls.css";
import "./style/table.css";
import type { Health, Summary } from "./api";
import { askLine } from "./ask";
import { windowed } from "./choice";
import { get, setToken } from "./client";
import { h } from "./dom";
import { Header } from "./header";
import { Refresher } from "./refresh";
import { alertsSection } from "./sections/alerts";
import { endpointsSection } from "./sections/endpoints";
import { findingsSection } from "./sections/findings";
import { healthSection } from "./sections/health";
import { agentsSection, modelsSection, toolsSection, workflowsSection } from "./sections/models";
import { Resources } from "./sections/resources";
import { selfSection } from "./sections/self";
import { destinationsSection, processesSection, requestsSection } from "./sections/traffic";
import { TileRow, tiles } from "./sections/tiles";
import { type LinkState, openStream } from "./stream";

const refresher = new Refresher({ get, now: () => performance.now(), later: (run, ms) => void setTimeout(run, ms) });
let health: Health | null = null;
let link: LinkState = "connecting";
let reconnect: () => void = () => {};

const header = new Header(
  () => refresher.all(),
  () => void unlock(),
);
const warning = h("div", { class: "banner watch", role: "status", hidden: true });
const tileRow = new TileRow();
const resources = new Resources(refresher);

const verdict = healthSection(refresher, (heard) => {
  health = heard;
  header.verdict(heard);
});
const showSummary = (summary: Summary | null): void => tileRow.show(summary ? tiles(summary, health) : []);
refresher.add<Summary>({ path: windowed("api/v1/summary"), wanted: () => document.visibilityState === "visible", show: showSummary });

const content = h(
  "main",
  { id: "content", tabindex: "-1" },
  header.lost,
  header.locked,
  warning,
  tileRow.element,
  row("three", verdict.element, alertsSection(refresher).element, findingsSection(refresher).element),
  endpointsSection(refresher).element,
  resources.section.element,
  row("two", destinationsSection(refresher).element, processesSection(refresher).element),
  modelsSection(refresher).element,
  row("three", agentsSection(refresher).element, toolsSection(refresher).element, workflowsSection(refresher).element),
  requestsSection(refresher).element,
  selfSection(refresher, warning).element,
);
document.getElementById("app")?.append(header.element, content);

reconnect = openStream("api/v1/stream", {
  event: () => refresher.changed(),
  state: (state) => {
    const before = link;
    link = state;
    header.link(state);
    if (state === "polled") refresher.changed();
    if (state !== "live" || before === "live") return;
    refresher.all();
    void resources.recall(Date.now());
  },
});
refresher.all();
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && link === "live") refresher.all();
});

function row(kind: "two" | "three", ...sections: HTMLElement[]): HTMLElement {
  return h("div", { class: `row ${kind}` }, ...sections);
}

async function unlock(): Promise<void> {
  const token = await askLine({
    title: "Token",
    text: "As set in perfmon's configuration. It is kept until this tab is closed.",
    label: "Token",
    submit: "Go on",
    secret: true,
  });
  if (token === null) return;
  setToken(token);
  reconnect();
}
