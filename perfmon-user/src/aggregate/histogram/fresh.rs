//! A histogram that is cheap to add to: what comes stands at the end of the list of buckets as it comes, and goes to its place when the list is
//! full or when the histogram is asked for. For those who count much more often than they read.
use super::Histogram;

/// Values counted.
#[derive(Clone, Debug, Default)]
pub struct FreshHistogram(Histogram);

impl FreshHistogram {
    /// Of values that were counted elsewhere.
    pub fn of(counted: Histogram) -> Self {
        Self(counted)
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.0.note(value);
    }

    /// The histogram.
    pub fn settle(&mut self) -> &Histogram {
        self.0.settle();
        &self.0
    }

    /// The histogram for those who may not change it.
    pub fn histogram(&self) -> Histogram {
        let mut histogram = self.0.clone();
        histogram.settle();
        histogram
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_fresh_histogram_is_the_histogram_of_its_values(
            before in prop::collection::vec(0_u64..1 << 45, 0..40),
            values in prop::collection::vec(0_u64..1 << 45, 0..500),
        ) {
            let mut direct = Histogram::default();
            before.iter().for_each(|value| direct.record(*value));
            let mut fresh = FreshHistogram::of(direct.clone());
            for value in &values {
                direct.record(*value);
                fresh.record(*value);
            }
            prop_assert_eq!(&fresh.histogram(), &direct);
            prop_assert_eq!(fresh.settle(), &direct);
            prop_assert_eq!(fresh.is_empty(), before.is_empty() && values.is_empty());
            fresh.record(3);
            fresh.clear();
            prop_assert!(fresh.is_empty() && fresh.histogram().is_empty());
        }
    }
}
