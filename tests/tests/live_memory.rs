//! Memory has one cap: many connections, short processes, paths and unfinished heads at once stay within a figure of bytes, and when they
//! are gone their memory goes back to the system. What comes, and how: `programs/crowd.c`.
use anyhow::{Context, Result};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::{Running, signal};
use perfmon_tests::programs::{COMPILERS, built};
use perfmon_tests::wait_until;

/// Perfmon sees both ends: 40,000 of connections of HTTP, 2,000 heads of 40 KB.
const SHAPES: [&str; 5] = ["connections=10000", "connections=10000", "processes=5000", "paths=100000", "heads=1000"];
/// Resident memory at its peak before the heads: anonymous, and files and the ring as far as an optimised build has them.
const PEAK_BYTES: u64 = 100_000_000;
/// Pages of the binary and the mapped ring of an optimised build; a debug build has more code.
const FILE_BYTES: u64 = 31_000_000;
/// What the heads may add to that: the budget of unfinished messages, and what surrounds it.
const HEADS_BYTES: u64 = 40_000_000;
/// What may be left of anonymous memory when all is closed: the newest records, rows, windows and texts, which are kept whatever comes.
const LEFT_BYTES: u64 = 40_000_000;

/// Resident memory.
#[derive(Clone, Copy, Debug, Default)]
struct Resident {
    anonymous: u64,
    file: u64,
}

impl Resident {
    fn of(pid: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} in /proc/PID/status"))?;
            anyhow::Ok(line.split_whitespace().next().context("a figure is missing")?.parse::<u64>()? * 1_024)
        };
        Ok(Self { anonymous: bytes("RssAnon:")?, file: bytes("RssFile:")? })
    }

    /// As an optimised build would have it.
    fn total(self) -> u64 {
        self.anonymous + self.file.min(FILE_BYTES)
    }
}

#[test]
fn a_crowd_of_every_shape_costs_a_bounded_number_of_bytes_and_gives_them_back() -> Result<()> {
    if missing(&[&[Need::Perfmon][..], &COMPILERS].concat()) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut crowd = Running::start(std::process::Command::new(built("crowd.c")?).args(SHAPES), &folder.path().join("crowd.log"))?;
    let said = |crowd: &Running, word: &str| crowd.log().lines().any(|line| line == word);
    wait_until(5, || Ok(said(&crowd, "listening").then_some(())))?.context("the crowd does not listen")?;
    let perfmon = Perfmon::start(&["--pid", &crowd.pid().to_string()])?;
    signal(crowd.pid(), "USR1")?;
    let idle = Resident::of(perfmon.pid())?;
    let (mut peak, mut peak_with_heads) = (0, 0);
    let complete = wait_until(90, || {
        anyhow::ensure!(crowd.ended()?.is_none(), "the crowd ended:\n{}", crowd.log());
        let now = Resident::of(perfmon.pid())?.total();
        peak_with_heads = peak_with_heads.max(now);
        if !said(&crowd, "paths") {
            peak = peak_with_heads;
        }
        Ok(said(&crowd, "heads").then_some(()))
    })?;
    complete.with_context(|| format!("the crowd is not complete:\n{}", crowd.log()))?;
    signal(crowd.pid(), "USR1")?;
    wait_until(20, || Ok(said(&crowd, "closed").then_some(())))?.context("the crowd does not close")?;
    let mut left = u64::MAX;
    wait_until(30, || {
        left = Resident::of(perfmon.pid())?.anonymous;
        Ok((left < LEFT_BYTES).then_some(()))
    })?;
    let (seen, lost) = (perfmon.figure("/api/v1/self", "/events_seen")?, perfmon.lost()? as f64);
    anyhow::ensure!(lost < seen / 3.0, "{lost} of {seen} events were lost: the test shows nothing");
    println!("{idle:?} at the start, peak {peak}, with heads {peak_with_heads}, left {left} bytes; {lost} of {seen} events lost");
    assert!(peak < PEAK_BYTES, "{peak} bytes resident before the heads");
    assert!(peak_with_heads < PEAK_BYTES + HEADS_BYTES, "{peak_with_heads} bytes resident with the heads");
    assert!(left < LEFT_BYTES, "{left} bytes of anonymous memory are left");
    perfmon.stop().map(drop)
}
