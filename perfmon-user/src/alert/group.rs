//! Grouping: alerts of the same rule, or of the same service, that wait for a channel for people become one notification. In: alerts that wait;
//! out: what belongs together, and its words. When is decided by `delivery`; channels for programs get each alert, because they group themselves.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::record::{Alert, AlertState};

use super::judgement;

/// What makes alerts a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Nothing: each alert is a notification.
    #[default]
    None,
    /// The same rule.
    Rule,
    /// The same service.
    Service,
}

/// How notifications are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// What makes a group.
    pub by: GroupBy,
    /// How long a notification waits for others of its group.
    pub wait: Duration,
}

/// Alerts that are named in full.
const NAMED: usize = 10;

impl Grouping {
    /// What an alert shares with others of its group; `None` when it stands alone.
    pub(super) fn key(&self, alert: &Alert) -> Option<(Arc<str>, AlertState)> {
        let name = match self.by {
            GroupBy::None => return None,
            GroupBy::Rule => alert.rule.clone(),
            GroupBy::Service => Arc::from(&*alert.origin.service),
        };
        Some((name, alert.state))
    }

    /// One notification of several alerts of a group.
    pub(super) fn notification(&self, members: &[&Alert]) -> Option<Alert> {
        let worst = members.iter().max_by_key(|alert| alert.severity)?;
        let mut ids: Vec<&str> = members.iter().map(|alert| &*alert.alert_id).collect();
        ids.sort_unstable();
        let scopes: BTreeSet<&str> = members.iter().map(|alert| &*alert.scope).collect();
        let count = members.len();
        let (rule, subject) = match self.by {
            GroupBy::Service => (format!("{count} alerts").into(), worst.origin.service.to_string()),
            _ => (worst.rule.clone(), worst.rule.to_string()),
        };
        let mut messages: Vec<&str> = members.iter().take(NAMED).map(|alert| alert.message.as_str()).collect();
        let more = if count > NAMED { format!("And {} more.", count - NAMED) } else { String::new() };
        messages.extend(Some(more.as_str()).filter(|more| !more.is_empty()));
        Some(Alert {
            // The same alerts are the same notification, also when an attempt is repeated.
            alert_id: judgement::id(&ids, worst.started_at),
            rule,
            scope: scopes.into_iter().take(NAMED).collect::<Vec<_>>().join(", ").into(),
            message: format!("{count} alerts of {subject}:\n{}", messages.join("\n")),
            started_at: members.iter().map(|alert| alert.started_at).min().unwrap_or(worst.started_at),
            fired_at: members.iter().filter_map(|alert| alert.fired_at).min(),
            notified: Vec::new(),
            ..(*worst).clone()
        })
    }
}
