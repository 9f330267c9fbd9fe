//! Questions for names of real resolvers to a real server over UDP and TCP: each is told once with its code and its attempts, as the client and the
//! server count them; silence is a timeout, a slow answer slow. Connections that say no name have the one that was asked for. Contract: `dns`.
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::programs::built_by_go;
use perfmon_tests::{free_port, rounds, wait_until, workspace};
use serde_json::Value;

const NEEDS: [Need; 2] = [Need::Perfmon, Need::Python];

/// Questions by name, type, code and attempts.
type Questions = BTreeMap<(String, String, String, u64), u64>;

struct DnsServer {
    address: &'static str,
    port: u16,
    running: Running,
    _log: tempfile::TempPath,
}

impl DnsServer {
    fn start(address: &'static str, port: u16) -> Result<Self> {
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/servers/dns_server.py")).args([address, &port.to_string()]);
        let log = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut running = Running::start(&mut command, &log)?;
        let answers = wait_until(20, || Ok(std::net::TcpStream::connect((address, port)).ok()))?;
        ensure!(answers.is_some() && running.ended()?.is_none(), "the server does not answer: {}", running.log());
        Ok(Self { address, port, running, _log: log })
    }

    /// How often each name and type was asked for, by the server.
    fn asked(&self) -> BTreeMap<(String, String), u64> {
        let mut asked = BTreeMap::new();
        for line in self.running.log().lines() {
            if let [_, name, qtype] = line.split(' ').collect::<Vec<_>>()[..] {
                let qtype = match qtype {
                    "1" => "A",
                    "28" => "AAAA",
                    "16" => "TXT",
                    other => other,
                };
                *asked.entry((name.to_owned(), qtype.to_owned())).or_default() += 1;
            }
        }
        asked
    }

    /// Runs a program whose resolver asks this server, by a resolv.conf of its own.
    fn resolves(&self, options: &str, command: &str) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        std::io::Write::write_all(&mut file, format!("nameserver {}\noptions timeout:1 attempts:2\n{options}\n", self.address).as_bytes())?;
        let script = format!("mount --bind {} /etc/resolv.conf && exec {command}", file.path().display());
        let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

fn client() -> String {
    format!("{} {}", python().display(), workspace().join("tests/clients/dns_client.py").display())
}

fn recorded(perfmon: &Perfmon) -> Result<Questions> {
    let mut questions = Questions::new();
    for record in perfmon.records("dns")? {
        let text = |field: &str| record[field].as_str().map(str::to_owned).with_context(|| format!("no {field}: {record}"));
        let attempts = record["attempts"].as_u64().context("no attempts")?;
        *questions.entry((text("name")?, text("qtype")?, text("rcode")?, attempts)).or_default() += 1;
    }
    Ok(questions)
}

/// Waits for the records of these questions.
fn told(perfmon: &Perfmon, expected: &Questions) -> Result<()> {
    let told = wait_until(20, || Ok((recorded(perfmon)? == *expected).then_some(())))?;
    ensure!(told.is_some(), "{:#?} instead of {expected:#?}; {} lost", recorded(perfmon)?, perfmon.lost()?);
    Ok(())
}

#[test]
fn each_question_is_told_once_however_it_is_asked() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = DnsServer::start("127.0.0.1", free_port()?)?;
    let mut command = Command::new(python());
    command.arg(workspace().join("tests/clients/dns_client.py"));
    let output = command.args([server.address, &server.port.to_string(), &rounds(5).to_string()]).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut asked = Questions::new();
    for one in serde_json::from_slice::<Vec<(String, String, String, u64)>>(&output.stdout)? {
        *asked.entry(one).or_default() += 1;
    }
    told(&perfmon, &asked)?;
    let by_server: u64 = server.asked().values().sum();
    assert_eq!(asked.iter().map(|((.., attempts), count)| attempts * count).sum::<u64>(), by_server, "attempts");
    let records = perfmon.records("dns")?;
    let of_server = format!("{}:{}", server.address, server.port);
    let odd = records.iter().find(|record| record["quality"] != "exact" || record["server"] != *of_server);
    assert_eq!(odd, None);
    let time = |name: &str| records.iter().find(|record| record["name"] == name).and_then(|record| record["response_time_ms"].as_f64());
    assert!(time("slow.example").is_some_and(|ms| ms >= 300.0), "{:?}", time("slow.example"));
    assert_eq!(time("silent.example"), None);
    let row = || Ok(perfmon.api("/api/v1/dns?window=5m&name=silent.example")?["items"].get(0).cloned());
    let row = wait_until(10, row)?.context("no row")?;
    assert_eq!(
        (row["count"].as_u64(), row["errors"].as_u64(), row["rcodes"]["TIMEOUT"].as_u64(), row["attempts"].as_u64()),
        (Some(1), Some(1), Some(1), Some(2)),
        "{row}"
    );
    Ok(())
}

#[test]
fn the_resolver_of_the_c_library_is_seen_with_its_search_list() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = DnsServer::start("127.0.53.11", 53)?;
    let names = "plain.example slow.example missing.example. silent.example once.example";
    server.resolves("", &format!("{} system {names}", client()))?;
    // `missing-x` exists in no domain of the list, and not by itself.
    server.resolves("search one.example two.example", &format!("{} system missing-x", client()))?;
    let mut expected = Questions::new();
    for qtype in ["A", "AAAA"] {
        let mut asked =
            |name: &str, rcode: &str, attempts| expected.insert((name.to_owned(), qtype.to_owned(), rcode.to_owned(), attempts), 1);
        asked("plain.example", "NOERROR", 1);
        asked("slow.example", "NOERROR", 1);
        asked("missing.example", "NXDOMAIN", 1);
        asked("silent.example", "TIMEOUT", 2);
        asked("once.example", "NOERROR", 2);
        for name in ["missing-x.one.example", "missing-x.two.example", "missing-x"] {
            asked(name, "NXDOMAIN", 1);
        }
    }
    told(&perfmon, &expected)?;
    let missed = |name: &str| -> Result<Option<u64>> {
        let rows = perfmon.api("/api/v1/dns?window=5m&qtype=A")?;
        let row = rows["items"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
        Ok(row.and_then(|row| row["search_misses"].as_u64()))
    };
    for (name, misses) in [("missing-x.one.example", 1), ("missing-x.two.example", 1), ("missing-x", 0)] {
        let counted = wait_until(10, || Ok((missed(name)? == Some(misses)).then_some(())))?;
        assert!(counted.is_some(), "{name}: {:?} instead of {misses}", missed(name)?);
    }
    Ok(())
}

/// What a server that was asked so often by one client should come to: an answered attempt is a question, what has no answer is asked again.
fn expected(asked: &BTreeMap<(String, String), u64>) -> Questions {
    let mut questions = Questions::new();
    for ((name, qtype), times) in asked {
        let (rcode, is_answered) = match name.split(['.', '-']).next() {
            Some("missing") => ("NXDOMAIN", true),
            Some("broken") => ("SERVFAIL", true),
            Some("plain" | "many") => ("NOERROR", true),
            Some("silent") => ("TIMEOUT", false),
            _ => ("NOERROR", false),
        };
        let (attempts, count) = if is_answered { (1, *times) } else { (*times, 1) };
        questions.insert((name.clone(), qtype.clone(), rcode.to_owned(), attempts), count);
    }
    questions
}

#[test]
fn resolvers_that_speak_dns_themselves_are_seen_as_the_server_sees_them() -> Result<()> {
    if missing(&[&NEEDS[..], &[Need::Program("node")]].concat()) {
        return Ok(());
    }
    let scripts = workspace().join("tests/clients");
    let clients = [
        ("go", built_by_go(&scripts.join("dns_client.go"))?.display().to_string()),
        ("node", format!("node {}", scripts.join("dns_client.mjs").display())),
        ("dnspython", format!("{} dnspython", client())),
    ];
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let server = DnsServer::start("127.0.53.13", 53)?;
    for (own, command) in &clients {
        let names = ["plain", "many", "missing", "broken", "large", "once", "silent"].map(|kind| format!("{kind}-{own}.example"));
        server.resolves("", &format!("{command} {}", names.join(" ")))?;
    }
    let asked = server.asked();
    for (own, _) in clients {
        for (kind, least) in [("plain", 1), ("broken", 1), ("large", 2), ("once", 2), ("silent", 2)] {
            for qtype in ["A", "AAAA"] {
                let times = asked.get(&(format!("{kind}-{own}.example"), qtype.to_owned())).copied();
                assert!(times >= Some(least), "{own} asked {times:?} times for {kind}, {qtype}");
            }
        }
    }
    told(&perfmon, &expected(&asked))
}

/// Asks for the name and speaks Redis with the address that it got.
const CALLER: &str = r#"
import socket
place = socket.getaddrinfo("cache.example", PORT, proto=socket.IPPROTO_TCP)[0][4]
redis = socket.create_connection(place[:2])
for _ in range(20):
    redis.sendall(b"*1\r\n$4\r\nPING\r\n")
    assert redis.recv(64) == b"+PONG\r\n"
redis.close()
import http.client
shop = http.client.HTTPConnection("slow.example", PORT)
shop.request("GET", "/by-name")
assert shop.getresponse().read() == b"ok"
"#;

/// Answers as Redis and as HTTP servers do.
const ANSWERS: &str = r#"
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection = server.accept()[0]
    while asked := connection.recv(4096):
        is_http = asked.startswith(b"GET")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" if is_http else b"+PONG\r\n")
"#;

#[test]
fn a_connection_is_called_by_the_name_that_was_asked_for() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let (server, port) = (DnsServer::start("127.0.53.12", 53)?, free_port()?);
    let log = tempfile::NamedTempFile::new()?.into_temp_path();
    let mut redis = Running::start(Command::new(python()).args(["-c", ANSWERS, &port.to_string()]), &log)?;
    redis.listens(port)?;
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), CALLER.replace("PORT", &port.to_string()))?;
    server.resolves("", &format!("{} {}", python().display(), script.path().display()))?;
    let asked = |records: Vec<Value>| records.into_iter().filter(|record| record["side"] == "client").collect::<Vec<_>>();
    let records =
        wait_until(20, || Ok(Some(asked(perfmon.records("db")?)).filter(|records| records.len() == 20)))?.context("no 20 commands")?;
    let other = records.iter().find(|record| record["destination"] != "cache.example" || record["peer"] != *format!("127.0.0.1:{port}"));
    assert_eq!(other, None);

    let row = wait_until(20, || {
        let answer = perfmon.api("/api/v1/destinations?window=5m")?;
        let mut rows = answer["items"].as_array().into_iter().flatten();
        Ok(rows.find(|row| row["destination"] == format!("slow.example:{port}") && !row["dns_p50_ms"].is_null()).cloned())
    })?;
    let row = row.context("no row with the time of its name's look-up")?;
    assert_eq!((row["count"].as_u64(), row["dns_lookups"].as_u64()), (Some(1), Some(1)), "{row}");
    let [look_up, request] = ["dns_p95_ms", "max_ms"].map(|field| row[field].as_f64());
    // Percentiles are within 1 %.
    assert!(look_up >= Some(297.0) && request < look_up, "{row}");
    Ok(())
}
