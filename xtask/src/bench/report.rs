//! Statistics of the rounds and their text: medians of paired ratios beside the ratios of off/off pairs, which are the noise.
use std::fmt::Write as _;

/// One round without or with perfmon.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The server's CPU time a request, µs, under saturation.
    pub cpu_us: f64,
    /// Answers a second under saturation.
    pub per_second: f64,
    /// Median latency at 2,000 requests a second, µs.
    pub p50_us: f64,
    /// 99th percentile there, µs.
    pub p99_us: f64,
}

/// perfmon's own cost in one of its rounds.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// CPU time of the user side a request, µs.
    pub user_us: f64,
    /// Resident memory, bytes.
    pub rss_bytes: f64,
    /// Kernel maps, bytes.
    pub map_bytes: f64,
    /// Events lost during the round.
    pub lost: f64,
}

/// A kernel program's mean cost.
#[derive(Clone, Debug)]
pub struct ProgramCost {
    /// Name.
    pub name: String,
    /// Runs a request.
    pub runs_per_request: f64,
    /// Time of a run, the accounting included.
    pub ns_per_run: f64,
}

/// One of a round's figures.
type Figure = fn(&Round) -> f64;

/// The value below which a share `q` of sorted values lies (nearest rank); 0 for none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

pub fn median_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// A median with its lowest and highest value.
fn spread(values: Vec<f64>) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.3} [{low:.3}–{high:.3}]", median_of(values))
}

/// The table of ratios. `off` holds one round more than `on`: each round with perfmon is between two without.
pub fn ratios(off: &[Round], on: &[Round]) -> String {
    let mut text = String::from(
        "| nginx, 1 KiB | without perfmon | with perfmon | ratio, median [lowest–highest] | noise: ratio of neighbouring rounds without |\n|---|---|---|---|---|\n",
    );
    let figures: [(&str, Figure); 4] = [
        ("CPU of the server a request, µs (saturated)", |round| round.cpu_us),
        ("requests a second (saturated)", |round| round.per_second),
        ("p50 at 2,000 requests a second, µs", |round| round.p50_us),
        ("p99 at 2,000 requests a second, µs", |round| round.p99_us),
    ];
    for (name, figure) in figures {
        let pairs = on.iter().zip(off.windows(2)).map(|(on, around)| 2.0 * figure(on) / (figure(&around[0]) + figure(&around[1])));
        let noise = off.windows(2).map(|pair| figure(&pair[1]) / figure(&pair[0]));
        let (without, with) = (median_of(off.iter().map(figure).collect()), median_of(on.iter().map(figure).collect()));
        let (ratio, noise) = (spread(pairs.collect()), spread(noise.collect()));
        let _infallible = writeln!(text, "| {name} | {without:.1} | {with:.1} | {ratio} | {noise} |");
    }
    text
}

/// The table of perfmon's own cost.
pub fn own(rounds: &[Own], programs: &[ProgramCost]) -> String {
    let median = |figure: fn(&Own) -> f64| median_of(rounds.iter().map(figure).collect());
    let mega = 1_048_576.0;
    let kernel: f64 = programs.iter().map(|program| program.runs_per_request * program.ns_per_run).sum();
    let mut text = String::from("| perfmon itself | |\n|---|---|\n");
    let lost: f64 = rounds.iter().map(|round| round.lost).sum();
    let rows = [
        ("CPU of the user side a request", format!("{:.2} µs", median(|round| round.user_us))),
        ("time in kernel programs a request, accounting included", format!("{:.2} µs", kernel / 1_000.0)),
        ("resident memory", format!("{:.1} MiB", median(|round| round.rss_bytes) / mega)),
        ("kernel maps", format!("{:.1} MiB", median(|round| round.map_bytes) / mega)),
        ("events lost, all rounds", format!("{lost:.0}")),
    ];
    for (name, value) in rows {
        let _infallible = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n| kernel program | runs a request | ns a run (about 58 of them accounting) |\n|---|---|---|\n");
    for program in programs {
        let _infallible = writeln!(text, "| `{}` | {:.2} | {:.0} |", program.name, program.runs_per_request, program.ns_per_run);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_us: f64) -> Round {
        Round { cpu_us, per_second: 1_000.0 / cpu_us, p50_us: 100.0, p99_us: 200.0 }
    }

    #[test]
    fn quantiles_are_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn a_round_is_compared_with_its_neighbours() {
        let table = ratios(&[round(10.0), round(10.0), round(20.0)], &[round(12.0), round(18.0)]);
        let cpu = table.lines().nth(2).unwrap();
        assert!(cpu.contains("| 10.0 | 15.0 | 1.200 [1.200–1.200] | 1.500 [1.000–2.000] |"), "{cpu}");
    }
}
