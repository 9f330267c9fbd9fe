//! Destination rows: one external service as the clients of one service on this host see it.
use std::sync::Arc;

use super::{WindowContext, other};
use crate::aggregate::exchange::{CONNECT, HANDSHAKE, HttpSeries, TTFB, quantile_ms};
use crate::aggregate::snapshot::{DestinationRow, Window};
use crate::record::kind::RecordKind;
use crate::record::{Request, SeriesKey, Side};

/// Who asks whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationKey {
    service: Arc<str>,
    destination: Arc<str>,
}

impl DestinationKey {
    /// Of a client-side record; without a known name the peer's address is one.
    pub fn new(request: &Request) -> Self {
        Self { service: request.origin.service.clone(), destination: destination(request).clone() }
    }

    /// Addresses of its texts: a key of the record as long as the texts live.
    pub fn addresses(request: &Request) -> (usize, usize) {
        (Arc::as_ptr(&request.origin.service).addr(), Arc::as_ptr(destination(request)).addr())
    }

    /// Its series of requests.
    pub fn series(&self) -> SeriesKey {
        SeriesKey::with(RecordKind::Request, |label| match label {
            "side" => Some(Side::Client.name().into()),
            "service" => Some(self.service.clone()),
            "destination" => Some(self.destination.clone()),
            _ => None,
        })
    }

    /// Whether this service asks.
    pub fn is_of(&self, service: &str) -> bool {
        &*self.service == service
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { service: self.service.clone(), destination: other() }
    }
}

fn destination(request: &Request) -> &Arc<str> {
    request.destination.as_ref().or(request.host.as_ref()).unwrap_or(&request.peer)
}

/// The row of a destination in a window. An attempt failed when it was refused, cut, without an answer in time, or answered by 5xx.
pub fn destination_row(key: &DestinationKey, row: &HttpSeries, window: Window, view: &WindowContext) -> DestinationRow {
    let figures = row.figures(window);
    let error_classes = figures.error_classes();
    let [connect, handshake, ttfb] = [CONNECT, HANDSHAKE, TTFB].map(|index| &figures.spreads[index]);
    DestinationRow {
        service: key.service.clone(),
        destination: key.destination.clone(),
        count: figures.counts.count,
        errors: figures.counts.errors,
        connect_errors: error_classes.connect(),
        error_classes,
        error_rate: figures.error_rate(),
        availability: figures.error_rate().map(|failed| 1.0 - failed),
        requests_per_minute: view.per_minute(figures.estimate()),
        latency: figures.latency(),
        ttfb_p50_ms: quantile_ms(ttfb, |spread| spread.p50),
        ttfb_p95_ms: quantile_ms(ttfb, |spread| spread.p95),
        connects: connect.count,
        connect_p50_ms: quantile_ms(connect, |spread| spread.p50),
        connect_p95_ms: quantile_ms(connect, |spread| spread.p95),
        connect_p99_ms: quantile_ms(connect, |spread| spread.p99),
        tls_handshakes: handshake.count,
        tls_p50_ms: quantile_ms(handshake, |spread| spread.p50),
        tls_p95_ms: quantile_ms(handshake, |spread| spread.p95),
        tls_p99_ms: quantile_ms(handshake, |spread| spread.p99),
        completeness: figures.completeness(),
        losses: figures.losses(),
    }
}
