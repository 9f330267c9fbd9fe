//! `cargo xtask bench records`: what counting a record costs in user space, by piece: the benchmark `app::record_cost` of perfmon-user, run
//! by turns in this tree and, with `--former`, in another one. Writes docs/performance.md.
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

/// A piece of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    load: String,
    name: String,
    /// It counts; otherwise it is what a record costs beside that.
    counts: bool,
}

/// Nanoseconds a record, in the order of the benchmark's lines.
type Costs = Vec<(Piece, f64)>;

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

/// The lines `cost LOAD PIECE NS`, and those with `also`.
fn costs(text: &str) -> Costs {
    let cost = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The name of the test may stand before the first line.
        let at = words.iter().position(|word| ["cost", "also"].contains(word))?;
        let [word, load, name, ns] = *words.get(at..)? else { return None };
        Some((Piece { load: load.into(), name: name.into(), counts: word == "cost" }, ns.parse().ok()?))
    };
    text.lines().filter_map(cost).collect()
}

/// By load: each piece and the sums, former and new, and the ratio of the sums of the same turns.
fn table(turns: &[[Option<Costs>; 2]]) -> String {
    let mut text = String::from("\n| load | piece | former, ns a record | new, ns a record |\n|---|---|---|---|\n");
    let mut pieces: Vec<&Piece> = Vec::new();
    for (piece, _) in turns.iter().flatten().flatten().flatten() {
        if !pieces.contains(&piece) {
            pieces.push(piece);
        }
    }
    let mut loads: Vec<&str> = Vec::new();
    for piece in &pieces {
        if !loads.contains(&&*piece.load) {
            loads.push(&piece.load);
        }
    }
    for load in &loads {
        for counts in [true, false] {
            for piece in pieces.iter().filter(|piece| piece.load == *load && piece.counts == counts) {
                let of = |side: usize| turns.iter().filter_map(|turn| sum(turn[side].as_ref()?, |known| known == *piece)).collect();
                let beside = if counts { "" } else { " (beside)" };
                let _infallible = writeln!(text, "| {load} | {}{beside} | {} | {} |", piece.name, shown(of(0)), shown(of(1)));
            }
        }
    }
    text.push_str("\n| load | sum of | former | new | new ÷ former | noise (former) | noise (new) |\n|---|---|---|---|---|---|---|\n");
    for load in &loads {
        for (name, all) in [("counting", false), ("all", true)] {
            let of = |piece: &Piece| piece.load == *load && (all || piece.counts);
            let sums = |side: usize| turns.iter().filter_map(|turn| sum(turn[side].as_ref()?, of)).collect::<Vec<f64>>();
            let (former, new) = (sums(0), sums(1));
            let ratios = former.iter().zip(&new).map(|(former, new)| new / former).collect();
            let noise = |sums: &[f64]| ratio(sums.windows(2).map(|pair| pair[1] / pair[0]).collect());
            let noises = [noise(&former), noise(&new)];
            let _infallible = writeln!(
                text,
                "| {load} | {name} | {} | {} | {} | {} | {} |",
                shown(former),
                shown(new),
                ratio(ratios),
                noises[0],
                noises[1]
            );
        }
    }
    text
}

fn sum(costs: &Costs, of: impl Fn(&Piece) -> bool) -> Option<f64> {
    let mut found = costs.iter().filter(|(piece, _)| of(piece)).map(|(_, ns)| ns).peekable();
    found.peek()?;
    Some(found.sum())
}

fn ratio(ratios: Vec<f64>) -> String {
    if ratios.is_empty() { "–".into() } else { spread(ratios) }
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
        let former = costs("test app ... cost a store 60.0\ncost a otlp 40.0\nalso a file 100.0\nnothing\ntest result: ok");
        let new = costs("cost a feed 30.0\ncost a otlp 20.0\nalso a file 150.0\n");
        let text = table(&[[Some(former.clone()), Some(new.clone())], [Some(former), Some(new)]]);
        assert!(text.contains("| a | store | 60 [60–60] | – |") && text.contains("| a | feed | – | 30 [30–30] |"), "{text}");
        assert!(text.contains("| a | file (beside) | 100 [100–100] | 150 [150–150] |"), "{text}");
        assert!(text.contains("| a | counting | 100 [100–100] | 50 [50–50] | 0.500 [0.500–0.500] | 1.000 [1.000–1.000] |"), "{text}");
        assert!(text.contains("| a | all | 200 [200–200] | 200 [200–200] | 1.000 [1.000–1.000] |"), "{text}");
    }
}
