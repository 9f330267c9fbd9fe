//! `n_plus_one`: within one request the same database command comes again and again, mostly once for each row of a former one. The finding
//! names endpoint and command; it is about requests of which the calls are known (`link`).
use super::{Detection, Detector, Steadiness};
use crate::aggregate::snapshot::{EndpointRow, Snapshot, Window};
use crate::record::{REPEATED_CALLS, Severity};

/// Requests with such a command, in five minutes, from which a finding is opened.
const REQUESTS: u64 = 2;

/// The detector.
#[derive(Clone, Copy, Debug)]
pub struct NPlusOne;

impl Detector for NPlusOne {
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection> {
        let Some(view) = snapshot.window(Window::FiveMinutes) else { return Vec::new() };
        let of = |row: &EndpointRow| {
            let repeated = row.downstream.as_ref()?.repeated.as_ref().filter(|repeated| repeated.requests >= REQUESTS)?;
            let service = view.services.iter().find(|service| service.service == row.service)?;
            let scope = format!("{}: {} {}", row.service, row.method, row.endpoint);
            // Unknown when no request had all its calls known.
            let db_ms = row.downstream.as_ref().and_then(|calls| calls.db_ms_per_request);
            let spent = db_ms.map_or(String::new(), |db_ms| format!("; a request spends {db_ms:.1} ms on its database"));
            let message = format!(
                "{} requests to {scope} in the last five minutes sent the same database command {REPEATED_CALLS} times or more each, the last one {} times: {}. One command for all rows is faster{spent}.",
                repeated.requests, repeated.calls, repeated.query,
            );
            Some(Detection {
                kind_name: "n_plus_one",
                scope: scope.into(),
                origin: service.origin.clone()?,
                severity: Severity::Warning,
                message,
                evidence: vec![repeated.span_id.to_string().into()],
                // Five minutes of it, in milliseconds a minute.
                cost: db_ms.unwrap_or(0.0) * repeated.requests as f64 / 5.0,
                steadiness: Steadiness::MEASURED,
            })
        };
        view.endpoints.iter().filter_map(|row| of(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aggregate::snapshot::{DownstreamRow, RepeatedRow, ServiceRow, WindowView};
    use crate::record::{Origin, SpanId};

    fn snapshot(requests: u64, db_ms_per_request: Option<f64>) -> Snapshot {
        let query = "SELECT * FROM item WHERE id = ?".into();
        let repeated = RepeatedRow { requests, query_id: "1f".into(), query, calls: 25, span_id: SpanId(0xab) };
        let downstream = DownstreamRow { db_ms_per_request, repeated: Some(repeated), ..DownstreamRow::default() };
        let endpoint = EndpointRow {
            service: "shop".into(),
            method: "GET".into(),
            endpoint: "/cart".into(),
            downstream: Some(downstream),
            ..EndpointRow::default()
        };
        let service = ServiceRow { service: "shop".into(), origin: Some(Arc::new(Origin::unknown(7))), ..ServiceRow::default() };
        let view = WindowView {
            window_s: Window::FiveMinutes.seconds(),
            services: vec![Arc::new(service)],
            endpoints: vec![Arc::new(endpoint)],
            ..WindowView::default()
        };
        Snapshot { windows: vec![view], ..Snapshot::default() }
    }

    #[test]
    fn the_endpoint_and_its_command_are_named() {
        let detections = NPlusOne.judge(&snapshot(REQUESTS, Some(12.5)));
        assert_eq!(detections.len(), 1);
        assert_eq!(&*detections[0].scope, "shop: GET /cart");
        assert_eq!(&*detections[0].evidence[0], "00000000000000ab");
        for part in ["2 requests", "25 times", "SELECT * FROM item WHERE id = ?", "12.5 ms"] {
            assert!(detections[0].message.contains(part), "{part} in {}", detections[0].message);
        }
    }

    #[test]
    fn a_time_that_is_not_known_is_not_told() {
        let message = &NPlusOne.judge(&snapshot(REQUESTS, None))[0].message;
        assert!(message.ends_with("One command for all rows is faster."), "{message}");
    }

    #[test]
    fn one_request_is_no_habit() {
        assert_eq!(NPlusOne.judge(&snapshot(REQUESTS - 1, Some(12.5))), []);
        assert_eq!(NPlusOne.judge(&Snapshot::default()), []);
    }
}
