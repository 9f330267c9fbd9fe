//! Everything that user space loses, cuts or drops is counted here by name; `/api/v1/self`, `/metrics` and `check` show all of them.
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// The counters. One instance for a pipeline and its consumers, shared by reference.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[doc = $doc])+ pub $name: Counter),* }

        impl Counters {
            /// Name, explanation and value of each.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+), self.$name.get())),*]
            }
        }
    };
}

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        if n == 0 {
            return;
        }
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Events taken from the ring or a recording.
    events_seen,
    /// Events that could not be decoded.
    events_undecodable,
    /// Bytes that were lost between two events of a connection (full ring).
    stream_bytes_lost,
    /// Connections forgotten because the table was full.
    connections_evicted,
    /// Connections forgotten because nothing happened for long.
    connections_expired,
    /// Connections with an unknown protocol.
    connections_unparsed,
    /// Connections whose protocol is recognised and not read (HTTP/2).
    connections_unread,
    /// Times a parser lost its position and searched for the next message.
    parser_desyncs,
    /// Heads longer than the limit.
    heads_too_long,
    /// Exchanges that more than the allowed number of pipelined requests pushed out.
    exchanges_evicted,
    /// Answers without a request.
    orphan_responses,
    /// Batches of records dropped because aggregate was behind.
    batches_dropped,
    /// Records dropped because a consumer was behind.
    records_dropped,
    /// Requests of services beyond the limit on endpoints, counted in the overflow row.
    endpoints_overflowed,
    /// Records that went to rows `(other)` because there were too many rows, and findings refused because too many were open.
    rows_overflowed,
    /// Processes forgotten because the table was full.
    processes_evicted,
    /// Questions about processes that had to be asked again later because too many waited.
    inspections_deferred,
    /// Records told before it was known whose they are: their process was described too late or not at all.
    records_undescribed,
    /// Records dropped because too many waited for the decision whether their process is a target.
    records_unjudged,
    /// Requests for a capture mode that took a slot of another connection.
    capture_slots_taken,
    /// Capture policies that came too late: the kernel did not have the socket any more.
    capture_policies_refused,
    /// Requests in the overflow series of `/metrics`, because there were too many different ones.
    metric_series_overflowed,
    /// Clients of the live stream disconnected because they were behind.
    stream_clients_dropped,
    /// Connections to the HTTP server ended because the client did not read its answers.
    http_clients_stalled,
    /// Records not written to the `--jsonl` file, because it could not be written.
    jsonl_records_lost,
    /// Model-call bodies with invalid JSON or an undecodable content coding.
    llm_bodies_broken,
    /// Model calls not followed because too many were under way.
    llm_calls_refused,
    /// Conversations with models forgotten because a process had too many.
    agent_conversations_evicted,
    /// Processes that call models forgotten because there were too many.
    agent_processes_evicted,
    /// Inbound requests not linked to model calls because too many were under way.
    agent_inbound_evicted,
    /// Alerts that did not open because too many were open.
    alerts_refused,
    /// Notifications dropped because the queue of their channel was full.
    notifications_dropped,
    /// Notifications that a channel did not accept after all attempts.
    notifications_failed,
    /// Records that are not in the history on disk because its queue was full or the file could not be written.
    store_dropped,
    /// Cells and records removed from the history on disk before their time because the file was full.
    store_pruned,
    /// Slow and failed requests not kept one by one because there were too many; they are in the figures.
    store_requests_skipped,
    /// Cells of the history on disk that could not be read and were replaced.
    store_cells_damaged,
    /// Connections that were recognised as TLS.
    tls_connections,
    /// TLS objects forgotten because there were too many.
    tls_objects_evicted,
    /// Bytes of plaintext that could not be assigned to a connection.
    tls_bytes_unplaced,
    /// Bytes of plaintext that were captured and not kept, because too much waited for its connection or its send.
    tls_bytes_cut,
    /// Records missing in telemetry because the exporter was behind.
    export_records_lost,
    /// Requests not sent as spans: ordinary ones beyond `export.span_rate`, and any beyond the limit.
    export_spans_left_out,
    /// Records that went to overflow series of telemetry, because there were too many different ones.
    export_series_overflowed,
    /// Spans, points and log records dropped because too many waited for delivery.
    export_items_dropped,
    /// Spans, points and log records that a receiver refused for good.
    export_items_refused,
}
