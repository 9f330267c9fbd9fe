//! Calls of a server that asks Redis and another HTTP server, linked to the requests for which they are made: exact where a thread serves a
//! request, right or not at all where an event loop or a pool of threads serves many. The truth stands in the path of each request (how many
//! calls) and in the key of each command (for which name). Contract: `db`, `request` of docs/records.md; `downstream` of docs/http-api.md.
use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::postgres::{self, PostgresServer};
use perfmon_tests::process::Running;
use perfmon_tests::server::{self, Server};
use perfmon_tests::{CANARY, free_port, wait_until, wire, workspace};
use serde_json::Value;
use tempfile::TempDir;

const NEEDS: [Need; 4] = [Need::Perfmon, Need::Python, Need::Program("redis-server"), Need::Program("nginx")];

/// The server that calls, and whom it calls.
struct Calling {
    port: u16,
    _redis: Running,
    _other: Server,
    _server: Running,
    _folder: TempDir,
}

impl Calling {
    fn start(mode: &str) -> Result<Self> {
        Self::start_with(mode, &[])
    }

    fn start_with(mode: &str, more: &[&str]) -> Result<Self> {
        let (folder, other, [port, redis_port]) = (tempfile::tempdir()?, Server::start(server::NGINX)?, [free_port()?, free_port()?]);
        let mut command = Command::new("redis-server");
        command.args(["--port", &redis_port.to_string(), "--save", "", "--dir"]).arg(folder.path());
        let mut redis = Running::start(&mut command, &folder.path().join("redis.log"))?;
        redis.listens(redis_port)?;
        let mut command = Command::new(python());
        let ports = [port, redis_port, other.port].map(|port| port.to_string());
        command.arg(workspace().join("tests/servers/linked.py")).arg(mode).args(ports).args(more);
        let mut server = Running::start(&mut command, &folder.path().join("server.log"))?;
        server.listens(port)?;
        Ok(Self { port, _redis: redis, _other: other, _server: server, _folder: folder })
    }

    /// `requests` on each of some connections; returns how many in all.
    fn ask(&self, route: &str, connections: u64, requests: u64) -> Result<u64> {
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/link_client.py")).args([&self.port.to_string(), route]);
        let status = command.args([connections, requests].map(|number| number.to_string())).status()?;
        ensure!(status.success(), "the client failed");
        Ok(connections * requests)
    }
}

/// What was told of a route.
#[derive(Debug, Default, PartialEq)]
struct LinkReport {
    /// Requests of which all calls are told, rightly.
    whole: u64,
    /// Requests that say that calls may be missing.
    unsure: u64,
    /// Requests with wrong figures, and calls that are another request's.
    wrong: Vec<String>,
    /// Commands by how sure they are.
    commands: BTreeMap<String, u64>,
    /// HTTP calls likewise.
    calls: BTreeMap<String, u64>,
}

/// `/ROUTE/NAME/D/H` taken apart: name, D, H.
fn parts<'a>(path: &'a str, route: &str) -> Option<(&'a str, u64, u64)> {
    let mut parts = path.strip_prefix('/')?.strip_prefix(route)?.strip_prefix('/')?.split('/');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Waits until `requests` of a route are told; judges them and the calls of the process.
fn report(perfmon: &Perfmon, calling: &Calling, route: &str, requests: u64) -> Result<LinkReport> {
    let of_route = |record: &Value| record["path"].as_str().is_some_and(|path| parts(path, route).is_some());
    let is_served = |record: &Value| record["local"].as_str().is_some_and(|local| local.ends_with(&format!(":{}", calling.port)));
    wait_until(20, || {
        let records = perfmon.records("request")?;
        Ok((records.iter().filter(|record| is_served(record) && of_route(record)).count() as u64 >= requests).then_some(()))
    })?;
    let records = perfmon.records("request")?;
    let served: BTreeMap<&str, &Value> =
        records.iter().filter(|record| is_served(record)).filter_map(|record| Some((record["span_id"].as_str()?, record))).collect();
    let mut report = LinkReport::default();
    for record in served.values().filter(|record| of_route(record)) {
        let (_, commands, calls) = parts(record["path"].as_str().unwrap_or_default(), route).context("a path")?;
        let told = &record["downstream"];
        match told["complete"].as_bool() {
            Some(true) if (told["db_calls"].as_u64(), told["http_calls"].as_u64()) == (Some(commands), Some(calls)) => report.whole += 1,
            Some(false) => report.unsure += 1,
            _ => report.wrong.push(record.to_string()),
        }
    }
    let pid = served.values().next().map(|record| record["pid"].clone()).context("no request")?;
    let sure = |record: &Value| record["link"].as_str().unwrap_or("unlinked").to_owned();
    for command in perfmon.records("db")?.iter().filter(|command| command["side"] == "client" && command["pid"] == pid) {
        *report.commands.entry(sure(command)).or_default() += 1;
        let parent = command["parent_span_id"].as_str().map(|id| served.get(id).and_then(|record| record["path"].as_str()));
        let is_right = parent.is_none_or(|path| path.and_then(|path| path.split('/').nth(2)) == command["target"].as_str());
        if !is_right {
            report.wrong.push(format!("{command} is not for {parent:?}"));
        }
    }
    for call in records.iter().filter(|call| call["side"] == "client" && call["pid"] == pid) {
        *report.calls.entry(sure(call)).or_default() += 1;
    }
    Ok(report)
}

#[test]
fn a_thread_for_each_connection_is_exact() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let calling = Calling::start("threads")?;
    let requests = calling.ask("threads", 10, 40)?;
    let report = report(&perfmon, &calling, "threads", requests)?;
    // 1 to 4 commands and every other time a call.
    let (commands, calls) = ([("exact".to_owned(), requests * 5 / 2)].into(), [("exact".to_owned(), requests / 2)].into());
    assert_eq!(report, LinkReport { whole: requests, commands, calls, ..LinkReport::default() });
    assert_eq!(perfmon.lost()?, 0);
    Ok(())
}

#[test]
fn an_event_loop_and_its_pool_are_right_one_at_a_time_and_never_wrong() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let calling = Calling::start("fastapi")?;
    for route in ["loop", "pool"] {
        let requests = calling.ask(route, 1, 40)?;
        let report = report(&perfmon, &calling, route, requests)?;
        assert_eq!((report.whole, report.unsure, &report.wrong[..]), (requests, 0, &[][..]), "{route}: {report:?}");
        assert!(!report.commands.contains_key("unlinked"), "{route}: {report:?}");
    }
    let before = perfmon.figure("/api/v1/self", "/counters/calls_unlinked")?;
    for route in ["loop", "pool"] {
        calling.ask(route, 50, 8)?;
    }
    let all = report(&perfmon, &calling, "pool", 440)?;
    assert_eq!(&all.wrong[..], &[] as &[String], "{:?} {:?}", all.commands, all.calls);
    let unlinked = |counts: &BTreeMap<String, u64>| counts.get("unlinked").copied().unwrap_or(0);
    let told = (unlinked(&all.commands) + unlinked(&all.calls)) as f64;
    assert_eq!(perfmon.figure("/api/v1/self", "/counters/calls_unlinked")? - before, told, "{all:?}");
    assert!(told > 0.0 && all.unsure > 0, "nothing was side by side: {all:?}");
    Ok(())
}

#[test]
fn fastapi_is_right_with_sqlalchemy_in_threads_and_asyncpg_in_its_loop() -> Result<()> {
    if missing(&NEEDS) || missing(&postgres::NEEDS) {
        return Ok(());
    }
    let server = PostgresServer::start()?;
    server.psql("postgres", &[&format!("create role shop superuser login password '{CANARY}'")])?;
    // The names of link_client.py.
    for table in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        server.psql("shop", &[&format!("create table {table} (n int)"), &format!("insert into {table} values (1)")])?;
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let calling = Calling::start_with("orm", &[&server.port.to_string(), CANARY])?;
    let unlinked = || perfmon.figure("/api/v1/self", "/counters/calls_unlinked");
    for route in ["sqlalchemy", "asyncpg"] {
        let requests = calling.ask(route, 1, 40)?;
        let alone = report(&perfmon, &calling, route, requests)?;
        assert_eq!((alone.whole, alone.unsure, &alone.wrong[..]), (requests, 0, &[][..]), "{route}: {alone:?}");
        let before = alone.commands.get("unlinked").copied().unwrap_or(0);
        let counted_before = unlinked()?;
        let requests = calling.ask(route, 50, 8)?;
        let all = report(&perfmon, &calling, route, 40 + requests)?;
        println!("{route}: {all:?}");
        assert_eq!(&all.wrong[..], &[] as &[String], "{route}: {:?}", all.commands);
        assert_eq!(all.whole + all.unsure, 40 + requests, "{route}");
        let told = all.commands.get("unlinked").copied().unwrap_or(0) - before;
        assert_eq!(unlinked()? - counted_before, told as f64, "{route}: {all:?}");
    }
    Ok(())
}

#[test]
fn a_command_for_each_row_is_found_with_its_endpoint() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let calling = Calling::start("threads")?; // it is there before
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    for _ in 0..4 {
        let answer = wire::get(calling.port, "/threads/cart/25/0")?;
        ensure!(answer.status == 200, "{}", answer.status);
    }
    let found = wait_until(15, || {
        let findings = perfmon.api("/api/v1/findings")?;
        Ok(findings["items"].as_array().into_iter().flatten().find(|finding| finding["type"] == "n_plus_one").cloned())
    })?;
    let finding = found.context("no finding")?;
    let message = finding["message"].as_str().unwrap_or_default();
    assert!(message.contains("GET /threads/cart/") && message.contains("25 times: GET cart:?"), "{finding}");
    let rows = perfmon.api("/api/v1/endpoints?window=5m")?;
    let row = rows["items"].as_array().into_iter().flatten().find(|row| row["endpoint"].as_str().is_some_and(|name| name.contains("cart")));
    let downstream = &row.with_context(|| format!("no row: {rows}"))?["downstream"];
    assert_eq!((downstream["requests"].as_u64(), downstream["db_calls_per_request"].as_f64()), (Some(4), Some(25.0)), "{downstream}");
    assert!(downstream["db_ms_per_request"].as_f64().is_some_and(|ms| ms > 0.0), "{downstream}");
    Ok(())
}
