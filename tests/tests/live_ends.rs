//! How connections end, and those that never began. Ends: each kind of close and reset, many times, as the program `ends` made them; there
//! is one truth of each. Beginnings: connects that are refused, not answered or given up are attempts of the destination, without a latency.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::programs::{COMPILERS, built};
use perfmon_tests::record::Request;
use perfmon_tests::script::{Step, play, send};
use perfmon_tests::{free_port, rounds, wait_until, wire};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// A kind of end, with status and error of its records on both sides.
type Kind = (&'static str, Option<u16>, Option<&'static str>);

const KINDS: [Kind; 17] = [
    ("whole-reset", Some(200), None),
    ("twice-reset", Some(200), None),
    ("large-reset", Some(200), None),
    ("kept-reset", Some(200), None),
    ("whole-close", Some(200), None),
    ("server-close", Some(200), None),
    ("half-closed", Some(200), None),
    ("until-close", Some(200), None),
    ("server-reset-after", Some(200), None),
    ("middle-reset", Some(200), Some("client_closed")),
    ("middle-close", Some(200), Some("client_closed")),
    ("early-reset", None, Some("client_closed")),
    ("early-close", None, Some("client_closed")),
    ("cut", Some(200), Some("truncated")),
    ("nothing", None, Some("truncated")),
    ("server-reset-middle", Some(200), Some("reset")),
    ("server-reset-before", None, Some("reset")),
];

/// An answer without a body.
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The program `ends`, which waits for a byte before it begins and before it ends.
struct Ends(Child);

impl Ends {
    fn start(port: u16, rounds: usize) -> Result<Self> {
        let mut command = Command::new(built("ends.c")?);
        command.args([port.to_string(), rounds.to_string(), "2000".into()]).args(KINDS.map(|kind| kind.0));
        let mut ends = Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        ensure!(ends.line()? == "ready", "the program does not listen");
        Ok(ends)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        // One byte at a time: what is behind the line stays.
        BufReader::with_capacity(1, self.0.stdout.as_mut().context("no output")?).read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    fn go_on(&mut self) -> Result<()> {
        Ok(self.0.stdin.as_mut().context("no input")?.write_all(b"x")?)
    }

    /// Makes all connections; the program itself must have seen what the names of the kinds say. `after` runs after each kind.
    fn run(&mut self, mut after: impl FnMut() -> Result<()>) -> Result<()> {
        self.go_on()?;
        for (name, ..) in KINDS {
            let line = self.line()?;
            ensure!(line == format!("{name} 0"), "the client saw something else: {line}");
            after()?;
        }
        ensure!(self.line()? == "done", "the program went on");
        Ok(())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[test]
fn each_end_of_a_connection_is_told_as_it_was() -> Result<()> {
    if missing(&[&[Need::Perfmon], &COMPILERS[..]].concat()) {
        return Ok(());
    }
    let (port, rounds) = (free_port()?, rounds(400));
    let mut ends = Ends::start(port, rounds)?;
    // One file for all records: 10,000 rounds write 400 MB.
    let perfmon = Perfmon::start(&["--port", &port.to_string(), "--jsonl-max", "4GB"])?;
    // What is there is read meanwhile, so that at the end only the last records are waited for.
    ends.run(|| perfmon.matching(|_| false).map(drop))?;
    let expected = 2 * rounds * (KINDS.len() + 2);
    let records = perfmon.wait_for(expected, |r| r.about(port))?;
    let mut wrong = Vec::new();
    for (name, status, error) in KINDS {
        let of_kind = |r: &&Request| r.path.as_deref().is_some_and(|path| path.split('/').nth(1) == Some(name));
        for side in ["server", "client"] {
            let told: Vec<&Request> = records.iter().filter(of_kind).filter(|r| r.side == side).collect();
            let times = if name == "kept-reset" { 3 } else { 1 };
            let is_right = |r: &Request| (r.status_code, r.error.as_deref(), r.quality.as_str()) == (status, error, "exact");
            let has_ports = |r: &Request| !r.local.ends_with(":0") && !r.peer.ends_with(":0");
            let bad = told.iter().filter(|r| !is_right(r) || !has_ports(r)).count();
            if told.len() != times * rounds || bad > 0 {
                let sample = told.iter().find(|r| !is_right(r) || !has_ports(r));
                wrong.push(format!("{name}, {side}: {} records of {}, {bad} wrong: {sample:?}", told.len(), times * rounds));
            }
        }
    }
    // An event may be lost on a slow machine: it is one of other programs, or is missed above.
    let lost = perfmon.api("/api/v1/self")?["events_lost"].clone();
    assert!(wrong.is_empty(), "{}\nlost: {lost}", wrong.join("\n"));
    assert_eq!(records.len(), expected, "lost: {lost}");
    Ok(())
}

#[test]
fn a_client_that_resets_is_told_while_the_server_still_works() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let listener = std::net::TcpListener::bind(loopback(0))?;
    let port = listener.local_addr()?.port();
    let client = std::net::TcpStream::connect(loopback(port))?;
    (&client).write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let mut served = listener.accept()?.0;
    ensure!(served.read(&mut [0; 4_096])? > 0, "no request came");
    Socket::from(client).set_linger(Some(Duration::ZERO))?;
    // The server does not look at the connection.
    let told = perfmon.wait_for(1, |r| r.served_by(port))?;
    assert_eq!(told.iter().map(|r| r.error.as_deref()).collect::<Vec<_>>(), [Some("client_closed")]);
    drop(served);
    assert_eq!(perfmon.wait_for(2, |r| r.about(port))?.len(), 2);
    Ok(())
}

/// The row of a destination in `/api/v1/destinations`, once it counts `count`.
fn destination(perfmon: &Perfmon, named: &str, count: u64) -> Result<Value> {
    let row = wait_until(10, || {
        let answer = perfmon.api("/api/v1/destinations?window=5m")?;
        let mut rows = answer["items"].as_array().into_iter().flatten();
        Ok(rows.find(|row| row["destination"] == named && row["count"].as_u64() >= Some(count)).cloned())
    })?;
    row.with_context(|| format!("{named} has not {count} attempts: {}", perfmon.api("/api/v1/destinations").unwrap_or_default()))
}

/// A listening socket that answers nobody: the kernel drops what comes beyond its queue, which these connections fill.
struct Silent {
    address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl Silent {
    fn start(address: SocketAddr) -> Result<Self> {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        listener.bind(&address.into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().context("no address")?;
        let mut waiting = Vec::new();
        for _ in 0..4 {
            waiting.push(begin(address)?);
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(Self { address, _listener: listener, _waiting: waiting })
    }
}

/// A connect() under way.
fn begin(to: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(115) => bail!("connect() to {to}: {error}"),
        _ => Ok(socket),
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn five_connects_to_a_closed_port_are_five_errors_of_the_destination() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let port = free_port()?;
    for _ in 0..5 {
        assert!(std::net::TcpStream::connect(loopback(port)).is_err(), "somebody listens");
    }
    let records = perfmon.wait_for(5, |r| r.sent_to(port))?;
    assert_eq!(records.len(), 5, "{records:#?}");
    for record in &records {
        assert_eq!((record.error.as_deref(), record.protocol.as_str()), (Some("connect_refused"), "tcp"), "{record:?}");
        assert_eq!((record.pid, record.status_code, record.response_time_ms), (std::process::id(), None, None), "{record:?}");
        assert!(!record.local.ends_with(":0"), "{record:?}");
    }
    let named = format!("127.0.0.1:{port}");
    let row = destination(&perfmon, &named, 5)?;
    let figures = ["count", "errors", "connect_errors", "availability"].map(|name| row[name].as_f64());
    assert_eq!(figures, [5.0, 5.0, 5.0, 0.0].map(Some), "{row}");
    assert_eq!((&row["p50_ms"], &row["max_ms"]), (&Value::Null, &Value::Null), "an attempt has no latency: {row}");
    let metrics = String::from_utf8(wire::get(perfmon.port(), "/metrics")?.body)?;
    let place = format!("server_address=\"127.0.0.1\",server_port=\"{port}\"");
    let failures = metrics.lines().find(|line| line.starts_with("perfmon_connect_failures_total{") && line.contains(&place));
    let failures = failures.context("not in /metrics")?;
    assert!(failures.ends_with("} 5") && failures.contains("error_type=\"connect_refused\""), "{failures}");
    assert!(!metrics.lines().any(|line| line.starts_with("http_client_request_duration_seconds_") && line.contains(&place)));
    assert_eq!(perfmon.api("/health/performance")?["performance_metrics"]["error_rate"], Value::Null, "nothing was served");
    Ok(())
}

#[test]
fn a_connect_without_an_answer_fails_when_the_kernel_or_the_process_gives_up() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let silent = Silent::start(loopback(0))?;
    let port = silent.address.port();
    let given_up = begin(silent.address)?;
    std::thread::sleep(Duration::from_millis(300));
    drop(given_up);
    let timed_out = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    timed_out.set_tcp_user_timeout(Some(Duration::from_millis(1_500)))?;
    let error = timed_out.connect(&silent.address.into()).err().context("it was answered")?;
    assert_eq!(error.raw_os_error(), Some(110), "{error}");
    let records = perfmon.wait_for(2, |r| r.sent_to(port))?;
    let errors: Vec<_> = records.iter().map(|r| r.error.as_deref()).collect();
    assert_eq!(errors, [Some("connect_timeout"); 2], "{records:#?}");
    let row = destination(&perfmon, &silent.address.to_string(), 2)?;
    assert_eq!((row["errors"].as_u64(), row["availability"].as_f64()), (Some(2), Some(0.0)), "{row}");
    Ok(())
}

#[test]
fn of_two_address_families_the_slower_one_has_not_failed() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let silent = Silent::start((Ipv6Addr::LOCALHOST, 0).into())?;
    let port = silent.address.port();
    let listener = std::net::TcpListener::bind(loopback(port))?;
    let slower = begin(silent.address)?;
    std::thread::sleep(Duration::from_millis(50));
    let faster = std::net::TcpStream::connect(loopback(port))?;
    drop(slower);
    // The same attempt alone fails; its record shows that the one before was to be seen.
    drop(begin(silent.address)?);
    let records = perfmon.wait_for(1, |r| r.sent_to(port))?;
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0].error.as_deref(), Some("connect_timeout"));
    drop((faster, listener));
    Ok(())
}

#[test]
fn a_refused_connect_is_counted_under_the_name_that_the_process_uses() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let request = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    let port = play(&[send(request), Step::ReceiveAll], &[Step::Receive(request.len()), send(EMPTY)])?;
    perfmon.wait_for(1, |r| r.sent_to(port))?;
    for _ in 0..3 {
        assert!(std::net::TcpStream::connect(loopback(port)).is_err(), "somebody listens");
    }
    let row = destination(&perfmon, "shop.test", 4)?;
    assert_eq!((row["errors"].as_u64(), row["availability"].as_f64()), (Some(3), Some(0.25)), "{row}");
    Ok(())
}

#[test]
fn clients_that_try_two_addresses_count_each_attempt_once() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("curl")]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    // On IPv4 only: `localhost` is ::1 first.
    let listener = std::net::TcpListener::bind(loopback(0))?;
    let port = listener.local_addr()?.port();
    let serving = std::thread::spawn(move || -> Result<()> {
        let mut socket = listener.accept()?.0;
        let asked = socket.read(&mut [0; 4_096])?;
        ensure!(asked > 0, "no request came");
        Ok(socket.write_all(EMPTY.as_bytes())?)
    });
    let url = format!("http://localhost:{port}/");
    let resolve = format!("localhost:{port}:[::1],127.0.0.1");
    let status = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", "--resolve", &resolve, &url]).status()?;
    assert!(status.success());
    serving.join().ok().context("the server panicked")??;
    let records = perfmon.wait_for(2, |r| r.sent_to(port))?;
    let mut told: Vec<_> = records.iter().map(|r| (r.peer.as_str(), r.status_code, r.error.as_deref())).collect();
    told.sort_unstable();
    let (four, six) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    assert_eq!(told, [(four.as_str(), Some(200), None), (six.as_str(), None, Some("connect_refused"))]);
    Ok(())
}
