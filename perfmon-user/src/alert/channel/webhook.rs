//! The webhook: the alert's record as JSON by POST, with `text` for receivers that show a text (Slack, Mattermost, Rocket.Chat), `host` and
//! `link`; or a body by the user's template. With a key, `X-Perfmon-Signature-256` holds the HMAC-SHA256 of the body (RFC 2104) as
//! `sha256=` and hexadecimal digits, so that a receiver knows who sent it. `Idempotency-Key` tells a repeated notification.
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use serde::Serialize;

use crate::record::{Alert, Record};

use super::post::Receiver;
use super::template::Template;
use super::{ChannelOptions, ChannelTransport, ChannelType, DeliveryError, Notification, OptionFault, ReportNotice, Sender, check_url};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "webhook",
    needs: &["url"],
    takes: &["template", "signing_key"],
    takes_acknowledgements: false,
    sums_up: false,
    check,
    open: |options, timeout| Arc::new(Webhook::new(options, timeout)),
};

const SIGNATURE: &str = "x-perfmon-signature-256";
/// Draft "The Idempotency-Key HTTP Header Field" of the IETF.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

struct Webhook {
    receiver: Receiver,
    template: Option<Template>,
    key: Option<hmac::Key>,
}

/// The record and what people read.
#[derive(Serialize)]
struct WebhookBody<'a> {
    #[serde(flatten)]
    record: &'a Record,
    text: String,
    host: &'a str,
    link: Option<String>,
}

fn check(options: &ChannelOptions) -> Vec<OptionFault> {
    let template = options.template.as_deref().and_then(|text| Template::parse(text).err());
    check_url(options).into_iter().chain(template.map(|fault| ("template", fault))).collect()
}

impl Webhook {
    fn new(options: &ChannelOptions, timeout: Duration) -> Self {
        let key = options.signing_key.as_deref();
        Self {
            receiver: Receiver::new(options.url.as_deref().unwrap_or_default(), key, timeout),
            // Checked at the start.
            template: options.template.as_deref().and_then(|text| Template::parse(text).ok()),
            key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())),
        }
    }

    fn body(&self, notification: &Notification) -> Result<Vec<u8>, serde_json::Error> {
        if let Some(template) = &self.template {
            return Ok(template.fill(notification).into_bytes());
        }
        let record = Record::Alert(Box::new(notification.alert.clone()));
        let (text, host, link) = (notification.text(), &*notification.sender.host, notification.link());
        serde_json::to_vec(&WebhookBody { record: &record, text, host, link })
    }
}

impl Webhook {
    fn post(&self, content_type: &str, mut headers: Vec<(&'static str, String)>, body: &[u8]) -> Result<(), DeliveryError> {
        headers.extend(self.key.as_ref().map(|key| (SIGNATURE, format!("sha256={}", hex(hmac::sign(key, body).as_ref())))));
        self.receiver.post(content_type, &headers, body)
    }
}

impl ChannelTransport for Webhook {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        let body = self.body(notification).map_err(|error| DeliveryError::Refused(error.to_string()))?;
        let content_type = self.template.as_ref().map_or("application/json", Template::content_type);
        self.post(content_type, vec![(IDEMPOTENCY_KEY, idempotency_key(&notification.alert))], &body)
    }

    fn send_report(&self, report: &ReportNotice, sender: &Sender) -> Result<(), DeliveryError> {
        self.post("application/json", Vec::new(), report.webhook(sender).to_string().as_bytes())
    }
}

/// The same for each attempt to tell the same, also by a later run.
fn idempotency_key(alert: &Alert) -> String {
    let Alert { alert_id, state, severity, escalation_level, .. } = alert;
    format!("\"{alert_id}-{}-{severity:?}-{escalation_level}\"", state.name()).to_lowercase()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
