//! Windows against the plain sum of what happened in them.
use proptest::prelude::*;

use super::*;
use crate::aggregate::accumulator::counts;
use crate::aggregate::figures::WindowFigures;

counts! { One { sums { #[doc = "Things."] things } maxima { #[doc = "Largest."] largest } } }

type Series = Windows<One, 1>;

fn at(second: u64) -> WallTime {
    WallTime(1_800_000_000_000_000_000 + second * NS)
}

fn add(row: &mut Series, value: u64) {
    row.open.counts.things += 1;
    row.open.counts.largest = row.open.counts.largest.max(value);
    row.open.shapes[0].record(value);
}

fn figures(row: &Series, window: Window, clock: &SliceClock) -> WindowFigures<One, 1> {
    let mut merger = Merger::default();
    row.collect(window, clock.slice(), &mut merger);
    merger.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_window_holds_its_length_and_at_most_a_slice_more(steps in prop::collection::vec((1_u64..40, 0_u64..4), 1..300)) {
        let (mut clock, mut row, mut happened, mut second) = (SliceClock::new(at(0)), Series::default(), Vec::new(), 0);
        for (step, number) in steps {
            for value in 0..number {
                add(&mut row, value + 1);
                // It counts in the slice that the last tick opened.
                happened.push(second);
            }
            second += step;
            let from = clock.slice();
            clock.advance(at(second));
            row.roll(from, clock.slice());
            for window in Window::ALL {
                let figures = figures(&row, window, &clock);
                let begin = (second as f64 - clock.covered_s(window)).round() as u64;
                let held = happened.iter().filter(|&&when| when >= begin).count() as u64;
                prop_assert_eq!(figures.counts.things, held, "{:?} at {} s from {}", window, second, begin);
                prop_assert_eq!(figures.spreads[0].count, held);
                let (length, slice) = (window.seconds(), [5, 30, 300][window as usize]);
                prop_assert!(clock.covered_s(window) <= (length + slice) as f64);
                prop_assert!(clock.covered_s(window) >= length.min(second) as f64);
            }
        }
    }

    #[test]
    fn merged_rows_hold_what_both_held(owners in prop::collection::vec((any::<bool>(), 1_u64..1_000_000), 1..400)) {
        let (mut clock, mut both, mut rows) = (SliceClock::new(at(0)), Series::default(), [Series::default(), Series::default()]);
        for (second, (owner, value)) in owners.into_iter().enumerate() {
            add(&mut both, value);
            add(&mut rows[usize::from(owner)], value);
            let from = clock.slice();
            clock.advance(at(second as u64 * 3));
            both.roll(from, clock.slice());
            rows.iter_mut().for_each(|row| row.roll(from, clock.slice()));
        }
        let [mut left, right] = rows;
        left.merge(right);
        for window in Window::ALL {
            prop_assert_eq!(figures(&left, window, &clock), figures(&both, window, &clock));
        }
    }
}

#[test]
fn a_clock_set_back_loses_nothing() {
    let mut clock = SliceClock::new(at(100));
    clock.advance(at(130));
    assert_eq!(clock.advance(at(10)), 0);
    clock.advance(at(20));
    assert_eq!(clock.uptime_s(), 40.0);
}

#[test]
fn maxima_leave_with_their_slice() {
    let (mut clock, mut row) = (SliceClock::new(at(0)), Series::default());
    for second in 0..200 {
        add(&mut row, if second == 10 { 1_000 } else { 5 });
        let from = clock.slice();
        clock.advance(at(second));
        row.roll(from, clock.slice());
    }
    assert_eq!(figures(&row, Window::Minute, &clock).counts.largest, 5);
    assert_eq!(figures(&row, Window::FiveMinutes, &clock).counts.largest, 1_000);
}
