//! All caps of the program: what grows, how far, and what is evicted on overflow (always the longest idle, counted).

/// Connections that `track` keeps; an idle HTTP connection costs about 800 bytes.
pub const CONNECTIONS: usize = 65_536;
/// Open connections of all targets that are counted; with more their number is not known.
pub const OPEN_CONNECTIONS: usize = 262_144;
/// Connections that ended since the kernel's table of connections was last taken, in case that it still has them; the older half goes.
pub const ENDED_CONNECTIONS: usize = 49_152;
/// Bytes of unfinished messages: heads in pieces, bodies of model calls, plaintext without a socket, pipelined requests. One process has half
/// of them at most.
pub const UNFINISHED_BYTES: usize = 32 << 20;
/// A connection without events is forgotten after this time, unless an exchange is in flight.
pub const CONNECTION_IDLE_NS: u64 = 600 * 1_000_000_000;
/// A connection that the peer reset ends after this time, when the process did not close it before: what it had under way was told.
pub const RESET_GRACE_NS: u64 = 1_000_000_000;
/// Requests under way that gauges list.
pub const IN_FLIGHT: usize = 1_000;
/// Endpoints of a service; the rest is counted in one overflow row.
pub const ENDPOINTS_PER_SERVICE: usize = 500;
/// Of these, endpoints of which no request was answered below 400 so far.
pub const UNPROVEN_ENDPOINTS: usize = 50;
/// Of these, endpoints that have a row at their first request; with more a path must come again to have one.
pub const UNPROVEN_AT_ONCE: usize = 10;
/// Services.
pub const SERVICES: usize = 1_000;
/// Processes with a stored description.
pub const PROCESSES: usize = 16_384;
/// Records that `/api/v1/records` can show.
pub const RECENT_RECORDS: usize = 10_000;
/// Records that wait in one queue between stages; a second of a busy host.
pub const QUEUED_RECORDS: usize = 32_768;
/// Batches that wait between capture and aggregate.
pub const BATCH_QUEUE: usize = 1_024;
/// Batches that wait for one consumer of records.
pub const CONSUMER_QUEUE: usize = 256;
/// Former files of records that are kept beside the one that is written.
pub const ROTATED_FILES: u32 = 3;
/// Findings kept open.
pub const FINDINGS: usize = 200;
/// Cached container names; the cache is cleared when full.
pub const CONTAINER_NAMES: usize = 4_096;
/// Records of each kind but `request`, kept in addition to `RECENT_RECORDS`.
pub const RECENT_PER_KIND: usize = 2_000;
/// Rows of a list of the API.
pub const LIST_ITEMS: usize = 10_000;
/// Series of each kind of request in `/metrics`. A service has as many as are still free, so half at most (`aggregate::Quota`); the rest is
/// counted in its overflow series.
pub const METRIC_SERIES: usize = 5_000;
/// Clients of `/api/v1/stream`.
pub const STREAM_CLIENTS: usize = 32;
/// Slow and failed requests that a client of the stream can follow.
pub const FOLLOWED_RECORDS: usize = 100;
/// Findings and alerts that a client of the stream may be behind before it is disconnected.
pub const STREAM_BACKLOG: usize = 64;
/// Service names that processes of a user, other than root, take from their environment.
pub const SERVICE_NAMES_PER_USER: usize = 256;
/// The same of the processes of a control group.
pub const SERVICE_NAMES_PER_CGROUP: usize = 256;
/// Users, and control groups, whose number of such names is kept.
pub const NAMING_GROUPS: usize = 1_024;
/// Bytes that the kernel keeps for a client of the HTTP server that does not read (it doubles them for its own use).
pub const HTTP_SEND_BUFFER: usize = 64 * 1024;
/// Lookups of the users of new connections at once; each may wait half a second for the kernel.
pub const HTTP_LOOKUPS: usize = 8;
/// Connections to the HTTP server.
pub const HTTP_CONNECTIONS: usize = 256;
/// Of those, of one user or address that is not admitted.
pub const HTTP_CONNECTIONS_EACH: usize = 32;
/// Further connections, on which only health and metrics are served: of all admitted callers, and of all others.
pub const HTTP_RESERVED: usize = 32;
/// Of those, of one user or address.
pub const HTTP_RESERVED_EACH: usize = 4;
/// Messages of the log that the live screen keeps.
pub const SCREEN_MESSAGES: usize = 100;
/// Seconds of which the live screen keeps the graphs' figures.
pub const SCREEN_SAMPLES: usize = 3_600;
/// Plain bytes of the coded bodies of model calls on one connection before the ratio applies.
pub const CODED_FREE_BYTES: u64 = 1 << 20;
/// Most plain bytes for one coded byte; texts stay below 50.
pub const CODED_RATIO: u64 = 100;
/// CPU time that such bodies may cost before the price of a byte applies.
pub const CODED_FREE_NS: u64 = 20_000_000;
/// CPU time that a byte of either side of a coding may cost; decoding and reading take below 20 ns.
pub const CODED_NS_A_BYTE: u64 = 200;
/// Model calls in flight whose bodies are scanned, each below 64 KiB; further ones are recorded as requests only.
pub const LLM_CALLS: usize = 4_096;
/// Of those, on one connection.
pub const LLM_CALLS_PER_CONNECTION: usize = 128;
/// Processes whose model calls are grouped into agent runs.
pub const AGENT_PROCESSES: usize = 256;
/// Conversations of such a process, about 500 bytes each; on overflow the run of the longest idle one counts as abandoned.
pub const AGENT_CONVERSATIONS: usize = 256;
/// Inbound requests under way in one process that may turn out to call a model.
pub const AGENT_INBOUND: usize = 4_096;
/// Inbound requests under way in one process to which its calls may belong; the oldest is forgotten.
pub const LINK_INBOUND: usize = 1_024;
/// A request of which the end was not seen is forgotten after this time.
pub const LINK_IDLE_NS: u64 = 600 * 1_000_000_000;
/// Connection pools: processes by whom they call; connections beyond them are in none.
pub const POOLS: usize = 1_024;
/// Interval of the records of pools.
pub const POOL_INTERVAL_NS: u64 = 5 * 1_000_000_000;
/// A run without further calls is abandoned after this time.
pub const AGENT_IDLE_NS: u64 = 600 * 1_000_000_000;
/// A run whose last call failed counts as failed after this time without another attempt.
pub const AGENT_RETRY_NS: u64 = 60 * 1_000_000_000;
/// Destinations of all services, shared by the rule of `METRIC_SERIES`; the rest is counted in one row `(other)` a service.
pub const DESTINATIONS: usize = 1_000;
/// Rows of models, agents, tools and workflows, each, shared likewise; the rest is counted in one row `(other)` a service.
pub const WORK_ROWS: usize = 500;
/// Rows of queries in the aggregate; further ones of a service share a row.
pub const QUERY_ROWS: usize = 2_000;
/// Rows of names that services ask for; further ones of a service share a row.
pub const NAME_ROWS: usize = 1_000;
/// Cached endpoints of paths, the same number for the client side, on a host with many paths; a path overwrites another one.
pub const PATHS_REMEMBERED: usize = 16_384;
/// Names of addresses that processes call, and as many that they asked for; all are forgotten when there are more.
pub const PEER_NAMES: usize = 4_096;
/// Longest cached path.
pub const PATH_REMEMBERED_BYTES: usize = 256;
/// Segments of an endpoint; the rest of a path is `{rest}`.
pub const ENDPOINT_SEGMENTS: usize = 16;
/// Exchanges of one second in the sweep for concurrency.
pub const INTERVALS: usize = 65_536;
/// Reported file systems.
pub const FILE_SYSTEMS: usize = 64;
/// Reported network interfaces.
pub const INTERFACES: usize = 64;
/// Sliding windows that alert rules look at: by kind of record and length.
pub const RULE_WINDOWS: usize = 64;
/// Alert rules of a configuration.
pub const ALERT_RULES: usize = 10_000;
/// Of these judged in one second; more are judged in turns.
pub const RULES_AT_ONCE: usize = 1_000;
/// Alerts that are open at once; a further one is refused and counted.
pub const ALERTS_OPEN: usize = 1_000;
/// Alerts that are over and still listed.
pub const ALERTS_RESOLVED: usize = 100;
/// Readings of alert rules on spikes, forecasts and absence of which earlier values are kept, about 4 KB each.
pub const ALERT_BASELINES: usize = 4_096;
/// Rules and scopes of which the last firings are known.
pub const ALERTS_FLAPPING: usize = 1_000;
/// Silences at once.
pub const SILENCES: usize = 100;
/// Matchers of one silence.
pub const SILENCE_MATCHERS: usize = 16;
/// Stored silences, those that were ended early included, that are looked through at the start.
pub const SILENCES_STORED: usize = 10_000;
/// Notifications queued for one channel; a further one is refused and counted.
pub const CHANNEL_QUEUE: usize = 64;
/// Notifications that a channel is known to have accepted, so that none is sent again.
pub const CHANNEL_REMEMBERED: usize = 256;
/// Series of the history on disk, shared likewise, each kind of a service apart; the rest is added up in one series `(other)` a service.
pub const STORE_SERIES: usize = 20_000;
/// Series that may count in one second, overflow series aside; further ones are counted in one series `(other)` a service.
pub const SERIES_IN_DELTA: usize = 8_192;
/// Details of series (status, failure, method) that one delta tells apart beyond the first of each series; further ones are counted as mixed.
pub const DETAILS_IN_DELTA: usize = 8_192;
/// Details of one series among them.
pub const DETAILS_OF_SERIES: usize = 64;
/// Series in one sliding window of alert rules; further ones are counted in one series `(other)`.
pub const SERIES_RECENT: usize = 4_096;
/// Business metrics of a configuration; more are an error of the configuration.
pub const CUSTOM_METRICS: usize = 64;
/// Definitions of business metrics since the start, over reloads; more are an error of the configuration.
pub const CUSTOM_METRICS_KNOWN: usize = 256;
/// Series of a business metric; what comes later is counted in its overflow series, and in `custom_series_overflowed`.
pub const CUSTOM_SERIES: usize = 200;
/// Cells, and records, that wait for a file that cannot be written; more are dropped and counted.
pub const STORE_PENDING: usize = 20_000;
/// Slow and failed requests and database commands kept one by one of one transaction, about a second.
pub const STORE_REQUESTS: usize = 200;
/// Points of one answer of `/api/v1/history`.
pub const HISTORY_POINTS: u64 = 10_000;
/// Open files of this process, as far as the host allows them.
pub const DESCRIPTORS: u64 = 16_384;
/// Different TLS libraries that are probed; the owner with most makes room.
pub const TLS_LIBRARIES: usize = 512;
/// Of these, files of one owner.
pub const TLS_LIBRARIES_AN_OWNER: usize = 256;
/// Processes that are noted as users of one TLS library.
pub const TLS_LIBRARY_USERS: usize = 1_024;
/// A TLS library's file that is larger is not read.
pub const TLS_LIBRARY_BYTES: u64 = 32 << 20;
/// Files that go by a TLS library's name in one process.
pub const TLS_LIBRARIES_A_PROCESS: usize = 8;
/// Text of one process's maps that is read.
pub const MAPS_BYTES: u64 = 8 << 20;
/// TLS objects whose socket is known or being looked for.
pub const TLS_OBJECTS: usize = 65_536;
/// Bytes that the kernel captures of one call of a TLS library at most.
pub const TLS_CALL_BYTES: u64 = 256 * 1024;
/// Plaintext that waits for its socket, and again writes that wait for their send: bytes of one connection. A body of 256 KiB in one call
/// and what stands before it fit; what does not is counted as missing.
pub const TLS_HELD_BYTES: usize = 512 * 1024;
/// Writes of a thread that wait for the send that carries them.
pub const TLS_WRITES_WAITING: usize = 64;
/// Writes of a connection that wait for their send one by one; further ones are added up.
pub const TLS_WRITES_UNSENT: usize = 4_096;
/// Series of telemetry in one interval, shared by the same rule, each kind of a service apart; the rest is counted in one overflow series of
/// its kind and process.
pub const EXPORT_SERIES: usize = 5_000;
/// Processes with their own telemetry in one interval, shared by the same rule; the rest is counted for its service without a process, or
/// for a service `(other)`.
pub const EXPORT_PROCESSES: usize = 1_000;
/// Spans of two seconds of telemetry; the rest is left out and counted.
pub const EXPORT_SPANS: usize = 10_000;
/// Of these, spans of requests that are not model calls.
pub const EXPORT_REQUEST_SPANS: usize = 4_000;
/// Of these, spans of database commands: there may be many for each request.
pub const EXPORT_COMMAND_SPANS: usize = 2_000;
/// Alerts and findings whose last exported state is kept, so that each state is exported once.
pub const EXPORT_TOLD: usize = 10_000;
/// Workers that hang in reading a file of another process; from then on such files are not read until one of them ends.
pub const STUCK_WORKERS: usize = 16;
/// Of these, because of processes of one user.
pub const STUCK_WORKERS_PER_USER: usize = 2;
/// Questions that wait for the inspector; a further one is counted and asked again later.
pub const QUESTIONS: usize = 4_096;
/// Questions and answers on their way between the capture thread and the inspector, each.
pub const INSPECTOR_QUEUE: usize = 1_024;
/// Records that wait until their process is described or judged.
pub const PARKED_RECORDS: usize = 65_536;
/// Of these, of one process.
pub const PARKED_RECORDS_PER_PROCESS: usize = 16_384;
/// Bytes of all of them, about.
pub const PARKED_BYTES: usize = 32 << 20;
/// A record waits no longer than this.
pub const PARKED_NS: u64 = 2 * 1_000_000_000;
/// Programs that a process left by executing another one, and whose records may still come.
pub const FORMER_PROGRAMS: usize = 1_024;
