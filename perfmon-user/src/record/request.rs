//! One HTTP exchange.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Downstream, Millis, Origin, SpanId, WallTime};
use crate::stream::Failure;

/// Which end of the exchange the observed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

impl Side {
    /// As in the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// `fast` ≤ 500 ms < `moderate` ≤ 1,000 ms < `slow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Up to 500 ms.
    Fast,
    /// Up to 1,000 ms.
    Moderate,
    /// More.
    Slow,
}

impl Category {
    /// As in the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Moderate => "moderate",
            Self::Slow => "slow",
        }
    }

    /// The category of a latency.
    pub fn of(latency: Millis) -> Self {
        match latency.0 {
            0..=500_000_000 => Self::Fast,
            500_000_001..=1_000_000_000 => Self::Moderate,
            _ => Self::Slow,
        }
    }
}

/// How far a record can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Every byte that matters was seen.
    Exact,
    /// A part was not seen and follows from the rest; or is unknown (`null`).
    Inferred,
    /// A figure is an estimate.
    Estimated,
}

impl Quality {
    /// As in the records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inferred => "inferred",
            Self::Estimated => "estimated",
        }
    }
}

/// One HTTP exchange; units and meaning as in docs/records.md, `request`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Server: first request byte arrived. Client: first request byte sent.
    pub time: WallTime,
    /// Its process.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Server or client.
    pub side: Side,
    /// `http/1.0` `http/1.1` `h2` `grpc` `websocket`; `tcp` for a connect() that failed.
    pub protocol: &'static str,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Own address, `ip:port` or `unix:…`.
    pub local: Arc<str>,
    /// The other end's address.
    pub peer: Arc<str>,
    /// `Host` header.
    pub host: Option<Arc<str>>,
    /// Client side: the called service, by name if known.
    pub destination: Option<Arc<str>>,
    /// Method; null when the request was not seen.
    pub method: Option<Arc<str>>,
    /// Path without query, at most 2,048 bytes.
    pub path: Option<Arc<str>>,
    /// Template of low cardinality; set by `aggregate`.
    pub endpoint: Option<Arc<str>>,
    /// `User-Agent` header.
    pub user_agent: Option<Arc<str>>,
    /// Status; null when no answer was seen.
    pub status_code: Option<u16>,
    /// Failure below HTTP.
    pub error: Option<Failure>,
    /// Request body as transferred, without chunked framing; null when not known.
    pub request_size: Option<u64>,
    /// Size of the response body.
    pub response_size: Option<u64>,
    /// All bytes of the request on the connection.
    pub request_bytes: u64,
    /// All bytes of the response on the connection, interim answers too.
    pub response_bytes: u64,
    /// First request byte → last response byte; null when the answer was not seen to end.
    pub response_time_ms: Option<Millis>,
    /// The answer's life is not a latency (event stream, NDJSON, upgrade, …).
    pub streaming: bool,
    /// gRPC status 0–16.
    pub grpc_status: Option<u8>,
    /// Server: arrival → the application's first read.
    pub queue_time_ms: Option<Millis>,
    /// How long connect() took: on the first request of a connection that was seen to begin, and on the record of a connect() that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_time_ms: Option<Millis>,
    /// How long a client's TLS handshake took, on the first request of a connection that was seen to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_time_ms: Option<Millis>,
    /// Of a client: how many attempts of the same call failed before it within the request that it serves; absent for a first one, and where
    /// it is not known which request it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_count: Option<u32>,
    /// First request byte → first response byte.
    pub time_to_first_byte_ms: Option<Millis>,
    /// Category of the latency; null when the latency is unknown.
    pub performance_category: Option<Category>,
    /// From `traceparent`, else generated; 32 hex digits.
    pub trace_id: Option<Arc<str>>,
    /// perfmon's id of this exchange; 16 hex digits.
    pub span_id: SpanId,
    /// From `traceparent`; else, client side, the request that the process was serving.
    pub parent_span_id: Option<Arc<str>>,
    /// Client side: how sure it is that it was made for the request `parent_span_id`, when perfmon found that out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Quality>,
    /// Server side, of a process that calls others: what it called for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downstream: Option<Box<Downstream>>,
    /// How far to trust it.
    pub quality: Quality,
    /// Bytes of the exchange that were needed but not captured.
    pub missing_bytes: u64,
    /// WebSocket messages sent, on the record of its end only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_sent: Option<u64>,
    /// WebSocket messages received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_received: Option<u64>,
    /// Status of a WebSocket's close (RFC 6455, section 7.4; 1005: none was given), on the record of its end only; null when it ended
    /// without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_code: Option<u16>,
}

impl Request {
    /// The protocol of a connect() that failed.
    pub const TCP: &'static str = "tcp";

    /// Whether it is a connect() that failed, not an exchange.
    pub fn is_attempt(&self) -> bool {
        self.protocol == Self::TCP
    }

    /// What counts as this exchange's latency: its duration, for a streaming one its first byte.
    pub fn latency(&self) -> Option<Millis> {
        if self.streaming { self.time_to_first_byte_ms } else { self.response_time_ms }
    }

    /// True for an error of the service: a failed exchange, a 5xx (a 4xx is none), or an error status of gRPC.
    pub fn is_error(&self) -> bool {
        if self.error.is_some() || self.status_code.is_some_and(|status| status >= 500) {
            return true;
        }
        match (self.grpc_status, self.side) {
            (Some(status), Side::Client) => status != 0,
            (Some(status), Side::Server) => matches!(status, 2 | 4 | 12 | 13 | 14 | 15),
            (None, _) => false,
        }
    }

    /// Whether totals count it: the record of a WebSocket's end does not count as a request.
    pub fn counts(&self) -> bool {
        self.protocol != "websocket"
    }
}
