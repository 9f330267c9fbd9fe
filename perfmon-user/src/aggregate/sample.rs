//! The slowest exchanges of a row, by id: the evidence of findings. At most five, none older than five minutes.
use std::sync::Arc;

use crate::record::{SpanId, WallTime};

const KEPT: usize = 5;
const LIFE_NS: u64 = 300 * 1_000_000_000;

/// Ids of the slowest exchanges, slowest first.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    latency_ns: u64,
    time: WallTime,
    span_id: SpanId,
}

impl Samples {
    /// Offers an exchange.
    pub fn offer(&mut self, latency_ns: u64, time: WallTime, span_id: SpanId) {
        if self.0.len() == KEPT && self.0[KEPT - 1].latency_ns >= latency_ns {
            return;
        }
        self.0.truncate(KEPT - 1);
        let at = self.0.partition_point(|sample| sample.latency_ns >= latency_ns);
        self.0.insert(at, Sample { latency_ns, time, span_id });
    }

    /// Drops samples that are too old.
    pub fn expire(&mut self, now: WallTime) {
        self.0.retain(|sample| sample.time.0 + LIFE_NS > now.0);
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes those of another row over.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|sample| self.offer(sample.latency_ns, sample.time, sample.span_id));
    }

    /// The ids.
    pub fn ids(&self) -> Arc<[SpanId]> {
        self.0.iter().map(|sample| sample.span_id).collect()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Sample>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_slowest_stay_until_they_are_old() {
        let mut samples = Samples::default();
        for latency in [3, 9, 1, 7, 5, 8, 2] {
            samples.offer(latency, WallTime(latency * 1_000_000_000), SpanId(latency));
        }
        assert_eq!(samples.ids().iter().map(|id| id.0).collect::<Vec<_>>(), [9, 8, 7, 5, 3]);
        samples.expire(WallTime(LIFE_NS + 7_000_000_000));
        assert_eq!(samples.ids().iter().map(|id| id.0).collect::<Vec<_>>(), [9, 8]);
    }
}
