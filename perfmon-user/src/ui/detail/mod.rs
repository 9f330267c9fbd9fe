//! What is known of one row, as blocks of labelled figures. In: a row and the model; out: blocks that `pane` draws. Unknown values are a
//! dash; a block without a value is left out.
mod databases;
mod health;
mod names;
mod traffic;
mod work;

pub(super) use databases::{pool_detail, query_detail};
pub(super) use health::{alert_detail, finding_detail, process_detail};
pub(super) use names::name_detail;
pub(super) use traffic::{destination_detail, endpoint_detail};
pub(super) use work::{agent_detail, model_detail};

use super::column::{count, figure, known, millis, money, percent, span};
use super::look::Tone;
use crate::aggregate::snapshot::Latency;
use crate::record::WallTime;

/// A labelled value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LabelledValue {
    pub label: &'static str,
    pub value: String,
    pub tone: Tone,
}

/// Values under a heading, and whole lines below them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DetailBlock {
    pub heading: String,
    pub values: Vec<LabelledValue>,
    /// Prose: wrapped at the width of the pane.
    pub lines: Vec<String>,
}

/// What is known of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RowDetail {
    pub blocks: Vec<DetailBlock>,
}

impl RowDetail {
    /// Adds labelled values; none when all are unknown.
    fn values<const N: usize>(self, heading: &str, values: [(&'static str, String); N]) -> Self {
        self.toned(heading, values.map(|(label, value)| (label, value, Tone::Plain)))
    }

    fn toned(mut self, heading: &str, values: impl IntoIterator<Item = (&'static str, String, Tone)>) -> Self {
        let values: Vec<_> = values.into_iter().map(|(label, value, tone)| LabelledValue { label, value, tone }).collect();
        if values.iter().any(|value| value.value != "-") {
            self.blocks.push(DetailBlock { heading: heading.into(), values, lines: Vec::new() });
        }
        self
    }

    /// Adds lines under a heading; nothing without lines.
    fn lines(mut self, heading: &str, lines: impl IntoIterator<Item = String>) -> Self {
        let lines: Vec<String> = lines.into_iter().collect();
        if !lines.is_empty() {
            self.blocks.push(DetailBlock { heading: heading.into(), values: Vec::new(), lines });
        }
        self
    }

    fn latency(self, heading: &str, latency: &Latency) -> Self {
        let tone = super::tables::latency_tone(latency.p95_ms);
        self.toned(
            heading,
            [
                ("mean", millis(latency.mean_ms), Tone::Plain),
                ("median", millis(latency.p50_ms), Tone::Plain),
                ("95th percentile", millis(latency.p95_ms), tone),
                ("99th percentile", millis(latency.p99_ms), Tone::Plain),
                ("slowest", millis(latency.max_ms), Tone::Plain),
            ],
        )
    }
}

/// A share with its sign.
fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{}%", percent(Some(value))))
}

/// A number of a percentage that is one already, 0..100.
fn percentage(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{}%", figure(value)))
}

fn bytes_or_dash(value: Option<u64>) -> String {
    value.map_or("-".into(), super::column::bytes)
}

fn text_or_dash(value: Option<&std::sync::Arc<str>>) -> String {
    value.map_or("-".into(), ToString::to_string)
}

/// A quotient of sums, a dash when either is unknown.
fn each(sum: Option<f64>, number: u64) -> Option<f64> {
    sum.filter(|_| number > 0).map(|sum| sum / number as f64)
}

/// `2026-01-31 12:00:05 UTC, 3m05s ago`.
fn moment(time: WallTime, now: WallTime) -> String {
    let text = time.to_string();
    let ago = now.0.saturating_sub(time.0) as f64 / 1e9;
    format!("{} {} UTC, {} ago", &text[..10], &text[11..19], span(ago))
}
