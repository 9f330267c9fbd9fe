//! `cargo xtask fuzz`: builds the fuzz program (`perfmon-user/fuzz`) with coverage counters and runs its targets, all or those named. It needs the
//! stable compiler and g++ only: no sanitizer, since perfmon's parsers are safe code, whose faults are panics. Dependencies are those of the
//! optimised perfmon; perfmon itself is compiled with counters and checks by this program, which stands in for the compiler.
mod compiler;
mod seeds;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::install;
use crate::shell::{self, cargo, command, execute, say};

pub use compiler::stand_in;

/// The targets, as `perfmon-user/fuzz/src/targets/mod.rs` names them.
pub const TARGETS: [&str; 17] = [
    "decode",
    "recording",
    "http1",
    "websocket",
    "detect",
    "tls",
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
/// Seconds and megabytes that one input may take.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes for each target
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<u32>,
    /// Seconds for each target (10 by default)
    #[arg(long)]
    seconds: Option<u32>,
    /// Targets; all of them by default
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
}

/// Builds and runs.
pub fn run(args: &Args) -> Result<()> {
    let seconds = args.minutes.map(|minutes| minutes * 60).or(args.seconds).unwrap_or(10);
    let named: Vec<&str> = args.targets.iter().map(String::as_str).collect();
    fuzz(if named.is_empty() { &TARGETS } else { &named }, seconds)
}

/// Runs all targets for these seconds each.
pub fn all(seconds: u32) -> Result<()> {
    fuzz(&TARGETS, seconds)
}

fn fuzz(targets: &[&str], seconds: u32) -> Result<()> {
    let watch = Stopwatch::start();
    let program = build()?;
    say(format_args!("the fuzz program is built after {} s", watch.elapsed().as_secs()));
    let mut failed = Vec::new();
    for target in targets {
        say(format_args!("fuzzing {target} for {seconds} s"));
        if let Err(error) = one(&program, target, seconds) {
            eprintln!("error: {error:#}");
            failed.push(*target);
        }
    }
    if !failed.is_empty() {
        bail!("findings in {}; the inputs are in {}", failed.join(", "), folder().join("findings").display());
    }
    say(format_args!("no findings in {} targets after {} s", targets.len(), watch.elapsed().as_secs()));
    Ok(())
}

/// Where corpora and findings are kept between runs.
fn folder() -> PathBuf {
    shell::cache().join("fuzz")
}

/// Builds the fuzz program; gives its path.
fn build() -> Result<PathBuf> {
    install::packages(&[("g++", "g++")])?;
    let fuzz = shell::root().join("perfmon-user/fuzz");
    // The same versions as the workspace's, so that dependencies are compiled once.
    std::fs::copy(shell::root().join("Cargo.lock"), fuzz.join("Cargo.lock")).context("cannot make the lock file of the fuzz program")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from);
    let target = shell::root().join(target);
    say("building the fuzz program");
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path"]).arg(fuzz.join("Cargo.toml")).arg("--target-dir").arg(&target);
    execute(compiler::instead(&mut build)?)?;
    let program = target.join("release/perfmon-fuzz");
    if !program.is_file() {
        bail!("cargo built no {}", program.display());
    }
    Ok(program)
}

fn one(program: &Path, target: &str, seconds: u32) -> Result<()> {
    let (corpus, findings, seeds) = (folder().join("corpus").join(target), folder().join("findings"), folder().join("seeds").join(target));
    for folder in [&corpus, &findings, &seeds] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    seeds::write(target, &seeds)?;
    let longest = LONGEST.iter().find(|(name, _)| name == &target).map_or(LONGEST_OTHER, |(_, longest)| *longest);
    let mut run = command(program);
    run.env("PERFMON_FUZZ_TARGET", target).arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}")).args(LIMITS);
    run.args(["-verbosity=0", "-print_final_stats=1"]).arg(format!("-artifact_prefix={}/{target}-", findings.display()));
    execute(run.arg(corpus).arg(seeds))
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
}
