//! Rate, p95 and CPU over the last hour, one sample a second, for the graphs. In: a sample with each new model, and the history of another
//! perfmon; out: columns of a graph. Seconds without a sample are unknown, not zero; only a pause as short as the jitter of a poll is bridged.
use std::collections::VecDeque;

use crate::limits;

/// Seconds between two samples that still belong together.
const BRIDGED_S: u64 = 3;

/// The figures of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct GraphSample {
    /// Seconds since 1970.
    pub second: u64,
    /// Requests in the last full second.
    pub rate: Option<f64>,
    /// 95th percentile of the last minute.
    pub p95_ms: Option<f64>,
    /// Of the host, 0..100.
    pub cpu_percent: Option<f64>,
}

/// Which figure a graph shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Graphed {
    Rate,
    P95,
    Cpu,
}

impl GraphSample {
    pub fn value(&self, graphed: Graphed) -> Option<f64> {
        match graphed {
            Graphed::Rate => self.rate,
            Graphed::P95 => self.p95_ms,
            Graphed::Cpu => self.cpu_percent,
        }
    }
}

/// The samples, oldest first, at most one a second.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphHistory(VecDeque<GraphSample>);

impl GraphHistory {
    /// Adds a sample that is newer than all others, and replaces one of the same second.
    pub fn push(&mut self, sample: GraphSample) {
        while self.0.back().is_some_and(|last| last.second >= sample.second) {
            self.0.pop_back();
        }
        let next = self.0.back().map_or(sample.second, |last| last.second + 1);
        let first = if sample.second - next < BRIDGED_S { next } else { sample.second };
        self.0.extend((first..=sample.second).map(|second| GraphSample { second, ..sample }));
        while self.0.len() > limits::SCREEN_SAMPLES {
            self.0.pop_front();
        }
    }

    /// Adds samples of the time before those that are here.
    pub fn precede(&mut self, earlier: &[GraphSample]) {
        let known =
            |sample: &&GraphSample| [Graphed::Rate, Graphed::P95, Graphed::Cpu].iter().any(|graphed| sample.value(*graphed).is_some());
        for sample in earlier.iter().filter(known).rev() {
            if self.0.len() < limits::SCREEN_SAMPLES && self.0.front().is_none_or(|first| first.second > sample.second) {
                self.0.push_front(*sample);
            }
        }
    }

    /// Seconds of each of `columns` columns, so that they span what there is, at most `most` seconds.
    pub fn step_s(&self, most: u64, columns: usize) -> u64 {
        let age = self.0.front().zip(self.0.back()).map_or(0, |(first, last)| last.second - first.second + 1);
        age.min(most).div_ceil(columns.max(1) as u64).max(1)
    }

    /// The newest `columns` columns of `step_s` seconds each, oldest first: the largest value of their seconds, `None` where none is known.
    /// The columns' seconds are aligned, so that a value stays in its column while time passes.
    pub fn columns(&self, graphed: Graphed, step_s: u64, columns: usize) -> Vec<Option<f64>> {
        let mut values = vec![None; columns];
        let Some(last) = self.0.back() else { return values };
        let newest = last.second / step_s;
        for sample in &self.0 {
            let back = (newest - sample.second / step_s) as usize;
            if let (true, Some(value)) = (back < columns, sample.value(graphed)) {
                let column: &mut Option<f64> = &mut values[columns - 1 - back];
                *column = Some(column.map_or(value, |known| known.max(value)));
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, rate: f64) -> GraphSample {
        GraphSample { second, rate: Some(rate), ..GraphSample::default() }
    }

    #[test]
    fn columns_hold_the_largest_value_and_gaps_stay_unknown() {
        let mut samples = GraphHistory::default();
        [(100, 1.0), (101, 5.0), (106, 2.0), (107, 3.0), (109, 4.0)]
            .into_iter()
            .for_each(|(second, rate)| samples.push(sample(second, rate)));
        let each_second = [Some(1.0), Some(5.0), None, None, None, None, Some(2.0), Some(3.0), Some(4.0), Some(4.0)];
        assert_eq!(samples.columns(Graphed::Rate, 1, 10), each_second);
        assert_eq!(samples.columns(Graphed::Rate, 2, 5), [Some(5.0), None, None, Some(3.0), Some(4.0)]);
        assert_eq!(samples.columns(Graphed::Cpu, 3, 2), [None, None]);
        assert_eq!(
            (samples.columns(Graphed::Rate, 1, 0).len(), GraphHistory::default().columns(Graphed::Rate, 1, 2)),
            (0, vec![None, None])
        );
    }

    #[test]
    fn the_past_goes_before_and_the_number_is_bounded() {
        let mut samples = GraphHistory::default();
        samples.push(sample(1_000, 1.0));
        samples.precede(&[
            GraphSample { second: 9, ..GraphSample::default() },
            sample(998, 7.0),
            sample(999, 8.0),
            sample(1_000, 9.0),
            sample(1_001, 9.0),
        ]);
        assert_eq!(samples.columns(Graphed::Rate, 1, 3), [Some(7.0), Some(8.0), Some(1.0)]);
        assert_eq!(samples.step_s(3_600, 3), 1, "a second of which nothing is known is no past");
        (1_001..10_000).for_each(|second| samples.push(sample(second, 0.0)));
        samples.precede(&[sample(1, 1.0)]);
        assert_eq!(samples.0.len(), limits::SCREEN_SAMPLES);
    }

    #[test]
    fn the_span_grows_with_the_data() {
        let mut samples = GraphHistory::default();
        assert_eq!((samples.step_s(300, 50), samples.step_s(300, 0)), (1, 1));
        samples.push(sample(0, 1.0));
        samples.push(sample(90, 1.0));
        assert_eq!(samples.step_s(300, 50), 2);
        samples.push(sample(4_000, 1.0));
        assert_eq!((samples.step_s(300, 50), samples.step_s(3_600, 50)), (6, 72));
    }
}
