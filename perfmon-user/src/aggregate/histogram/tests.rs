//! Error bound, merging and bytes of the histogram, on any durations.
use proptest::prelude::*;

use super::*;

/// Durations of all magnitudes from 1 µs to one hour.
fn durations() -> impl Strategy<Value = Vec<u64>> {
    let one = (10_u32..42, 0.0..1.0_f64).prop_map(|(octave, part)| (((1_u64 << octave) as f64 * (1.0 + part)) as u64).clamp(1_000, MAX_NS));
    prop::collection::vec(one, 1..400)
}

fn of(values: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    values.iter().for_each(|&value| histogram.record(value));
    histogram
}

proptest! {
    #[test]
    fn quantiles_are_within_one_percent_of_the_sorted_values(mut values in durations(), quantile in 0.0..=1.0_f64) {
        let reported = of(&values).quantile(quantile).unwrap() as f64;
        values.sort_unstable();
        let rank = ((values.len() as f64 * quantile).ceil() as usize).max(1);
        let exact = values[rank - 1] as f64;
        prop_assert!((reported - exact).abs() <= exact * 0.01, "{reported} for {exact}");
    }

    #[test]
    fn merging_in_any_grouping_is_counting_everything(a in durations(), b in durations(), c in durations()) {
        let whole = of(&[a.clone(), b.clone(), c.clone()].concat());
        let mut left = of(&a);
        left.merge(&of(&b));
        left.merge(&of(&c));
        let mut right = of(&c);
        right.merge(&of(&b));
        let mut outer = of(&a);
        outer.merge(&right);
        prop_assert_eq!(&left, &whole);
        prop_assert_eq!(&outer, &whole);
    }

    #[test]
    fn bytes_give_the_same_histogram(values in durations(), times in 1_u32..2_000) {
        let mut histogram = of(&values);
        histogram.add(index_of(values[0]), times);
        let bytes = histogram.to_bytes();
        prop_assert_eq!(Histogram::from_bytes(&bytes), Some(histogram));
        for cut in 0..bytes.len() {
            prop_assert_eq!(Histogram::from_bytes(&bytes[..cut]), None);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(histogram) = Histogram::from_bytes(&bytes) {
            let again = histogram.to_bytes();
            prop_assert_eq!(Histogram::from_bytes(&again), Some(histogram));
        }
    }

    #[test]
    fn what_was_noted_is_what_was_recorded(values in prop::collection::vec(0_u64..1 << 45, 0..600), settled in 0_usize..600) {
        let mut noted = Histogram::default();
        for (at, value) in values.iter().enumerate() {
            noted.note(*value);
            if at == settled {
                noted.settle();
            }
        }
        noted.settle();
        prop_assert_eq!(noted, of(&values));
    }

    #[test]
    fn what_is_subtracted_is_gone(one in prop::collection::vec(0_u64..1 << 20, 0..200), other in prop::collection::vec(0_u64..1 << 20, 0..200)) {
        let (one, other) = (of(&one), of(&other));
        let mut sum = one.clone();
        sum.merge(&other);
        sum.subtract(&one);
        prop_assert_eq!(sum, other);
    }

    #[test]
    fn every_value_lies_in_its_bucket(ns in 0..=MAX_NS) {
        let histogram = of(&[ns]);
        let bucket = histogram.buckets().next().unwrap();
        prop_assert!(bucket.low_ns <= ns && ns < bucket.high_ns && bucket.count == 1);
    }
}

#[test]
fn buckets_follow_one_another_without_a_gap() {
    for index in 0..BUCKETS as u16 - 1 {
        let (low, width) = bounds_of(index);
        assert_eq!(low + width, bounds_of(index + 1).0);
        assert_eq!(index_of(low), index);
        assert_eq!(index_of(low + width - 1), index);
    }
}

#[test]
fn an_hdr_histogram_of_the_middles_reports_the_same_quantiles() {
    let mut hdr = hdrhistogram::Histogram::<u64>::new_with_bounds(1, MAX_NS, 2).unwrap();
    let values: Vec<u64> = (1..2_000_u64).map(|step| step * step * 977).collect();
    let histogram = of(&values);
    histogram.each(|index, count| hdr.record_n(middle_of(index), u64::from(count)).unwrap());
    for quantile in [0.01, 0.5, 0.9, 0.95, 0.99, 1.0] {
        assert_eq!(histogram.quantile(quantile), Some(hdr.value_at_quantile(quantile)));
    }
}

#[test]
fn longer_than_an_hour_is_counted_in_the_last_bucket() {
    let histogram = of(&[MAX_NS * 30]);
    assert_eq!(histogram.count(), 1);
    assert!(histogram.quantile(0.5).unwrap().abs_diff(MAX_NS) < MAX_NS / 100);
    assert_eq!(Histogram::default().quantile(0.5), None);
}
