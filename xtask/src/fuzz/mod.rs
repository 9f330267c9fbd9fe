//! `cargo xtask fuzz`: builds the fuzz program (`perfmon-user/fuzz`) with coverage counters and runs its targets, all or those named. It needs the
//! stable compiler and g++ only: no sanitizer, since perfmon's parsers are safe code, whose faults are panics. Dependencies are those of the
//! optimised perfmon; perfmon itself is compiled with counters and checks by this program, which stands in for the compiler.
mod compiler;
mod seeds;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::install;
use crate::lanes::in_lanes;
use crate::shell::{self, cargo, command, execute, say};

pub use compiler::stand_in;

/// The targets, as `perfmon-user/fuzz/src/targets/mod.rs` names them.
pub const TARGETS: [&str; 27] = [
    "decode",
    "recording",
    "pipeline",
    "http1",
    "http1_valid",
    "websocket",
    "redis",
    "postgres",
    "mysql",
    "memcached",
    "dns",
    "mongodb",
    "sql",
    "detect",
    "tls",
    "hello",
    "coding",
    "sse",
    "json",
    "model_call",
    "elf",
    "maps",
    "cgroup",
    "config",
    "endpoint",
    "redact",
    "query",
];
/// Longest input: a library, a recording, anything else.
const LONGEST: [(&str, u32); 2] = [("elf", 2 << 20), ("recording", 64 << 10)];
const LONGEST_OTHER: u32 = 4_096;
/// Seconds that one input may take, and megabytes of the whole process. Finer limits are in `perfmon-user/fuzz/src/meter.rs`.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes for each target
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: Option<u32>,
    /// Seconds for each target (10 by default)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Targets that run at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Targets; all of them by default
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
}

/// Builds and runs.
pub fn run(args: &Args) -> Result<()> {
    let seconds = args.minutes.map(|minutes| minutes * 60).or(args.seconds).unwrap_or(10);
    let named: Vec<&str> = args.targets.iter().map(String::as_str).collect();
    fuzz(if named.is_empty() { &TARGETS } else { &named }, seconds, args.jobs.into())
}

/// Runs all targets for these seconds each, one on each core.
pub fn all(seconds: u32) -> Result<()> {
    fuzz(&TARGETS, seconds, std::thread::available_parallelism().map_or(1, NonZero::get))
}

fn fuzz(targets: &[&str], seconds: u32, jobs: usize) -> Result<()> {
    let watch = Stopwatch::start();
    let program = build()?;
    say(format_args!("the fuzz program is built after {} s", watch.elapsed().as_secs()));
    let failed = run_all(&program, targets, seconds, jobs)?;
    if !failed.is_empty() {
        bail!("findings in {} of {} targets: {}", failed.len(), targets.len(), failed.join(", "));
    }
    say(format_args!("no findings in {} targets after {} s", targets.len(), watch.elapsed().as_secs()));
    Ok(())
}

/// Runs the targets, `jobs` at the same time; returns those with findings.
fn run_all<'a>(program: &Path, targets: &[&'a str], seconds: u32, jobs: usize) -> Result<Vec<&'a str>> {
    let failed = in_lanes(targets, jobs, |number, target| {
        let outcome = one(program, target, seconds)?;
        say(format_args!("fuzzed {target} for {seconds} s ({} of {}): {}", number + 1, targets.len(), outcome.figures));
        Ok(outcome.finding.map(|finding| {
            println!("{finding}");
            *target
        }))
    })?;
    Ok(failed.into_iter().flatten().collect())
}

/// Where corpora, findings and logs are kept between runs.
fn folder() -> PathBuf {
    shell::cache().join("fuzz")
}

/// Whether the fuzz program compiles, without counters; it names what perfmon shows to it alone.
pub fn check() -> Result<()> {
    if shell::find("g++").is_none() {
        say("g++ is not installed: the fuzz program is not checked");
        return Ok(());
    }
    execute(&mut cargo_with(&["check", "--quiet"])?)
}

/// cargo with arguments, on the fuzz program.
fn cargo_with(arguments: &[&str]) -> Result<Command> {
    let fuzz = shell::root().join("perfmon-user/fuzz");
    // The same versions as the workspace's, so that dependencies are compiled once.
    std::fs::copy(shell::root().join("Cargo.lock"), fuzz.join("Cargo.lock")).context("cannot make the lock file of the fuzz program")?;
    let mut cargo = cargo();
    cargo.args(arguments).arg("--manifest-path").arg(fuzz.join("Cargo.toml")).arg("--target-dir").arg(shell::target());
    Ok(cargo)
}

/// Builds the fuzz program; gives its path.
pub fn build() -> Result<PathBuf> {
    install::packages(&[("g++", "g++")])?;
    say("building the fuzz program");
    execute(compiler::instead(&mut cargo_with(&["build", "--release"])?)?)?;
    let program = shell::target().join("release/perfmon-fuzz");
    if !program.is_file() {
        bail!("cargo built no {}", program.display());
    }
    Ok(program)
}

/// What a run of a target came to.
struct Outcome {
    /// Runs, coverage and the like, in words.
    figures: String,
    /// What was found, where the input is and how to run it again.
    finding: Option<String>,
}

fn one(program: &Path, target: &str, seconds: u32) -> Result<Outcome> {
    let folder = folder();
    let (corpus, seeds) = (folder.join("corpus").join(target), folder.join("seeds").join(target));
    let (findings, logs) = (folder.join("findings"), folder.join("logs"));
    for folder in [&corpus, &seeds, &findings, &logs] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    seeds::write(target, &seeds)?;
    let longest = LONGEST.iter().find(|(name, _)| name == &target).map_or(LONGEST_OTHER, |(_, longest)| *longest);
    let log = logs.join(format!("{target}.log"));
    let output = std::fs::File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    let mut run = command(program);
    run.env("PERFMON_FUZZ_TARGET", target).env("RUST_BACKTRACE", "1");
    run.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}")).args(LIMITS);
    run.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/{target}-", findings.display())).arg(corpus).arg(seeds);
    let status = run.stdout(output.try_clone()?).stderr(output).status().with_context(|| format!("cannot start {}", shell::line(&run)))?;
    let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    let finding = (!status.success()).then(|| finding(&text, program, target, &log));
    Ok(Outcome { figures: figures(&text), finding })
}

/// Runs, coverage and the size of the corpus, from libFuzzer's log.
fn figures(log: &str) -> String {
    let value = |name: &str| log.lines().rev().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim);
    let last = log.lines().rev().find(|line| line.starts_with('#') && line.contains(" cov: ")).unwrap_or_default();
    let word = |name: &str| last.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?");
    format!(
        "{} runs, {} a second; coverage {}, corpus {}, {} MB",
        value("stat::number_of_executed_units:"),
        value("stat::average_exec_per_sec:"),
        word(" cov: "),
        word(" corp: "),
        value("stat::peak_rss_mb:"),
    )
}

/// What libFuzzer's log says of a run that failed.
fn finding(log: &str, program: &Path, target: &str, path: &Path) -> String {
    const LINES: usize = 120;
    const HEX: usize = 4_096;
    let is_begin = |line: &&str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
    let said: Vec<&str> = log.lines().skip_while(|line| !is_begin(line)).take(LINES).collect();
    let said = if said.is_empty() { log.lines().rev().take(LINES).collect::<Vec<_>>().into_iter().rev().collect() } else { said };
    let input = log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, input)| input.trim());
    let again = input.map_or_else(
        || "no input was kept".to_owned(),
        |input| format!("the input is {input}; run it again: PERFMON_FUZZ_TARGET={target} {} {input}", program.display()),
    );
    // Where a run leaves its log alone, the input is in it.
    let bytes = input.and_then(|input| std::fs::read(input).ok()).filter(|bytes| bytes.len() <= HEX).unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}\nerror: a finding in {target}: {again}\nThe input in hex: {hex}\nThe whole log is {}.", said.join("\n"), path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_fuzz_program() {
        let text = std::fs::read_to_string(shell::root().join("perfmon-user/fuzz/src/targets/mod.rs")).unwrap();
        let named: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).collect();
        assert_eq!(named, TARGETS);
    }

    #[test]
    fn every_target_has_seeds() {
        for target in TARGETS {
            assert!(!seeds::of(target).unwrap().is_empty(), "{target}");
        }
    }
    #[test]
    fn a_finding_names_its_input_and_how_to_run_it_again() {
        let log = "#2\tINITED cov: 10 ft: 12 corp: 1/2b exec/s: 0 rss: 30Mb\nthread panicked at src/x.rs:1:1:\nit is wrong\n\
                   artifact_prefix='f/sse-'; Test unit written to f/sse-crash-1\nstat::number_of_executed_units: 41\n";
        let said = finding(log, Path::new("fuzz"), "sse", Path::new("sse.log"));
        assert!(said.starts_with("thread panicked at src/x.rs:1:1:\nit is wrong\n"), "{said}");
        assert!(said.contains("run it again: PERFMON_FUZZ_TARGET=sse fuzz f/sse-crash-1\n"), "{said}");
        assert_eq!(figures(log), "41 runs, ? a second; coverage 10, corpus 1/2b, ? MB");
    }
}
