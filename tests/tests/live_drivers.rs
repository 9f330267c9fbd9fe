//! Drivers through which programs speak to their databases: what perfmon tells of a process equals what the process itself counted, statement by
//! statement, errors with their codes, and how long it waited. Contract: `db` of docs/records.md.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::mariadb::{self, MariaDb};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::postgres::{self, PostgresServer};
use perfmon_tests::process::Running;
use perfmon_tests::{CANARY, free_port, wait_until, workspace};
use serde::Deserialize;
use serde_json::Value;

const ROUNDS: &str = "40";
const TABLES: [&str; 6] = [
    "create table things (id int, name text)",
    "create table items (id int primary key, name text)",
    "create table stock (id int, n int)",
    "create table carts (id int)",
    "create table orders (id int)",
    "create table waits (id int)",
];

/// What a client counted.
#[derive(Debug, Deserialize)]
struct Counted {
    sent: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    /// Milliseconds.
    waits: Vec<f64>,
}

/// A client script of a language: Python's or Node's by its name.
fn script(name: &str) -> Command {
    let mut command = if name.ends_with(".py") { Command::new(python()) } else { Command::new("node") };
    command.arg(workspace().join("tests/clients").join(name));
    command
}

/// Runs a client to its end: its process and what it counted.
fn ran(mut command: Command) -> Result<(u32, Counted)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut said = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut said)?;
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok((child.id(), serde_json::from_str(&said).with_context(|| format!("{command:?} said {said}"))?))
}

/// Commands of a process.
fn commands(perfmon: &Perfmon, pid: u32) -> Result<Vec<Value>> {
    let mut records = perfmon.records("db")?;
    records.retain(|record| record["pid"] == pid && record["side"] == "client");
    Ok(records)
}

/// The verb, and the table where it has one.
fn name(record: &Value) -> String {
    let parts = ["operation", "target"].map(|name| record[name].as_str());
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What perfmon tells of a process equals what that counted; `name` is what the client calls a command.
fn compare(perfmon: &Perfmon, pid: u32, counted: &Counted, name: impl Fn(&Value) -> String, waited: &str) -> Result<()> {
    let told = || -> Result<BTreeMap<String, u64>> {
        let mut told = BTreeMap::new();
        for record in commands(perfmon, pid)? {
            let name = name(&record);
            // Drivers ask for types and settings, and begin and end transactions, on their own.
            if counted.sent.contains_key(&name) {
                ensure!(record["quality"] == "exact" && !record["response_time_ms"].is_null(), "{record}");
                *told.entry(name).or_default() += 1;
            }
        }
        Ok(told)
    };
    let same = wait_until(15, || Ok((told()? == counted.sent).then_some(())))?;
    if same.is_none() {
        assert_eq!(told()?, counted.sent, "{} lost", perfmon.lost()?);
    }
    let mut records = commands(perfmon, pid)?;
    records.retain(|record| counted.sent.contains_key(&name(record)));
    let mut errors = BTreeMap::new();
    for code in records.iter().filter_map(|record| record["error"].as_str()) {
        *errors.entry(code.to_owned()).or_default() += 1;
    }
    assert_eq!(errors, counted.errors);
    records.retain(|record| name(record) == waited);
    records.sort_by(|one, other| one["time"].as_str().cmp(&other["time"].as_str()));
    let times: Vec<f64> = records.iter().filter_map(|record| record["response_time_ms"].as_f64()).collect();
    assert_eq!(times.len(), counted.waits.len());
    // The client's own work before and after is in its figure, and what held it up.
    let pairs = || times.iter().zip(&counted.waits);
    assert!(pairs().all(|(told, waited)| told <= waited), "told {times:?}, by the client {:?}", counted.waits);
    let [own, wait] = [median(pairs().map(|(told, waited)| waited - told)), median(counted.waits.iter().copied())];
    println!("waited {wait} ms, of them {own} ms for itself");
    assert!(own <= f64::max(0.3, wait / 20.0), "told {times:?}, by the client {:?}", counted.waits);
    Ok(())
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn postgres_with_tables() -> Result<PostgresServer> {
    let server = PostgresServer::start()?;
    server.psql("postgres", &[&format!("create role shop superuser login password '{CANARY}'")])?;
    server.psql("shop", &TABLES)?;
    server.psql("shop", &["create table batch (id int)", "insert into waits values (1)", "insert into stock values (1, 0)"])?;
    Ok(server)
}

#[test]
fn statements_through_drivers_of_postgresql_are_those_that_were_sent() -> Result<()> {
    if missing(&postgres::NEEDS) || missing(&[Need::Python, Need::Program("node"), Need::NodePackages]) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let server = postgres_with_tables()?;
    for driver in ["asyncpg", "psycopg", "sqlalchemy", "pg"] {
        server.psql("shop", &["truncate items"])?;
        let mut command = script(if driver == "pg" { "driver_client.mjs" } else { "driver_client.py" });
        command.args([driver, &server.port.to_string(), CANARY, ROUNDS]);
        let (pid, counted) = ran(command)?;
        println!("{driver}: {counted:?}");
        compare(&perfmon, pid, &counted, name, "SELECT waits").context(driver)?;
    }
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY) && !everything.contains("SCRAM"), "a literal appears");
    Ok(())
}

#[test]
fn a_statement_that_was_prepared_before_the_attach_has_its_name() -> Result<()> {
    const COUNT: usize = 40;
    if missing(&postgres::NEEDS) || missing(&[Need::Python]) {
        return Ok(());
    }
    let server = postgres_with_tables()?;
    let mut command = script("driver_client.py");
    command.args(["psycopg-late", &server.port.to_string(), CANARY, ROUNDS]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut go, mut said) = (child.stdin.take().context("no input")?, BufReader::new(child.stdout.take().context("no output")?));
    let mut line = String::new();
    said.read_line(&mut line)?;
    ensure!(line.trim() == "ready", "the client said {line:?}");
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    go.write_all(b"go\n")?;
    ensure!(child.wait()?.success(), "the client failed");
    let found = wait_until(15, || {
        let all = commands(&perfmon, child.id())?;
        let (mut prepared, mut inserts) = (0, 0);
        for record in all {
            if record["query"].is_null() && record["statement"].as_str().is_some_and(|name| !name.is_empty()) {
                prepared += 1;
            } else if name(&record) == "INSERT items" {
                inserts += 1;
            }
        }
        Ok(((prepared, inserts) == (COUNT, COUNT)).then_some(()))
    })?;
    ensure!(found.is_some(), "{:#?}", commands(&perfmon, child.id())?);
    Ok(())
}

#[test]
fn statements_through_pymysql_are_those_that_were_sent() -> Result<()> {
    if missing(&mariadb::NEEDS) || missing(&[Need::Python]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MariaDb::start()?;
    for table in TABLES {
        server.query(mariadb::TCP, &table.replace("name text", "name varchar(50)"))?;
    }
    server.query(mariadb::TCP, "insert into waits values (1); insert into stock values (1, 0)")?;
    let mut command = script("driver_client.py");
    command.args(["pymysql", &server.port.to_string(), CANARY, ROUNDS]);
    let (pid, counted) = ran(command)?;
    println!("{counted:?}");
    compare(&perfmon, pid, &counted, name, "SELECT waits")?;
    assert!(!perfmon.output()?.contains(CANARY), "a literal appears");
    Ok(())
}

#[test]
fn commands_through_ioredis_are_those_that_were_sent() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("redis-server"), Need::Program("node"), Need::NodePackages]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--save", "", "--dir"]).arg(folder.path());
    let mut server = Running::start(&mut server, &folder.path().join("log"))?;
    server.listens(port)?;
    let mut command = script("driver_client.mjs");
    command.args(["ioredis", &port.to_string(), CANARY, ROUNDS]);
    let (pid, counted) = ran(command)?;
    println!("{counted:?}");
    let operation = |record: &Value| record["operation"].as_str().unwrap_or_default().to_owned();
    compare(&perfmon, pid, &counted, operation, "BLPOP")?;
    assert!(!perfmon.output()?.contains(CANARY), "a literal appears");
    Ok(())
}
