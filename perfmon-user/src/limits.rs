//! Every cap of the program in one place: what grows, how far, and what goes first on overflow (always the longest idle, counted).

/// Connections that `track` keeps; a connection without a parser state costs about 400 bytes.
pub const CONNECTIONS: usize = 65_536;
/// Open connections of all targets that are counted; with more their number is not known.
pub const OPEN_CONNECTIONS: usize = 262_144;
/// A connection without any event for so long is forgotten, unless an exchange is under way.
pub const CONNECTION_IDLE_NS: u64 = 600 * 1_000_000_000;
/// Bytes of an HTTP head that a parser buffers at most; a longer head is a protocol error of that exchange.
pub const HEAD_BYTES: usize = 64 * 1024 + 4096;
/// Header fields that are parsed at most; a head with more is a protocol error of that exchange.
pub const HEADERS: usize = 1_024;
/// Exchanges under way on one HTTP/1 connection (pipelining).
pub const PIPELINE: usize = 1_024;
/// Bytes of a path in a record.
pub const PATH_BYTES: usize = 2_048;
/// Requests under way that gauges list.
pub const IN_FLIGHT: usize = 1_000;
/// Endpoints of a service; the rest goes into one overflow row.
pub const ENDPOINTS_PER_SERVICE: usize = 500;
/// Services.
pub const SERVICES: usize = 1_000;
/// Processes whose description is kept.
pub const PROCESSES: usize = 16_384;
/// Records that `/api/v1/records` can show.
pub const RECENT_RECORDS: usize = 10_000;
/// Batches that wait between capture and aggregate.
pub const BATCH_QUEUE: usize = 1_024;
/// Batches that wait for one consumer of records.
pub const CONSUMER_QUEUE: usize = 256;
/// Findings kept open.
pub const FINDINGS: usize = 200;
/// Containers whose name is remembered; all are forgotten when they are more.
pub const CONTAINER_NAMES: usize = 4_096;
/// Records of each kind but `request` that are kept beside `RECENT_RECORDS`.
pub const RECENT_PER_KIND: usize = 2_000;
/// Rows of a list of the API.
pub const LIST_ITEMS: usize = 10_000;
/// Series of each kind of request in `/metrics`; the rest goes into one overflow series.
pub const METRIC_SERIES: usize = 5_000;
/// Clients of `/api/v1/stream`.
pub const STREAM_CLIENTS: usize = 32;
/// Findings and alerts that a client of the stream may be behind before it is disconnected.
pub const STREAM_BACKLOG: usize = 64;
/// Bytes that the kernel keeps for a client of the HTTP server that does not read (it doubles them for its own use).
pub const HTTP_SEND_BUFFER: usize = 64 * 1024;
/// Connections to the HTTP server.
pub const HTTP_CONNECTIONS: usize = 256;
/// Messages of the log that the live screen keeps.
pub const SCREEN_MESSAGES: usize = 100;
/// Model calls under way whose bodies are scanned, each below 64 KiB; a further one is only a request.
pub const LLM_CALLS: usize = 4_096;
/// Of those, on one connection.
pub const LLM_CALLS_PER_CONNECTION: usize = 128;
/// Processes whose model calls are followed as agent runs.
pub const AGENT_PROCESSES: usize = 256;
/// Conversations of such a process, about 500 bytes each; on overflow the longest idle one's run counts as abandoned.
pub const AGENT_CONVERSATIONS: usize = 256;
/// Inbound requests under way in one process that may turn out to call a model.
pub const AGENT_INBOUND: usize = 4_096;
/// A run that nobody goes on with is abandoned.
pub const AGENT_IDLE_NS: u64 = 600 * 1_000_000_000;
/// A run whose last call failed has failed when no other attempt comes.
pub const AGENT_RETRY_NS: u64 = 60 * 1_000_000_000;
/// Destinations of all services; the rest goes into one row `(other)` a service.
pub const DESTINATIONS: usize = 1_000;
/// Rows of models, agents, tools and workflows, each; the rest goes into one row `(other)` a service.
pub const WORK_ROWS: usize = 500;
/// Paths whose endpoint is remembered, and as many for the client side; a path overwrites another one.
pub const PATHS_REMEMBERED: usize = 4_096;
/// Bytes of a path that is remembered.
pub const PATH_REMEMBERED_BYTES: usize = 256;
/// Segments of an endpoint; the rest of a path is `{rest}`.
pub const ENDPOINT_SEGMENTS: usize = 16;
/// Exchanges of one second that the sweep for concurrency looks at.
pub const INTERVALS: usize = 65_536;
/// File systems of the host that are told.
pub const FILE_SYSTEMS: usize = 64;
/// Network interfaces of the host that are told.
pub const INTERFACES: usize = 64;
/// Alerts that are open at once; a further one is refused and counted.
pub const ALERTS_OPEN: usize = 1_000;
/// Alerts that are over and still listed.
pub const ALERTS_RESOLVED: usize = 100;
/// Silences at once.
pub const SILENCES: usize = 100;
/// Pieces of news that wait for one channel; a further one is refused and counted.
pub const CHANNEL_QUEUE: usize = 64;
/// Series of the history on disk; further ones are added up in one series `(other)` a service.
pub const STORE_SERIES: usize = 20_000;
/// Cells, and records, that wait for a file that cannot be written; more are dropped and counted.
pub const STORE_PENDING: usize = 20_000;
/// Slow and failed requests kept one by one of one transaction, about a second.
pub const STORE_REQUESTS: usize = 200;
/// Points of one answer of `/api/v1/history`.
pub const HISTORY_POINTS: u64 = 10_000;
/// Different TLS libraries that are probed.
pub const TLS_LIBRARIES: usize = 256;
/// TLS objects whose socket is known or looked for.
pub const TLS_OBJECTS: usize = 65_536;
/// Plaintext that waits for its socket: bytes of one object, and of all.
pub const TLS_HELD_BYTES: usize = 256 * 1024;
/// See `TLS_HELD_BYTES`.
pub const TLS_HELD_BYTES_IN_ALL: usize = 16 << 20;
/// Writes of a thread that wait for the send that carries them.
pub const TLS_WRITES_WAITING: usize = 64;
/// Series of telemetry of one interval; the rest goes into one overflow series of its kind and process.
pub const EXPORT_SERIES: usize = 5_000;
/// Processes that have telemetry of their own in one interval; the rest goes to a service `(other)`.
pub const EXPORT_PROCESSES: usize = 1_000;
/// Spans of two seconds of telemetry; the rest is left out and counted.
pub const EXPORT_SPANS: usize = 10_000;
/// Of these, spans of requests that are no model calls.
pub const EXPORT_REQUEST_SPANS: usize = 4_000;
/// Alerts and findings whose state is remembered, so that it is told once.
pub const EXPORT_TOLD: usize = 10_000;
