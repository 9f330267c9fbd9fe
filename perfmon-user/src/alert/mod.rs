//! Alerts. In: a snapshot a second and what people decide; out: `record::Alert`s for every change of state, and news of them to
//! channels. `rule` says what is judged, `metric` reads it from a snapshot, `verdict` compares, `machine` is the pure state machine,
//! `decide` what people and earlier runs do to it, `notify` and `webhook` carry the news, `desk` is where the rest of the program meets
//! them. Nothing here waits for a channel while it judges.
mod channel;
mod decide;
mod desk;
mod machine;
mod metric;
mod notify;
mod rule;
mod silence;
#[cfg(test)]
mod tests;
mod verdict;
mod webhook;

pub use channel::{Channel, ChannelKind, Escalation};
pub use desk::Desk;
pub use machine::{Change, Machine, Refused, Settings};
pub use metric::{Metric, Source};
pub use notify::Patience;
pub use rule::{Condition, HOLD, KEEP_FIRING, MIN_SAMPLES, Rule, STANDING, Thresholds, Where};
pub use silence::{NewSilence, Silence};
