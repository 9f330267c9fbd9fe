//! `cargo xtask bench overhead`: nginx without perfmon, with a former perfmon (`--former`) and with this one, by turns in the same run, so
//! that ratios are those of neighbouring rounds. Once with nginx alone watched and once with everything watched. Rounds of their own with
//! the kernel's accounting of programs give the time of the kernel side, and a run at a high fixed rate tells whether events are lost.
//! Writes docs/performance.md.
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::document;
use super::load::{self, Saturated};
use super::nginx::Nginx;
use super::paired::{self, Kernel, Own, Round, Rush, Subject, Watched};
use super::perfmon::{KernelStats, Perfmon};
use crate::install;
use crate::shell::{self, say};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds of each program for each kind of target
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Seconds of each load
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// A former perfmon to compare with
    #[arg(long, value_name = "FILE")]
    former: Option<PathBuf>,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Requests a second of the run that must lose nothing
    #[arg(long, default_value_t = 20_000)]
    rush: u32,
    /// Print the figures, leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// Lost events in `/api/v1/self`.
const LOST: &str = "/events_lost/total";
/// The load at which latencies are compared.
const MODERATE: load::Rate = load::Rate { connections: 8, per_second: 2_000 };
/// Connections of the run at a high rate.
const RUSH_CONNECTIONS: u32 = 50;
/// Rounds with the kernel's accounting at most: their spread is small.
const KERNEL_ROUNDS: u32 = 3;
const PROGRAMS: [(&str, &str); 4] = [("nginx", "nginx-light"), ("wrk", "wrk"), ("h2load", "nghttp2-client"), ("bpftool", "bpftool")];

/// Measures, prints, writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0 && args.seconds > 0, "at least one round of one second is needed");
    install::packages(&PROGRAMS)?;
    let new = args.perfmon.clone().map_or_else(shell::build_perfmon, Ok)?;
    let bench = Bench {
        binaries: args.former.iter().map(|former| (Subject::Former, former.clone())).chain([(Subject::New, new)]).collect(),
        nginx: Nginx::start()?,
        log: shell::cache().join("bench-h2load.log"),
        seconds: args.seconds,
    };
    say("warming up");
    load::saturate(&bench.nginx.url(), 2)?;
    let mut figures = format!("{} rounds of each, {} s a load. {}\n", args.rounds, args.seconds, document::machine()?);
    for watched in [Watched::Nginx, Watched::Everything] {
        let rounds = bench.rounds(watched, args.rounds)?;
        let kernel = bench.kernel_rounds(watched, args.rounds.min(KERNEL_ROUNDS))?;
        let rushes = bench.rushes(watched, load::Rate { connections: RUSH_CONNECTIONS, per_second: args.rush })?;
        let section = paired::section(watched, &rounds, &kernel, &rushes);
        println!("\n{section}");
        figures.push_str(&section);
    }
    if args.dry_run { Ok(()) } else { document::write("overhead", &figures) }
}

/// What all rounds have in common.
struct Bench {
    /// The programs compared; the round without perfmon is not among them.
    binaries: Vec<(Subject, PathBuf)>,
    nginx: Nginx,
    log: PathBuf,
    seconds: u32,
}

impl Bench {
    /// Rounds of all subjects; who begins rotates.
    fn rounds(&self, watched: Watched, count: u32) -> Result<Vec<Vec<Round>>> {
        let mut all = Vec::new();
        for number in 1..=count {
            let mut subjects: Vec<(Subject, Option<&Path>)> = vec![(Subject::None, None)];
            subjects.extend(self.binaries.iter().map(|(subject, binary)| (*subject, Some(binary.as_path()))));
            let len = subjects.len();
            subjects.rotate_left(number as usize % len);
            let mut rounds = Vec::new();
            for (subject, binary) in subjects {
                rounds.push(self.round(watched, subject, binary)?);
            }
            rounds.sort_by_key(|round| round.subject);
            say(format_args!("{watched}, round {number} of {count}: {}", paired::progress(&rounds)));
            all.push(rounds);
        }
        Ok(all)
    }

    /// A saturating load, then one at a fixed rate.
    fn round(&self, watched: Watched, subject: Subject, binary: Option<&Path>) -> Result<Round> {
        let perfmon = binary.map(|binary| self.start(watched, binary)).transpose()?;
        let before = perfmon.as_ref().map(Measured::of).transpose()?;
        let nginx_before = self.nginx.cpu_ns()?;
        let load = load::saturate(&self.nginx.url(), self.seconds)?;
        let cpu_us = (self.nginx.cpu_ns()? - nginx_before) as f64 / 1_000.0 / load.requests as f64;
        let after = perfmon.as_ref().map(Measured::of).transpose()?;
        let fixed = load::fixed_rate(&self.nginx.url(), MODERATE, self.seconds, &self.log)?;
        let mut own = before.zip(after).map(|(before, after)| after.since(before, watched, &load));
        if let (Some(own), Some(perfmon), Some(before)) = (&mut own, &perfmon, before) {
            own.lost = Measured::of(perfmon)?.lost - before.lost;
        }
        Ok(Round { subject, cpu_us, per_second: load.per_second, p50_us: fixed.p50_us, p99_us: fixed.p99_us, own })
    }

    /// What the kernel programs cost; apart from the other rounds because the accounting itself costs.
    fn kernel_rounds(&self, watched: Watched, count: u32) -> Result<Vec<Vec<Kernel>>> {
        let _on_while_measuring = KernelStats::on()?;
        (0..count).map(|_| self.binaries.iter().map(|(subject, binary)| self.kernel_round(watched, *subject, binary)).collect()).collect()
    }

    fn kernel_round(&self, watched: Watched, subject: Subject, binary: &Path) -> Result<Kernel> {
        let perfmon = self.start(watched, binary)?;
        let before = perfmon.programs()?;
        let load = load::saturate(&self.nginx.url(), self.seconds)?;
        let mut programs = Vec::new();
        for (name, after) in perfmon.programs()? {
            let before = before.get(&name).copied().unwrap_or_default();
            let (runs, ns) = (after.runs - before.runs, after.ns - before.ns);
            if runs > 0 {
                programs.push(paired::ProgramCost {
                    name,
                    runs_per_request: runs as f64 / load.requests as f64,
                    ns_per_run: ns as f64 / runs as f64,
                });
            }
        }
        programs.sort_by(|a, b| (b.runs_per_request * b.ns_per_run).total_cmp(&(a.runs_per_request * a.ns_per_run)));
        Ok(Kernel { subject, programs })
    }

    /// A run at a high rate for each binary: what was asked, what perfmon counted, what it lost.
    fn rushes(&self, watched: Watched, rate: load::Rate) -> Result<Vec<Rush>> {
        let mut rushes = Vec::new();
        for (subject, binary) in &self.binaries {
            let perfmon = self.start(watched, binary)?;
            let before = Measured::of(&perfmon)?;
            let sent = load::at_rate(&self.nginx.url(), rate, self.seconds)?;
            // The last records are in the snapshot that follows the next tick.
            std::thread::sleep(std::time::Duration::from_millis(2_500));
            let after = Measured::of(&perfmon)?;
            let own = after.since(before, watched, &sent);
            let counted = perfmon.requests_of("/1k")?;
            rushes.push(Rush {
                subject: *subject,
                per_second: sent.per_second,
                sent: sent.requests,
                counted,
                lost: own.lost,
                user_us: own.user_us,
            });
        }
        Ok(rushes)
    }

    fn start(&self, watched: Watched, binary: &Path) -> Result<Perfmon> {
        let port = self.nginx.port().to_string();
        let targets = match watched {
            Watched::Nginx => vec!["--port", &port],
            Watched::Everything => vec!["--all"],
        };
        Perfmon::start_with(binary, &[&["--no-store"], &targets[..]].concat())
    }
}

/// perfmon's figures at a moment.
#[derive(Clone, Copy)]
struct Measured {
    cpu_ns: u64,
    rss_bytes: f64,
    map_bytes: f64,
    lost: f64,
}

impl Measured {
    fn of(perfmon: &Perfmon) -> Result<Self> {
        let report = perfmon.report()?;
        Ok(Self {
            cpu_ns: perfmon.cpu_ns()?,
            rss_bytes: Perfmon::figure(&report, "/rss_bytes")?,
            map_bytes: Perfmon::figure(&report, "/map_bytes")?,
            lost: Perfmon::figure(&report, LOST)?,
        })
    }

    /// What a load cost.
    fn since(self, before: Self, watched: Watched, load: &Saturated) -> Own {
        let records = load.requests * watched.records_per_request();
        Own {
            user_us: (self.cpu_ns - before.cpu_ns) as f64 / 1_000.0 / records as f64,
            rss_bytes: self.rss_bytes,
            map_bytes: self.map_bytes,
            lost: self.lost - before.lost,
        }
    }
}
