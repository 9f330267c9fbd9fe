import { expect, it } from "vitest";
import { factList, facts } from "./facts";

it("writes each field by what its name says, and leaves out what is unknown", () => {
  const record = {
    kind: "llm",
    time: "2026-11-23T10:00:00.5Z",
    pid: 4_211,
    response_time_ms: 1_512.7,
    request_bytes: 2_048,
    cost_usd: 0.0123,
    error_rate: 0.25,
    input_tokens: 12_345,
    stream: true,
    finish_reason: null,
    path: "/caf%C3%A9",
    tool_calls: [
      { id: "1", name: "search" },
      { id: "2", name: "bash" },
    ],
    error_classes: { status_4xx: 3, reset: 0 },
  };
  expect(Object.fromEntries(facts(record, ["kind", "time"]))).toEqual({
    "process id": "4211",
    "response time": "1.51 s",
    "request": "2.00 KiB",
    "cost": "$0.0123",
    "error rate": "25.0 %",
    "input tokens": "12,345",
    "stream": "yes",
    "path": "/café",
    "tool calls": "search, bash",
    "error classes": "status 4xx 3",
  });
});

it("writes hostile text as text", () => {
  const list = factList({ agent_type: "<img src=x onerror=alert(1)>" });
  expect(list.querySelector("img")).toBeNull();
  expect(list.textContent).toContain("<img");
});
