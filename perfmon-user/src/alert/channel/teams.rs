//! Microsoft Teams by a workflow ("Post to a channel when a webhook request is received"): a message with one adaptive card. Specification:
//! learn.microsoft.com "Create incoming webhooks with Workflows", adaptivecards.io schema 1.4.
use std::sync::Arc;

use serde_json::{Value, json};

use crate::record::{AlertState, Severity};

use super::post::Receiver;
use super::{ChannelTransport, ChannelType, DeliveryError, Notification, ReportNotice, Sender, check_url};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "teams",
    needs: &["url"],
    takes: &[],
    takes_acknowledgements: false,
    sums_up: true,
    check: check_url,
    open: |options, timeout| Arc::new(Teams(Receiver::new(options.url.as_deref().unwrap_or_default(), None, timeout))),
};

struct Teams(Receiver);

impl ChannelTransport for Teams {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        self.0.post_json(&body(notification))
    }

    fn send_report(&self, report: &ReportNotice, sender: &Sender) -> Result<(), DeliveryError> {
        self.0.post_json(&report.teams(sender))
    }
}

/// The message.
pub(super) fn body(notification: &Notification) -> Value {
    let color = match (notification.alert.state, notification.alert.severity) {
        (AlertState::Resolved, _) => "good",
        (_, Severity::Critical) => "attention",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "accent",
    };
    let title = plain(&notification.title());
    let facts: Vec<Value> = notification.facts().iter().map(|(name, value)| json!({"title": name, "value": plain(value)})).collect();
    let open = |url: String| json!({"type": "Action.OpenUrl", "title": "Open perfmon", "url": url});
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    {"type": "TextBlock", "text": title, "weight": "bolder", "size": "medium", "color": color, "wrap": true},
                    {"type": "TextBlock", "text": plain(&notification.alert.message), "wrap": true},
                    {"type": "FactSet", "facts": facts},
                ],
                "actions": notification.link().map(open).into_iter().collect::<Vec<_>>(),
            },
        }],
    })
}

/// A card's text is Markdown: brackets would make links.
fn plain(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]")
}
