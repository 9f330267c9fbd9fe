//! What a channel sends: the alert's record with the words for people, the host and a link to perfmon's page.
use std::sync::Arc;

use crate::record::{Alert, AlertState, Severity};

/// Who notifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Name of this host.
    pub host: Arc<str>,
    /// Address of perfmon's page, without a slash at its end.
    pub page: Option<Arc<str>>,
}

/// One notification.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The alert.
    pub alert: Alert,
    /// Who notifies.
    pub sender: Arc<Sender>,
}

impl Notification {
    /// State, severity, rule and host: a subject.
    pub fn title(&self) -> String {
        let Alert { rule, .. } = &self.alert;
        let on = if self.sender.host.is_empty() { String::new() } else { format!(" on {}", self.sender.host) };
        match self.alert.state {
            AlertState::Resolved => format!("Resolved: {rule}{on}"),
            AlertState::Acknowledged => format!("Acknowledged: {rule}{on}"),
            _ => format!("{}: {rule}{on}", self.severity()),
        }
    }

    /// Everything in one line.
    pub fn text(&self) -> String {
        format!("{}: {}", self.title(), self.alert.message)
    }

    /// perfmon's page, at the time of the alert.
    pub fn link(&self) -> Option<String> {
        let page = self.sender.page.as_deref()?;
        let at = self.alert.fired_at.unwrap_or(self.alert.started_at).to_string();
        Some(format!("{page}/?at={}Z#alerts", at.get(..19)?))
    }

    /// A word for people.
    pub fn severity(&self) -> &'static str {
        match self.alert.severity {
            Severity::Info => "Info",
            Severity::Warning => "Warning",
            Severity::Critical => "Critical",
        }
    }

    /// True when it is over.
    pub fn is_over(&self) -> bool {
        self.alert.state == AlertState::Resolved
    }

    /// Names and values of the alert that help people to sort it.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let Alert { rule, scope, alert_id, acknowledged_by, resolved_by, note, .. } = &self.alert;
        let mut facts = vec![("Rule", rule.to_string()), ("Scope", scope.to_string()), ("Severity", self.severity().to_lowercase())];
        if !self.sender.host.is_empty() {
            facts.insert(0, ("Host", self.sender.host.to_string()));
        }
        let who = [("Acknowledged by", acknowledged_by), ("Resolved by", resolved_by), ("Note", note)];
        facts.extend(who.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?.to_owned()))));
        facts.push(("Alert", alert_id.to_string()));
        facts
    }
}

/// At most this many characters.
pub(super) fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
