//! Slack by an incoming webhook. `text` is what notifications and old clients show; blocks show the message and its facts. Specification:
//! docs.slack.dev "Sending messages using incoming webhooks", "Section block", "Formatting message text" (`&`, `<`, `>` are escaped).
use std::sync::Arc;

use serde_json::{Value, json};

use crate::record::{AlertState, Severity};

use super::notification::cut;
use super::post::Receiver;
use super::{ChannelTransport, ChannelType, DeliveryError, Notification, ReportNotice, Sender, check_url};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "slack",
    needs: &["url"],
    takes: &[],
    takes_acknowledgements: false,
    sums_up: true,
    check: check_url,
    open: |options, timeout| Arc::new(Slack(Receiver::new(options.url.as_deref().unwrap_or_default(), None, timeout))),
};

/// Characters that a section's text may have are 3,000; a message is a sentence.
const TEXT: usize = 2_000;
const FACT: usize = 200;

struct Slack(Receiver);

impl ChannelTransport for Slack {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        self.0.post_json(&body(notification))
    }

    fn send_report(&self, report: &ReportNotice, sender: &Sender) -> Result<(), DeliveryError> {
        self.0.post_json(&report.slack(sender))
    }
}

/// The message.
pub(super) fn body(notification: &Notification) -> Value {
    let sign = match (notification.alert.state, notification.alert.severity) {
        (AlertState::Resolved, _) => ":white_check_mark:",
        (_, Severity::Critical) => ":rotating_light:",
        (_, Severity::Warning) => ":warning:",
        (_, Severity::Info) => ":information_source:",
    };
    let (title, message) = (escaped(&notification.title()), escaped(cut(&notification.alert.message, TEXT)));
    let link = notification.link().map(|link| format!("\n<{}|Open perfmon>", escaped(&link))).unwrap_or_default();
    let fact = |(name, value): &(&str, String)| json!({"type": "mrkdwn", "text": format!("{name}: {}", escaped(cut(value, FACT)))});
    json!({
        "text": format!("{sign} {title}: {message}"),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": format!("{sign} *{title}*\n{message}{link}")}},
            {"type": "context", "elements": notification.facts().iter().map(fact).collect::<Vec<_>>()},
        ],
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
