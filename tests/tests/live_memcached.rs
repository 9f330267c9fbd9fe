//! Commands of real clients to a real memcached: counts equal the server's own and what the clients sent, in pipelines, with noreply and as quiet meta
//! commands; errors have their word, nothing of a key or value appears; joined midway. Contract: `db` of docs/records.md.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::{CANARY, free_port, rounds, wait_until, workspace};
use serde_json::Value;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("memcached"), Need::Python];

/// Commands by name, or figures of the server by theirs.
type Counts = BTreeMap<String, u64>;

struct MemcachedServer {
    port: u16,
    running: Running,
}

impl MemcachedServer {
    fn start() -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("memcached");
        command.args(["-u", "nobody", "-l", "127.0.0.1", "-U", "0", "-p", &port.to_string()]);
        let log = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut running = Running::start(&mut command, &log)?;
        running.listens(port)?;
        Ok(Self { port, running })
    }

    fn client(&self, what: &str, rounds: usize) -> Command {
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/memcached_client.py")).args([&self.port.to_string(), what, &rounds.to_string()]);
        command
    }

    /// Runs a client: the commands that it sent, the keys that it asked for, and how many commands have no answer.
    fn run(&self, what: &str, rounds: usize) -> Result<(Counts, u64, u64)> {
        let output = self.client(what, rounds).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        told(&output.stdout)
    }

    /// What the server counted.
    fn stats(&self) -> Result<Counts> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.write_all(b"stats\r\nquit\r\n")?;
        let mut text = String::new();
        connection.read_to_string(&mut text)?;
        let line = |line: &str| {
            let (name, count) = line.strip_prefix("STAT ")?.split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }
}

fn told(line: &[u8]) -> Result<(Counts, u64, u64)> {
    let told: Value = serde_json::from_slice(line)?;
    let figure = |name: &str| told[name].as_u64().context("no figure");
    Ok((serde_json::from_value(told["sent"].clone())?, figure("keys")?, figure("unanswered")?))
}

/// The records of a side, but for the questions of the test itself.
fn recorded(perfmon: &Perfmon, side: &str) -> Result<Vec<Value>> {
    let mut all = perfmon.records("db")?;
    all.retain(|record| {
        record["side"] == side && record["system"] == "memcached" && record["operation"] != "stats" && record["operation"] != "quit"
    });
    Ok(all)
}

fn counts(records: &[Value]) -> Counts {
    let mut counts = Counts::new();
    for record in records {
        *counts.entry(record["operation"].as_str().unwrap_or("-").to_owned()).or_default() += 1;
    }
    counts
}

/// Items of the commands of these names.
fn rows(records: &[Value], operations: &[&str]) -> u64 {
    let is_one = |record: &&Value| record["operation"].as_str().is_some_and(|name| operations.contains(&name));
    records.iter().filter(is_one).filter_map(|record| record["rows"].as_u64()).sum()
}

#[test]
fn counts_are_the_servers_pipelined_and_with_noreply() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let server = MemcachedServer::start()?;
    let (mut sent, mut keys, mut unanswered) = (Counts::new(), 0, 0);
    for what in ["library", "noreply", "pipelined", "meta"] {
        let (commands, asked, silent) = server.run(what, rounds(4) * 10)?;
        commands.into_iter().for_each(|(name, count)| *sent.entry(name).or_default() += count);
        (keys, unanswered) = (keys + asked, unanswered + silent);
    }
    let stats = server.stats()?;
    let of_server = |names: &[&str]| names.iter().map(|name| stats.get(*name).copied().unwrap_or(0)).sum::<u64>();
    assert_eq!(of_server(&["cmd_get"]), keys, "of the client: {sent:?}");
    for side in ["client", "server"] {
        wait_until(15, || Ok((counts(&recorded(&perfmon, side)?) == sent).then_some(())))?;
        let records = recorded(&perfmon, side)?;
        assert_eq!(counts(&records), sent, "{side} side; {} lost", perfmon.lost()?);
        let inexact = records.iter().find(|record| record["quality"] != "exact" || !record["error"].is_null());
        assert_eq!(inexact, None, "{side} side");
        let silent = records.iter().filter(|record| record["response_time_ms"].is_null()).count();
        assert_eq!(silent as u64, unanswered, "{side} side");
        let stored: u64 = ["set", "add", "cas", "ms"].iter().map(|name| sent[*name]).sum();
        assert_eq!(stored, of_server(&["cmd_set"]), "{side} side");
        assert_eq!(rows(&records, &["get", "gets", "mg"]), of_server(&["get_hits"]), "{side} side");
        assert_eq!(rows(&records, &["cas"]), of_server(&["cas_hits"]), "{side} side");
        assert_eq!(rows(&records, &["touch"]), of_server(&["cmd_touch"]), "{side} side");
        assert_eq!(rows(&records, &["delete", "md"]), of_server(&["delete_hits"]), "{side} side");
    }
    let all_told = |rows: &[Value]| rows.first().is_some_and(|row| row["count"].as_u64() == sent.get("gets").copied());
    let asked = perfmon.rows_when("/api/v1/databases?window=5m&side=server&system=memcached&operation=gets", all_told)?;
    let row = asked.first().context("no row")?;
    assert_eq!(
        (row["query"].as_str(), row["target"].as_str(), row["count"].as_u64()),
        (Some("gets user:?"), Some("user"), sent.get("gets").copied()),
        "{asked:?}"
    );
    assert!(row["p95_ms"].as_f64().is_some_and(|p95| p95 > 0.0), "{row}");
    says_nothing_of_keys(&perfmon)
}

fn says_nothing_of_keys(perfmon: &Perfmon) -> Result<()> {
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY), "a key or a value appears");
    Ok(())
}

#[test]
fn errors_have_their_word_and_the_binary_protocol_is_said() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MemcachedServer::start()?;
    server.run("failing", 5)?;
    for side in ["client", "server"] {
        let failed = |records: &[Value]| {
            let mut failed = BTreeMap::new();
            for record in records {
                let words = ["query", "error"].map(|field| record[field].as_str().unwrap_or("-").to_owned());
                *failed.entry(words.join(" ")).or_insert(0) += 1;
            }
            failed
        };
        let expected = [("set user:? ? -", 5), ("incr user:? ? CLIENT_ERROR", 5), ("set ? ? SERVER_ERROR", 5), ("- ERROR", 5)];
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(words, count)| (words.to_owned(), count)).collect();
        wait_until(10, || Ok((failed(&recorded(&perfmon, side)?) == expected).then_some(())))?;
        let records = recorded(&perfmon, side)?;
        assert_eq!(failed(&records), expected, "{side} side");
        assert!(records.iter().all(|record| record["quality"] == "exact"), "{side} side: {records:?}");
    }
    server.run("binary", 1)?;
    let speaks = |target: &Value| target["unread"].as_array().is_some_and(|protocols| protocols.contains(&"memcached-binary".into()));
    let said = wait_until(5, || {
        let own = perfmon.api("/api/v1/self")?;
        let is_it = |target: &Value| target["pid"] == server.running.pid() && speaks(target);
        Ok(own["targets"].as_array().into_iter().flatten().any(is_it).then_some(()))
    })?;
    ensure!(said.is_some(), "the binary protocol is not said: {:#}", perfmon.api("/api/v1/self")?["targets"]);
    says_nothing_of_keys(&perfmon)
}

#[test]
fn a_connection_is_read_that_was_there_before() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = MemcachedServer::start()?;
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
    let sent = told(line.as_bytes())?.0;
    for side in ["client", "server"] {
        wait_until(10, || Ok((counts(&recorded(&perfmon, side)?) == sent).then_some(())))?;
        let records = recorded(&perfmon, side)?;
        let (told, inexact) = (counts(&records), records.iter().find(|record| record["quality"] != "exact"));
        // What it is is known from the first answer on.
        assert!(told["set"] <= sent["set"] && told["set"] + 1 >= sent["set"] && told["get"] == sent["get"], "{side}: {told:?} of {sent:?}");
        assert_eq!(inexact, None, "{side} side");
        assert_eq!(rows(&records, &["get"]), sent["get"], "{side} side");
    }
    Ok(())
}
