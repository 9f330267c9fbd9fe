//! Prometheus Alertmanager: alerts by `POST /api/v2/alerts`. Its identity of an alert is the set of labels, so nothing that changes stands
//! there. Alertmanager ends what is not sent again; perfmon says how long an alert holds. Specification: Alertmanager's api/v2/openapi.yaml.
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::record::{Alert, WallTime};

use super::post::Receiver;
use super::{ChannelTransport, ChannelType, DeliveryError, Notification, below, check_url};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "alertmanager",
    needs: &["url"],
    takes: &[],
    takes_acknowledgements: false,
    sums_up: false,
    check: check_url,
    open: |options, timeout| {
        let url = below(options.url.as_deref().unwrap_or_default(), "/api/v2/alerts");
        Arc::new(Alertmanager(Receiver::new(&url, None, timeout)))
    },
};

/// How long a firing alert holds there when perfmon does not end it.
const HOLDS: Duration = Duration::from_secs(24 * 3_600);

struct Alertmanager(Receiver);

impl ChannelTransport for Alertmanager {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        self.0.post_json(&alerts(notification))
    }
}

/// The list with the one alert.
pub(super) fn alerts(notification: &Notification) -> Value {
    let Alert { alert_id, rule, kind_name, severity, message, scope, origin, time, started_at, .. } = &notification.alert;
    let ends = if notification.is_over() { *time } else { WallTime(time.0.saturating_add(HOLDS.as_nanos() as u64)) };
    let mut alert = json!({
        "labels": {
            "alertname": rule,
            "severity": severity,
            "type": kind_name,
            "scope": scope,
            "service": origin.service,
            "instance": notification.sender.host,
        },
        "annotations": {"summary": notification.title(), "description": message, "alert_id": alert_id},
        "startsAt": started_at,
        "endsAt": ends,
    });
    if let Some(link) = notification.link() {
        alert["generatorURL"] = link.into();
    }
    json!([alert])
}
