// The answers of perfmon's HTTP API as this page reads them. Names are those of the API; `null` is "not known", and a field that may
// be absent belongs to a capability that this perfmon does not have.

/** The windows over which perfmon aggregates. */
export type Window = "1m" | "5m" | "1h";
export const WINDOWS: readonly Window[] = ["1m", "5m", "1h"];

type Num = number | null;

/** A list route's answer. */
export interface List<T> {
  window_s?: number | null;
  total: number;
  items: T[];
}

export interface Latency {
  mean_ms: Num;
  p50_ms: Num;
  p95_ms: Num;
  p99_ms: Num;
  max_ms: Num;
}

export interface Categories {
  fast: number;
  moderate: number;
  slow: number;
}

/** Number of failed exchanges by class, `status_5xx`, `client_closed`, … */
export type ErrorClasses = Record<string, number>;

export interface Correlation {
  ok_mean_ms: Num;
  error_mean_ms: Num;
  slow_error_rate: Num;
  fast_error_rate: Num;
}

export type Indicator = "green" | "yellow" | "red";

/** `GET /health/performance`. */
export interface Health {
  status: "healthy" | "degraded" | "unhealthy";
  timestamp: string;
  performance_metrics: {
    avg_response_time: Num;
    error_rate: Num;
    memory_percent: Num;
    cpu_percent: Num;
    avg_agent_time: Num;
    active_connections: Num;
    requests_per_minute: Num;
  };
  health_indicators: { response_time: Indicator; error_rate: Indicator; resource_usage: Indicator; agent_performance: Indicator };
  recommendations: string[];
}

/** `GET /api/v1/summary`. */
export interface Summary extends Latency {
  time: string;
  requests: number;
  errors: number;
  error_rate: Num;
  requests_per_minute: Num;
  rate_now_per_second?: Num;
  rate_peak_per_second?: Num;
  concurrency_peak?: Num;
  active_connections?: Num;
  completeness?: Num;
  llm_calls?: Num;
  input_tokens?: Num;
  output_tokens?: Num;
  agent_runs?: Num;
  tool_calls?: Num;
  cost_usd?: Num;
  alerts_firing?: Num;
}

/** A row of `GET /api/v1/endpoints`. */
export interface Endpoint extends Latency {
  service: string;
  method: string;
  endpoint: string;
  count: number;
  errors: number;
  error_rate: Num;
  requests_per_minute: Num;
  rate_now_per_second: Num;
  rate_peak_per_second: Num;
  ttfb_p50_ms: Num;
  ttfb_p95_ms: Num;
  queue_p50_ms: Num;
  queue_p95_ms: Num;
  queue_mean_ms: Num;
  stream_p50_ms: Num;
  stream_p95_ms: Num;
  stream_max_ms: Num;
  request_size_mean_bytes: Num;
  response_size_mean_bytes: Num;
  categories: Categories;
  error_classes: ErrorClasses;
  correlation: Correlation;
  share_of_time: Num;
  concurrency_peak: Num;
  in_flight: Num;
  oldest_in_flight_ms: Num;
  completeness: Num;
  /** What its requests called; null where their process calls nobody. */
  downstream: Downstream | null;
}

/** Calls for each request of an endpoint, of those requests of which all calls are known. */
export interface Downstream {
  requests: number;
  requests_unsure: number;
  db_calls_per_request: Num;
  db_ms_per_request: Num;
  http_calls_per_request: Num;
  http_ms_per_request: Num;
  llm_calls_per_request: Num;
  llm_ms_per_request: Num;
  repeated: { requests: number; query: string; calls: number } | null;
}

/** A row of `GET /api/v1/destinations`. */
export interface Destination extends Latency {
  service: string;
  destination: string;
  count: number;
  errors: number;
  error_rate: Num;
  availability: Num;
  requests_per_minute: Num;
  completeness: Num;
  ttfb_p95_ms: Num;
  connects: number;
  connect_p95_ms: Num;
  tls_p95_ms: Num;
  dns_p95_ms: Num;
  round_trip_ms: Num;
  segments: number;
  retransmits: number;
  retransmit_rate: Num;
  retries: number;
}

/** A row of `GET /api/v1/dns`: questions of a service for a name. */
export interface NameAsked extends Latency {
  service: string;
  name: string;
  qtype: string;
  count: number;
  errors: number;
  error_rate: Num;
  rcodes: Record<string, number>;
  attempts: number;
  search_misses: number;
  requests_per_minute: number;
}

/** A row of `GET /api/v1/metrics`: a business metric. */
export interface BusinessMetric {
  metric: string;
  definition: string;
  unit: string | null;
  series: { labels: Record<string, string>; value: Num; count: number }[];
}

/** A row of `GET /api/v1/databases`: commands that are alike. */
export interface Query extends Latency {
  service: string;
  side: "client" | "server";
  system: string;
  destination: string | null;
  database: string | null;
  operation: string | null;
  target: string | null;
  /** Literals are replaced; null where a statement's text is not known. */
  query: string | null;
  query_id: string | null;
  count: number;
  errors: number;
  error_rate: Num;
  requests_per_minute: Num;
  rows: Num;
  time_total_ms: Num;
  completeness: Num;
}

/** Whose record it is. */
export interface Origin {
  time: string;
  pid: number;
  comm: string;
  service: string;
  container: string | null;
}

/** A row of `GET /api/v1/pools`: the latest interval of a connection pool. */
export interface Pool extends Origin {
  destination: string;
  system: string;
  open: number;
  in_use: number;
  idle: number;
  peak_in_use: number;
  size: number;
  uses: number;
  use_time_p95_ms: Num;
  saturated: boolean;
  silent_in_use_ms: Num;
}

/** A row of `GET /api/v1/processes`. */
export interface Process extends Origin {
  cpu_percent: Num;
  memory_rss_bytes: Num;
  memory_percent: Num;
  memory_growth_bytes_per_hour: Num;
  threads: Num;
  open_files: Num;
  connections: Num;
  read_bytes: Num;
  write_bytes: Num;
  run_queue_wait_ms: Num;
  blocked_io_ms: Num;
  uptime_s: Num;
  runtime: string | null;
  leak: "suspected" | "growing" | null;
  interval_ms: number;
}

export interface Disk {
  mount: string;
  used_percent: number;
  free_bytes: number;
  full_in_s: Num;
}

export interface Network {
  name: string;
  rx_bytes: number;
  tx_bytes: number;
}

/** `GET /api/v1/system`: the newest sample (null before the first) and the samples of the window, oldest first. */
export interface SystemAnswer {
  latest: System | null;
  /** Absent on the stream. */
  trend?: { time: string; cpu_percent: Num; memory_percent: Num }[];
}

/** A sample of the host. */
export interface System extends Origin {
  cpu_percent: Num;
  memory_percent: Num;
  memory_available_bytes: Num;
  swap_percent: Num;
  load_1m: Num;
  disks: Disk[];
  network: Network[];
  psi: { cpu: Num; memory: Num; io: Num } | null;
  interval_ms: number;
}

/** A row of `GET /api/v1/llm`. */
export interface Model extends Latency {
  service: string;
  /** `client`: the service asked; `server`: it answered. */
  side: "client" | "server";
  provider: string;
  request_model: string | null;
  destination: string | null;
  calls: number;
  errors: number;
  /** Those of the errors that the provider's rate limit refused (429). */
  rate_limited: number;
  error_rate: Num;
  input_tokens: Num;
  output_tokens: Num;
  cache_read_tokens: Num;
  cost_usd: Num;
  /** Calls that the cost lacks; refused ones cost nothing. */
  unpriced_calls: number;
  ttft_p50_ms: Num;
  ttft_p95_ms: Num;
}

/** A row of `GET /api/v1/agents`. */
export interface Agent extends Latency {
  service?: string | null;
  agent_type: string | null;
  count: number;
  errors: number;
  abandoned?: number;
  llm_calls: Num;
  tools_called: Num;
  tokens_used: Num;
  cost_usd: Num;
}

/** A row of `GET /api/v1/tools`. */
export interface Tool extends Latency {
  service?: string | null;
  tool_name: string;
  source: string | null;
  server: string | null;
  count: number;
  errors: number;
}

/** A row of `GET /api/v1/workflows`. */
export interface Workflow extends Latency {
  service?: string | null;
  workflow_name: string;
  count: number;
  errors: number;
  agents: Num;
  llm_calls: Num;
  tools_called: Num;
  tokens_used: Num;
  cost_usd: Num;
}

export type Severity = "info" | "warning" | "critical";

/** A row of `GET /api/v1/findings`. */
export interface Finding extends Origin {
  finding_id: string;
  type: string;
  severity: Severity;
  scope: string;
  message: string;
  first_seen: string;
  last_seen: string;
  open?: boolean;
}

export type AlertState = "pending" | "firing" | "acknowledged" | "resolved" | "silenced";

/** A row of `GET /api/v1/alerts`: an alert, or one change of its state. */
export interface Alert {
  time: string;
  alert_id: string;
  rule: string;
  type: string;
  severity: Severity;
  state: AlertState;
  message: string;
  metric: string;
  scope: string;
  value: Num;
  threshold: Num;
  acknowledged_by?: string | null;
  resolved_by?: string | null;
  notified?: { channel: string; ok: boolean; error: string | null }[];
}

/** A row of `GET /api/v1/records?kind=request`, as far as the table shows it. */
export interface RequestRecord {
  time: string;
  service: string;
  side: "server" | "client";
  method: string | null;
  path: string | null;
  destination: string | null;
  peer: string;
  status_code: Num;
  error: string | null;
  response_time_ms: Num;
  time_to_first_byte_ms: Num;
  queue_time_ms: Num;
  streaming: boolean;
  span_id: string;
}

/** Any record of `GET /api/v1/records`: names and values as in docs/records.md. */
export type AnyRecord = Record<string, unknown> & { kind: string; time: string };

/** What was lost, in all and by reason. */
export interface Losses {
  total: number;
  by_reason: Record<string, number>;
}

export interface Probe {
  name: string;
  /** `attached`, `failed`, or `skipped`: not needed here. */
  state: string;
  reason: string | null;
}

export interface Target {
  service: string;
  /** Where the name comes from: `configuration`, `environment`, `container`, `unit`, `program`. */
  service_source?: string | null;
  pid: number;
  runtime: string | null;
  tls: string | null;
  completeness: Num;
  exchanges?: number;
  incomplete?: number;
  missing_bytes?: number;
  events_lost?: number;
  /** Protocols of its connections that are recognised and not read. */
  unread?: string[];
  /** What of it is not seen whatever its traffic: `requests`, `io_uring`, `process`, `service_name`. */
  not_seen?: { part: string; reason: string }[];
}

/** `GET /api/v1/self`. */
export interface Self {
  cpu_percent: Num;
  rss_bytes: Num;
  map_bytes: Num;
  kernel_ns_per_event: Num;
  events_seen: Num;
  events_lost: Losses | null;
  capture_tier: number | string | null;
  probes?: Probe[];
  targets?: Target[];
  store?: Store | null;
  export?: Export[];
}

/** The history on disk. */
export interface Store {
  path: string;
  state: "starting" | "ok" | "degraded";
  /** Why it is degraded. */
  reason?: string;
  bytes: Num;
}

/** How a receiver of telemetry stands with one signal. */
export interface Export {
  target: string;
  signal: string;
  queued: number;
  sent: number;
  refused: number;
  dropped: number;
  last_error: string | null;
}

/** `GET /api/v1/history`. */
export interface History {
  metric: string;
  points: { time: string; value: Num }[];
}
