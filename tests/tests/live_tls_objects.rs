//! Connection objects of TLS libraries: fresh ones at old addresses, large writes in one call, and processes that are named.
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("openssl")];
/// Connections, one after another, in one process: the library gives addresses of freed objects away again.
const FRESH: usize = 60;
/// Posts `count` times `size` bytes, head included, each on a connection of its own and in one write.
const CLIENT: &str = r#"
import socket, ssl, sys
port, certificate, count, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl.create_default_context(cafile=certificate)
for number in range(count):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1") as connection:
        head = f"POST /echo?{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: fresh\r\nConnection: close\r\nContent-Length: "
        body = size - len(head) - 4
        body -= len(str(body))
        connection.sendall((head + str(body) + "\r\n\r\n").encode().ljust(size, b"b"))
        while connection.recv(65536):
            pass
"#;

fn post(server: &Server, count: usize, size: usize) -> Result<()> {
    let certificate = server.certificate();
    let arguments = [server.port.to_string(), certificate.display().to_string(), count.to_string(), size.to_string()];
    let output = Command::new(python()).args(["-c", CLIENT]).args(arguments).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Records of a side, of which there must be `count`.
fn records(perfmon: &Perfmon, server: &Server, side: &str, count: usize) -> Result<Vec<Request>> {
    let records =
        perfmon.wait_for(count, |r| r.about(server.port) && r.side == side && r.user_agent.as_deref() == Some("fresh") && r.tls)?;
    assert_eq!(records.len(), count, "{side}");
    Ok(records)
}

#[test]
fn fresh_connections_are_whole() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    // One of these fits, two do not.
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__REQUEST_BUDGET", "4096")], &["--no-store"])?;
    post(&server, FRESH, 2_700)?;
    for side in ["server", "client"] {
        for record in records(&perfmon, &server, side, FRESH)? {
            assert!(record.missing_bytes == 0 && record.status_code == Some(200) && record.quality == "exact", "{side}: {record:?}");
        }
    }
    assert_eq!(perfmon.lost()?, 0);
    perfmon.stop().map(drop)
}

#[test]
fn a_write_of_256_kib_is_whole() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let perfmon = Perfmon::start_in(&[("PERFMON_CAPTURE__REQUEST_BUDGET", "262144")], &["--no-store"])?;
    post(&server, 3, 256 * 1024)?;
    for record in records(&perfmon, &server, "client", 3)? {
        assert!(record.missing_bytes == 0 && record.status_code == Some(200), "{record:?}");
    }
    assert_eq!(perfmon.lost()?, 0);
    perfmon.stop().map(drop)
}

#[test]
fn only_named_processes_are_probed() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11_TLS)?;
    let perfmon = Perfmon::start(&["--pid", &server.pid().to_string()])?;
    post(&server, 5, 1_000)?;
    for record in records(&perfmon, &server, "server", 5)? {
        assert!(record.missing_bytes == 0 && record.quality == "exact", "{record:?}");
    }
    assert!(perfmon.matching(|r| r.side == "client")?.is_empty());
    assert!(Path::new(&format!("/proc/{}", server.pid())).exists(), "the server lives");
    perfmon.stop().map(drop)
}
