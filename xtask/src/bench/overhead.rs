//! `cargo xtask bench overhead`: alternating rounds without and with perfmon, so that each round with it is between two without. A last
//! round with the kernel's accounting of programs switched on measures the time of each program. Writes docs/performance.md.
use std::path::Path;

use anyhow::{Result, ensure};

use super::nginx::Nginx;
use super::perfmon::{KernelStats, Perfmon};
use super::report::{self, Own, ProgramCost, Round};
use super::{document, load};
use crate::install;
use crate::shell::{self, say};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds with perfmon (and one more without)
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// Seconds of each of a round's two loads
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Print the figures, leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// Lost events in `/api/v1/self`.
const LOST: &str = "/events_lost/total";
const PROGRAMS: [(&str, &str); 4] = [("nginx", "nginx-light"), ("wrk", "wrk"), ("h2load", "nghttp2-client"), ("bpftool", "bpftool")];

/// Measures, prints, writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0 && args.seconds > 0, "at least one round of one second is needed");
    install::packages(&PROGRAMS)?;
    let binary = shell::build_perfmon()?;
    let nginx = Nginx::start()?;
    let log = shell::cache().join("bench-h2load.log");
    say("warming up");
    load::saturate(&nginx.url(), 2)?;

    let (mut off, mut on, mut own) = (vec![round(&nginx, args.seconds, &log)?.0], Vec::new(), Vec::new());
    for number in 1..=args.rounds {
        let (with, cost) = observed_round(&binary, &nginx, args.seconds, &log)?;
        let without = round(&nginx, args.seconds, &log)?.0;
        say(format_args!("round {number} of {}: CPU a request {:.2} µs with, {:.2} µs without", args.rounds, with.cpu_us, without.cpu_us));
        on.push(with);
        own.push(cost);
        off.push(without);
    }
    let programs = kernel_round(&binary, &nginx, args.seconds)?;
    let conditions = format!(
        "{} rounds with and {} without perfmon, {} s a load. {}\n",
        args.rounds,
        args.rounds + 1,
        args.seconds,
        document::machine()?
    );
    let figures = format!("{conditions}\n{}\n{}", report::ratios(&off, &on), report::own(&own, &programs));
    println!("\n{figures}");
    if args.dry_run { Ok(()) } else { document::write("overhead", &figures) }
}

/// A saturating load, then one at a fixed rate; also the number of requests of the first.
fn round(nginx: &Nginx, seconds: u32, log: &Path) -> Result<(Round, u64)> {
    let cpu_before = nginx.cpu_ns()?;
    let load = load::saturate(&nginx.url(), seconds)?;
    let cpu_us = (nginx.cpu_ns()? - cpu_before) as f64 / 1_000.0 / load.requests as f64;
    let fixed = load::fixed_rate(&nginx.url(), seconds, log)?;
    Ok((Round { cpu_us, per_second: load.per_second, p50_us: fixed.p50_us, p99_us: fixed.p99_us }, load.requests))
}

/// A round while perfmon watches.
fn observed_round(binary: &Path, nginx: &Nginx, seconds: u32, log: &Path) -> Result<(Round, Own)> {
    let perfmon = Perfmon::start(binary)?;
    let (cpu_before, lost_before) = (perfmon.cpu_ns()?, Perfmon::figure(&perfmon.report()?, LOST)?);
    let (round, saturated) = round(nginx, seconds, log)?;
    let report = perfmon.report()?;
    let requests = saturated + u64::from(2_000 * seconds);
    let own = Own {
        user_us: (perfmon.cpu_ns()? - cpu_before) as f64 / 1_000.0 / requests as f64,
        rss_bytes: Perfmon::figure(&report, "/rss_bytes")?,
        map_bytes: Perfmon::figure(&report, "/map_bytes")?,
        lost: Perfmon::figure(&report, LOST)? - lost_before,
    };
    Ok((round, own))
}

/// What each kernel program costs; apart from the other rounds because the accounting itself costs.
fn kernel_round(binary: &Path, nginx: &Nginx, seconds: u32) -> Result<Vec<ProgramCost>> {
    let _on_while_measuring = KernelStats::on()?;
    let perfmon = Perfmon::start(binary)?;
    let before = perfmon.programs()?;
    let load = load::saturate(&nginx.url(), seconds)?;
    let mut costs = Vec::new();
    for (name, after) in perfmon.programs()? {
        let before = before.get(&name).copied().unwrap_or_default();
        let (runs, ns) = (after.runs - before.runs, after.ns - before.ns);
        if runs > 0 {
            costs.push(ProgramCost { name, runs_per_request: runs as f64 / load.requests as f64, ns_per_run: ns as f64 / runs as f64 });
        }
    }
    costs.sort_by(|a, b| (b.runs_per_request * b.ns_per_run).total_cmp(&(a.runs_per_request * a.ns_per_run)));
    Ok(costs)
}
