//! A line chart with axes: values and times in, places in the picture out; the template draws them. Gaps stay gaps, the base line is zero, a
//! single value is a dot. The marks of the axes are round numbers and round local times.
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit, Zoned, ZonedRound};

/// Size of the picture in its own units, which are CSS pixels on a phone.
pub const WIDTH: f64 = 360.0;
/// Its height.
pub const HEIGHT: f64 = 150.0;
/// The area of the values.
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;
/// Intervals between the marks of the vertical axis, at most.
const LINES: f64 = 4.0;
/// Room for a time below the axis.
const TIME_WIDTH: f64 = 56.0;
/// Distances between marks of the horizontal axis in hours; more are whole days.
const HOURS: [i64; 5] = [1, 2, 3, 6, 12];

/// A mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisMark {
    /// Place along the axis.
    pub at: f64,
    /// What stands there.
    pub text: String,
}

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChartPicture {
    /// The line, as the data of an SVG path.
    pub path: String,
    /// Marks of the vertical axis, lowest first.
    pub values: Vec<AxisMark>,
    /// Marks of the horizontal axis.
    pub times: Vec<AxisMark>,
}

/// Draws values, the first of which is at `start` (seconds since 1970) and the others `step` seconds after each other.
pub fn draw(values: &[Option<f64>], start: u64, step: u64, zone: &TimeZone, show: impl Fn(f64) -> String) -> ChartPicture {
    let interval = round_interval(values.iter().flatten().copied().fold(0.0, f64::max));
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let lines = (most / interval).ceil().max(1.0);
    let y = |value: f64| BOTTOM - value / (lines * interval) * (BOTTOM - TOP);
    let span = (values.len().max(2) - 1) as f64;
    let x = |index: f64| LEFT + index / span * (RIGHT - LEFT);
    let mut path = String::new();
    let mut drawing = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let (x, y) = (x(index as f64), y(*value));
        // A line of no length has round ends: a dot, should nothing follow.
        path.push_str(&if drawing { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") });
        drawing = true;
    }
    let marks = (0..=lines as u32).map(|line| f64::from(line) * interval).map(|value| AxisMark { at: tenth(y(value)), text: show(value) });
    let (from, to) = (start as i64, start as i64 + (span * step as f64) as i64);
    let place = |second: i64| x((second - from) as f64 / step as f64);
    ChartPicture { path, values: marks.collect(), times: times(from, to, zone, place) }
}

/// 1, 2 or 5 times a power of ten, so that few of them reach `most`.
fn round_interval(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf((most / LINES).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|interval| most / interval <= LINES).unwrap_or(10.0 * power)
}

/// Round local times between two seconds.
fn times(from: i64, to: i64, zone: &TimeZone, place: impl Fn(i64) -> f64) -> Vec<AxisMark> {
    let room = ((RIGHT - LEFT) / TIME_WIDTH).floor() as i64;
    let hours = (to - from) as f64 / 3_600.0;
    let every = HOURS.into_iter().find(|every| hours / *every as f64 <= room as f64);
    let days = ((hours / 24.0 / room as f64).ceil() as i64).max(1);
    let Some(first) = Timestamp::from_second(from).ok().map(|stamp| stamp.to_zoned(zone.clone())) else { return Vec::new() };
    let Ok(mut mark) = first.round(ZonedRound::new().smallest(Unit::Day).mode(jiff::RoundMode::Trunc)) else { return Vec::new() };
    let mut marks = Vec::new();
    while mark.timestamp().as_second() <= to {
        let second = mark.timestamp().as_second();
        if second >= from {
            marks.push(AxisMark { at: tenth(place(second)), text: label(&mark, every.is_some()) });
        }
        let next = match every {
            Some(hours) => mark.checked_add(jiff::Span::new().hours(hours)),
            None => mark.checked_add(jiff::Span::new().days(days)),
        };
        match next {
            Ok(next) => mark = next,
            Err(_) => break,
        }
    }
    marks
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The hour, the date at midnight.
fn label(at: &Zoned, hours: bool) -> String {
    at.strftime(if hours && at.hour() != 0 { "%H:%M" } else { "%b %-d" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn gaps_are_not_bridged() {
        let drawn = draw(&[Some(1.0), Some(2.0), None, Some(4.0)], 0, 10, &TimeZone::UTC, |value| value.to_string());
        assert_eq!(drawn.path, "M52.0 98.0h0L151.3 68.0M350.0 8.0h0");
        assert_eq!(draw(&[], 0, 10, &TimeZone::UTC, |_| String::new()).path, "");
        assert!(draw(&[Some(0.0)], 0, 10, &TimeZone::UTC, |_| String::new()).path.starts_with("M52.0 128.0h0"));
    }

    #[test]
    fn the_vertical_axis_has_few_round_numbers() {
        let marks = |most: f64| {
            let drawn = draw(&[Some(most)], 0, 10, &TimeZone::UTC, |value| format!("{value:.4}"));
            drawn.values.into_iter().map(|mark| mark.text.trim_end_matches('0').trim_end_matches('.').to_string()).collect::<Vec<_>>()
        };
        assert_eq!(marks(4.0), ["0", "1", "2", "3", "4"]);
        assert_eq!(marks(130.0), ["0", "50", "100", "150"]);
        assert_eq!(marks(0.0), ["0", "1"]);
        assert_eq!(marks(0.07), ["0", "0.02", "0.04", "0.06", "0.08"]);
    }

    #[test]
    fn the_horizontal_axis_has_round_local_times() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let marks = |start: u64, seconds: u64| {
            let values = vec![Some(1.0); 101];
            let drawn = draw(&values, start, seconds / 100, &berlin, |_| String::new());
            assert!(drawn.times.windows(2).all(|pair| pair[1].at - pair[0].at >= TIME_WIDTH * 0.9), "{:?}", drawn.times);
            drawn.times.into_iter().map(|mark| mark.text).collect::<Vec<_>>()
        };
        // 2026-11-26T06:00:00Z is 07:00 there.
        let start = 1_795_672_800;
        assert_eq!(marks(start, DAY), ["12:00", "18:00", "Nov 27", "06:00"]);
        assert_eq!(marks(start, 7 * DAY), ["Nov 28", "Nov 30", "Dec 2"]);
        assert!(marks(start, 30 * DAY).len() >= 4);
    }
}
