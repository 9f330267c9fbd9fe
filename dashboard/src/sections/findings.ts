// What perfmon found that a person should look at, in the API's order: most costly first.
import type { Finding, List } from "../api";
import { fill, h } from "../dom";
import type { Feed } from "../feed";
import { clock, count, words } from "../format";
import { Section } from "../section";

/** One finding as a list item. */
export function findingView(finding: Finding): HTMLElement {
  const facts = `${finding.scope}, since ${clock(finding.first_seen)}, last seen ${clock(finding.last_seen)}`;
  const what = h("div", { class: "what" }, h("p", { class: "message" }, finding.message), h("p", { class: "note" }, facts));
  return h("li", { "data-severity": finding.severity, "data-state": "firing" }, h("span", { class: "state" }, words(finding.type)), what);
}

export function findingsSection(feed: Feed): Section {
  const section = new Section("findings", "Findings");
  const list = h("ul", { class: "alerts findings" });
  const empty = h("p", { class: "empty" }, "No problems found.");
  section.body.append(list, empty);
  const show = (answer: List<Finding>): void => {
    const open = answer.items.filter((finding) => finding.open !== false);
    section.say(open.length > 0 ? `${count(open.length)} open` : "none open");
    fill(list, ...open.map(findingView));
    empty.hidden = open.length > 0;
  };
  feed.add(section.source({ route: "findings", path: () => "api/v1/findings", show }));
  return section;
}
