// The records behind models, agents, tools, workflows, destinations, queries and requests, each in one line.
import type { AnyRecord } from "../api";
import { dotted, query } from "../details";
import { clock, compact, count, duration, path, usd, words } from "../format";
import { RecordList } from "../record_list";
import { outcome } from "./outcome";

const LIMIT = 15;
type Names = Record<string, string | null | undefined>;

const number = (record: AnyRecord, name: string): number | null => (typeof record[name] === "number" ? (record[name] as number) : null);
const text = (record: AnyRecord, name: string): string | null => (typeof record[name] === "string" ? (record[name] as string) : null);
const at = (record: AnyRecord): string => clock(record.time);
const money = (record: AnyRecord): string => (number(record, "cost_usd") === null ? "" : usd(number(record, "cost_usd")));
const plural = (value: number | null, one: string): string =>
  value === null || value === 0 ? "" : `${count(value)} ${one}${value === 1 ? "" : "s"}`;
const address = (kind: string, names: Names, limit = LIMIT): string => `api/v1/records${query({ kind, limit, ...names })}`;

/** Model calls, newest first. */
export function modelCalls(title: string, names: Names, limit = LIMIT): RecordList {
  return new RecordList({
    title,
    path: () => address("llm", names, limit),
    bad: (call) => text(call, "error_type") !== null,
    line: (call) => {
      const [tokensIn, tokensOut] = [number(call, "input_tokens"), number(call, "output_tokens")];
      return dotted(
        at(call),
        text(call, "request_model") ?? "model not known",
        text(call, "error_type") ? modelError(call) : (text(call, "finish_reason") ?? ""),
        duration(number(call, "response_time_ms")),
        tokensIn === null && tokensOut === null ? "" : `${compact(tokensIn)} tokens in, ${compact(tokensOut)} out`,
        money(call),
      );
    },
  });
}

function modelError(call: AnyRecord): string {
  const status = number(call, "status_code");
  const kind = words(text(call, "error_type") ?? "");
  if (status === 429) return kind === "429" ? "429, rate limit" : `429, rate limit (${kind})`;
  return status === null || status < 400 || kind === String(status) ? kind : `${status}, ${kind}`;
}

/** Tool executions, newest first. */
export function toolRuns(title: string, names: Names, limit = LIMIT): RecordList {
  return new RecordList({
    title,
    path: () => address("tool", names, limit),
    bad: (run) => run["success"] === false,
    line: (run) => {
      const failed = `failed${text(run, "error_type") ? `: ${text(run, "error_type")}` : ""}`;
      const result = run["success"] === null ? "result not known" : run["success"] === true ? "succeeded" : failed;
      return dotted(at(run), text(run, "tool_name"), result, duration(number(run, "execution_time_ms")));
    },
  });
}

const runLine = (run: AnyRecord): string =>
  dotted(
    at(run),
    text(run, "status") === "error" ? `error${text(run, "error_type") ? `: ${text(run, "error_type")}` : ""}` : text(run, "status"),
    duration(number(run, "execution_time_ms")),
    plural(number(run, "llm_calls"), "model call"),
    plural(number(run, "tools_called"), "tool call"),
    number(run, "tokens_used") === null ? "" : `${compact(number(run, "tokens_used"))} tokens`,
    money(run),
  );

/** Agent runs, newest first; each opens to its model calls and tools. */
export function agentRuns(title: string, names: Names): RecordList {
  return new RecordList({
    title,
    path: () => address("agent", names),
    bad: (run) => text(run, "status") !== "success",
    line: runLine,
    parts: (run) => {
      const of = { agent_run_id: text(run, "agent_run_id") };
      return [modelCalls("Its model calls", of, 100), toolRuns("Its tool calls", of, 100)];
    },
  });
}

/** Workflows, newest first; each opens to its model calls, where a trace joins them. */
export function workflowRuns(title: string, names: Names): RecordList {
  return new RecordList({
    title,
    path: () => address("workflow", names),
    bad: (run) => text(run, "status") !== "success",
    line: runLine,
    parts: (run) => (text(run, "trace_id") === null ? [] : [modelCalls("Its model calls", { trace_id: text(run, "trace_id") }, 100)]),
  });
}

/** Requests, newest first. */
export function requests(title: string, names: Names): RecordList {
  return new RecordList({
    title,
    path: () => address("request", names),
    bad: (request) => text(request, "error") !== null || (number(request, "status_code") ?? 0) >= 500,
    line: (request) => {
      const ended = outcome({ error: text(request, "error"), status_code: number(request, "status_code") });
      const what = `${text(request, "method") ?? "?"} ${path(text(request, "path") ?? "?")}`;
      return dotted(at(request), what, ended, duration(number(request, "response_time_ms")));
    },
  });
}

/** Database commands, newest first. */
export function commands(title: string, names: Names): RecordList {
  return new RecordList({
    title,
    path: () => address("db", names),
    bad: (command) => text(command, "error") !== null,
    line: (command) => {
      const error = text(command, "error");
      const rows = plural(number(command, "rows"), "row");
      return dotted(at(command), error === null ? "" : `error ${error}`, duration(number(command, "response_time_ms")), rows);
    },
  });
}
