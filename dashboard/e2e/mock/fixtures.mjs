// Answers of a perfmon that watches a shop with an agent: fixed figures, among them nulls, hostile names and a failing endpoint, so
// that a test can say exactly what the page must show.
const start = Date.now();
const since = (seconds) => new Date(start - seconds * 1_000).toISOString();
const ORIGIN = { pid: 4211, comm: "python3", service: "shop", container: null };
export const HOSTILE = `/search/<img src=x onerror="window.hacked=1">`;

const latency = (mean_ms, p50_ms, p95_ms, p99_ms, max_ms) => ({ mean_ms, p50_ms, p95_ms, p99_ms, max_ms });
const noErrors = { status_4xx: 0, status_5xx: 0, client_closed: 0, reset: 0, timeout: 0, truncated: 0, protocol: 0, grpc: 0 };
const noCorrelation = { ok_mean_ms: null, error_mean_ms: null, slow_error_rate: null, fast_error_rate: null };

function endpoint(service, method, path, count, share, times, more = {}) {
  return {
    service,
    method,
    endpoint: path,
    count,
    errors: 0,
    error_rate: 0,
    requests_per_minute: count / 5,
    rate_now_per_second: count / 300,
    rate_peak_per_second: Math.ceil(count / 90),
    ...times,
    ttfb_p50_ms: times.p50_ms === null ? null : times.p50_ms * 0.8,
    ttfb_p95_ms: times.p95_ms === null ? null : times.p95_ms * 0.8,
    queue_p50_ms: 0.021,
    queue_p95_ms: 0.18,
    queue_mean_ms: 0.05,
    stream_p50_ms: null,
    stream_p95_ms: null,
    stream_max_ms: null,
    request_size_mean_bytes: 312,
    response_size_mean_bytes: 18_944,
    categories: { fast: count, moderate: 0, slow: 0 },
    error_classes: noErrors,
    correlation: noCorrelation,
    share_of_time: share,
    concurrency_peak: 6,
    in_flight: 0,
    oldest_in_flight_ms: null,
    completeness: 1,
    downstream: null,
    ...more,
  };
}

/** Named endpoints first, then as many plain ones as it takes. */
export function endpoints(total) {
  const named = [
    endpoint("shop", "POST", "/checkout", 412, 0.4312, latency(612.4, 388.2, 1_842.113, 2_410.5, 3_120.9), {
      errors: 27,
      error_rate: 27 / 412,
      queue_p95_ms: 96.4,
      categories: { fast: 268, moderate: 91, slow: 53 },
      error_classes: { ...noErrors, status_4xx: 9, status_5xx: 22, timeout: 5 },
      correlation: { ok_mean_ms: 548.1, error_mean_ms: 1_512.7, slow_error_rate: 0.34, fast_error_rate: 0.011 },
      in_flight: 3,
      oldest_in_flight_ms: 1_240.5,
      completeness: 0.9951,
      downstream: {
        requests: 380,
        requests_unsure: 32,
        db_calls_per_request: 27.5,
        db_ms_per_request: 402.1,
        http_calls_per_request: 1,
        http_ms_per_request: 88.4,
        llm_calls_per_request: 0,
        llm_ms_per_request: 0,
        repeated: {
          requests: 350,
          query_id: "00f1",
          query: "SELECT price FROM items WHERE id = ?",
          calls: 24,
          span_id: "00000000000000ab",
        },
      },
    }),
    endpoint("shop", "GET", "/products/{id}", 9_214, 0.2108, latency(13.7, 9.41, 42.07, 118.3, 402.2)),
    endpoint("shop", "GET", HOSTILE, 1_204, 0.0931, latency(45.3, 38.9, 91.2, 140, 322)),
    endpoint("assistant", "POST", "/chat", 96, 0.0877, latency(536, 512, 803.4, 930, 1_004), {
      stream_p50_ms: 4_210,
      stream_p95_ms: 9_800,
      stream_max_ms: 14_200,
      categories: { fast: 41, moderate: 54, slow: 1 },
      in_flight: 1,
      oldest_in_flight_ms: 310,
    }),
    endpoint("shop", "GET", "/cart", 3_080, 0.0312, latency(5.9, 4.2, 15.3, 33, 88), { errors: 1, error_rate: 1 / 3_080 }),
    endpoint("nginx", "GET", "/static/{file}", 18_442, 0.0121, latency(0.38, 0.241, 0.93, 2.2, 14)),
    endpoint("shop", "GET", "/never-answered", 2, 0, latency(null, null, null, null, null), { completeness: 0 }),
  ];
  const plain = Math.max(0, total - named.length);
  const rest = Array.from({ length: plain }, (_, i) =>
    endpoint(
      "catalog",
      "GET",
      `/items/${i + 1}/{id}`,
      1_000 - (i % 900),
      0.1 / (i + 20),
      latency(8 + (i % 40), 7 + (i % 40), 20 + (i % 90), 30 + (i % 120), 90 + i),
    ),
  );
  return [...named, ...rest];
}

export function health() {
  return {
    status: "degraded",
    timestamp: new Date().toISOString(),
    performance_metrics: {
      avg_response_time: 84.2,
      error_rate: 0.0119,
      memory_percent: 61.3,
      cpu_percent: 37.5,
      avg_agent_time: 3_480,
      active_connections: 42,
      requests_per_minute: 6_490,
    },
    health_indicators: { response_time: "green", error_rate: "yellow", resource_usage: "green", agent_performance: "green" },
    recommendations: ["Look at POST /checkout: 43 % of all time, 6.6 % errors"],
  };
}

export function summary(window) {
  const scale = { "1m": 1, "5m": 5, "1h": 60 }[window];
  return {
    time: new Date().toISOString(),
    window_s: scale * 60,
    requests: 6_490 * scale,
    errors: 77 * scale,
    error_rate: 77 / 6_490,
    requests_per_minute: 6_490,
    rate_now_per_second: 108,
    rate_peak_per_second: 164,
    concurrency_peak: 19,
    ...latency(84.2, 11.3, 402.118, 1_310.4, 3_120.9),
    active_connections: 42,
    completeness: 0.9992,
    llm_calls: 31 * scale,
    db_calls: null,
    input_tokens: 120_400 * scale,
    output_tokens: 9_120 * scale,
    agent_runs: 7 * scale,
    tool_calls: 22 * scale,
    cost_usd: 0.082_41 * scale,
    alerts_firing: 2,
  };
}

const row = (service, destination, count, errors, availability, times) => ({
  service,
  destination,
  count,
  errors,
  error_rate: errors / count,
  availability,
  requests_per_minute: count / 5,
  ...times,
  completeness: 1,
  ttfb_p95_ms: times.p95_ms,
  connects: 40,
  connect_p95_ms: 18.4,
  tls_p95_ms: 41.2,
  dns_p95_ms: 12.4,
  round_trip_ms: 18.6,
  segments: 5120,
  retransmits: 3,
  retransmit_rate: 0.0006,
  retries: 4,
});
export const destinations = [
  row("shop", "payments.example.com", 431, 19, 0.9559, latency(310, 240, 1_120, 1_900, 2_500)),
  row("assistant", "api.openai.com", 118, 2, 0.9831, latency(1_400, 1_210, 3_900, 4_800, 5_200)),
  row("nginx", "127.0.0.1:8000", 12_100, 0, 1, latency(22, 9.8, 61, 210, 890)),
];

const command = (service, system, database, operation, target, query, count, errors, rows, time_total_ms, times) => ({
  service,
  side: "client",
  system,
  destination: system === "redis" ? "127.0.0.1:6379" : "10.0.0.7:5432",
  database,
  operation,
  target,
  query,
  query_id: query === null ? null : String(query.length).padStart(16, "0"),
  count,
  errors,
  error_rate: errors / count,
  requests_per_minute: count / 5,
  rows,
  time_total_ms,
  ...times,
  completeness: 1,
});
const ORDERS = "SELECT * FROM orders WHERE customer = ? ORDER BY created_at DESC LIMIT ?";
export const databases = [
  command("shop", "postgresql", "shop", "SELECT", "orders", ORDERS, 5_210, 0, 104_200, 219_862, latency(42, 31, 118, 240, 1_310)),
  command(
    "shop",
    "postgresql",
    "shop",
    "INSERT",
    "orders",
    "INSERT INTO orders VALUES (?)",
    431,
    19,
    412,
    1_724,
    latency(4, 3.1, 9.7, 14, 22),
  ),
  command("shop", "postgresql", "shop", "EXECUTE", null, null, 12, 0, 12, 8, latency(0.7, 0.6, 1.1, 1.2, 1.2)),
  command("assistant", "redis", null, "GET", "session", "GET session:?", 48_000, 0, 47_120, 9_600, latency(0.2, 0.1, 0.4, 0.9, 7)),
];

const asked = (service, name, qtype, rcodes, more = {}) => {
  const count = Object.values(rcodes).reduce((sum, number) => sum + number, 0);
  const errors = count - (rcodes.NOERROR ?? 0);
  const none = { NOERROR: 0, NXDOMAIN: 0, SERVFAIL: 0, REFUSED: 0, TIMEOUT: 0, other: 0 };
  return {
    service,
    name,
    qtype,
    count,
    errors,
    error_rate: errors / count,
    rcodes: { ...none, ...rcodes },
    attempts: count,
    search_misses: 0,
    requests_per_minute: count / 5,
    ...latency(1.4, 1.1, 3.4, 8.9, 12),
    ...more,
  };
};
export const names = [
  asked("shop", "db.internal", "A", { NOERROR: 1_280 }),
  asked("shop", "api.openai.com.cluster.local", "A", { NXDOMAIN: 44 }, { search_misses: 44 }),
  asked("web", "old.internal", "AAAA", { NOERROR: 3, TIMEOUT: 2 }, { attempts: 9, max_ms: 15_004 }),
];

const measured = (metric, unit, definition, ...series) => ({ metric: `custom.${metric}`, definition, unit, series });
export const business = [
  measured("orders_created", null, "count of request records where endpoint /orders", { labels: {}, value: 412, count: 412 }),
  measured("order_time", "ms", "p95 of response_time_ms of request records", { labels: {}, value: 231.4, count: 430 }),
  measured("order_failures", "ratio", "share of request records", { labels: {}, value: 0.0419, count: 430 }),
  measured(
    "bytes_by_status",
    "bytes",
    "sum of response_bytes of request records by status_code",
    { labels: { status_code: "201" }, value: 1_048_576, count: 412 },
    { labels: { status_code: "500" }, value: null, count: 0 },
  ),
  measured("refunds", null, "count of request records where endpoint /refunds"),
];

const pool = (pid, service, system, destination, open, in_use, more = {}) => ({
  kind: "pool",
  time: new Date().toISOString(),
  ...ORIGIN,
  pid,
  service,
  destination,
  system,
  open,
  in_use,
  idle: open - in_use,
  peak_in_use: open,
  size: open,
  opened: 0,
  closed: 0,
  uses: 2_500,
  use_time_p95_ms: 9.9,
  saturated: false,
  silent_in_use_ms: in_use > 0 ? 3 : null,
  interval_ms: 5_000,
  ...more,
});
export const pools = [
  pool(4_711, "shop", "postgresql", "db.internal:5432", 5, 5, { saturated: true, use_time_p95_ms: 42 }),
  pool(4_711, "shop", "redis", "cache.internal:6379", 10, 1),
];

const process = (pid, service, runtime, cpu, rss, more = {}) => ({
  kind: "process",
  time: new Date().toISOString(),
  ...ORIGIN,
  pid,
  service,
  cpu_percent: cpu,
  memory_rss_bytes: rss,
  memory_percent: rss / 171_798_692,
  memory_growth_bytes_per_hour: null,
  heap_bytes: null,
  threads: 12,
  threads_running: 1,
  threads_waiting: 11,
  run_queue_wait_ms: 0.4,
  blocked_io_ms: 0,
  open_files: 64,
  sockets: 40,
  connections: 38,
  read_bytes: 0,
  write_bytes: 45_056,
  context_switches: 900,
  page_faults: 12,
  uptime_s: 86_520,
  runtime,
  leak: null,
  interval_ms: 1_000,
  ...more,
});
export const processes = () => [
  process(4211, "shop", "python", 61.4, 212_860_928),
  process(4212, "assistant", "node", 18.2, 388_000_000, { leak: "suspected", memory_growth_bytes_per_hour: 25_165_824 }),
  process(990, "nginx", null, 4.1, 18_874_368, { open_files: null, read_bytes: null }),
];

/** The host now, and its course: a sample each second since the start and for `back` seconds before it. */
export function systemAnswer(tick, seconds, back = 300) {
  const trend = [];
  for (let ago = Math.min(seconds, tick + back); ago >= 0; ago -= 1) {
    const { cpu_percent, memory_percent, load_1m } = system(tick - ago);
    trend.push({ time: new Date(Math.floor(Date.now() / 1_000 - ago) * 1_000).toISOString(), cpu_percent, memory_percent, load_1m });
  }
  return { window_s: seconds, latest: system(tick), trend };
}

export function system(tick) {
  return {
    kind: "system",
    time: new Date().toISOString(),
    ...ORIGIN,
    pid: 0,
    cpu_percent: 37.5 + 8 * Math.sin(tick / 40) + 3 * Math.sin(tick * 1.7),
    memory_percent: 61.3,
    memory_available_bytes: 6_652_000_000,
    swap_percent: null,
    load_1m: 1.42,
    disks: [
      { mount: "/", used_percent: 71.2, free_bytes: 31_200_000_000, read_bytes: 0, write_bytes: 81_920, busy_percent: 3, full_in_s: null },
    ],
    network: [{ name: "eth0", rx_bytes: 1_204_000, tx_bytes: 8_810_000 }],
    psi: { cpu: 2.1, memory: 0, io: 0.4 },
    interval_ms: 1_000,
  };
}

export const llm = [
  {
    service: "assistant",
    provider: "openai",
    side: "client",
    request_model: "gpt-5",
    destination: "api.openai.com",
    calls: 118,
    errors: 2,
    rate_limited: 0,
    error_rate: 2 / 118,
    input_tokens: 512_004,
    output_tokens: 38_110,
    cache_read_tokens: 401_408,
    cost_usd: 0.412_054,
    unpriced_calls: 2,
    ttft_p50_ms: 412,
    ttft_p95_ms: 1_180,
    ...latency(1_400, 1_210, 3_900, 4_800, 5_200),
  },
  {
    service: "assistant",
    provider: "anthropic",
    side: "client",
    request_model: "claude-sonnet-4-5",
    destination: "api.anthropic.com",
    calls: 31,
    errors: 4,
    rate_limited: 4,
    error_rate: 4 / 31,
    input_tokens: 88_120,
    output_tokens: 7_004,
    cache_read_tokens: null,
    cost_usd: 0.002_661,
    unpriced_calls: 0,
    ttft_p50_ms: 690,
    ttft_p95_ms: 1_320,
    ...latency(2_100, 1_900, 4_400, 5_000, 5_100),
  },
  {
    service: "assistant",
    provider: "ollama",
    side: "client",
    request_model: "qwen3:8b",
    destination: "127.0.0.1:11434",
    calls: 6,
    errors: 0,
    rate_limited: 0,
    error_rate: 0,
    input_tokens: 1_880,
    output_tokens: 486,
    cache_read_tokens: null,
    cost_usd: null,
    unpriced_calls: 6,
    ttft_p50_ms: null,
    ttft_p95_ms: null,
    ...latency(6_100, 5_900, 9_000, 9_000, 9_000),
  },
];
export const agents = [
  {
    service: "assistant",
    agent_type: "assistant",
    count: 35,
    errors: 1,
    llm_calls: 118,
    tools_called: 110,
    tokens_used: 550_114,
    cost_usd: 0.412_054,
    ...latency(3_480, 3_100, 8_800, 9_400, 9_900),
  },
];
export const tools = [
  { tool_name: "search_catalog", source: "mcp", server: "catalog", count: 81, errors: 0, ...latency(120, 98, 310, 420, 515) },
  { tool_name: "bash", source: "process", server: null, count: 29, errors: 4, ...latency(900, 610, 2_400, 3_000, 3_100) },
];
export const workflows = [
  {
    service: "assistant",
    workflow_name: "POST /chat",
    count: 35,
    errors: 1,
    agents: 35,
    llm_calls: 118,
    tools_called: 110,
    tokens_used: 550_114,
    cost_usd: 0.412_054,
    ...latency(3_600, 3_200, 9_000, 9_600, 10_100),
  },
];
export const findings = () => [
  {
    kind: "finding",
    time: new Date().toISOString(),
    ...ORIGIN,
    finding_id: "f1",
    type: "event_loop_blocked",
    severity: "warning",
    scope: "shop POST /checkout",
    message: "Requests to POST /checkout wait 96 ms (p95) for the event loop, more than they take: something blocks it.",
    evidence: [],
    first_seen: new Date(Date.now() - 240_000).toISOString(),
    last_seen: new Date().toISOString(),
    open: true,
  },
];

const alert = (alert_id, rule, severity, state, message, more = {}) => ({
  kind: "alert",
  time: new Date(Date.now() - 90_000).toISOString(),
  ...ORIGIN,
  alert_id,
  rule,
  type: "performance",
  severity,
  state,
  message,
  metric: "request.error_rate",
  scope: "",
  value: 0.066,
  threshold: 0.05,
  escalation_level: 0,
  notified: [],
  ...more,
});
export const alerts = () => [
  alert("a1", "error_rate_5min", "critical", "firing", "6.6 % of the requests failed in the last 5 minutes (limit 5 %).", {
    notified: [
      { channel: "hook", ok: false, error: "timeout" },
      { channel: "mail", ok: true, error: null },
    ],
  }),
  alert("a2", "response_time_p95", "warning", "firing", "p95 was 1,310 ms over the last 5 minutes (limit 1,000 ms)."),
  alert("a0", "cpu_usage", "warning", "resolved", "CPU was above 80 %, now 37 %.", {
    time: new Date(Date.now() - 3_600_000).toISOString(),
  }),
];

const request = (i, path, status_code, error, response_time_ms) => ({
  kind: "request",
  time: since(i * 4),
  ...ORIGIN,
  side: "server",
  protocol: "http/1.1",
  tls: false,
  local: "10.0.0.5:8000",
  peer: `10.0.0.9:${40_000 + i}`,
  host: "shop",
  destination: null,
  method: "POST",
  path,
  endpoint: "/checkout",
  user_agent: null,
  status_code,
  error,
  request_size: 310,
  response_size: 80,
  request_bytes: 500,
  response_bytes: 230,
  response_time_ms,
  streaming: false,
  grpc_status: null,
  queue_time_ms: 3.4,
  time_to_first_byte_ms: response_time_ms,
  performance_category: "slow",
  trace_id: null,
  span_id: `s${i}`,
  parent_span_id: null,
  quality: "exact",
  missing_bytes: 0,
});
/** An agent run with its calls and tools, and the workflow around it. */
const work = [
  {
    kind: "agent",
    time: since(40),
    ...ORIGIN,
    service: "assistant",
    agent_type: "assistant",
    agent_run_id: "r1",
    conversation_id: "c1",
    execution_time_ms: 3_480,
    status: "success",
    error_type: null,
    llm_calls: 2,
    tools_called: 1,
    tokens_used: 5_230,
    input_tokens: 5_000,
    output_tokens: 230,
    cost_usd: 0.0123,
    model_time_ms: 3_100,
    tool_time_ms: 300,
    local_time_ms: 80,
  },
  llmRecord(39, { agent_run_id: "r1", finish_reason: "tool_calls", tool_calls: [{ id: "t1", name: "search_catalog" }] }),
  llmRecord(38, { agent_run_id: "r1", finish_reason: "stop" }),
  llmRecord(30, {
    request_model: "claude-sonnet-4-5",
    destination: "api.anthropic.com",
    provider: "anthropic",
    status_code: 429,
    error_type: "rate_limit_error",
    cost_usd: null,
    output_tokens: null,
  }),
  {
    kind: "tool",
    time: since(39),
    ...ORIGIN,
    service: "assistant",
    tool_name: "search_catalog",
    tool_call_id: "t1",
    source: "mcp",
    transport: "http",
    server: "catalog",
    execution_time_ms: 300,
    success: true,
    error_type: null,
    agent_type: "assistant",
    agent_run_id: "r1",
  },
  {
    kind: "workflow",
    time: since(41),
    ...ORIGIN,
    service: "assistant",
    workflow_name: "POST /chat",
    execution_time_ms: 3_600,
    status: "success",
    agents: 1,
    llm_calls: 2,
    tools_called: 1,
    db_calls: null,
    tokens_used: 5_230,
    cost_usd: 0.0123,
    trace_id: null,
  },
];

function llmRecord(ago, more) {
  return {
    kind: "llm",
    time: since(ago),
    ...ORIGIN,
    service: "assistant",
    side: "client",
    provider: "openai",
    api: "responses",
    destination: "api.openai.com",
    request_model: "gpt-5",
    response_model: "gpt-5-2026-01-01",
    stream: true,
    status_code: 200,
    error_type: null,
    finish_reason: null,
    input_tokens: 2_500,
    output_tokens: 115,
    cost_usd: 0.00615,
    response_time_ms: 1_550,
    time_to_first_token_ms: 412,
    tool_calls: [],
    span_id: `m${ago}`,
    ...more,
  };
}

const FIELDS = [
  "service",
  "agent_run_id",
  "agent_type",
  "destination",
  "endpoint",
  "method",
  "request_model",
  "span_id",
  "tool_name",
  "workflow_name",
];
/** The records that a query selects. */
export function records(query) {
  const kind = query.get("kind");
  const wanted = (record) => FIELDS.every((field) => !query.has(field) || record[field] === query.get(field));
  return [...requests(), ...work].filter((record) => (kind === null || record.kind === kind) && wanted(record));
}

export const requests = () => [
  request(1, "/checkout", 500, null, 1_512.7),
  request(2, "/checkout", 200, null, 2_210.44),
  request(3, HOSTILE, null, "timeout", null),
  request(4, "/checkout", 200, "client_closed", 1_702),
];

export const self = (lost) => ({
  cpu_percent: 1.2,
  rss_bytes: 41_200_000,
  map_bytes: 33_554_432,
  kernel_ns_per_event: 412,
  events_seen: 1_204_331,
  events_lost: { total: lost, by_reason: { ring_full: lost, read_failed: 0 } },
  capture_tier: 1,
  probes: [
    { name: "sock_recv_length", state: "attached", reason: null },
    { name: "openssl", state: "skipped", reason: "no process uses it" },
  ],
  targets: [
    {
      service: "shop",
      service_source: "environment",
      pid: 4211,
      runtime: "python",
      tls: null,
      completeness: 0.9951,
      exchanges: 14_000,
      incomplete: 68,
      missing_bytes: 0,
      events_lost: lost,
    },
    {
      service: "nginx",
      service_source: "unit",
      pid: 990,
      runtime: null,
      tls: "openssl 3",
      completeness: 1,
      exchanges: 18_442,
      incomplete: 0,
      missing_bytes: 0,
      events_lost: 0,
    },
  ],
});

/** A metric over time, a value each step; null before perfmon ran. */
export function history(metric, from, to, young = Number.POSITIVE_INFINITY) {
  const [start, end] = [Date.parse(from), Date.parse(to)];
  const base = { cpu_percent: 37.5, memory_percent: 61.3, response_time_p95: 402, requests_per_minute: 6_490 }[metric] ?? 1;
  const points = [];
  for (let time = start; time <= end; time += 10_000)
    points.push({
      time: new Date(time).toISOString(),
      value: (end - time) / 1_000 > young ? null : base * (1 + 0.12 * Math.sin(time / 90_000)),
    });
  return { metric, points };
}
