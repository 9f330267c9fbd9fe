//! A dependency that fails in each way: status 503, resets, refused connects, an outage. Attempts, errors by class and availability in its row
//! equal what the client saw, number for number; so do the times that connects and TLS handshakes
//! took, and what TCP sent again.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::output;
use perfmon_tests::server::make_certificate;
use perfmon_tests::{free_port, wait_until, workspace};
use perfmon_user::clock::boot_now_ns;
use serde::Deserialize;
use serde_json::{Value, json};
use socket2::Socket;

const NAME: &str = "payments.example";

/// What the client saw.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    ok: u64,
    unavailable: u64,
    reset: u64,
    refused: u64,
}

impl Seen {
    fn attempts(&self) -> u64 {
        self.ok + self.unavailable + self.reset + self.refused
    }

    fn failed(&self) -> u64 {
        self.attempts() - self.ok
    }
}

/// How the dependency takes a request.
#[derive(Clone, Copy)]
enum Manner {
    Answers(u16),
    Resets,
}

/// The dependency; `None` while it is down.
struct Dependency {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl Dependency {
    fn up(&mut self) -> Result<()> {
        self.listener = Some(TcpListener::bind(self.address)?);
        Ok(())
    }

    /// An attempt of the client, on a connection of its own; both ends are this thread's.
    fn attempt(&self, manner: Manner, seen: &mut Seen) -> Result<()> {
        let mut client = match TcpStream::connect(self.address) {
            Ok(client) => client,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                seen.refused += 1;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        write!(client, "GET /charge HTTP/1.1\r\nHost: {NAME}\r\n\r\n")?;
        let mut server = self.listener.as_ref().context("the dependency is down and accepted")?.accept()?.0;
        ensure!(server.read(&mut [0; 1_024])? > 0, "no request came");
        match manner {
            Manner::Answers(status) => {
                write!(server, "HTTP/1.1 {status} Some Reason\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
                drop(server);
                let mut answer = String::new();
                client.read_to_string(&mut answer)?;
                let counted = if answer.starts_with("HTTP/1.1 200 ") { &mut seen.ok } else { &mut seen.unavailable };
                *counted += 1;
            }
            Manner::Resets => {
                Socket::from(server).set_linger(Some(Duration::ZERO))?;
                let error = client.read(&mut [0; 64]).err().context("no reset came")?;
                ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
                seen.reset += 1;
            }
        }
        Ok(())
    }
}

/// Answers so many requests of a connection.
fn answer(mut server: TcpStream, requests: usize) -> std::io::Result<()> {
    for _ in 0..requests {
        if server.read(&mut [0; 1_024])? == 0 {
            break;
        }
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
    Ok(())
}

/// The row of the dependency, once it counts so many attempts.
fn row(perfmon: &Perfmon, attempts: u64) -> Result<Value> {
    let row = wait_until(10, || {
        let answer = perfmon.api("/api/v1/destinations?window=5m")?;
        let mut rows = answer["items"].as_array().into_iter().flatten();
        Ok(rows.find(|row| row["destination"] == NAME && row["count"].as_u64() >= Some(attempts)).cloned())
    })?;
    row.with_context(|| format!("{NAME} has not {attempts} attempts: {}", perfmon.api("/api/v1/destinations").unwrap_or_default()))
}

#[test]
fn each_failure_of_a_dependency_is_counted_in_its_class() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let mut dependency = Dependency { address: (Ipv4Addr::LOCALHOST, free_port()?).into(), listener: None };
    let mut seen = Seen::default();
    dependency.up()?;
    for number in 0..600 {
        // Of a hundred: ten 503, five resets, three refused.
        match number % 100 {
            place if place % 10 == 3 => dependency.attempt(Manner::Answers(503), &mut seen)?,
            place if place % 20 == 7 => dependency.attempt(Manner::Resets, &mut seen)?,
            25 | 50 | 75 => {
                dependency.listener = None;
                dependency.attempt(Manner::Answers(200), &mut seen)?;
                dependency.up()?;
            }
            _ => dependency.attempt(Manner::Answers(200), &mut seen)?,
        }
    }
    assert_eq!(seen, Seen { ok: 492, unavailable: 60, reset: 30, refused: 18 });
    dependency.listener = None;
    for _ in 0..40 {
        dependency.attempt(Manner::Answers(200), &mut seen)?;
        std::thread::sleep(Duration::from_millis(50));
    }
    dependency.up()?;
    dependency.attempt(Manner::Answers(200), &mut seen)?;

    let row = row(&perfmon, seen.attempts())?;
    println!("{seen:?}, {row}");
    assert_eq!((row["count"].as_u64(), row["errors"].as_u64()), (Some(seen.attempts()), Some(seen.failed())), "{row}");
    let classes: serde_json::Map<String, Value> =
        row["error_classes"].as_object().context("no classes")?.clone().into_iter().filter(|(_, number)| *number != 0).collect();
    assert_eq!(json!(classes), json!({"status_5xx": seen.unavailable, "reset": seen.reset, "connect_refused": seen.refused}), "{row}");
    assert_eq!(row["connect_errors"].as_u64(), Some(seen.refused), "{row}");
    assert_eq!(row["connects"].as_u64(), Some(seen.attempts() - seen.refused), "{row}");
    let availability = seen.ok as f64 / seen.attempts() as f64;
    assert!((row["availability"].as_f64().context("no availability")? - availability).abs() < 1e-9, "{availability}: {row}");
    Ok(())
}

#[test]
fn what_a_connect_took_is_what_the_client_saw() -> Result<()> {
    const REQUESTS: usize = 3;
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    // One connection waits in its queue; the kernel drops the first packet of the next one, and the client's sends it again after a second.
    let server = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    server.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    server.listen(0)?;
    let server = TcpListener::from(server);
    let address = server.local_addr()?;
    let waiting = TcpStream::connect(address)?;
    let serving = std::thread::spawn(move || -> std::io::Result<()> {
        std::thread::sleep(Duration::from_millis(300));
        let filler = server.accept()?.0;
        answer(server.accept()?.0, REQUESTS)?;
        drop(filler);
        Ok(())
    });
    let began_ns = boot_now_ns();
    let mut client = TcpStream::connect(address)?;
    let took_ms = (boot_now_ns() - began_ns) as f64 / 1e6;
    for _ in 0..REQUESTS {
        write!(client, "GET /slow HTTP/1.1\r\nHost: slow.example\r\n\r\n")?;
        ensure!(client.read(&mut [0; 1_024])? > 0, "no answer");
    }
    drop(client);
    serving.join().expect("the server's thread").context("the server")?;
    drop(waiting);

    perfmon.wait_for(2 * REQUESTS, |request| request.path.as_deref() == Some("/slow"))?;
    let records = perfmon.records("request")?;
    let mut times = Vec::new();
    for record in records.iter().filter(|record| record["path"] == "/slow") {
        if record["side"] == "client" {
            times.push(record["connect_time_ms"].as_f64());
        } else {
            assert_eq!(record["connect_time_ms"], Value::Null, "{record}");
        }
    }
    println!("the client's connect took {took_ms} ms; {times:?}");
    let [Some(first), None, None] = times[..] else { panic!("the first request alone has it: {times:?}") };
    assert!(first <= took_ms && took_ms - first < took_ms / 10.0, "{took_ms}: {first}");
    let row = wait_until(10, || {
        let answer = perfmon.api("/api/v1/destinations?window=5m")?;
        let mut rows = answer["items"].as_array().into_iter().flatten();
        Ok(rows.find(|row| row["destination"] == "slow.example" && row["count"] == REQUESTS).cloned())
    })?;
    let row = row.context("no row")?;
    assert_eq!(row["connects"].as_u64(), Some(1), "{row}");
    let p95 = row["connect_p95_ms"].as_f64().context("no percentile")?;
    assert!((p95 - first).abs() <= first / 100.0, "{first}: {row}");
    Ok(())
}

#[test]
fn what_a_handshake_took_is_what_the_client_saw() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (certificate, key) = make_certificate(folder.path())?;
    let perfmon = Perfmon::start(&[])?;
    let mut client = Command::new(python());
    client.arg(workspace().join("tests/clients/handshake_client.py")).args([&certificate, &key]);
    let took: BTreeMap<String, f64> = serde_json::from_str(&output(&mut client)?)?;
    for (version, took_ms) in &took {
        let host = version.to_lowercase();
        let of_host = |request: &perfmon_tests::record::Request| request.path.as_deref() == Some("/handshake");
        perfmon.wait_for(6, of_host)?;
        let records = perfmon.records("request")?;
        let mut times = Vec::new();
        for record in records.iter().filter(|record| record["side"] == "client" && record["host"] == *host) {
            times.push(record["tls_time_ms"].as_f64());
        }
        println!("{version}: the client's handshake took {took_ms} ms; {times:?}");
        let [Some(first), None, None] = times[..] else { panic!("{version}: the first request alone has it: {times:?}") };
        assert!(first <= *took_ms && took_ms - first < took_ms / 10.0, "{version}, {took_ms}: {first}");
        let row = wait_until(10, || {
            let answer = perfmon.api("/api/v1/destinations?window=5m")?;
            let mut rows = answer["items"].as_array().into_iter().flatten();
            Ok(rows.find(|row| row["destination"] == *host && row["count"] == 3).cloned())
        })?;
        let row = row.with_context(|| format!("no row of {host}"))?;
        assert_eq!((row["tls_handshakes"].as_u64(), row["connects"].as_u64()), (Some(1), Some(1)), "{row}");
        assert!((row["tls_p95_ms"].as_f64().context("no percentile")? - first).abs() <= first / 100.0, "{first}: {row}");
    }
    assert!(perfmon.records("request")?.iter().all(|record| record["side"] == "client" || record["tls_time_ms"].is_null()));
    Ok(())
}

/// What the kernel told the client of its connections.
#[derive(Debug, Deserialize)]
struct TcpTold {
    segments: u64,
    retransmits: u64,
    round_trip_ms: f64,
}

#[test]
fn what_tcp_did_is_what_the_kernel_tells_the_client() -> Result<()> {
    // Segments of the end of a connection.
    const END: u64 = 3;
    if missing(&[Need::Perfmon, Need::Python]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let mut client = Command::new(python());
    client.arg(workspace().join("tests/clients/tcp_client.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = client.spawn()?;
    let mut line = String::new();
    BufReader::new(client.stdout.take().context("no output")?).read_line(&mut line)?;
    let truth: BTreeMap<String, TcpTold> = serde_json::from_str(&line)?;
    let row = |host: &str, least: u64| {
        let found = wait_until(30, || {
            let answer = perfmon.api("/api/v1/destinations?window=5m")?;
            let mut rows = answer["items"].as_array().into_iter().flatten();
            Ok(rows.find(|row| row["destination"] == host && row["segments"].as_u64() >= Some(least)).cloned())
        })?;
        found
            .with_context(|| format!("no row of {host} with {least} segments: {}", perfmon.api("/api/v1/destinations").unwrap_or_default()))
    };
    println!("{truth:?}");
    let short = row("short.example", truth["short"].segments)?;
    let connections = short["connects"].as_u64().context("no connects")?;
    assert!(short["segments"].as_u64() <= Some(truth["short"].segments + END * connections), "{short}");
    assert_eq!(short["retransmits"].as_u64(), Some(truth["short"].retransmits), "{short}");
    // The end of a connection was measured with it: the peer may acknowledge it late.
    let round_trip = short["round_trip_ms"].as_f64();
    assert!(round_trip > Some(0.0) && round_trip <= short["max_ms"].as_f64(), "{short}");

    let kept = row("kept.example", truth["kept"].segments)?;
    // The last answer may be acknowledged after the client asked.
    assert!(kept["segments"].as_u64() <= Some(truth["kept"].segments + 1), "while it is open: {kept}");
    assert_eq!((kept["retransmits"].as_u64(), truth["kept"].retransmits), (Some(1), 1), "{kept}");
    assert!((kept["round_trip_ms"].as_f64().context("no time")? / truth["kept"].round_trip_ms - 1.0).abs() < 0.01, "{kept}");
    drop(client.stdin.take());
    ensure!(client.wait()?.success(), "the client failed");
    let open = kept["segments"].as_u64().unwrap_or(0);
    let ended = row("kept.example", open + 1)?;
    assert!(ended["segments"].as_u64() <= Some(truth["kept"].segments + 1 + END), "{ended}");
    assert_eq!(ended["retransmits"].as_u64(), Some(1), "told once: {ended}");
    Ok(())
}

/// What the dependency counted.
#[derive(Debug, Deserialize)]
struct Attempts {
    attempts: u64,
    failed: u64,
    retries: u64,
}

#[test]
fn an_attempt_after_a_failed_one_is_a_retry() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let mut client = Command::new(python());
    client.arg(workspace().join("tests/clients/retry_client.py")).arg("20");
    let truth: Attempts = serde_json::from_str(&output(&mut client)?)?;
    println!("{truth:?}");
    let row = wait_until(20, || {
        let answer = perfmon.api("/api/v1/destinations?window=5m")?;
        let mut rows = answer["items"].as_array().into_iter().flatten();
        Ok(rows.find(|row| row["destination"] == "jobs.example" && row["count"] == truth.attempts).cloned())
    })?;
    let row = row.context("no row")?;
    let classes = &row["error_classes"];
    // 429 is an answer of a destination that works; the rest are errors.
    let failed = row["errors"].as_u64().unwrap_or(0) + classes["status_4xx"].as_u64().unwrap_or(0);
    assert_eq!((failed, row["retries"].as_u64()), (truth.failed, Some(truth.retries)), "{row}");
    Ok(())
}
