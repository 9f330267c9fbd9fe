// What perfmon answers just after its start, before it saw any traffic: counts are 0, all that must be measured is null.
const UNMEASURED = { mean_ms: null, p50_ms: null, p95_ms: null, p99_ms: null, max_ms: null };

const HEALTH = {
  status: "healthy",
  timestamp: "2026-11-23T10:00:00.000Z",
  performance_metrics: {
    avg_response_time: null,
    error_rate: null,
    memory_percent: 7.72,
    cpu_percent: null,
    avg_agent_time: null,
    active_connections: 0,
    requests_per_minute: 0,
  },
  health_indicators: { response_time: "green", error_rate: "green", resource_usage: "green", agent_performance: "green" },
  recommendations: [],
};

const SUMMARY = {
  time: "2026-11-23T10:00:00Z",
  requests: 0,
  errors: 0,
  error_rate: null,
  requests_per_minute: 0,
  rate_now_per_second: 0,
  rate_peak_per_second: 0,
  concurrency_peak: 0,
  ...UNMEASURED,
  completeness: null,
  active_connections: 0,
  llm_calls: 0,
  input_tokens: null,
  output_tokens: null,
  cost_usd: null,
  agent_runs: 0,
  tool_calls: 0,
  alerts_firing: 0,
};

const SELF = {
  cpu_percent: null,
  rss_bytes: 70_168_576,
  map_bytes: 21_363_664,
  kernel_ns_per_event: null,
  events_seen: 0,
  events_lost: { total: 0, by_reason: {} },
  capture_tier: 1,
  probes: [],
  targets: [],
  store: { path: "/var/lib/perfmon/perfmon.db", state: "starting", bytes: null },
  export: [],
};

/** The answer of a route; lists are empty. */
export function unseen(route) {
  const answers = {
    "/health/performance": HEALTH,
    "summary": SUMMARY,
    "self": SELF,
    "system": { window_s: 300, latest: null, trend: [] },
    "history": { metric: "cpu_percent", points: [] },
  };
  return answers[route] ?? { window_s: 300, total: 0, items: [] };
}
