// Puts the page together: sections in their order, each with its routes; one stream that feeds them; a login where perfmon wants a token, the
// reason where it does not let the user in.
import "./style/page.css";
import "./style/parts.css";
import "./style/controls.css";
import "./style/table.css";
import type { Health, Summary } from "./api";
import { chosenWindow, windowed } from "./choice";
import { get, setToken } from "./client";
import { h } from "./dom";
import { Feed } from "./feed";
import { Header } from "./header";
import { listenForKeys } from "./keys";
import { Login } from "./login";
import { Refused } from "./refused";
import { alertsSection } from "./sections/alerts";
import { businessSection } from "./sections/business";
import { databasesSection } from "./sections/databases";
import { endpointsSection } from "./sections/endpoints";
import { findingsSection } from "./sections/findings";
import { healthSection } from "./sections/health";
import { agentsSection, modelsSection, toolsSection, workflowsSection } from "./sections/models";
import { namesSection } from "./sections/names";
import { Past } from "./sections/past";
import { poolsSection } from "./sections/pools";
import { Resources } from "./sections/resources";
import { selfSection } from "./sections/self";
import { destinationsSection, processesSection, requestsSection } from "./sections/traffic";
import { TileRow, tiles } from "./sections/tiles";
import { type LinkState, openStream } from "./stream";

/** Without a stream, the routes are asked this often. */
const POLL_MS = 2_000;

const feed = new Feed(get);
let health: Health | null = null;
let summary: Summary | null = null;
let link: LinkState = "connecting";
let reconnect: () => void = () => {};

const header = new Header(() => reconnect());
const login = new Login((token) => {
  setToken(token);
  reconnect();
});
const refused = new Refused();
const warning = h("div", { class: "banner watch", role: "status", hidden: true });
const tileRow = new TileRow();
const resources = new Resources(feed);
const past = new Past();
const showTiles = (): void => tileRow.show(summary ? tiles(summary, health) : []);

const verdict = healthSection(feed, (heard) => {
  health = heard;
  header.verdict(heard);
  showTiles();
});
feed.add<Summary>({
  route: "summary",
  path: windowed("api/v1/summary"),
  show: (heard) => {
    summary = heard;
    if (document.visibilityState === "visible") showTiles();
  },
});

const content = h(
  "main",
  { id: "content", tabindex: "-1" },
  header.lost,
  warning,
  past.element,
  tileRow.element,
  row("three", verdict.element, alertsSection(feed, () => asked()).element, findingsSection(feed).element),
  endpointsSection(feed).element,
  businessSection(feed).element,
  resources.section.element,
  row("two", destinationsSection(feed).element, processesSection(feed).element),
  databasesSection(feed).element,
  poolsSection(feed).element,
  namesSection(feed).element,
  modelsSection(feed).element,
  agentsSection(feed).element,
  workflowsSection(feed).element,
  toolsSection(feed).element,
  requestsSection(feed).element,
  selfSection(feed, warning).element,
);
const app = document.getElementById("app");

/** Shows the page; or nothing but the login, or why perfmon does not let this user in. */
function stage(state: LinkState, why: string): void {
  const wanted = state === "locked" ? [login.element] : state === "refused" ? [refused.element] : [header.element, content];
  if (app && app.firstElementChild !== wanted[0]) app.replaceChildren(...wanted);
  if (state === "locked") {
    document.title = "perfmon: log in";
    login.show();
  } else if (state === "refused") {
    document.title = "perfmon: not admitted";
    refused.show(why);
  }
}

/** Asks for news where no stream brings them. */
function asked(): void {
  if (link === "polled") void feed.ask();
}

reconnect = openStream({
  path: () => feed.path(chosenWindow()),
  event: (event) => feed.take(event),
  state: (state, why) => {
    const before = link;
    link = state;
    if (state === "connecting") return;
    stage(state, why ?? "");
    header.link(state);
    if (state === "polled" && before !== "polled") void feed.ask();
    if (state !== "live") return;
    feed.begin();
    if (before === "live") return;
    void resources.recall(Date.now());
    void past.show(Date.now());
  },
});
setInterval(asked, POLL_MS);
listenForKeys();

function row(kind: "two" | "three", ...sections: HTMLElement[]): HTMLElement {
  return h("div", { class: `row ${kind}` }, ...sections);
}
