//! `cargo xtask test`: what CI runs. Installs what is missing, then lint, kernel object, unit and replay tests, the page's tests in a
//! browser, the live tests with an optimised perfmon as root, other kernels in virtual machines, and each fuzz target for seconds. Its last line is the sum over all test
//! programs: `N passed, N failed, N skipped`.
//!
//! What installs and builds is done two at a time: downloads and the page's format beside clippy, the optimised builds, which end in one long compilation on one
//! core, beside those of the tests. Live tests that measure run alone, those that mostly wait side by side.
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::lanes::in_lanes;
use crate::shell::{self, cargo, execute, say};
use crate::{build_dashboard, build_ebpf, fuzz, install, lint, vmtest};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Only what needs neither root nor installed servers: lint, unit and replay tests
    #[arg(long)]
    fast: bool,
    /// Install cargo-deny when it is missing
    #[arg(long)]
    deny: bool,
    /// Run only the tests whose names contain this, and no lint
    filter: Option<String>,
}

/// Test files of perfmon-tests that start a real perfmon and need the whole machine, in this order: they measure, load or stop it.
const LIVE_ALONE: [&str; 23] = [
    "harness",
    "lifecycle",
    "live_framing",
    "live_ends",
    "live_processes",
    "live_servers",
    "live_tls",
    "live_tls_objects",
    "live_libraries",
    "live_unread",
    "live_access",
    "live_canary",
    "live_attach",
    "live_stops",
    "live_stages",
    "live_neighbour",
    "live_models",
    "live_positions",
    "live_proxies",
    "live_memory",
    "live_budgets",
    "live_load",
    "live_loss",
];

/// Those that mostly wait, for rules, exports and programs to start: so many run at the same time, the longest first.
const LANES: usize = 3;
const LIVE_TOGETHER: [&str; 29] = [
    "live_incident",
    "live_alerts",
    "commands",
    "browser",
    "live_websocket",
    "live_store",
    "live_stream",
    "live_databases",
    "live_mysql",
    "live_link",
    "live_memcached",
    "live_dns",
    "live_mongodb",
    "live_drivers",
    "live_pools",
    "live_packages",
    "live_demo",
    "live_export",
    "tiers",
    "live_screen",
    "live_edges",
    "live_api",
    "live_metrics",
    "live_destinations",
    "live_hosts",
    "deploy",
    "live_models_bad",
    "live_privileges",
    "replay",
];

/// Arguments of cargo for the unit and replay tests, and for the house rules.
const UNIT: [&str; 4] = ["test", "--workspace", "--exclude", "perfmon-tests"];
const HOUSE: [&str; 6] = ["test", "--package", "perfmon-tests", "--lib", "--test", "house"];

/// Seconds for each target of the fuzz program.
const FUZZ_SECONDS: u32 = 3;

/// Results summed over test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Total {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs everything. A failed step is an error; the exit code reflects the tests.
pub fn run(args: &Args) -> Result<ExitCode> {
    let watch = Stopwatch::start();
    if !args.fast && !shell::is_root() {
        say("the live tests start perfmon as root: sudo may ask for your password now");
        execute(shell::command("sudo").arg("--validate"))?;
    }
    if !args.fast {
        install::compilers()?;
    }
    match (args.fast, args.filter.is_none()) {
        (true, true) => lint::run(&lint::Args { deny: args.deny })?,
        (true, false) => {}
        (false, true) => {
            at_once(packages, || lint::run(&lint::Args { deny: args.deny }))?;
            // Not beside clippy, which compiles perfmon with the object.
            say("rebuilding the kernel object");
            build_ebpf::run()?;
            say(format_args!("installed and linted after {} s", watch.elapsed().as_secs()));
            at_once(optimised_programs, test_programs)?;
            say(format_args!("built after {} s", watch.elapsed().as_secs()));
        }
        (false, false) => installed()?,
    }
    let mut total = Total::default();
    say("unit tests");
    let mut ok = counted(cargo().args(UNIT).arg("--no-fail-fast").args(&args.filter), &mut total)?;
    ok &= counted(cargo().args(HOUSE).arg("--no-fail-fast").args(&args.filter), &mut total)?;
    if !args.fast {
        if args.filter.is_none() {
            ok &= page(&mut total)?;
        }
        say(format_args!("unit tests and page after {} s", watch.elapsed().as_secs()));
        ok &= live(args, &mut total)?;
        say(format_args!("live tests after {} s", watch.elapsed().as_secs()));
        if args.filter.is_none() {
            ok &= kernels(&mut total)?;
            say(format_args!("other kernels after {} s", watch.elapsed().as_secs()));
        }
        if args.filter.is_none()
            && let Err(error) = fuzz::all(FUZZ_SECONDS)
        {
            eprintln!("error: {error:#}");
            ok = false;
        }
    }
    say(format_args!("{} after {} s", if ok { "all passed" } else { "tests failed" }, watch.elapsed().as_secs()));
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs both at the same time and waits for both.
fn at_once(one: fn() -> Result<()>, other: impl FnOnce() -> Result<()>) -> Result<()> {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        let one = one.join().map_err(|_| anyhow::anyhow!("a step panicked"))?;
        other.and(one)
    })
}

/// What clippy does not need; what fails soon comes first.
fn packages() -> Result<()> {
    installed()?;
    say("the page's format and types");
    build_dashboard::npm(&["run", "check"])?;
    build_ebpf::prepare()
}

fn installed() -> Result<()> {
    install::programs()?;
    install::packages_of_tests()
}

fn optimised_programs() -> Result<()> {
    shell::build_perfmon()?;
    if let Err(error) = fuzz::build() {
        eprintln!("error: {error:#} (the tests go on)");
    }
    Ok(())
}

fn test_programs() -> Result<()> {
    say("building the tests");
    execute(cargo().args(UNIT).arg("--no-run"))?;
    execute(cargo().args(["test", "--package", "perfmon-tests", "--no-run"]))
}

/// The page's own tests: units, and the page in a browser over made-up figures. `live` tests it over real ones.
fn page(total: &mut Total) -> Result<bool> {
    say("page");
    let npm = |script| {
        let mut command = shell::command("npm");
        command.current_dir(build_dashboard::folder()).args(["run", script]);
        command
    };
    let unit = counted(&mut npm("unit"), total)?;
    Ok(counted(&mut npm("e2e"), total)? && unit)
}

/// The live tests: those that need the whole machine, then the others side by side.
fn live(args: &Args, total: &mut Total) -> Result<bool> {
    let binary = shell::build_perfmon()?;
    let tests = |names: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--package", "perfmon-tests", "--no-fail-fast"]).env("TESTED_PERFMON", &binary);
        command.args(names.iter().flat_map(|name| ["--test", name])).args(&args.filter).args(["--", "--test-threads=1"]);
        command
    };
    say("live tests");
    let alone = counted(&mut tests(&LIVE_ALONE), total)?;
    say(format_args!("live tests, {LANES} at a time"));
    Ok(side_by_side(&LIVE_TOGETHER, |name| tests(&[name]), total)? && alone)
}

/// Other kernels than this host's, in virtual machines: after the tests that measure, which they would disturb.
fn kernels(total: &mut Total) -> Result<bool> {
    say("other kernels, in virtual machines");
    let tried = match vmtest::ci(&shell::build_perfmon()?) {
        Ok(Ok((passed, tried))) => Total { passed, failed: tried - passed, skipped: 0 },
        Ok(Err(reason)) => {
            println!("skipped: {reason}");
            Total { skipped: vmtest::ci_kernels(), ..Total::default() }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            Total { failed: vmtest::ci_kernels(), ..Total::default() }
        }
    };
    total.add(tried);
    Ok(tried.failed == 0)
}

/// Runs the command of each name, `LANES` at a time; shows the output of each when it has ended.
fn side_by_side(names: &[&str], command: impl Fn(&str) -> Command + Sync, total: &mut Total) -> Result<bool> {
    let results = in_lanes(names, LANES, |_, name| {
        let (mut sum, mut output) = (Total::default(), Vec::new());
        let watch = Stopwatch::start();
        let ok = counted_into(command(name).stderr(Stdio::piped()), &mut sum, &mut output);
        let mut screen = std::io::stdout().lock();
        say(format_args!("{name}, {} s", watch.elapsed().as_secs()));
        screen.write_all(&output)?;
        Ok((ok?, sum))
    })?;
    results.iter().for_each(|(_, sum)| total.add(*sum));
    Ok(results.iter().all(|(ok, _)| *ok))
}

/// Runs test programs, shows their output as it comes and adds their results; whether all passed.
fn counted(command: &mut Command, total: &mut Total) -> Result<bool> {
    counted_into(command, total, &mut std::io::stdout())
}

/// The same with another place for the output, and for that on standard error if it is piped.
fn counted_into(command: &mut Command, total: &mut Total, screen: &mut dyn Write) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", shell::line(command)))?;
    let output = child.stdout.take().context("the test run has no output")?;
    let errors = child.stderr.take().map(|mut errors| {
        std::thread::spawn(move || {
            let mut said = Vec::new();
            errors.read_to_end(&mut said).map(|_| said)
        })
    });
    let mut line = Vec::new();
    let mut reader = BufReader::new(output);
    let mut programs = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        screen.write_all(&line)?;
        if let Some(result) = result_line(&String::from_utf8_lossy(&line)) {
            programs += 1;
            total.add(result);
        }
        line.clear();
    }
    if let Some(errors) = errors {
        screen.write_all(&errors.join().unwrap_or_else(|_| Ok(Vec::new()))?)?;
    }
    let status = child.wait()?;
    if programs == 0 {
        bail!("no test program ran: {} ended with {status}", shell::line(command));
    }
    Ok(status.success())
}

/// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or the line `3 passed, 0 failed, 1 skipped` that the page's tests
/// end with.
fn result_line(line: &str) -> Option<Total> {
    let line = line.trim();
    let parts: Vec<&str> = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1.split(';').collect(),
        None => line.split(',').collect(),
    };
    let number = |part: &str, names: &[&str]| -> Option<u64> {
        let (number, name) = part.trim().split_once(' ')?;
        names.contains(&name).then(|| number.parse().ok())?
    };
    let [passed, failed, skipped, ..] = parts[..] else { return None };
    Some(Total {
        passed: number(passed, &["passed"])?,
        failed: number(failed, &["failed"])?,
        skipped: number(skipped, &["ignored", "skipped"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_the_last_lines_of_test_programs() {
        let ok = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 1.02s\n";
        assert_eq!(result_line(ok), Some(Total { passed: 12, failed: 0, skipped: 3 }));
        let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(result_line(failed), Some(Total { passed: 1, failed: 2, skipped: 0 }));
        assert_eq!(result_line("7 passed, 1 failed, 2 skipped\n"), Some(Total { passed: 7, failed: 1, skipped: 2 }));
        for other in ["test tests::ok ... ok", "", "      Tests  7 passed (7)", "7 passed", "a passed, b failed, c skipped"] {
            assert_eq!(result_line(other), None, "{other}");
        }
    }

    #[test]
    fn every_live_test_file_is_listed_and_every_listed_one_exists() {
        let folder = shell::root().join("tests/tests");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".rs").map(str::to_owned))
            .filter(|name| name != "house")
            .collect();
        files.sort();
        let mut listed: Vec<_> = LIVE_ALONE.iter().chain(&LIVE_TOGETHER).map(|name| (*name).to_owned()).collect();
        listed.sort();
        assert_eq!(files, listed);
    }
}
