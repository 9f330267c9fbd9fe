//! Destination rows: one external service as the clients of one service on this host see it.
use std::sync::Arc;

use super::dns::NameSeries;
use super::tcp::TcpSeries;
use super::{WindowContext, other};
use crate::aggregate::exchange::{CONNECT, HANDSHAKE, HttpSeries, TTFB, mean_ms, ms, quantile_ms, ratio};
use crate::aggregate::figures::Quantiles;
use crate::aggregate::snapshot::{DestinationRow, Window};
use crate::record::kind::RecordKind;
use crate::record::{Request, SeriesKey, Side, Tcp, address};

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

    /// Of what TCP did for it.
    pub fn of_tcp(tcp: &Tcp) -> Self {
        Self { service: tcp.origin.service.clone(), destination: tcp.destination.clone() }
    }

    /// Who asks, and the name of the host that is asked: what the resolver was asked for.
    pub fn host(&self) -> (&str, &str) {
        (&self.service, address(&self.destination).0)
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

/// What is known of a destination beside its exchanges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// Its connections.
    pub tcp: Option<&'a TcpSeries>,
    /// Questions for its name, a row a type.
    pub names: &'a [&'a NameSeries],
}

/// The row of a destination in a window. An attempt failed when it was refused, cut, without an answer in time, or answered by 5xx.
pub fn destination_row(
    key: &DestinationKey,
    row: &HttpSeries,
    around: Surroundings<'_>,
    window: Window,
    view: &WindowContext,
) -> DestinationRow {
    let figures = row.figures(window);
    let tcp = around.tcp.map(|tcp| tcp.figures(window).counts).unwrap_or_default();
    let lookups = || around.names.iter().map(|name| &name.figures(window).spreads[0]);
    // A resolver asks for addresses of both families at once and waits for both.
    let lookup_ms = |pick: fn(&Quantiles) -> u64| lookups().filter_map(|spread| quantile_ms(spread, pick)).reduce(f64::max);
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
        dns_lookups: lookups().map(|spread| spread.count).max().unwrap_or(0),
        dns_p50_ms: lookup_ms(|spread| spread.p50),
        dns_p95_ms: lookup_ms(|spread| spread.p95),
        dns_p99_ms: lookup_ms(|spread| spread.p99),
        round_trip_ms: mean_ms(tcp.round_trip_sum, tcp.round_trips),
        round_trip_max_ms: (tcp.round_trips > 0).then(|| ms(tcp.round_trip_max)),
        segments: tcp.segments,
        retransmits: tcp.retransmits,
        retransmit_rate: ratio(tcp.retransmits, tcp.segments),
        retries: figures.counts.retries,
        completeness: figures.completeness(),
        losses: figures.losses(),
    }
}
