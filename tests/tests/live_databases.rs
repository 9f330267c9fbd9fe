//! Commands of real clients to real databases: counts, errors and codes equal what the servers counted, from both sides, in pipelines, and joined
//! midway. Contract: `db` of docs/records.md, `/api/v1/databases` of docs/http-api.md.
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::postgres::{self, PostgresServer};
use perfmon_tests::process::{Running, output};
use perfmon_tests::{CANARY, free_port, rounds, wait_until};
use serde_json::Value;
use tempfile::TempDir;

const REDIS: [Need; 3] = [Need::Perfmon, Need::Program("redis-server"), Need::Program("redis-benchmark")];

/// A redis-server.
struct RedisServer {
    port: u16,
    _server: Running,
    _folder: TempDir,
}

impl RedisServer {
    fn start() -> Result<Self> {
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--dir"]).arg(folder.path());
        let mut server = Running::start(&mut command, &folder.path().join("log"))?;
        server.listens(port)?;
        Ok(Self { port, _server: server, _folder: folder })
    }

    fn cli(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments))
    }

    /// Calls of each command by the server's own count: `SET` → 5.
    fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.cli(&["INFO", "commandstats"])?;
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_uppercase().replace('|', " "), rest.split(',').next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    fn benchmark(&self, arguments: &[&str]) -> Result<()> {
        output(Command::new("redis-benchmark").args(["-q", "-p", &self.port.to_string()]).args(arguments)).map(drop)
    }
}

/// Commands of a side by operation, and how many of them are not exact.
fn recorded(perfmon: &Perfmon, side: &str, system: &str) -> Result<(BTreeMap<String, u64>, u64)> {
    let (mut counts, mut inexact) = (BTreeMap::new(), 0);
    for record in perfmon.records("db")? {
        if record["side"] == side && record["system"] == system {
            *counts.entry(record["operation"].as_str().unwrap_or("-").to_owned()).or_default() += 1;
            inexact += u64::from(record["quality"] != "exact" || record["response_time_ms"].is_null());
        }
    }
    Ok((counts, inexact))
}

/// Waits until a side has this many commands of an operation.
fn settled(perfmon: &Perfmon, side: &str, system: &str, operation: &str, count: u64) -> Result<(BTreeMap<String, u64>, u64)> {
    wait_until(30, || Ok((recorded(perfmon, side, system)?.0.get(operation).copied().unwrap_or(0) >= count).then_some(())))?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    recorded(perfmon, side, system)
}

/// Commands of rows by operation.
fn by_operation(rows: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row["operation"].as_str().unwrap_or("-").to_owned()).or_default() += row["count"].as_u64().unwrap_or(0);
    }
    counts
}

#[test]
fn counts_of_redis_benchmark_in_pipelines_are_the_servers() -> Result<()> {
    if missing(&REDIS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let server = RedisServer::start()?;
    let commands = (rounds(2) * 1_000).to_string();
    server.benchmark(&["-P", "16", "-c", "8", "-n", &commands, "-t", "set,get,incr,lpush,mset"])?;
    let mut counts = server.counts()?;
    // The question itself is counted behind the answer.
    *counts.entry("INFO".into()).or_default() += 1;
    for side in ["server", "client"] {
        let path = format!("/api/v1/databases?window=5m&side={side}&system=redis");
        let rows = perfmon.rows_when(&path, |rows| by_operation(rows) == counts)?;
        assert_eq!(by_operation(&rows), counts, "{side} side, {:?} lost", perfmon.lost()?);
        let doubtful = rows.iter().find(|row| row["completeness"] != 1.0 || row["lost"] != 0);
        assert_eq!(doubtful, None, "{side} side, {:?} lost", perfmon.lost()?);
    }
    let is_set = |row: &&Value| row["query"] == "SET key:? ?";
    let rows = perfmon.rows_when("/api/v1/databases?window=5m&side=server&system=redis", |rows| rows.iter().any(|row| is_set(&row)))?;
    let set = rows.iter().find(is_set).with_context(|| format!("no row of SET: {rows:?}"))?;
    assert_eq!((set["count"].as_u64(), set["errors"].as_u64()), (counts.get("SET").copied(), Some(0)), "{set}");
    assert!(set["p95_ms"].as_f64().is_some_and(|p95| p95 > 0.0) && set["target"] == "key", "{set}");
    let listed = perfmon.api("/api/v1/records?kind=db&limit=5")?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(5), "{listed}");
    Ok(())
}

#[test]
fn redis_errors_have_their_codes_and_no_literal_appears() -> Result<()> {
    if missing(&REDIS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = RedisServer::start()?;
    let key = format!("user:{CANARY}");
    server.cli(&["SET", &key, CANARY])?;
    server.cli(&["LPUSH", &key, CANARY])?;
    server.cli(&["AUTH", "nobody", CANARY])?;
    server.cli(&["GET", "user:none"])?;
    settled(&perfmon, "client", "redis", "GET", 1)?;
    for side in ["client", "server"] {
        let of = |operation: &str| -> Result<Value> {
            let all = perfmon.records("db")?;
            all.into_iter()
                .find(|record| record["side"] == side && record["operation"] == operation)
                .with_context(|| format!("no {operation}"))
        };
        let (set, push, auth, get) = (of("SET")?, of("LPUSH")?, of("AUTH")?, of("GET")?);
        assert_eq!((&set["query"], &set["target"], &set["error"]), (&"SET user:? ?".into(), &"user".into(), &Value::Null), "{set}");
        assert_eq!(push["error"], "WRONGTYPE", "{push}");
        assert_eq!((&auth["query"], &auth["error"]), (&"AUTH ? ?".into(), &"WRONGPASS".into()), "{auth}");
        assert_eq!(get["rows"].as_u64(), Some(0), "{get}");
    }
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY), "a literal appears");
    Ok(())
}

#[test]
fn redis_is_read_when_it_was_there_before() -> Result<()> {
    if missing(&REDIS) {
        return Ok(());
    }
    let server = RedisServer::start()?;
    let mut command = Command::new("redis-benchmark");
    command.args(["-q", "-l", "-P", "4", "-c", "2", "-n", "2000", "-t", "set", "-p", &server.port.to_string()]);
    let folder = tempfile::tempdir()?;
    let _load = Running::start(&mut command, &folder.path().join("log"))?;
    let before = wait_until(10, || Ok(server.counts()?.get("SET").copied().filter(|count| *count > 0)))?;
    ensure!(before.is_some(), "no load");
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    for side in ["server", "client"] {
        let found = wait_until(20, || Ok((recorded(&perfmon, side, "redis")?.0.get("SET").copied() > Some(1_000)).then_some(())))?;
        ensure!(found.is_some(), "{side}: {:?}", recorded(&perfmon, side, "redis")?);
    }
    Ok(())
}

fn pgbench(server: &PostgresServer, arguments: &[&str]) -> Result<()> {
    output(server.client("pgbench").args(arguments).arg("shop")).map(drop)
}

#[test]
fn counts_of_pgbench_are_the_servers() -> Result<()> {
    if missing(&postgres::NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let server = PostgresServer::start()?;
    pgbench(&server, &["-i", "-q", "-s", "1"])?;
    let transactions = (rounds(5) * 10).to_string();
    for mode in ["simple", "extended", "prepared"] {
        server.psql("postgres", &["select pg_stat_statements_reset()"])?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        let before = ["client", "server"].map(|side| recorded_in(&perfmon, side, "shop"));
        pgbench(&server, &["-n", "-M", mode, "-c", "4", "-t", &transactions])?;
        let mut counts = server.counts()?;
        // Of a prepared BEGIN or END pg_stat_statements counts the first execution in each session only; pgbench counts all.
        for verb in ["BEGIN", "END"] {
            counts.insert(verb.into(), 4 * transactions.parse::<u64>()?);
        }
        for (side, before) in ["client", "server"].into_iter().zip(before) {
            let before = before?;
            let since = || -> Result<BTreeMap<String, u64>> {
                let now = recorded_in(&perfmon, side, "shop")?;
                let more = now.into_iter().map(|(verb, count)| {
                    let former = before.get(&verb).copied().unwrap_or(0);
                    (verb, count - former)
                });
                Ok(more.filter(|(_, count)| *count > 0).collect())
            };
            let told = wait_until(10, || Ok(Some(since()?).filter(|told| *told == counts)))?.map_or_else(since, Ok)?;
            assert_eq!(told, counts, "{mode}, {side} side, {} lost", perfmon.lost()?);
        }
    }
    let path = "/api/v1/databases?window=5m&side=server&system=postgresql&operation=UPDATE&target=pgbench_accounts";
    let count = 3 * 4 * transactions.parse::<u64>()?;
    let rows = perfmon.rows_when(path, |rows| rows.first().is_some_and(|row| row["count"] == count))?;
    let [row] = &rows[..] else { panic!("not one row: {rows:?}") };
    let query = "UPDATE pgbench_accounts SET abalance = abalance + ? WHERE aid = ?";
    assert_eq!((row["query"].as_str(), row["count"].as_u64()), (Some(query), Some(count)), "{row}");
    assert!(!perfmon.output()?.contains(CANARY));
    Ok(())
}

/// Commands of a side in a database by verb; all are exact.
fn recorded_in(perfmon: &Perfmon, side: &str, database: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for record in perfmon.records("db")? {
        if record["side"] == side && record["system"] == "postgresql" && record["database"] == database {
            ensure!(record["quality"] == "exact" && !record["response_time_ms"].is_null(), "{record}");
            *counts.entry(record["operation"].as_str().unwrap_or("-").to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}

#[test]
fn psql_has_errors_with_their_codes_and_no_literal_appears() -> Result<()> {
    if missing(&postgres::NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = PostgresServer::start()?;
    server.psql("shop", &["create table users (id int primary key, name text)"])?;
    server.psql("shop", &[&format!("insert into users values (1, '{CANARY}'), (2, 'x')")])?;
    for (sql, code) in [("select * from missing", "42P01"), ("select 1/0", "22012"), ("insert into users values (1, 'y')", "23505")] {
        assert!(server.psql("shop", &[sql]).is_err(), "{sql}");
        let found = wait_until(10, || {
            let all = perfmon.records("db")?;
            let of_code = |side: &str| all.iter().filter(|record| record["side"] == side && record["error"] == code).count();
            Ok(((of_code("client"), of_code("server")) == (1, 1)).then_some(()))
        })?;
        ensure!(found.is_some(), "{sql}: no {code} on both sides");
    }
    let all = perfmon.records("db")?;
    let insert = all.iter().find(|record| record["operation"] == "INSERT" && record["error"].is_null()).context("no INSERT")?;
    assert_eq!((&insert["query"], insert["rows"].as_u64()), (&"insert into users values (?)".into(), Some(2)), "{insert}");
    assert_eq!((&insert["target"], &insert["database"]), (&"users".into(), &"shop".into()), "{insert}");
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY) && !everything.contains("SCRAM"), "a literal appears");
    Ok(())
}

#[test]
fn an_open_transaction_holds_its_connection() -> Result<()> {
    if missing(&postgres::NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = PostgresServer::start()?;
    let mut psql = server.client("psql");
    let mut psql = psql.args(["-X", "-q", "shop"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut commands = psql.stdin.take().context("no input")?;
    commands.write_all(b"select 1;\nselect 2;\nbegin;\nselect 3;\n")?;
    let pool = || -> Result<Option<Value>> {
        let pools = perfmon.api("/api/v1/pools?system=postgresql")?;
        Ok(pools["items"].as_array().into_iter().flatten().find(|pool| pool["pid"] == psql.id()).cloned())
    };
    let silent = |pool: &Value| pool["in_use"] == 1 && pool["silent_in_use_ms"].as_f64().is_some_and(|ms| ms > 5_000.0);
    let held = wait_until(20, || Ok(pool()?.filter(silent)))?;
    ensure!(held.is_some(), "the connection is not in use: {:?}", pool()?);
    commands.write_all(b"commit;\n")?;
    let free = |pool: &Value| pool["in_use"] == 0 && pool["silent_in_use_ms"].is_null();
    let given_back = wait_until(20, || Ok(pool()?.filter(free)))?;
    ensure!(given_back.is_some(), "the connection stays in use: {:?}", pool()?);
    drop(commands);
    ensure!(psql.wait()?.success(), "psql failed");
    Ok(())
}
