//! PagerDuty by the Events API v2: `trigger` opens an incident, `acknowledge` and `resolve` follow it; the alert's id is the `dedup_key`, so
//! that what is sent twice is one incident. Specification: developer.pagerduty.com "Send an event to PagerDuty".
use std::sync::Arc;

use serde_json::{Value, json};

use crate::record::{Alert, AlertState, Severity};

use super::notification::cut;
use super::post::Receiver;
use super::{ChannelTransport, ChannelType, DeliveryError, Notification, below, check_url};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "pagerduty",
    needs: &["routing_key"],
    takes: &["url"],
    takes_acknowledgements: true,
    sums_up: false,
    check: check_url,
    open: |options, timeout| {
        let key = options.routing_key.clone().unwrap_or_default();
        let url = below(options.url.as_deref().unwrap_or(SERVICE), "/v2/enqueue");
        Arc::new(PagerDuty { receiver: Receiver::new(&url, Some(&key), timeout), key })
    },
};

/// Of accounts in the United States; those in Europe have another.
const SERVICE: &str = "https://events.pagerduty.com";
/// Characters that a summary may have.
const SUMMARY: usize = 1_024;

struct PagerDuty {
    receiver: Receiver,
    key: String,
}

impl ChannelTransport for PagerDuty {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        self.receiver.post_json(&event(notification, &self.key))
    }
}

/// The event.
pub(super) fn event(notification: &Notification, key: &str) -> Value {
    let Alert { alert_id, state, .. } = &notification.alert;
    let action = match state {
        AlertState::Resolved => "resolve",
        AlertState::Acknowledged => "acknowledge",
        _ => return trigger(notification, key),
    };
    json!({"routing_key": key, "event_action": action, "dedup_key": alert_id})
}

fn trigger(notification: &Notification, key: &str) -> Value {
    let Alert { alert_id, message, severity, scope, rule, kind_name, metric, value, threshold, origin, .. } = &notification.alert;
    let severity = match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    let source = if notification.sender.host.is_empty() { "perfmon" } else { &notification.sender.host };
    let link = notification.link();
    json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": alert_id,
        "client": "perfmon",
        "client_url": link,
        "links": link.iter().map(|link| json!({"href": link, "text": "perfmon"})).collect::<Vec<_>>(),
        "payload": {
            "summary": cut(message, SUMMARY),
            "source": source,
            "severity": severity,
            "timestamp": notification.alert.fired_at.unwrap_or(notification.alert.started_at),
            "component": scope,
            "group": origin.service,
            "class": rule,
            "custom_details": {"rule": rule, "type": kind_name, "metric": metric, "value": value, "threshold": threshold, "scope": scope},
        },
    })
}
