//! Commands of pymongo to a small MongoDB server (`servers/mongo_server.py`): counts and documents equal those of the driver's own listener, over TCP and
//! a unix socket, without answers and compressed; errors have their numbers, nothing of a value appears; a monitor that waits is no slow command; joined
//! midway. Contract: `db` of docs/records.md.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::{CANARY, free_port, rounds, wait_until, workspace};
use serde_json::Value;
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Python];

/// Figures by the command's name, or by the error's number.
type Counts = BTreeMap<String, u64>;

/// What a client counted.
#[derive(Debug, Default, PartialEq)]
struct DriverCounts {
    sent: Counts,
    errors: Counts,
    rows: Counts,
}

impl DriverCounts {
    fn of(line: &[u8]) -> Result<Self> {
        let told: Value = serde_json::from_slice(line)?;
        let counts = |name: &str| -> Result<Counts> {
            let mut counts: Counts = serde_json::from_value(told[name].clone())?;
            counts.retain(|_, count| *count > 0);
            Ok(counts)
        };
        Ok(Self { sent: counts("sent")?, errors: counts("errors")?, rows: counts("rows")? })
    }

    /// What the records of a side say; of documents those that came in batches.
    fn recorded(perfmon: &Perfmon, side: &str) -> Result<Self> {
        let mut told = Self::default();
        for record in recorded(perfmon, side)? {
            let operation = record["operation"].as_str().unwrap_or("-").to_owned();
            if let Some(error) = record["error"].as_str() {
                *told.errors.entry(error.to_owned()).or_default() += 1;
            }
            if let Some(rows) = record["rows"].as_u64().filter(|rows| *rows > 0 && ["find", "getMore", "aggregate"].contains(&&*operation))
            {
                *told.rows.entry(operation.clone()).or_default() += rows;
            }
            *told.sent.entry(operation).or_default() += 1;
        }
        Ok(told)
    }
}

struct MongoServer {
    place: String,
    _running: Running,
    _folder: TempDir,
}

impl MongoServer {
    /// On a port, or on a unix socket.
    fn start(is_unix: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, socket): (u16, PathBuf) = (free_port()?, folder.path().join("mongodb.sock"));
        let place = if is_unix { socket.display().to_string() } else { port.to_string() };
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/servers/mongo_server.py")).arg(&place);
        let log = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut running = Running::start(&mut command, &log)?;
        if is_unix {
            ensure!(wait_until(10, || Ok(socket.exists().then_some(())))?.is_some(), "no socket");
        } else {
            running.listens(port)?;
        }
        Ok(Self { place, _running: running, _folder: folder })
    }

    fn client(&self, what: &str, rounds: usize) -> Command {
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/mongo_client.py")).args([&self.place, what, &rounds.to_string()]);
        command
    }

    fn run(&self, what: &str, rounds: usize) -> Result<DriverCounts> {
        let output = self.client(what, rounds).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        DriverCounts::of(&output.stdout)
    }
}

/// The records of a side, but for what the driver sends on its own account.
fn recorded(perfmon: &Perfmon, side: &str) -> Result<Vec<Value>> {
    let mut all = perfmon.records("db")?;
    let is_own = |record: &Value| matches!(record["operation"].as_str(), Some("hello" | "isMaster" | "ismaster"));
    all.retain(|record| record["side"] == side && record["system"] == "mongodb" && !is_own(record));
    Ok(all)
}

/// Waits until both sides have what the client counted.
fn both_sides_have(perfmon: &Perfmon, expected: &DriverCounts) -> Result<()> {
    for side in ["client", "server"] {
        wait_until(15, || Ok((DriverCounts::recorded(perfmon, side)? == *expected).then_some(())))?;
        assert_eq!(DriverCounts::recorded(perfmon, side)?, *expected, "{side} side; {} lost", perfmon.lost()?);
        let inexact = recorded(perfmon, side)?.into_iter().find(|record| record["quality"] != "exact");
        assert_eq!(inexact, None, "{side} side");
    }
    Ok(())
}

fn says_no_value(perfmon: &Perfmon) -> Result<()> {
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY), "a value appears");
    Ok(())
}

#[test]
fn counts_are_the_drivers_over_tcp_and_a_unix_socket() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let mut expected = DriverCounts::default();
    for (is_unix, whats) in [(false, &["everything", "unacknowledged", "large"][..]), (true, &["everything"])] {
        let server = MongoServer::start(is_unix)?;
        for what in whats {
            let told = server.run(what, rounds(4))?;
            for (all, one) in [(&mut expected.sent, told.sent), (&mut expected.errors, told.errors), (&mut expected.rows, told.rows)] {
                one.into_iter().for_each(|(name, count)| *all.entry(name).or_default() += count);
            }
        }
    }
    both_sides_have(&perfmon, &expected)?;
    for side in ["client", "server"] {
        let all = recorded(&perfmon, side)?;
        let silent = all.iter().filter(|record| record["response_time_ms"].is_null()).count();
        assert_eq!(silent, 2 * rounds(4), "writes without an answer, {side} side");
        let of = |operation: &str| all.iter().find(|record| record["operation"] == operation).context("no record");
        let find = of("find")?;
        let says = [&find["query"], &find["target"], &find["database"]].map(|field| field.as_str().unwrap_or("-"));
        assert_eq!(says, ["find orders {filter: {user: ?, number: {$gt: ?}}}", "orders", "shop"], "{side} side");
        assert_eq!(of("update")?["rows"], 1, "{side} side");
    }
    let all_told = |rows: &[Value]| rows.first().is_some_and(|row| row["count"].as_u64() == expected.sent.get("distinct").copied());
    let asked = perfmon.rows_when("/api/v1/databases?window=5m&side=server&system=mongodb&operation=distinct", all_told)?;
    let row = asked.first().context("no row")?;
    assert_eq!((row["target"].as_str(), row["count"].as_u64()), (Some("orders"), expected.sent.get("distinct").copied()), "{asked:?}");
    says_no_value(&perfmon)
}

#[test]
fn errors_have_their_numbers_and_compression_its_name() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MongoServer::start(false)?;
    let mut expected = server.run("failing", 3)?;
    assert_eq!(expected.errors, [("11000", 6), ("59", 3), ("40324", 3), ("18", 1)].map(|(code, count)| (code.to_owned(), count)).into());
    both_sides_have(&perfmon, &expected)?;
    let compressed: u64 = server.run("compressed", 5)?.sent.values().sum();
    expected.sent.insert("compressed (zlib)".into(), compressed);
    both_sides_have(&perfmon, &expected)?;
    says_no_value(&perfmon)
}

#[test]
fn a_monitor_that_waits_is_no_slow_command() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MongoServer::start(false)?;
    let expected = server.run("waiting", 5)?;
    both_sides_have(&perfmon, &expected)?;
    let all = perfmon.records("db")?;
    let waits = |record: &&Value| record["query"] == "hello {maxAwaitTimeMS: ?}";
    assert_eq!(all.iter().filter(waits).count(), 2, "once on each side, however many answers came");
    let rows = wait_until(5, || {
        let rows = perfmon.api("/api/v1/databases?window=5m&system=mongodb")?;
        let has = |query: &str| rows["items"].as_array().into_iter().flatten().any(|row| row["query"] == query);
        Ok((has("hello {maxAwaitTimeMS: ?}") && has("aggregate orders {pipeline: [{$sleep: ?}]}")).then_some(rows))
    })?;
    for row in rows.context("no rows")?["items"].as_array().into_iter().flatten() {
        let p95 = row["p95_ms"].as_f64();
        match row["query"].as_str() {
            Some("hello {maxAwaitTimeMS: ?}") => assert_eq!(p95, None, "{row}"),
            Some("aggregate orders {pipeline: [{$sleep: ?}]}") => assert!(p95.is_some_and(|p95| (295.0..400.0).contains(&p95)), "{row}"),
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn a_connection_is_read_that_was_there_before() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = MongoServer::start(false)?;
    let mut client = server.client("steady", 50).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(client.stdout.take().context("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    ensure!(line == "ready\n", "{line}");
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    writeln!(client.stdin.take().context("no input")?, "go")?;
    line.clear();
    output.read_line(&mut line)?;
    client.wait()?;
    both_sides_have(&perfmon, &DriverCounts::of(line.as_bytes())?)?;
    says_no_value(&perfmon)
}
