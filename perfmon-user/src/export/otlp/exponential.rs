//! Values of one interval and their exponential histogram (OpenTelemetry data model, "ExponentialHistogram"). Values are counted in the
//! aggregate's histogram as integers of a small unit (ns, bytes, tokens, 10⁻⁹ dollars) and scaled when they are sent. Count, sum, minimum
//! and maximum are exact; quantiles are within 2.5 % when the maximum is up to a million times the minimum, else within 5 %.
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use crate::aggregate::{FreshHistogram, Histogram};

/// Buckets of a point at most: twice as many as SDKs make, since most of them are empty and cost a bit after compression.
const MOST_BUCKETS: i32 = 320;
/// Finest scale: 32 buckets an octave, half as many as the values are counted in.
const FINEST_SCALE: i32 = 5;

/// Values counted.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    values: FreshHistogram,
    sum: u128,
    least: u64,
    largest: u64,
}

impl Distribution {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.least = if self.is_empty() { value } else { self.least.min(value) };
        self.largest = self.largest.max(value);
        self.sum += u128::from(value);
        self.values.record(value);
    }

    /// Values that were counted elsewhere.
    pub fn of(histogram: Histogram, sum: u64, least: u64, largest: u64) -> Self {
        Self { values: FreshHistogram::of(histogram), sum: u128::from(sum), least, largest }
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.values.clear();
        (self.sum, self.least, self.largest) = (0, 0, 0);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// As a point without attributes and times; a value counts `unit` each.
    pub fn point(&self, unit: f64) -> ExponentialHistogramDataPoint {
        let histogram = self.values.histogram();
        let mut zero_count = 0;
        let mut indices = Vec::with_capacity(histogram.len());
        let unit_log2 = unit.log2();
        for bucket in histogram.buckets() {
            let middle = bucket.middle();
            // Clamped to the observed range; the last bucket is unbounded.
            let clamped = middle.clamp(self.least, self.largest.max(self.least));
            match (clamped, bucket.middle_log2()) {
                (0, _) => zero_count += bucket.count,
                (same, Some(log2)) if same == middle => indices.push((index(log2 + unit_log2), bucket.count)),
                (other, _) => indices.push((index((other as f64).log2() + unit_log2), bucket.count)),
            }
        }
        let mut scale = FINEST_SCALE;
        while let (Some((first, _)), Some((last, _))) = (indices.first(), indices.last())
            && last - first >= MOST_BUCKETS
        {
            scale -= 1;
            indices.iter_mut().for_each(|(index, _)| *index >>= 1);
        }
        ExponentialHistogramDataPoint {
            count: histogram.count(),
            sum: Some(self.sum as f64 * unit),
            scale,
            zero_count,
            positive: buckets(&indices),
            min: Some(self.least as f64 * unit),
            max: Some(self.largest as f64 * unit),
            ..ExponentialHistogramDataPoint::default()
        }
    }
}

/// The bucket `(2^(i/32), 2^((i+1)/32)]` of a positive value with this logarithm.
fn index(log2: f64) -> i32 {
    (log2 * f64::from(1 << FINEST_SCALE)).ceil() as i32 - 1
}

/// Counts between the first and the last index.
fn buckets(indices: &[(i32, u64)]) -> Option<Buckets> {
    let (&(offset, _), &(last, _)) = (indices.first()?, indices.last()?);
    let mut bucket_counts = vec![0; (last - offset + 1) as usize];
    for (index, count) in indices {
        bucket_counts[(index - offset) as usize] += count;
    }
    Some(Buckets { offset, bucket_counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile(point: &ExponentialHistogramDataPoint, quantile: f64) -> f64 {
        let target = (point.count as f64 * quantile).ceil() as u64;
        let mut seen = point.zero_count;
        if seen >= target {
            return 0.0;
        }
        let base = 2_f64.powf(2_f64.powi(-point.scale));
        let buckets = point.positive.as_ref().unwrap();
        for (at, count) in buckets.bucket_counts.iter().enumerate() {
            seen += count;
            if seen >= target {
                return base.powf(f64::from(buckets.offset + at as i32) + 0.5);
            }
        }
        panic!("the buckets hold fewer values than they say")
    }

    #[test]
    fn counts_and_sums_are_exact_and_quantiles_near() {
        let mut distribution = Distribution::default();
        let values: Vec<u64> = (1..=10_000).map(|n| n * n * 37).collect();
        values.iter().for_each(|value| distribution.record(*value));
        let point = distribution.point(1e-9);
        assert_eq!(point.count, 10_000);
        let positive = point.positive.as_ref().unwrap();
        assert_eq!(positive.bucket_counts.iter().sum::<u64>() + point.zero_count, point.count);
        assert!(positive.bucket_counts.len() <= MOST_BUCKETS as usize);
        let sum: u64 = values.iter().sum();
        assert!((point.sum.unwrap() - sum as f64 * 1e-9).abs() < 1e-9 * sum as f64 * 1e-9);
        assert_eq!((point.min, point.max), (Some(37.0 * 1e-9), Some(3_700_000_000.0 * 1e-9)));
        for share in [0.1, 0.5, 0.95, 0.99, 1.0] {
            let exact = values[(10_000.0 * share) as usize - 1] as f64 * 1e-9;
            let error = (quantile(&point, share) - exact).abs() / exact;
            assert!(error < 0.05, "{share}: {error}");
        }
    }

    #[test]
    fn a_narrow_range_keeps_the_finest_scale() {
        let mut distribution = Distribution::default();
        (1_000_000..1_001_000).for_each(|value| distribution.record(value * 3));
        let point = distribution.point(1e-9);
        assert_eq!(point.scale, FINEST_SCALE);
        assert!((quantile(&point, 0.5) - 0.003_001_5).abs() / 0.003 < 0.02);
    }

    #[test]
    fn zeros_and_extremes_have_their_places() {
        let mut distribution = Distribution::default();
        for value in [0, 0, 1, u64::MAX] {
            distribution.record(value);
        }
        let point = distribution.point(1.0);
        assert_eq!((point.count, point.zero_count, point.min), (4, 2, Some(0.0)));
        assert_eq!(point.positive.unwrap().bucket_counts.iter().sum::<u64>(), 2);
        assert_eq!(point.max, Some(u64::MAX as f64));
    }

    #[test]
    fn powers_of_two_lie_in_the_bucket_that_they_end() {
        let index = |value: f64| index(value.log2());
        assert_eq!((index(1.0), index(2.0), index(0.5)), (-1, 31, -33));
        assert_eq!(index(1.000_001), 0);
    }
}
