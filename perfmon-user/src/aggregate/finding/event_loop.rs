//! `event_loop_blocked`: requests wait for the application longer than it works on them, because the event loop (or every worker) is busy.
//! The finding is about a service when that is true of all its requests together, else about an endpoint.
use std::sync::Arc;

use super::{Detection, Detector, Steadiness};
use crate::aggregate::snapshot::{EndpointRow, Latency, ServiceRow, Snapshot, Window};
use crate::record::{Origin, Severity, SpanId};

/// Requests of the last minute that are needed.
const REQUESTS: u64 = 20;
/// Share of the mean latency that is waiting.
const PART: f64 = 0.5;
/// 95th percentile of the waiting time from which a finding is opened.
const QUEUE_P95_MS: f64 = 20.0;
/// The same where it is critical.
const CRITICAL_P95_MS: f64 = 1_000.0;

/// The detector.
#[derive(Clone, Copy, Debug)]
pub struct EventLoopBlocked;

impl Detector for EventLoopBlocked {
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection> {
        let Some(minute) = snapshot.window(Window::Minute) else { return Vec::new() };
        let mut detections: Vec<Detection> = minute.services.iter().filter_map(|row| of_service(row)).collect();
        let judged = |service: &Arc<str>, detections: &[Detection]| detections.iter().any(|detection| detection.scope == *service);
        let services = detections.clone();
        for row in minute.endpoints.iter().filter(|row| !judged(&row.service, &services)) {
            let origin = minute.services.iter().find(|service| service.service == row.service).and_then(|service| service.origin.clone());
            detections.extend(origin.and_then(|origin| of_endpoint(row, origin)));
        }
        detections
    }
}

fn of_service(row: &ServiceRow) -> Option<Detection> {
    let waiting = WaitingCalls { count: row.count, latency: &row.latency, mean_ms: row.queue_mean_ms?, p95_ms: row.queue_p95_ms? };
    waiting.detection(row.service.clone(), row.origin.clone()?, &row.slowest_span_ids)
}

fn of_endpoint(row: &EndpointRow, origin: Arc<Origin>) -> Option<Detection> {
    let waiting = WaitingCalls { count: row.count, latency: &row.latency, mean_ms: row.queue_mean_ms?, p95_ms: row.queue_p95_ms? };
    let scope = format!("{}: {} {}", row.service, row.method, row.endpoint);
    waiting.detection(scope.into(), origin, &row.slowest_span_ids)
}

struct WaitingCalls<'a> {
    count: u64,
    latency: &'a Latency,
    mean_ms: f64,
    p95_ms: f64,
}

impl WaitingCalls<'_> {
    fn detection(&self, scope: Arc<str>, origin: Arc<Origin>, evidence: &[SpanId]) -> Option<Detection> {
        let latency_ms = self.latency.mean_ms?;
        if self.count < REQUESTS || self.p95_ms < QUEUE_P95_MS || self.mean_ms < latency_ms * PART {
            return None;
        }
        let message = format!(
            "Requests to {scope} wait {:.1} ms on average (p95 {:.1} ms) before the application reads them, {:.0} % of their mean response time of {latency_ms:.1} ms, over {} requests in the last minute: its event loop or all its workers are busy with something else.",
            self.mean_ms,
            self.p95_ms,
            (self.mean_ms / latency_ms * 100.0).min(100.0),
            self.count,
        );
        Some(Detection {
            kind_name: "event_loop_blocked",
            scope,
            origin,
            severity: if self.p95_ms >= CRITICAL_P95_MS { Severity::Critical } else { Severity::Warning },
            message,
            evidence: evidence.iter().map(|id| id.to_string().into()).collect(),
            cost: self.mean_ms * self.count as f64,
            steadiness: Steadiness::MEASURED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::snapshot::WindowView;

    fn snapshot(service: (u64, f64, f64, f64), endpoint: (u64, f64, f64, f64)) -> Snapshot {
        let latency = |mean| Latency { mean_ms: Some(mean), ..Latency::default() };
        let (count, mean, queue, p95) = service;
        let service = ServiceRow {
            service: "shop".into(),
            origin: Some(Arc::new(Origin::unknown(7))),
            count,
            latency: latency(mean),
            queue_mean_ms: Some(queue),
            queue_p95_ms: Some(p95),
            ..ServiceRow::default()
        };
        let (count, mean, queue, p95) = endpoint;
        let endpoint = EndpointRow {
            service: "shop".into(),
            method: "GET".into(),
            endpoint: "/slow".into(),
            count,
            latency: latency(mean),
            queue_mean_ms: Some(queue),
            queue_p95_ms: Some(p95),
            slowest_span_ids: Arc::new([SpanId(0x0123_4567_89ab_cdef)]),
            ..EndpointRow::default()
        };
        let view =
            WindowView { window_s: 60, services: vec![Arc::new(service)], endpoints: vec![Arc::new(endpoint)], ..WindowView::default() };
        Snapshot { windows: vec![view], ..Snapshot::default() }
    }

    const FINE: (u64, f64, f64, f64) = (1_000, 50.0, 1.0, 2.0);

    #[test]
    fn an_endpoint_alone() {
        let detections = EventLoopBlocked.judge(&snapshot(FINE, (20, 120.0, 100.0, 180.0)));
        assert_eq!(detections.len(), 1);
        assert_eq!(&*detections[0].scope, "shop: GET /slow");
        assert_eq!(detections[0].severity, Severity::Warning);
        assert_eq!(detections[0].origin.pid, 7);
        assert_eq!(&*detections[0].evidence[0], "0123456789abcdef");
        for figure in ["100.0 ms", "180.0 ms", "83 %", "120.0 ms", "20 requests"] {
            assert!(detections[0].message.contains(figure), "{figure} in {}", detections[0].message);
        }
    }

    #[test]
    fn the_service_stands_for_its_endpoints() {
        let detections = EventLoopBlocked.judge(&snapshot((400, 1_900.0, 1_500.0, 2_000.0), (20, 120.0, 100.0, 180.0)));
        assert_eq!(detections.iter().map(|detection| &*detection.scope).collect::<Vec<_>>(), ["shop"]);
        assert_eq!(detections[0].severity, Severity::Critical);
    }

    #[test]
    fn below_any_limit_is_nothing() {
        for endpoint in [(19, 120.0, 100.0, 180.0), (20, 120.0, 59.0, 180.0), (20, 20.0, 18.0, 19.9)] {
            assert_eq!(EventLoopBlocked.judge(&snapshot(FINE, endpoint)), []);
        }
        assert_eq!(EventLoopBlocked.judge(&Snapshot::default()), []);
    }
}
