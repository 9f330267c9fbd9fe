//! Rules tried on a stored time: what would have fired. In: the rules, and what each series counted then; out: alerts with their times, and
//! rules that nothing was stored for. The same windows, baselines and state machine as in a run; channels are not told.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::figures::{RuleFigures, shares};
use super::machine::{AlertSettings, Machine};
use super::rule::{Condition, Rule};
use crate::record::metric::RecordKind;
use crate::record::{AlertState, Severity, WallTime};
use crate::series::{CELL_S, SeriesCell, SeriesDelta};

const NS: u64 = 1_000_000_000;
/// What is usual needs so many windows before the time that is looked at.
const WINDOWS_BEFORE: u64 = 12;
/// But no more than a week.
const LONGEST_BEFORE_S: u64 = 7 * 86_400;

/// An alert that would have fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialAlert {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// What it is about.
    pub scope: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// When it would have fired.
    pub fired_at: WallTime,
    /// When it would have been over; null when it was not by then.
    pub resolved_at: Option<WallTime>,
    /// The message of the firing alert.
    pub message: String,
}

/// What a trial found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleTrial {
    /// Oldest first.
    pub alerts: Vec<TrialAlert>,
    /// Rules on metrics of which nothing was stored in that time.
    pub without_data: Vec<Arc<str>>,
}

/// A stored time, seconds since 1970.
#[derive(Clone, Debug)]
pub struct StoredTime {
    /// Start of what is looked at.
    pub from_s: u64,
    /// Its end.
    pub to_s: u64,
    /// Cells from before `from_s` on with their lengths in seconds, in the order of their ends.
    pub cells: Vec<(u64, SeriesCell)>,
}

/// Kinds that rules look at, and how many seconds before a time they need.
pub fn needed(rules: &[Rule]) -> BTreeMap<RecordKind, u64> {
    let mut needed = BTreeMap::new();
    for rule in rules {
        let looks_back = matches!(rule.condition, Condition::Spike(_)) || rule.forecast.is_some();
        let windows = if looks_back { WINDOWS_BEFORE } else { 1 };
        for share in shares(rule) {
            let before = needed.entry(share.kind).or_insert(0);
            *before = (share.length_s * windows).min(LONGEST_BEFORE_S).max(*before);
        }
    }
    needed
}

/// Judges the rules over a stored time.
pub fn try_rules(settings: &AlertSettings, stored: &StoredTime) -> RuleTrial {
    let at = |second: u64| WallTime(second * NS);
    let rules = &settings.rules;
    let before = needed(rules).into_values().max().unwrap_or_default();
    let begin = stored.from_s.saturating_sub(before) / CELL_S * CELL_S;
    let mut machine = Machine::new(settings, Arc::default());
    let mut figures = RuleFigures::default();
    figures.keep(rules, at(begin));
    let mut trial = RuleTrial::default();
    let mut cells = stored.cells.iter().peekable();
    for second in (begin + CELL_S..=stored.to_s).step_by(CELL_S as usize) {
        // A cell is known when its time is over. A short window sees a longer cell at once.
        let mut now = Vec::new();
        while let Some((length_s, cell)) = cells.next_if(|(length_s, cell)| (cell.start_s + length_s).min(stored.to_s) <= second) {
            let start_s = if *length_s > CELL_S { second - CELL_S } else { cell.start_s };
            now.push(SeriesCell { start_s, ..cell.clone() });
        }
        figures.add(&SeriesDelta { until: at(second), cells: now, records: 0 });
        for change in machine.judge(at(second), &figures) {
            let alert = change.alert;
            let is_same = |known: &&mut TrialAlert| known.rule == alert.rule && known.scope == alert.scope && known.resolved_at.is_none();
            match alert.state {
                AlertState::Firing => trial.alerts.push(TrialAlert {
                    rule: alert.rule,
                    scope: alert.scope,
                    severity: alert.severity,
                    fired_at: at(second),
                    resolved_at: None,
                    message: alert.message,
                }),
                AlertState::Resolved => {
                    if let Some(known) = trial.alerts.iter_mut().rev().find(is_same) {
                        known.resolved_at = Some(at(second));
                    }
                }
                _ => {}
            }
        }
    }
    // What was over before is only how the time began.
    trial.alerts.retain(|alert| alert.resolved_at.is_none_or(|end| end >= at(stored.from_s)));
    let has_data = |kind| stored.cells.iter().any(|(_, cell)| cell.key.kind == kind);
    let silent = rules.iter().filter(|rule| rule.metric.kind().is_some_and(|kind| !has_data(kind)));
    trial.without_data = silent.map(|rule| rule.name.clone()).collect();
    trial
}
