//! Alerts. In: what each series counted, once a second, and decisions of users; out: a `record::Alert` for every change of state, and
//! notifications to channels. `rule` defines the rules, `filter` what they are narrowed to, `figures` keeps the windows that they read,
//! `metric` has the words of their metrics, `assess` and `baseline` compare with the past, `judgement` with the limit, `machine` is the pure
//! state machine, `decide` its changes by users and from earlier runs, `worse` raises severities, `turns` says which rules are judged when, `flap` and `group` keep the number of
//! notifications small, `matcher` is for silences, `clock_watch` heeds jumps of the clock, `delivery` decides what a channel is told when,
//! `notify` does it, `channel` has the ways to receivers, and `service` is the interface to the rest of the program. Evaluation never waits
//! for a channel.
mod assertion;
mod assess;
mod baseline;
mod channel;
mod clock_watch;
mod decide;
mod delivery;
mod figures;
mod filter;
mod flap;
mod group;
mod judgement;
mod machine;
mod matcher;
mod metric;
mod notify;
mod rule;
mod service;
mod silence;
#[cfg(test)]
mod tests;
mod trial;
mod turns;
mod worse;

pub use assertion::{Assertion, AssertionVerdict};
pub use channel::{CHANNEL_TYPES, Channel, ChannelOptions, ChannelType, Escalation, OptionFault, ReportNotice, Sender};
pub use delivery::RetryPolicy;
pub use figures::{MetricView, RuleFigures, impossible, shares};
pub use filter::{RuleFilter, label_names};
pub use flap::FlapSettings;
pub use group::{GroupBy, Grouping};
pub use machine::{AlertSettings, Change, Machine, Refused};
pub use matcher::SilenceMatcher;
pub use metric::{AlertMetric, DEGRADED};
pub use rule::{Condition, HOLD, KEEP_FIRING, Rule, STANDING, Thresholds, degraded};
pub use service::{AlertService, RuleFeed};
pub use silence::{NewSilence, Silence};
pub use trial::{RuleTrial, StoredTime, TrialAlert, needed, try_rules};
