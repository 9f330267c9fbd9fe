//! Notification channels. In: a [`Notification`]; out: one attempt to deliver it, accepted or refused with the reason. Each type of channel is
//! one file with a [`ChannelTransport`] and one row of [`CHANNEL_TYPES`], which says what its configuration needs. When and how often an attempt is
//! made is decided by `notify`.
mod alertmanager;
mod attempt;
mod email;
mod log;
mod notification;
mod pagerduty;
mod post;
mod report;
mod slack;
mod teams;
mod template;
#[cfg(test)]
mod tests;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;

use crate::record::Severity;

pub(super) use attempt::Attempts;
pub(super) use notification::Notification;
pub use notification::Sender;
pub(super) use post::DeliveryError;
pub use report::ReportNotice;

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: &'static ChannelType,
    /// Where and how it delivers.
    pub options: ChannelOptions,
    /// Takes what no rule sends elsewhere.
    pub default: bool,
    /// Used when this one fails.
    pub fallback: Option<Arc<str>>,
    /// Whether the end of an alert is notified too.
    pub send_resolved: bool,
    /// Most notifications a minute; the type's default when not set.
    pub max_per_minute: Option<u32>,
}

/// Settings that depend on the type. URLs, keys and passwords among them are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelOptions {
    /// URL of the receiver.
    pub url: Option<String>,
    /// Integration key of PagerDuty.
    pub routing_key: Option<String>,
    /// Key of the signature.
    pub signing_key: Option<String>,
    /// Body of the webhook, with fields.
    pub template: Option<String>,
    /// Mail server.
    pub smtp: Option<String>,
    /// Whether the mail server must encrypt.
    pub starttls: Option<bool>,
    /// User at the mail server.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Sender's address.
    pub from: Option<String>,
    /// Receivers' addresses.
    pub to: Vec<String>,
}

impl fmt::Debug for ChannelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<&str> = self.given().into_iter().filter_map(|(key, given)| given.then_some(key)).collect();
        write!(f, "with {}", given.join(", "))
    }
}

impl ChannelOptions {
    /// Keys, and whether each is set.
    pub fn given(&self) -> [(&'static str, bool); 10] {
        [
            ("url", self.url.is_some()),
            ("routing_key", self.routing_key.is_some()),
            ("signing_key", self.signing_key.is_some()),
            ("template", self.template.is_some()),
            ("smtp", self.smtp.is_some()),
            ("starttls", self.starttls.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("from", self.from.is_some()),
            ("to", !self.to.is_empty()),
        ]
    }
}

/// A setting, and what is wrong with it.
pub type OptionFault = (&'static str, String);

/// People read no more in a minute.
const READABLE_PER_MINUTE: u32 = 20;

/// A type of channel.
pub struct ChannelType {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Keys that it needs.
    needs: &'static [&'static str],
    /// Keys that it may have besides.
    takes: &'static [&'static str],
    /// Wants to know who acknowledged an alert.
    pub(super) takes_acknowledgements: bool,
    /// For people: above a rate, one summary tells what waited. For programs each notification counts.
    pub(super) sums_up: bool,
    /// What is wrong with options that are complete.
    check: fn(&ChannelOptions) -> Vec<OptionFault>,
    /// The way to the receiver; an attempt takes no longer than the time-out. Made without I/O.
    open: fn(&ChannelOptions, Duration) -> Arc<dyn ChannelTransport>,
}

/// The types of channels.
pub static CHANNEL_TYPES: [&ChannelType; 7] =
    [&log::TYPE, &webhook::TYPE, &slack::TYPE, &teams::TYPE, &pagerduty::TYPE, &email::TYPE, &alertmanager::TYPE];

/// Carries notifications to one receiver.
pub(super) trait ChannelTransport: Send + Sync {
    /// One attempt, on a thread of its own.
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError>;

    /// One attempt to send a report, on a thread of its own.
    fn send_report(&self, _: &ReportNotice, _: &Sender) -> Result<(), DeliveryError> {
        Err(DeliveryError::Refused("channels of this type take no reports".into()))
    }

    /// Waits for nobody, so it needs no thread.
    fn is_immediate(&self) -> bool {
        false
    }
}

impl fmt::Debug for ChannelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for ChannelType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ChannelType {}

impl ChannelType {
    /// The type of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CHANNEL_TYPES.into_iter().find(|kind| kind.name == name)
    }

    /// What is wrong with options for this type.
    pub fn faults(&self, options: &ChannelOptions) -> Vec<OptionFault> {
        let mut faults = Vec::new();
        for (key, given) in options.given() {
            if given && !self.needs.contains(&key) && !self.takes.contains(&key) {
                faults.push((key, format!("does not go with type {}; leave it out", self.name)));
            } else if !given && self.needs.contains(&key) {
                faults.push((key, format!("is missing; type {} needs it", self.name)));
            }
        }
        if faults.is_empty() { (self.check)(options) } else { faults }
    }

    pub(super) fn open(&self, options: &ChannelOptions, timeout: Duration) -> Arc<dyn ChannelTransport> {
        (self.open)(options, timeout)
    }
}

impl Channel {
    /// The channel when none is configured: perfmon's own log.
    pub fn log() -> Self {
        Self {
            name: "log".into(),
            kind: &log::TYPE,
            options: ChannelOptions::default(),
            default: true,
            fallback: None,
            send_resolved: true,
            max_per_minute: None,
        }
    }

    /// Most notifications a minute.
    pub(super) fn rate(&self) -> Option<u32> {
        self.max_per_minute.or_else(|| self.kind.sums_up.then_some(READABLE_PER_MINUTE))
    }

    /// The alert's record to a URL, as JSON.
    pub fn webhook(name: &str, url: &str) -> Self {
        let options = ChannelOptions { url: Some(url.into()), ..ChannelOptions::default() };
        Self { name: name.into(), kind: &webhook::TYPE, options, default: false, ..Self::log() }
    }
}

/// One step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// How long the alert has been firing without anybody taking it.
    pub after: Duration,
    /// Only for alerts of at least this severity.
    pub severity: Option<Severity>,
    /// Channel to notify.
    pub channel: Arc<str>,
}

/// Of a type without further checks.
fn no_fault(_: &ChannelOptions) -> Vec<OptionFault> {
    Vec::new()
}

/// A URL of the web with a host; the text may hold a secret and is not shown.
pub(super) fn web_fault(url: &str) -> Option<String> {
    let is_web = url
        .parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()));
    (!is_web).then(|| "is not a URL that begins with http:// or https://".into())
}

/// Checks `url`.
fn check_url(options: &ChannelOptions) -> Vec<OptionFault> {
    options.url.as_deref().and_then(web_fault).map(|fault| ("url", fault)).into_iter().collect()
}

/// The URL with a path behind it.
fn below(url: &str, path: &str) -> String {
    format!("{}{path}", url.trim_end_matches('/'))
}
