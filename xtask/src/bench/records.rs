//! `cargo xtask bench records`: what counting a record costs in user space, by piece: the benchmark `app::record_cost` of perfmon-user, run
//! by turns in this tree and, with `--former`, in another one. Writes docs/performance.md.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::document;
use super::report::{median_of, spread};
use crate::shell::{self, command, output, say};

/// The benchmark's name among the tests.
const BENCHMARK: &str = "app::record_cost::cost_per_record";

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds of each
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// Optimised test program of perfmon-user in a former tree that has the benchmark
    #[arg(long, value_name = "FILE")]
    former: Option<PathBuf>,
    /// Measure this test program instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Print the figures, leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// Nanoseconds a record, by records a second and piece; in the order of the benchmark's lines.
type Costs = Vec<((u32, String), f64)>;

/// Measures, prints, writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0, "at least one round is needed");
    let program = args.program.clone().map_or_else(build, Ok)?;
    let mut turns: Vec<[Option<Costs>; 2]> = Vec::new();
    for number in 0..args.rounds {
        say(format_args!("round {}", number + 1));
        let former = args.former.as_deref().map(round).transpose()?;
        turns.push([former, Some(round(&program)?)]);
    }
    let figures = format!("{} rounds of each by turns, on one thread. {}\n{}", args.rounds, document::machine()?, table(&turns));
    println!("\n{figures}");
    if args.dry_run { Ok(()) } else { document::write("records", &figures) }
}

/// Builds the optimised test program.
fn build() -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--release", "--package", "perfmon-user", "--lib", "--no-run", "--message-format", "json"]);
    let messages = output(&mut cargo)?;
    let programs = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = programs.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    program.context("cargo built no test program")
}

fn round(program: &Path) -> Result<Costs> {
    let text = output(command(program).args(["--exact", BENCHMARK, "--ignored", "--nocapture"]))?;
    let costs = costs(&text);
    ensure!(!costs.is_empty(), "{} has no benchmark {BENCHMARK}", program.display());
    Ok(costs)
}

/// The lines `cost RATE PIECE NS`.
fn costs(text: &str) -> Costs {
    let cost = |line: &str| {
        let mut words = line.split_once("cost ")?.1.split_whitespace();
        let (rate, piece) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(((rate, piece), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(cost).collect()
}

/// By records a second: each piece and the sum, former and new, and the ratio of the sums of the same turns.
fn table(turns: &[[Option<Costs>; 2]]) -> String {
    let mut text = String::from("\n| records a second | piece | former, ns a record | new, ns a record |\n|---|---|---|---|\n");
    let mut rows: Vec<(u32, String)> = Vec::new();
    for (key, _) in turns.iter().flatten().flatten().flatten() {
        if !rows.contains(key) {
            rows.push(key.clone());
        }
    }
    rows.sort_by_key(|(rate, _)| *rate);
    for key in &rows {
        let of = |side: usize| of_piece(turns, side, key);
        let _infallible = writeln!(text, "| {} | {} | {} | {} |", key.0, key.1, shown(of(0)), shown(of(1)));
    }
    text.push_str("\n| records a second | sum, former | sum, new | new ÷ former | noise (new) |\n|---|---|---|---|---|\n");
    for rate in rows.iter().map(|(rate, _)| *rate).collect::<BTreeSet<_>>() {
        let sums = |side: usize| turns.iter().filter_map(|turn| Some(sum(turn[side].as_ref()?, rate))).collect::<Vec<f64>>();
        let (former, new) = (sums(0), sums(1));
        let ratios: Vec<f64> = former.iter().zip(&new).map(|(former, new)| new / former).collect();
        let noise: Vec<f64> = new.windows(2).map(|pair| pair[1] / pair[0]).collect();
        let ratio = |ratios: Vec<f64>| if ratios.is_empty() { "–".into() } else { spread(ratios) };
        let _infallible = writeln!(text, "| {rate} | {} | {} | {} | {} |", shown(former), shown(new), ratio(ratios), ratio(noise));
    }
    text
}

fn of_piece(turns: &[[Option<Costs>; 2]], side: usize, key: &(u32, String)) -> Vec<f64> {
    let cost = |turn: &[Option<Costs>; 2]| turn[side].as_ref()?.iter().find(|(known, _)| known == key).map(|(_, ns)| *ns);
    turns.iter().filter_map(cost).collect()
}

fn sum(costs: &Costs, rate: u32) -> f64 {
    costs.iter().filter(|((of, _), _)| *of == rate).map(|(_, ns)| ns).sum()
}

fn shown(values: Vec<f64>) -> String {
    if values.is_empty() {
        return "–".into();
    }
    let (low, high) = values.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), ns| (low.min(*ns), high.max(*ns)));
    format!("{:.0} [{low:.0}–{high:.0}]", median_of(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_same_turn_are_compared() {
        let former = costs("test app ... cost 1000 store 60.0\ncost 1000 otlp 40.0\nnothing");
        let new = costs("cost 1000 feed 30.0\ncost 1000 otlp 20.0\n");
        let text = table(&[[Some(former.clone()), Some(new.clone())], [Some(former), Some(new)]]);
        assert!(text.contains("| 1000 | store | 60 [60–60] | – |") && text.contains("| 1000 | feed | – | 30 [30–30] |"), "{text}");
        assert!(text.contains("| 1000 | 100 [100–100] | 50 [50–50] | 0.500 [0.500–0.500] | 1.000 [1.000–1.000] |"), "{text}");
    }
}
