//! Alerts. In: a snapshot a second and what people decide; out: `record::Alert`s for every change of state, and news of them to
//! channels. `rule` says what is judged, `metric` reads it from a snapshot, `verdict` compares, `machine` is the pure state machine,
//! `decide` what people and earlier runs do to it, `notify` and `webhook` carry the news, `desk` is where the rest of the program meets
//! them. Nothing here waits for a channel while it judges.
mod channel;
mod decide;
mod judgement;
mod machine;
mod metric;
mod notify;
mod rule;
mod service;
mod silence;
#[cfg(test)]
mod tests;
mod webhook;

pub use channel::{Channel, ChannelKind, Escalation};
pub use machine::{AlertSettings, Change, Machine, Refused};
pub use metric::{AlertMetric, MetricSource};
pub use notify::RetryPolicy;
pub use rule::{Condition, HOLD, KEEP_FIRING, Rule, RuleFilter, STANDING, Thresholds};
pub use service::AlertService;
pub use silence::{NewSilence, Silence};
