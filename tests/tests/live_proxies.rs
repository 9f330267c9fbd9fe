//! Proxies: haproxy, which splices; nginx with kept and with single upstream connections; Apache httpd with threads and with processes;
//! Envoy. A request through one gives four records, at the client, at both sides of the proxy and at the server behind it: each is exact,
//! and their counts and bytes are what the client counted. `TESTED_ROUNDS` sets the number of requests through each.
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use perfmon_tests::answers::{Answers, assert_exact};
use perfmon_tests::need::{Need, find, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wire::Wire;
use perfmon_tests::{free_port, rounds, wait_until, workspace};

/// Connections of the client.
const CONNECTIONS: usize = 4;
const UPLOAD: usize = 20_000;

/// A proxy and its configuration.
#[derive(Clone, Copy)]
struct Proxy {
    name: &'static str,
    need: Need,
    /// Below tests/servers.
    template: &'static str,
    /// Placeholders of the template beside port, folder and upstream.
    settings: &'static [(&'static str, &'static str)],
    command: fn(&Path) -> Result<Command>,
    behind: server::Kind,
    /// Where the server behind takes uploads.
    upload: &'static str,
}

fn program(name: &str) -> Result<Command> {
    Ok(Command::new(find(name).with_context(|| format!("{name} is not installed"))?))
}

fn haproxy(configuration: &Path) -> Result<Command> {
    let mut command = program("haproxy")?;
    command.arg("-db").arg("-f").arg(configuration);
    Ok(command)
}

fn nginx(configuration: &Path) -> Result<Command> {
    let mut command = program("nginx")?;
    command.arg("-c").arg(configuration).args(["-e", "stderr"]);
    Ok(command)
}

fn apache(configuration: &Path) -> Result<Command> {
    let mut command = program("apache2")?;
    // At its end it sends SIGTERM to its whole process group.
    command.arg("-DFOREGROUND").arg("-f").arg(configuration).process_group(0);
    Ok(command)
}

fn envoy(configuration: &Path) -> Result<Command> {
    let mut command = Command::new(python().with_file_name("envoy"));
    command.arg("-c").arg(configuration).args(["--concurrency", "2", "-l", "error", "--use-dynamic-base-id"]);
    Ok(command)
}

/// Asks through the proxy on a connection of its own; a small body, a large one, an upload in turns.
fn load(port: u16, count: usize, upload: &'static str) -> JoinHandle<Result<Answers>> {
    std::thread::spawn(move || {
        let mut wire = Wire::connect("127.0.0.1", port)?;
        let mut answers = Answers::default();
        for n in 0..count {
            let answer = match n % 16 {
                0 => wire.call("GET", "/bytes/100000", "load", b"")?,
                8 => wire.call("POST", upload, "load", &[b'y'; UPLOAD])?,
                _ => wire.call("GET", "/bytes/1000", "load", b"")?,
            };
            answers.count += 1;
            answers.bytes += answer.body.len() as u64;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(answers)
    })
}

fn all_four_are_exact(proxy: &Proxy, count: usize) -> Result<()> {
    if missing(&[&[Need::Perfmon, proxy.need][..], proxy.behind.needs].concat()) {
        return Ok(());
    }
    let behind = Server::start(proxy.behind)?;
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut text = std::fs::read_to_string(workspace().join("tests/servers").join(proxy.template))?;
    let places = [
        ("{port}", port.to_string()),
        ("{folder}", folder.path().display().to_string()),
        ("{upstream}", format!("127.0.0.1:{}", behind.port)),
        ("{upstream_host}", "127.0.0.1".to_owned()),
        ("{upstream_port}", behind.port.to_string()),
    ];
    for (place, value) in proxy.settings.iter().map(|(place, value)| (*place, (*value).to_owned())).chain(places) {
        text = text.replace(place, &value);
    }
    let configuration = folder.path().join(proxy.template);
    std::fs::write(&configuration, text)?;
    let mut running = Running::start((proxy.command)(&configuration)?.stdin(Stdio::null()), &folder.path().join("proxy.log"))?;
    running.listens(port)?;

    let own = std::process::id().to_string();
    let perfmon = Perfmon::start(&["--port", &port.to_string(), "--port", &behind.port.to_string(), "--pid", &own])?;
    let each = count / CONNECTIONS;
    let loads: Vec<_> = (0..CONNECTIONS).map(|_| load(port, each, proxy.upload)).collect();
    let mut expected = Answers::default();
    for load in loads {
        let answers = load.join().map_err(|_| anyhow!("a client panicked"))??;
        expected.count += answers.count;
        expected.bytes += answers.bytes;
    }
    let all = each * CONNECTIONS;
    wait_until(10, || Ok((perfmon.matching(|r| r.about(port) || r.about(behind.port))?.len() >= all * 4).then_some(())))?;
    assert_eq!(perfmon.lost()?, 0, "{}: events lost", proxy.name);
    // Apache wakes its children by requests to itself, which it closes without reading the answer.
    let is_own = |r: &Request| r.user_agent.as_deref().is_some_and(|agent| agent.contains("(internal dummy connection)"));
    let records: Vec<Request> = perfmon.stop()?.into_iter().filter(|r| !is_own(r)).collect();
    let side = |keep: &dyn Fn(&Request) -> bool| records.iter().filter(|r| keep(r)).cloned().collect::<Vec<_>>();
    let sent = (UPLOAD * CONNECTIONS * (0..each).filter(|n| n % 16 == 8).count()) as u64;
    let sides = [
        ("the client", side(&|r| r.sent_to(port))),
        ("the proxy as server", side(&|r| r.served_by(port))),
        ("the proxy as client", side(&|r| r.sent_to(behind.port))),
        ("the server behind", side(&|r| r.served_by(behind.port))),
    ];
    for (whose, records) in sides {
        let whose = format!("{}: {whose}", proxy.name);
        assert_exact(&records, expected, &whose);
        let uploads: u64 = records.iter().filter_map(|r| r.request_size).sum();
        assert_eq!(uploads, sent, "{whose}: bytes of uploads");
    }
    Ok(())
}

const ENVOY: Proxy = Proxy {
    name: "Envoy",
    need: Need::Python,
    template: "envoy.yaml",
    settings: &[],
    command: envoy,
    behind: server::AIOHTTP,
    upload: "/echo",
};

#[test]
fn haproxy_is_exact_on_both_its_sides() -> Result<()> {
    let proxy = Proxy {
        name: "haproxy",
        need: Need::Program("haproxy"),
        template: "haproxy.cfg",
        settings: &[],
        command: haproxy,
        behind: server::NGINX,
        upload: "/bytes/1000",
    };
    all_four_are_exact(&proxy, rounds(10_000))
}

#[test]
fn nginx_is_exact_on_both_its_sides() -> Result<()> {
    let proxy = Proxy { need: Need::Program("nginx"), template: "nginx_proxy.conf", command: nginx, ..ENVOY };
    let kept: &[_] = &[("{connections}", "keepalive 16;"), ("{version}", "proxy_http_version 1.1; proxy_set_header Connection \"\";")];
    let single: &[_] = &[("{connections}", ""), ("{version}", "")];
    all_four_are_exact(&Proxy { name: "nginx, kept connections", settings: kept, ..proxy }, rounds(1_000))?;
    all_four_are_exact(&Proxy { name: "nginx", settings: single, ..proxy }, rounds(1_000))
}

#[test]
fn apache_is_exact_on_both_its_sides() -> Result<()> {
    let proxy = Proxy { need: Need::Program("apache2"), template: "apache_proxy.conf", command: apache, ..ENVOY };
    all_four_are_exact(&Proxy { name: "Apache, event", settings: &[("{mpm}", "event")], ..proxy }, rounds(1_000))?;
    all_four_are_exact(&Proxy { name: "Apache, prefork", settings: &[("{mpm}", "prefork")], ..proxy }, rounds(1_000))
}

#[test]
fn envoy_is_exact_on_both_its_sides() -> Result<()> {
    all_four_are_exact(&ENVOY, rounds(1_000))
}
