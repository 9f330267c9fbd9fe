//! `cargo xtask vmtest`: perfmon on several kernels, each in a virtual machine of its own (QEMU, emulated: no /dev/kvm is needed). A guest runs
//! one suite of tests/vm/guest; only its explicit PASS counts. `guest`: every capture tier that the kernel can do, and what its verifier walked is
//! compared with tests/vm/kernels.json. `preempt` (--preempt): processes that preempt one another. `package` (--package): what users install.
//! `cargo xtask test` runs the first on the oldest and the newest kernel, on the tiers that perfmon chooses there. Needs up to 1 GB below .cache/vm, which comes from Debian's archives.
mod machine;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use self::report::KernelReport;
use crate::bench::document;
use crate::clock::Stopwatch;
use crate::lanes::in_lanes;
use crate::shell::{self, say};

/// Newest reports by series.
const RECORD: &str = "tests/vm/kernels.json";
/// What `cargo xtask test` tries: the oldest kernel and the newest.
const CI_KERNELS: [&str; 2] = ["5.10", "7"];
/// On the tiers that perfmon chooses there; tier 3 is tested on the host itself.
const CI_ARGUMENTS: &str = "tiers=1,2";
/// Guests at a time there. A guest waits a lot, for its own timers and for what only one of its processors does.
const CI_LANES: usize = 2;
/// What `--preempt` tries without a list.
const PREEMPT_KERNELS: [&str; 2] = ["6.18", "7"];
/// From Linux 6.16 on Debian's kernels preempt lazily.
const PREEMPT: &str = "preempt=full";

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Test this program instead of building one; it must be static or fit glibc 2.36
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Unpack this tarball of `cargo xtask dist` in the guests: check, a request, health, page
    #[arg(long, value_name = "FILE", conflicts_with_all = ["perfmon", "record"])]
    package: Option<PathBuf>,
    /// Instead: whose bytes records have when processes preempt one another (6.18 and 7 by default)
    #[arg(long, conflicts_with_all = ["package", "record"])]
    preempt: bool,
    /// Add to the kernels' command line, like `preempt=full`
    #[arg(long, value_name = "TEXT", default_value = "")]
    kernel_arguments: String,
    /// Guests at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Write what was found into tests/vm/kernels.json and the README
    #[arg(long)]
    record: bool,
    /// Series, like 6.1; all of them by default
    kernels: Vec<String>,
}

/// What is run on the kernels.
struct GuestRun {
    suite: &'static str,
    image: PathBuf,
    kernel_arguments: String,
    lanes: usize,
    /// Reports of before, by series.
    known: BTreeMap<String, KernelReport>,
}

/// Boots the kernels.
pub fn run(args: &Args) -> Result<ExitCode> {
    let asked: Vec<&str> = args.kernels.iter().map(String::as_str).collect();
    let unknown: Vec<&&str> = asked.iter().filter(|kernel| !machine::SERIES.contains(kernel)).collect();
    ensure!(unknown.is_empty(), "there is no kernel {unknown:?}; there are {}", machine::SERIES.join(", "));
    let kernels = match (asked.is_empty(), args.preempt) {
        (false, _) => asked,
        (true, true) => PREEMPT_KERNELS.to_vec(),
        (true, false) => machine::SERIES.to_vec(),
    };
    if let Some(reason) = machine::prepare(&kernels)? {
        bail!(reason);
    }
    let package = args.package.as_deref().map(machine::unpack).transpose()?;
    let perfmon = match (&package, &args.perfmon) {
        (Some(folder), _) => folder.join("perfmon"),
        (None, Some(perfmon)) => perfmon.clone(),
        (None, None) => shell::build_perfmon()?,
    };
    let (suite, more) = match (args.preempt, &package) {
        (true, _) => ("preempt", PREEMPT),
        (false, Some(_)) => ("package", ""),
        (false, None) => ("guest", ""),
    };
    if args.preempt {
        machine::build_load()?;
    }
    let image = machine::image(&perfmon, package.as_deref())?;
    let known = if suite == "guest" { known()? } else { BTreeMap::new() };
    let guests = GuestRun { suite, image, kernel_arguments: format!("{more} {}", args.kernel_arguments), lanes: args.jobs, known };
    let reports = guests.of(&kernels)?;
    let passed = reports.values().filter(|report| report.passed).count();
    if args.record {
        record(guests.known, &reports)?;
    }
    println!("{passed} passed, {} failed", kernels.len() - passed);
    Ok(if passed == kernels.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `cargo xtask test` runs: how many kernels passed, of all; or why they cannot be tried here.
pub fn ci(perfmon: &Path) -> Result<std::result::Result<(u64, u64), String>> {
    let said = shell::output(shell::command("getconf").arg("GNU_LIBC_VERSION")).unwrap_or_default();
    let mut numbers = said.trim().trim_start_matches("glibc ").split('.').map(|number| number.parse().unwrap_or(u32::MAX));
    if (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0)) > machine::C_LIBRARY {
        return Ok(Err(format!("a perfmon that is built here may need {}, which the guests do not have", said.trim())));
    }
    if let Some(reason) = machine::prepare(&CI_KERNELS)? {
        return Ok(Err(reason));
    }
    let image = machine::image(perfmon, None)?;
    let guests = GuestRun { suite: "guest", image, kernel_arguments: CI_ARGUMENTS.into(), lanes: CI_LANES, known: known()? };
    let passed = guests.of(&CI_KERNELS)?.values().filter(|report| report.passed).count();
    Ok(Ok((passed as u64, CI_KERNELS.len() as u64)))
}

/// Kernels that `ci` tries.
pub fn ci_kernels() -> u64 {
    CI_KERNELS.len() as u64
}

impl GuestRun {
    /// Boots these kernels, prints what each one says, gives the reports by series.
    fn of(&self, kernels: &[&str]) -> Result<BTreeMap<String, KernelReport>> {
        if let Some(qemu) = machine::fetched("qemu") {
            say(format_args!("virtual machines: {qemu}"));
        }
        let reports = in_lanes(kernels, self.lanes, |_, kernel| {
            let watch = Stopwatch::start();
            let output = machine::boot(kernel, self.suite, &self.image, &self.kernel_arguments)?;
            let report = KernelReport::of(&output);
            let package = machine::fetched(kernel).map(|package| format!(" ({package})")).unwrap_or_default();
            let _lines_stay_together = std::io::stdout().lock();
            say(format_args!("{kernel}, {}{package}: {} in {} s", report.kernel, report.verdict(), watch.elapsed().as_secs()));
            report.problems().chain(report.growth(self.known.get(*kernel))).for_each(|line| println!("    {line}"));
            Ok(((*kernel).to_owned(), report))
        })?;
        Ok(reports.into_iter().collect())
    }
}

fn known() -> Result<BTreeMap<String, KernelReport>> {
    match std::fs::read_to_string(shell::root().join(RECORD)) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("cannot read {RECORD}")),
        Err(_) => Ok(BTreeMap::new()),
    }
}

fn record(mut known: BTreeMap<String, KernelReport>, reports: &BTreeMap<String, KernelReport>) -> Result<()> {
    known.extend(reports.iter().map(|(series, report)| (series.clone(), report.clone())));
    let text = serde_json::to_string_pretty(&known)? + "\n";
    std::fs::write(shell::root().join(RECORD), text).with_context(|| format!("cannot write {RECORD}"))?;
    document::write_in("README.md", "vmtest", &report::table(&known))
}
