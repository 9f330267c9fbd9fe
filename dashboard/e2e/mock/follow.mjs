// What perfmon's stream tells a client that follows routes: each answer whole at first, then what of it changed (docs/http-api.md).
const KEYS = {
  endpoints: ["service", "method", "endpoint"],
  destinations: ["service", "destination"],
  databases: ["service", "side", "system", "destination", "database", "operation", "target", "query"],
  dns: ["service", "name", "qtype"],
  pools: ["pid", "destination", "system"],
  llm: ["service", "side", "provider", "request_model", "destination"],
  agents: ["service", "agent_type"],
  tools: ["service", "source", "server", "tool_name"],
  workflows: ["service", "workflow_name"],
  metrics: ["metric"],
  processes: ["pid"],
  findings: ["finding_id"],
  alerts: ["alert_id"],
  records: ["span_id"],
};
const ORDERED = ["metrics", "pools", "findings", "alerts", "records"];
const only = (row, fields) => (fields ? Object.fromEntries(fields.filter((name) => name in row).map((name) => [name, row[name]])) : row);
const changed = (now, before) =>
  Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before?.[name])));

/** One client. `answer(route, window)` gives what the route's GET gives. */
export class Follower {
  #known = new Map();

  constructor(query, answer) {
    this.query = query;
    this.answer = answer;
    this.follow = (query.get("follow") ?? "").split(",").filter(Boolean);
  }

  /** The data of the `change` events that bring the client up to date. */
  changes() {
    return this.follow.map((name) => this.#change(name)).filter((data) => data !== null);
  }

  #change(name) {
    const [route, own] = name.split("@");
    const answer = this.answer(route, own ?? this.query.get("window") ?? "5m");
    if (answer === undefined) return null;
    const fields = this.query.get(`fields.${route}`)?.split(",");
    const known = this.#known.get(name) ?? { rows: new Map(), next: 0 };
    this.#known.set(name, known);
    return KEYS[route] ? this.#list(name, route, answer, fields, known) : this.#object(name, route, answer, fields, known);
  }

  #object(name, route, answer, fields, known) {
    const now = only(route === "system" ? { latest: answer.latest } : answer, fields);
    const news = changed(now, known.object);
    const first = known.object === undefined;
    known.object = now;
    return first || Object.keys(news).length > 0 ? { route: name, fields: news } : null;
  }

  #list(name, route, { window_s, total, items }, fields, known) {
    const [before, rows, order] = [known.rows, [], []];
    known.rows = new Map();
    for (const item of items) {
      const key = JSON.stringify(KEYS[route].map((field) => item[field]));
      const row = only(item, fields);
      const old = before.get(key);
      const number = old?.number ?? known.next++;
      const news = changed(row, old?.row);
      if (Object.keys(news).length > 0) rows.push([number, news]);
      known.rows.set(key, { number, row: structuredClone(row) });
      order.push(number);
    }
    const gone = [...before].filter(([key]) => !known.rows.has(key)).map(([, { number }]) => number);
    const moved = ORDERED.includes(route) && order.join() !== known.order;
    const first = known.order === undefined;
    known.order = order.join();
    if (!first && rows.length === 0 && gone.length === 0 && !moved) return null;
    return { route: name, window_s, total, rows, gone, ...(moved ? { order } : {}) };
  }
}
