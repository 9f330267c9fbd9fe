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
    /// Bytes that passed no hook, found by the socket's own position: reads by io_uring's splice, sends of kernels before 6.5.
    stream_bytes_unseen,
    /// Connections forgotten because the table was full.
    connections_evicted,
    /// Connections forgotten because they were idle for too long.
    connections_expired,
    /// Connections that the kernel's table forgot while they were open, because it was full, and that were used again.
    sockets_evicted,
    /// Connections with an unknown protocol.
    connections_unparsed,
    /// Connections whose protocol is recognised and not read (HTTP/2, Memcached's binary protocol).
    connections_unread,
    /// Times a parser lost its position and searched for the next message.
    parser_desyncs,
    /// Heads longer than the limit.
    heads_too_long,
    /// Times that an unfinished message was not kept because its process, or all of them, held too many bytes; its exchange is incomplete.
    budget_refusals,
    /// Exchanges dropped because a connection had too many pipelined requests.
    exchanges_evicted,
    /// Exchanges told as records of which a part was not seen, whatever the reason; `completeness` is made of them.
    exchanges_incomplete,
    /// Answers without a request.
    orphan_responses,
    /// Batches of records dropped because the aggregation was behind.
    batches_dropped,
    /// Records dropped because a consumer was behind.
    records_dropped,
    /// Requests counted in the overflow row because their service has too many endpoints.
    endpoints_overflowed,
    /// Records of business metrics that were counted in an overflow series.
    custom_series_overflowed,
    /// Records that went to rows `(other)` because there were too many rows, and findings refused because too many were open.
    rows_overflowed,
    /// Processes forgotten because the table was full.
    processes_evicted,
    /// Times that the kernel dropped records of mapped files: a TLS library may have been found late.
    mappings_lost,
    /// Lookups of processes that were postponed because too many were queued.
    inspections_deferred,
    /// Records published before their process was identified: its description came too late or not at all.
    records_undescribed,
    /// Service names that a process gave itself and that were not taken: its user or control group has too many.
    service_names_refused,
    /// Records dropped because too many were waiting to learn whether their process is a target.
    records_unjudged,
    /// Capture modes that took the slot of another connection.
    capture_slots_taken,
    /// Capture policies that came too late: the socket was already closed.
    capture_policies_refused,
    /// Requests counted in the overflow series of `/metrics` because there were too many series.
    metric_series_overflowed,
    /// Clients of the live stream disconnected because they were behind.
    stream_clients_dropped,
    /// Connections to the HTTP server ended because the client did not read its answers.
    http_clients_stalled,
    /// Connections to the HTTP server closed at once because their user or address had too many.
    http_connections_refused,
    /// Records that could not be written to the `--jsonl` destination.
    jsonl_records_lost,
    /// Model-call bodies with invalid JSON or an undecodable content coding.
    llm_bodies_broken,
    /// Model calls not followed because too many were under way.
    llm_calls_refused,
    /// Connections whose coded bodies of model calls are decoded no more: they grew by too much, or cost too much CPU time.
    decoders_given_up,
    /// Conversations with models forgotten because a process had too many.
    agent_conversations_evicted,
    /// Processes that call models forgotten because there were too many.
    agent_processes_evicted,
    /// Inbound requests not linked to model calls because too many were under way.
    agent_inbound_evicted,
    /// Calls that were linked to the request for which they were made.
    calls_linked,
    /// Calls that belong to one of several requests under way, and were linked to none.
    calls_unlinked,
    /// Questions for names of which it is not known what came of them: events were lost, or too many were under way.
    questions_unsure,
    /// Connections of clients that are in no pool because there are too many pools.
    pools_refused,
    /// Inbound requests to which no call can be linked: too many were under way, or their end was not seen.
    link_requests_evicted,
    /// Records whose figures the history on disk does not have, because its writer was behind.
    store_series_lost,
    /// Records that alert rules do not know, because they were behind.
    alert_records_lost,
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
    /// Slow and failed requests, database commands and questions for names not stored individually because there were too many; the totals include them.
    store_requests_skipped,
    /// Cells of the history on disk that could not be read and were replaced.
    store_cells_damaged,
    /// Connections that were recognised as TLS.
    tls_connections,
    /// TLS objects forgotten because there were too many.
    tls_objects_evicted,
    /// Bytes of plaintext that could not be assigned to a connection.
    tls_bytes_unplaced,
    /// Bytes of captured plaintext that were discarded because too much was waiting to be matched to its connection.
    tls_bytes_cut,
    /// Records missing from telemetry because the exporter was behind.
    export_records_lost,
    /// Requests not sent as spans: ordinary ones beyond `export.span_rate`, and any beyond the limit.
    export_spans_left_out,
    /// Records counted in the overflow series of telemetry because there were too many series.
    export_series_overflowed,
    /// Spans, points and log records dropped because too many were queued for delivery.
    export_items_dropped,
    /// Spans, points and log records that a receiver rejected permanently.
    export_items_refused,
}
