// Alerts: those that need somebody first, each with its buttons; then the last ones that are over.
import type { Alert, AlertState, List } from "../api";
import { askLine } from "../ask";
import { chooseName, chosenName } from "../choice";
import { ApiError, post } from "../client";
import { arrange, h, setAttribute, setText } from "../dom";
import type { Feed } from "../feed";
import { clock, count } from "../format";
import { Section } from "../section";

const SEVERITIES = ["critical", "warning", "info"];
const ORDER: AlertState[] = ["firing", "acknowledged", "pending", "silenced", "resolved"];
/** Alerts that are over and still shown. */
const RESOLVED_SHOWN = 5;

/** One entry an alert, its newest state; what needs somebody first, then the worse, then the newer. */
export function currentAlerts(changes: readonly Alert[]): Alert[] {
  const newest = new Map<string, Alert>();
  for (const alert of changes) {
    const known = newest.get(alert.alert_id);
    if (!known || alert.time > known.time) newest.set(alert.alert_id, alert);
  }
  const rank = (alert: Alert): number =>
    ORDER.indexOf(alert.state) * SEVERITIES.length + (alert.state === "resolved" ? 0 : SEVERITIES.indexOf(alert.severity));
  const sorted = [...newest.values()].sort((a, b) => rank(a) - rank(b) || (a.time < b.time ? 1 : -1));
  const over = sorted.filter(({ state }) => state === "resolved");
  return sorted.filter(({ state }) => state !== "resolved").concat(over.slice(0, RESOLVED_SHOWN));
}

/** What can be done with an alert. */
export function actions(state: AlertState): ("ack" | "resolve")[] {
  if (state === "firing") return ["ack", "resolve"];
  return state === "acknowledged" ? ["resolve"] : [];
}

/** "2 firing, 1 acknowledged", or that there is none. */
export function alertsNote(alerts: readonly Alert[]): string {
  const parts = ORDER.filter((state) => state !== "resolved").map(
    (state) => [state, alerts.filter((alert) => alert.state === state).length] as const,
  );
  const said = parts.filter(([, number]) => number > 0).map(([state, number]) => `${count(number)} ${state}`);
  return said.length > 0 ? said.join(", ") : "none open";
}

/** "by Ada ", when a person did it. */
function byWhom(alert: Alert): string {
  const who = alert.state === "acknowledged" ? alert.acknowledged_by : alert.state === "resolved" ? alert.resolved_by : null;
  return who ? `by ${who} ` : "";
}

interface Item {
  element: HTMLLIElement;
  state: HTMLElement;
  message: HTMLElement;
  facts: HTMLElement;
  buttons: HTMLElement;
}

export class AlertList {
  readonly element = h("div", {});
  #list = h("ul", { class: "alerts" });
  #empty = h("p", { class: "empty" }, "No alerts. perfmon checks the thresholds.");
  #problem = h("p", { class: "error", role: "alert", hidden: true });
  #done = h("p", { class: "hidden", role: "status" });
  #items = new Map<string, Item>();

  /** `act` carries out a button; what it throws is shown. */
  constructor(private readonly act: (alertId: string, action: "ack" | "resolve") => Promise<void>) {
    this.element.append(this.#problem, this.#done, this.#list, this.#empty);
  }

  show(alerts: readonly Alert[]): void {
    const before = this.#items;
    this.#items = new Map();
    for (const alert of alerts) {
      const item = before.get(alert.alert_id) ?? newItem();
      this.#items.set(alert.alert_id, item);
      this.#write(item, alert);
    }
    arrange(
      this.#list,
      [...this.#items.values()].map(({ element }) => element),
    );
    this.#empty.hidden = alerts.length > 0;
  }

  #write(item: Item, alert: Alert): void {
    setAttribute(item.element, "data-severity", alert.severity);
    if (item.element.dataset["state"] !== alert.state) {
      const focused = item.buttons.contains(document.activeElement);
      item.element.dataset["state"] = alert.state;
      item.buttons.replaceChildren(...actions(alert.state).map((action) => this.#button(alert, action)));
      // Who pressed a button that is gone continues at the next one of this alert, or at its text.
      if (focused) (item.buttons.querySelector("button") ?? item.message).focus({ preventScroll: true });
    }
    setText(item.state, alert.state === "firing" ? alert.severity : alert.state);
    setText(item.message, alert.message);
    const unreached = new Set((alert.notified ?? []).filter(({ ok }) => !ok).map(({ channel }) => channel));
    const told = unreached.size > 0 ? `, not delivered to ${[...unreached].join(", ")}` : "";
    const scope = alert.scope ? `, ${alert.scope}` : "";
    setText(item.facts, `${alert.rule}${scope}, ${alert.state} ${byWhom(alert)}at ${clock(alert.time)}${told}`);
  }

  #button(alert: Alert, action: "ack" | "resolve"): HTMLButtonElement {
    const label = action === "ack" ? "Acknowledge" : "Resolve";
    const run = async (event: MouseEvent): Promise<void> => {
      const button = event.currentTarget as HTMLButtonElement;
      // Not `disabled`, which would take the focus away.
      if (button.getAttribute("aria-disabled") === "true") return;
      button.setAttribute("aria-disabled", "true");
      try {
        await this.act(alert.alert_id, action);
        this.#problem.hidden = true;
        setText(this.#done, `${action === "ack" ? "Acknowledged" : "Resolved"}: ${alert.rule}`);
      } catch (error) {
        setText(this.#problem, `${label} failed: ${error instanceof ApiError ? error.message : String(error)}.`);
        this.#problem.hidden = false;
      }
      button.removeAttribute("aria-disabled");
    };
    return h(
      "button",
      {
        "type": "button",
        "class": action === "ack" ? "primary" : "quiet",
        "aria-label": `${label}: ${alert.rule}`,
        "on": { click: (event) => void run(event) },
      },
      label,
    );
  }
}

function newItem(): Item {
  const state = h("span", { class: "state" });
  const message = h("p", { class: "message", tabindex: "-1" });
  const facts = h("p", { class: "note" });
  const buttons = h("div", { class: "buttons" });
  return { element: h("li", {}, state, h("div", { class: "what" }, message, facts, buttons)), state, message, facts, buttons };
}

async function carryOut(alertId: string, action: "ack" | "resolve"): Promise<void> {
  let by = chosenName();
  if (by === null) {
    by = await askLine({
      title: "Who are you?",
      text: "Acknowledging or resolving an alert records your name. This browser remembers it.",
      label: "Name",
      submit: "Continue",
    });
    if (by === null) return;
    chooseName(by);
  }
  await post(`api/v1/alerts/${encodeURIComponent(alertId)}/${action}`, { by, note: "" });
}

/** `changed` is called after a button has done its work. */
export function alertsSection(feed: Feed, changed: () => void): Section {
  const list = new AlertList(async (alertId, action) => {
    await carryOut(alertId, action);
    changed();
  });
  const section = new Section("alerts", "Alerts");
  section.body.append(list.element);
  const show = (answer: List<Alert>): void => {
    const alerts = currentAlerts(answer.items);
    section.say(alertsNote(alerts));
    list.show(alerts);
  };
  feed.add(section.source({ route: "alerts", path: () => "api/v1/alerts", show }));
  return section;
}
