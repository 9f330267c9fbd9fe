// Makes the calls that come as JSON lines on standard input with node's fetch, one after another, and logs each as it saw it.
// Arguments: base URL, User-Agent. In: {"method", "path", "body"} (body = number of bytes). Out: {"status", "size", "ms"}.
import { readFileSync } from "node:fs";

const calls = readFileSync(0, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const headers = { "user-agent": process.argv[3] };
const log = [];
for (const call of calls) {
  const body = call.method === "POST" ? "b".repeat(call.body) : undefined;
  const start = performance.now();
  const response = await fetch(process.argv[2] + call.path, { method: call.method, headers, body, redirect: "manual" });
  const size = (await response.arrayBuffer()).byteLength;
  log.push({ status: response.status, size, ms: performance.now() - start });
}
for (const entry of log) console.log(JSON.stringify(entry));
