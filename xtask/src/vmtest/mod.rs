//! `cargo xtask vmtest`: perfmon on several kernels, each in a virtual machine of its own (QEMU, emulated: no /dev/kvm is needed). A guest runs
//! the suite of tests/vm/guest on every capture tier that its kernel can do; only its explicit PASS counts. What each kernel's verifier walked is
//! compared with tests/vm/kernels.json. Needs about 1 GB below .cache/vm, which the first run fills from Debian's archives.
mod machine;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use self::report::KernelReport;
use crate::bench::document;
use crate::clock::Stopwatch;
use crate::shell::{self, say};

/// Newest reports by series.
const RECORD: &str = "tests/vm/kernels.json";

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Test this program instead of building one; it must be static or fit glibc 2.36
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Add to the kernels' command line, like `preempt=full`
    #[arg(long, value_name = "TEXT", default_value = "")]
    kernel_arguments: String,
    /// Write what was found into tests/vm/kernels.json and the README
    #[arg(long)]
    record: bool,
    /// Series, like 6.1; all of them by default
    kernels: Vec<String>,
}

/// Boots the kernels one after the other.
pub fn run(args: &Args) -> Result<ExitCode> {
    let perfmon = args.perfmon.clone().map_or_else(shell::build_perfmon, Ok)?;
    let all = machine::prepare()?;
    let unknown: Vec<&String> = args.kernels.iter().filter(|kernel| !all.contains(kernel)).collect();
    ensure!(unknown.is_empty(), "there is no kernel {unknown:?}; there are {}", all.join(", "));
    let kernels = if args.kernels.is_empty() { &all } else { &args.kernels };
    let image = machine::image(&perfmon)?;
    let file = shell::root().join(RECORD);
    let mut known: BTreeMap<String, KernelReport> = match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("cannot read {RECORD}"))?,
        Err(_) => BTreeMap::new(),
    };
    let mut failed = Vec::new();
    for kernel in kernels {
        let watch = Stopwatch::start();
        let output = machine::boot(kernel, &image, &args.kernel_arguments)?;
        let report = KernelReport::of(&output);
        say(format_args!("{kernel}, {}: {} in {} s", report.kernel, report.verdict(), watch.elapsed().as_secs()));
        report.problems().chain(report.growth(known.get(kernel))).for_each(|line| println!("    {line}"));
        if !report.passed {
            failed.push(kernel.clone());
        }
        known.insert(kernel.clone(), report);
    }
    if args.record {
        std::fs::write(&file, serde_json::to_string_pretty(&known)? + "\n").with_context(|| format!("cannot write {RECORD}"))?;
        document::write_in("README.md", "vmtest", &report::table(&known))?;
    }
    println!("{} passed, {} failed", kernels.len() - failed.len(), failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
