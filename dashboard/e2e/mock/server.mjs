// A server that behaves like perfmon for the page: serves dist/ with the strict policy, the fixtures as the API, a stream with a summary
// each second and the changes of followed routes. It can be stopped and started again on its port, and what it answers can be changed while it runs.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import * as fixtures from "./fixtures.mjs";
import { Follower } from "./follow.mjs";
import { unseen } from "./unseen.mjs";

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

export class MockPerfmon {
  /** Routes answered with 404, as by a perfmon without that capability. */
  absent = new Set();
  /** Asked for as `Bearer …` when set. */
  token = null;
  /** It does not let this user in. */
  refuses = false;
  endpoints = fixtures.endpoints(40);
  alerts = fixtures.alerts();
  lost = 0;
  /** Answers as before any traffic. */
  fresh = false;
  /** Alerts that are listed, and gone when somebody wants to change them. */
  gone = new Set();
  /** Bodies of POSTs, oldest first. */
  posts = [];
  /** Paths asked for, oldest first. */
  asked = [];
  #tick = 0;
  #server = null;
  /** perfmon runs for so many seconds: what is older is not known. */
  young = Number.POSITIVE_INFINITY;
  /** Whether a stream is refused: all places are taken. */
  full = false;
  /** Response and follower of each open stream. */
  #streams = new Map();
  #timer = null;
  #port = 0;

  get url() {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async start(port = this.#port) {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
    this.#timer = setInterval(() => this.#second(), 1_000);
    return this;
  }

  async stop() {
    clearInterval(this.#timer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #second() {
    this.#tick += 1;
    for (const [stream, follower] of this.#streams) this.#tell(stream, follower);
  }

  #tell(stream, follower) {
    write(stream, "summary", this.#get("summary", follower.query));
    for (const change of follower.changes()) write(stream, "change", change);
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.url);
    const route = url.pathname.replace(/^\/api\/v1\//, "");
    const json = (status, body) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    if (!url.pathname.startsWith("/api/") && !url.pathname.startsWith("/health/")) return this.#file(url.pathname, response);
    this.asked.push(request.url);
    if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`)
      return json(401, error("unauthorized", "a token is needed"));
    if (this.refuses) return json(403, error("not_admitted", "user bob may only see health here; ask as root"));
    if (this.absent.has(route)) return json(404, error("not_found", "no such route"));
    if (route === "stream" && this.full) return json(503, error("too_many_clients", "all places of the stream are taken"));
    if (route === "stream") return this.#stream(request, response, url.searchParams);
    if (request.method === "POST") return this.#post(route, await bodyOf(request), json);
    const answer = this.#get(route, url.searchParams);
    return answer === undefined ? json(404, error("not_found", "no such route")) : json(200, answer);
  }

  #get(route, query) {
    if (this.fresh) return unseen(route);
    const window = query.get("window") ?? "5m";
    const list = (items) => ({ window_s: 300, total: items.length, items });
    const routes = {
      "/health/performance": () => fixtures.health(),
      "summary": () => fixtures.summary(window),
      "endpoints": () => list(named(this.endpoints, query).sort((a, b) => b.share_of_time - a.share_of_time)),
      "destinations": () => list(fixtures.destinations),
      "databases": () => list(fixtures.databases),
      "dns": () => list(fixtures.names),
      "pools": () => list(fixtures.pools),
      "processes": () => list(fixtures.processes()),
      "system": () => fixtures.systemAnswer(this.#tick, { "1m": 60, "5m": 300, "1h": 3_600 }[window]),
      "llm": () => list(fixtures.llm),
      "agents": () => list(fixtures.agents),
      "tools": () => list(fixtures.tools),
      "workflows": () => list(fixtures.workflows),
      "metrics": () => list(fixtures.business),
      "findings": () => list(fixtures.findings()),
      "alerts": () => list(this.alerts),
      "records": () => list(fixtures.records(query)),
      "history": () => fixtures.history(query.get("metric"), query.get("from"), query.get("to"), this.young),
      "self": () => fixtures.self(this.lost),
    };
    return routes[route]?.();
  }

  #post(route, body, json) {
    const [, id, action] = /^alerts\/([^/]+)\/(ack|resolve)$/.exec(route) ?? [];
    const alert = this.alerts.find(({ alert_id }) => alert_id === id);
    if (!alert || this.gone.has(id)) return json(404, error("not_found", `there is no alert ${id}`));
    this.posts.push({ id, action, body: JSON.parse(body) });
    alert.state = action === "ack" ? "acknowledged" : "resolved";
    alert.time = new Date().toISOString();
    for (const [stream, follower] of this.#streams) {
      write(stream, "alert", alert);
      for (const change of follower.changes()) write(stream, "change", change);
    }
    return json(200, alert);
  }

  #stream(request, response, query) {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    const answer = (route, window) => {
      if (this.absent.has(route)) return undefined;
      const search = new URLSearchParams({ window, ...(route === "records" ? { kind: "request", slow: "true" } : {}) });
      return this.#get(route === "health" ? "/health/performance" : route, search);
    };
    const follower = new Follower(query, answer);
    this.#streams.set(response, follower);
    this.#tell(response, follower);
    request.on("close", () => this.#streams.delete(response));
  }

  async #file(path, response) {
    const file = normalize(path === "/" ? "/index.html" : path);
    try {
      const body = await readFile(join(DIST, file));
      response
        .writeHead(200, {
          "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
          "Content-Security-Policy": POLICY,
          "X-Content-Type-Options": "nosniff",
        })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  }
}

const write = (stream, type, data) => stream.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
const NAMES = ["service", "method", "endpoint"];
const named = (rows, query) => rows.filter((row) => NAMES.every((name) => !query.has(name) || query.get(name) === row[name]));
const error = (code, message) => ({ error: { code, message } });

async function bodyOf(request) {
  let body = "";
  for await (const piece of request) body += piece;
  return body;
}
