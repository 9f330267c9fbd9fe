//! Silences: for a time, the alerts that a rule, a scope and matchers name cause no notifications. A silence is stored when it begins and when
//! it is ended early, so that the next run knows it.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::record::{Alert, WallTime};

use super::matcher::SilenceMatcher;

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its id.
    pub silence_id: Arc<str>,
    /// The same, by the name that lists use.
    pub id: Arc<str>,
    /// Start.
    pub time: WallTime,
    /// End.
    pub until: WallTime,
    /// Name of the rule; any when null.
    pub rule: Option<Arc<str>>,
    /// Scope; any when null.
    pub scope: Option<Arc<str>>,
    /// Further conditions; all of them have to hold.
    #[serde(default)]
    pub matchers: Vec<SilenceMatcher>,
    /// The user who created it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub note: Option<Arc<str>>,
    /// When a user ended it early.
    #[serde(default)]
    pub ended_at: Option<WallTime>,
}

/// A new silence; covers everything when neither rule nor scope nor matchers are given.
#[derive(Clone, Debug, Default)]
pub struct NewSilence {
    /// Name of the rule.
    pub rule: Option<Arc<str>>,
    /// Scope.
    pub scope: Option<Arc<str>>,
    /// Further conditions.
    pub matchers: Vec<SilenceMatcher>,
    /// How long.
    pub duration: Duration,
    /// The user who creates it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub note: Option<Arc<str>>,
}

impl Silence {
    /// Kind of its stored record.
    pub const KIND: &'static str = "silence";

    /// The silences in force, of stored ones in any order.
    pub(super) fn in_force(stored: Vec<Self>, now: WallTime) -> Vec<Self> {
        let ended: BTreeSet<Arc<str>> =
            stored.iter().filter(|silence| silence.ended_at.is_some()).map(|silence| silence.silence_id.clone()).collect();
        let mut silences: Vec<Self> =
            stored.into_iter().filter(|silence| silence.until > now && !ended.contains(&silence.silence_id)).collect();
        silences.sort_by_key(|silence| silence.time);
        silences.dedup_by(|one, other| one.silence_id == other.silence_id);
        silences.truncate(limits::SILENCES);
        silences
    }

    /// Whether it covers an alert.
    pub fn covers(&self, alert: &Alert) -> bool {
        let same = |wanted: &Option<Arc<str>>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        same(&self.rule, &alert.rule) && same(&self.scope, &alert.scope) && self.matchers.iter().all(|matcher| matcher.covers(alert))
    }
}
