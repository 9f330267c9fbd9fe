//! Commands of real clients to a real MariaDB: counts equal the server's own, errors have their numbers, nothing of a literal or password appears,
//! over TCP, TLS and a unix socket, as texts and prepared, and joined midway. Contract: `db` of docs/records.md.
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::mariadb::{MariaDb, NEEDS, TCP, TLS, UNIX};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::output;
use perfmon_tests::{CANARY, rounds, wait_until, workspace};
use serde_json::Value;

/// Statements of a side by verb, and one that is not exact.
fn recorded(perfmon: &Perfmon, side: &str) -> Result<(BTreeMap<String, u64>, Option<Value>)> {
    let (mut counts, mut inexact) = (BTreeMap::new(), None);
    for record in perfmon.records("db")? {
        let verb = record["operation"].as_str().unwrap_or("-").to_owned();
        if record["side"] == side && record["system"] == "mysql" && !["SHOW", "-"].contains(&verb.as_str()) {
            *counts.entry(verb).or_default() += 1;
            if record["quality"] != "exact" || record["response_time_ms"].is_null() {
                inexact = Some(record);
            }
        }
    }
    Ok((counts, inexact))
}

/// Waits until both sides tell the server's counts, all of them exact.
fn equal_the_servers(perfmon: &Perfmon, counts: &BTreeMap<String, u64>) -> Result<()> {
    for side in ["client", "server"] {
        let same = || -> Result<bool> {
            let mut told = recorded(perfmon, side)?.0;
            told.retain(|verb, _| counts.contains_key(verb));
            Ok(told == *counts)
        };
        wait_until(10, || Ok(same()?.then_some(())))?;
        let (told, inexact) = recorded(perfmon, side)?;
        assert!(same()?, "{side} side: {told:?}, of the server {counts:?}; {} lost", perfmon.lost()?);
        assert_eq!(inexact, None, "{side} side");
    }
    Ok(())
}

#[test]
fn counts_are_the_servers_over_tcp_and_a_unix_socket() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))?;
    let server = MariaDb::start()?;
    server.query(TCP, "create table users (id int primary key auto_increment, name varchar(20))")?;
    let queries = (rounds(4) * 10).to_string();
    for way in [TCP, UNIX] {
        let statements = format!(
            "insert into users (name) values ('{CANARY}');update users set name = 'x' where id = 3;select * from users where id = 4"
        );
        let mut slap = server.client("mariadb-slap", way);
        slap.args(["--create-schema=shop", "--delimiter=;", "--concurrency=4", "--no-drop", "--number-of-queries", &queries]);
        output(slap.args(["--query", &statements]))?;
        server.query(way, "begin; delete from users where id = 5; commit")?;
    }
    let counts = server.counts()?;
    assert!(counts["SELECT"] > 1 && counts["COMMIT"] >= 2, "{counts:?}");
    equal_the_servers(&perfmon, &counts)?;
    let path = "/api/v1/databases?window=5m&side=server&system=mysql&operation=UPDATE";
    let of_update = |row: &Value| row["count"].as_u64() == counts.get("UPDATE").copied();
    let rows = perfmon.rows_when(path, |rows| rows.first().is_some_and(of_update))?;
    let row = rows.first().context("no row of UPDATE")?;
    let query = "update users set name = ? where id = ?";
    assert_eq!((row["query"].as_str(), row["count"].as_u64()), (Some(query), counts.get("UPDATE").copied()), "{rows:?}");
    let everything = [perfmon.output()?, perfmon.log(), perfmon.api("/api/v1/databases")?.to_string()].concat();
    assert!(!everything.contains(CANARY), "a literal appears");
    Ok(())
}

#[test]
fn errors_have_their_numbers_and_answers_their_rows() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MariaDb::start()?;
    server.query(TCP, "create table users (id int primary key, name text); insert into users values (1, 'a'), (2, 'b'), (3, 'c')")?;
    server.query(TCP, "select name from users where id > 1")?;
    for (sql, code) in [("select * from missing", "1146"), ("insert into users values (1, 'y')", "1062"), ("selec 1", "1064")] {
        assert!(server.query(TCP, sql).is_err(), "{sql}");
        let found = wait_until(10, || {
            let all = perfmon.records("db")?;
            let of_code = |side: &str| all.iter().filter(|record| record["side"] == side && record["error"] == code).count();
            Ok(((of_code("client"), of_code("server")) == (1, 1)).then_some(()))
        })?;
        ensure!(found.is_some(), "{sql}: no {code} on both sides");
    }
    let all = perfmon.records("db")?;
    for side in ["client", "server"] {
        let of = |operation: &str| {
            let found = |record: &&Value| record["side"] == side && record["operation"] == operation && record["error"].is_null();
            all.iter().find(|record| found(record) && record["target"] == "users").with_context(|| format!("no {operation} of the {side}"))
        };
        assert_eq!((of("INSERT")?["rows"].as_u64(), of("SELECT")?["rows"].as_u64()), (Some(3), Some(2)), "{side}");
        assert_eq!(of("SELECT")?["database"], "shop");
    }
    Ok(())
}

#[test]
fn a_connection_is_read_that_was_there_before() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = MariaDb::start()?;
    let mut session =
        server.client("mariadb", TCP).args(["--batch", "--unbuffered", "shop"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = session.stdin.take().context("no input")?;
    writeln!(input, "create table users (id int primary key);\nselect 1;")?;
    std::thread::sleep(std::time::Duration::from_millis(500));
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    for id in 0..50 {
        writeln!(input, "insert into users values ({id});\nselect * from users where id = {id};")?;
    }
    for side in ["client", "server"] {
        let found = wait_until(20, || Ok((recorded(&perfmon, side)?.0.get("SELECT").copied() >= Some(45)).then_some(())))?;
        ensure!(found.is_some(), "{side}: {:?}", recorded(&perfmon, side)?);
        let told = recorded(&perfmon, side)?.0;
        assert!(told["SELECT"] <= 50 && told["INSERT"] <= 50, "{side}: {told:?}");
    }
    drop(input);
    session.wait()?;
    Ok(())
}

/// The same statements again and again inside TLS. Arguments: port, password, rounds.
const PYMYSQL: &str = r#"
import pymysql, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
db = pymysql.connect(
    host="127.0.0.1", port=int(sys.argv[1]), user="shop", password=sys.argv[2], database="shop", autocommit=True, ssl=context
)
with db, db.cursor() as cursor:
    for number in range(int(sys.argv[3])):
        cursor.execute("insert into users (name) values (%s)", ["canary7Q"])
        cursor.execute("select * from users where id = %s", [number])
        cursor.execute("update users set name = 'x' where id = %s", [number])
        db.begin()
        cursor.execute("delete from users where id = %s", [number])
        db.commit()
"#;

#[test]
fn counts_are_the_servers_inside_tls() -> Result<()> {
    if missing(&[&NEEDS[..], &[Need::Python, Need::Program("openssl")]].concat()) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MariaDb::start_with_tls()?;
    server.query(TLS, "create table users (id int primary key auto_increment, name varchar(20))")?;
    let times = rounds(10);
    let mut client = Command::new(python());
    output(client.args(["-c", PYMYSQL, &server.port.to_string(), CANARY, &times.to_string()]))?;
    let statements = format!("insert into users (name) values ('{CANARY}'); select * from users where id = 4;");
    server.query(TLS, &statements.repeat(times as usize))?;
    let counts = server.counts()?;
    equal_the_servers(&perfmon, &counts)?;
    let is_plain = |record: &Value| record["query"].as_str().is_some_and(|query| query.contains("users")) && record["tls"] != true;
    assert_eq!(perfmon.records("db")?.into_iter().find(is_plain), None, "all of them are inside TLS");
    assert!(!perfmon.output()?.contains(CANARY), "a literal appears");
    Ok(())
}

#[test]
fn prepared_statements_are_counted_each_time_they_run() -> Result<()> {
    if missing(&[&NEEDS[..], &[Need::Python, Need::Program("openssl")]].concat()) {
        return Ok(());
    }
    const FIGURES: [&str; 4] = ["Com_stmt_execute", "Com_stmt_fetch", "Com_stmt_prepare", "Questions"];
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = MariaDb::start_with_tls()?;
    server.query(TCP, "create table users (id int primary key, name varchar(50))")?;
    let times = rounds(10) as u64;
    let first = server.status(&FIGURES)?["Questions"];
    let of_asking = server.status(&FIGURES)?["Questions"] - first;
    for way in [TCP, TLS] {
        server.query(TCP, "truncate users")?;
        let before = server.status(&FIGURES)?;
        let mut client = Command::new(python());
        client.arg(workspace().join("tests/clients/mysql_client.py")).args([&server.port.to_string(), CANARY, &times.to_string(), way]);
        let sent = serde_json::from_str::<Value>(&output(&mut client)?)?["sent"].take();
        let after = server.status(&FIGURES)?;
        let [executed, fetched, prepared, questions] = FIGURES.map(|name| after[name] - before[name]);
        assert_eq!((sent["execute"].as_u64(), sent["prepare"].as_u64()), (Some(executed), Some(prepared)), "{way}: what the client sent");
        assert_eq!(questions - of_asking, executed + fetched + prepared, "{way}: what the server was asked");
        for side in ["client", "server"] {
            let told = || -> Result<Vec<Value>> {
                let is_tls = way == TLS;
                let is_own = |record: &Value| record["side"] == side && record["tls"] == is_tls && !record["statement"].is_null();
                Ok(perfmon.records("db")?.into_iter().filter(is_own).collect())
            };
            wait_until(10, || Ok((told()?.len() as u64 == executed + fetched).then_some(())))?;
            let told = told()?;
            assert!(told.iter().all(|record| record["quality"] == "exact"), "{way}, {side} side: {told:#?}");
            let rows = |operation: &str, error: Option<&str>| {
                let found = told.iter().filter(|record| record["operation"] == operation && record["error"].as_str() == error);
                found.fold((0, 0), |(count, rows), record| (count + 1, rows + record["rows"].as_u64().unwrap_or(0)))
            };
            let seen =
                [("INSERT", None), ("INSERT", Some("1062")), ("SELECT", None), ("FETCH", None)].map(|(verb, error)| rows(verb, error));
            // A statement with a cursor has its rows in the answers to FETCH.
            let expected = [(times + 1, times + 1), (1, 0), (times + 1, times), (fetched, times + 1)];
            assert_eq!((seen, told.len() as u64), (expected, executed + fetched), "{way}, {side} side; {} lost", perfmon.lost()?);
        }
    }
    assert!(!perfmon.output()?.contains(CANARY), "a literal appears");
    Ok(())
}
