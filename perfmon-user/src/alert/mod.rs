//! Alerts. In: a snapshot each second and decisions of users; out: a `record::Alert` for every change of state, and notifications to
//! channels. `rule` defines the rules, `metric` reads their metrics from a snapshot, `judgement` compares, `machine` is the pure state
//! machine, `decide` its changes by users and from earlier runs, `delivery` decides what a channel is told when, `notify` does it, `channel` has the ways to receivers, and `service` is the
//! interface to the rest of the program. Evaluation never waits for a channel.
mod channel;
mod decide;
mod delivery;
mod judgement;
mod machine;
mod metric;
mod notify;
mod rule;
mod service;
mod silence;
#[cfg(test)]
mod tests;

pub use channel::{CHANNEL_TYPES, Channel, ChannelOptions, ChannelType, Escalation, OptionFault, ReportNotice, Sender};
pub use delivery::RetryPolicy;
pub use machine::{AlertSettings, Change, Machine, Refused};
pub use metric::{AlertMetric, DEGRADED, MetricSource};
pub use rule::{Condition, HOLD, KEEP_FIRING, Rule, RuleFilter, STANDING, Thresholds, degraded};
pub use service::AlertService;
pub use silence::{NewSilence, Silence};
