//! Silences: for a time, alerts of a rule, a scope or both cause no notifications.
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::{Alert, WallTime};

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
    /// The user who created it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub note: Option<Arc<str>>,
}

/// A new silence; covers everything when neither rule nor scope is given.
#[derive(Clone, Debug, Default)]
pub struct NewSilence {
    /// Name of the rule.
    pub rule: Option<Arc<str>>,
    /// Scope.
    pub scope: Option<Arc<str>>,
    /// How long.
    pub duration: Duration,
    /// The user who creates it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub note: Option<Arc<str>>,
}

impl Silence {
    /// Whether it covers an alert.
    pub fn covers(&self, alert: &Alert) -> bool {
        let same = |wanted: &Option<Arc<str>>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        same(&self.rule, &alert.rule) && same(&self.scope, &alert.scope)
    }
}
