//! How much more the host could take. In: courses of the request rate, CPU, memory and disk; out: requests per CPU second, the estimated
//! maximum rate with its headroom, and days until a disk or the memory is full. The maximum is where the host's CPU would reach 80 %: by the
//! line through rate and CPU of each step when they go together, otherwise in proportion to the busiest step. It says nothing about locks,
//! pools or databases, which may limit earlier.
use serde::{Deserialize, Serialize};

/// CPU at which a host counts as full, in percent: queues grow beyond it.
const FULL_PERCENT: f64 = 80.0;
/// Steps below which no line is drawn.
const LEAST_STEPS: usize = 12;
/// Least share of the variation that the line must explain (R²).
const EXPLAINED: f64 = 0.5;
/// Least difference between the lowest and the highest rate, as a share of the highest.
const SPREAD: f64 = 0.2;
/// A forecast reaches this many times as far as what it is made from, and no further.
const REACH: f64 = 8.0;
/// Percent a day below which nothing grows.
const GROWING: f64 = 0.02;
const DAY_S: f64 = 86_400.0;

/// Capacity of the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Requests for each second of CPU time of the watched services.
    pub requests_per_cpu_second: Option<f64>,
    /// Requests a minute in the busiest step.
    pub peak_per_minute: Option<f64>,
    /// Requests a minute at which the CPU would be full, estimated.
    pub maximum_per_minute: Option<f64>,
    /// How often the busiest step fits into the maximum.
    pub headroom: Option<f64>,
    /// `line` or `proportion`: how the maximum was estimated.
    pub method: Option<String>,
    /// Change of the request rate against the period before, 0.1 = 10 % more.
    pub traffic_trend: Option<f64>,
    /// Days until the fullest disk is full.
    pub disk_full_days: Option<f64>,
    /// Days until the memory is full.
    pub memory_full_days: Option<f64>,
}

/// Values of the steps.
pub struct CapacityCourses<'a> {
    /// Requests a minute.
    pub rate: &'a [Option<f64>],
    /// CPU of the host in percent.
    pub cpu: &'a [Option<f64>],
    /// Its memory.
    pub memory: &'a [Option<f64>],
    /// Its fullest disk.
    pub disk: &'a [Option<f64>],
    /// Seconds of a step.
    pub step_s: u64,
}

/// The estimate.
pub fn estimate(courses: &CapacityCourses<'_>) -> Capacity {
    let pairs: Vec<(f64, f64)> = courses.rate.iter().zip(courses.cpu).filter_map(|(rate, cpu)| rate.zip(*cpu)).collect();
    let busiest = pairs.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(rate, _)| *rate > 0.0);
    let maximum = busiest.and_then(|busiest| maximum(&pairs, busiest));
    let peak = busiest.map(|(rate, _)| rate);
    Capacity {
        peak_per_minute: peak.map(tenths),
        maximum_per_minute: maximum.map(|(most, _)| most.round()),
        headroom: maximum.zip(peak).map(|((most, _), peak)| (most / peak * 10.0).round() / 10.0),
        method: maximum.map(|(_, method)| method.into()),
        disk_full_days: full_in_days(courses.disk, courses.step_s),
        memory_full_days: full_in_days(courses.memory, courses.step_s),
        ..Capacity::default()
    }
}

fn maximum(pairs: &[(f64, f64)], (peak, cpu): (f64, f64)) -> Option<(f64, &'static str)> {
    let lowest = pairs.iter().map(|(rate, _)| *rate).fold(f64::MAX, f64::min);
    if pairs.len() >= LEAST_STEPS
        && peak - lowest >= peak * SPREAD
        && let Some(line) = FittedLine::through(pairs)
        && line.slope > 0.0
        && line.explained >= EXPLAINED
    {
        let most = (FULL_PERCENT - line.base) / line.slope;
        return Some((most.max(peak), "line"));
    }
    (cpu > 0.0).then(|| ((peak * FULL_PERCENT / cpu).max(peak), "proportion"))
}

/// A line of least squares.
struct FittedLine {
    base: f64,
    slope: f64,
    /// Share of the variation that it explains, 0..1.
    explained: f64,
}

impl FittedLine {
    fn through(pairs: &[(f64, f64)]) -> Option<Self> {
        let count = pairs.len() as f64;
        let mean = |pick: fn(&(f64, f64)) -> f64| pairs.iter().map(pick).sum::<f64>() / count;
        let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for pair in pairs {
            let (dx, dy) = (pair.0 - x, pair.1 - y);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        if xx == 0.0 {
            return None;
        }
        let slope = xy / xx;
        Some(Self { base: y - slope * x, slope, explained: if yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 } })
    }
}

/// Days until a percentage that grows steadily reaches 100; none when it does not, or when that is too far away to be known.
fn full_in_days(values: &[Option<f64>], step_s: u64) -> Option<f64> {
    let days = |index: usize| index as f64 * step_s as f64 / DAY_S;
    let pairs: Vec<_> = values.iter().enumerate().filter_map(|(index, value)| Some((days(index), (*value)?))).collect();
    let ((first, _), (last, level)) = (*pairs.first()?, *pairs.last()?);
    let line = FittedLine::through(&pairs)?;
    if pairs.len() < LEAST_STEPS || line.slope < GROWING || line.explained < EXPLAINED {
        return None;
    }
    let left = (100.0 - level).max(0.0) / line.slope;
    (left <= (last - first) * REACH).then(|| tenths(left))
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(value: impl Fn(usize) -> f64) -> Vec<Option<f64>> {
        (0..48).map(|step| Some(value(step))).collect()
    }

    fn of(rate: &[Option<f64>], cpu: &[Option<f64>]) -> Capacity {
        estimate(&CapacityCourses { rate, cpu, memory: &[], disk: &[], step_s: 3_600 })
    }

    #[test]
    fn the_maximum_is_where_the_line_reaches_the_full_cpu() {
        let rate = course(|step| 100.0 + 100.0 * (step as f64 / 8.0).sin().abs());
        let cpu: Vec<_> = rate.iter().map(|rate| rate.map(|rate| 10.0 + rate / 10.0)).collect();
        let found = of(&rate, &cpu);
        assert_eq!((found.maximum_per_minute, found.method.as_deref()), (Some(700.0), Some("line")));
        assert!((found.headroom.unwrap() - 3.5).abs() < 0.1, "{found:?}");
        let flat = of(&course(|_| 100.0), &course(|_| 20.0));
        assert_eq!((flat.maximum_per_minute, flat.headroom, flat.method.as_deref()), (Some(400.0), Some(4.0), Some("proportion")));
        assert_eq!(of(&course(|_| 0.0), &course(|_| 20.0)).maximum_per_minute, None);
        assert_eq!(of(&[], &[]), Capacity::default());
    }

    #[test]
    fn a_disk_that_grows_is_full_some_day_and_one_that_does_not_never() {
        let days = |value: &dyn Fn(usize) -> f64| full_in_days(&course(value), 3_600);
        // Two percent a day: at 94 % after 47 of 48 hours.
        assert_eq!(days(&|step| 90.083 + step as f64 / 12.0), Some(3.0));
        assert_eq!(days(&|_| 99.0), None);
        assert_eq!(days(&|step| 50.0 - step as f64 / 12.0), None);
        assert_eq!(days(&|step| 50.0 + 20.0 * (step as f64).sin()), None);
        // In 45 days: two days tell nothing of that.
        assert_eq!(days(&|step| 10.0 + step as f64 / 12.0), None);
    }
}
