//! Who may see what, with real users: `nobody` gets health and nothing else, a user of `http.allow_users` gets everything and acts under its
//! own name, and connections that trickle take nothing from others.
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::wait_until;
use perfmon_tests::wire::get;
use serde_json::Value;

const NEEDS: [Need; 4] = [Need::Perfmon, Need::Program("setpriv"), Need::Program("curl"), Need::Program("python3")];
/// Another user than the one who is admitted; it needs no entry in /etc/passwd.
const STRANGER: &str = "64999";
/// Hundreds of connections whose heads arrive a byte at a time; `ready` when they are open.
const TRICKLE: &str = "
import socket, sys, time
open_ones = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(256)]
print('ready', flush=True)
for _ in range(600):
    for connection in open_ones:
        try: connection.send(b'G')
        except OSError: pass
    time.sleep(0.1)
";

fn as_user(uid: &str, program: &str) -> Command {
    let mut command = as_root("setpriv");
    command.args(["--reuid", uid, "--regid", uid, "--clear-groups", program]);
    command
}

/// Status and body of a request by a user.
fn curl(perfmon: &Perfmon, uid: &str, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut command = as_user(uid, "curl");
    command.args(["--silent", "--max-time", "10", "--request", method, "--write-out", "\n%{http_code}"]);
    if !body.is_empty() {
        command.args(["--data", body]);
    }
    let output = command.arg(format!("{}{path}", perfmon.url())).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

#[test]
fn nobody_sees_health_and_an_admitted_user_everything() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start_in(&[("PERFMON_HTTP__ALLOW_USERS", "nobody")], &["--no-store"])?;
    let silence = r#"{"rule":"cpu_usage","duration":"1m","by":"eve"}"#;
    for path in ["/healthz", "/health/performance"] {
        assert_eq!(curl(&perfmon, STRANGER, "GET", path, "")?.0, 200, "{path}");
    }
    let refused = [
        ("GET", "/api/v1/records", ""),
        ("GET", "/api/v1/history?metric=error_rate", ""),
        ("GET", "/api/v1/stream", ""),
        ("GET", "/metrics", ""),
        ("POST", "/api/v1/silences", silence),
        ("POST", "/api/v1/alerts/x/ack", "{}"),
        ("DELETE", "/api/v1/silences/x", ""),
    ];
    for (method, path, body) in refused {
        let (status, answer) = curl(&perfmon, STRANGER, method, path, body)?;
        assert_eq!(status, 403, "{method} {path}: {answer}");
        assert!(answer.contains("http.allow_users") && answer.contains("uid 64999"), "{answer}");
    }
    // nobody of /etc/passwd.
    for (uid, name) in [("65534", "nobody"), ("0", "root")] {
        assert_eq!(curl(&perfmon, uid, "GET", "/api/v1/records", "")?.0, 200, "{name}");
        let (status, begun) = curl(&perfmon, uid, "POST", "/api/v1/silences", silence)?;
        let begun: Value = serde_json::from_str(&begun)?;
        assert_eq!((status, begun["by"].as_str(), begun["note"].as_str()), (201, Some(name), Some("as eve")));
        let logged = wait_until(5, || Ok(perfmon.log().lines().any(|line| line.contains("silence") && line.contains(name)).then_some(())))?;
        assert!(logged.is_some(), "no audit trail:\n{}", perfmon.log());
    }
    perfmon.stop().map(drop)
}

#[test]
fn connections_that_trickle_take_nothing_from_others() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&[])?;
    let port = perfmon.port();
    let mut trickle = as_user("65534", "/usr/bin/python3").args(["-c", TRICKLE, &port.to_string()]).stdout(Stdio::piped()).spawn()?;
    let mut ready = [0; 6];
    std::io::Read::read_exact(trickle.stdout.as_mut().context("no output")?, &mut ready)?;
    let served = (|| {
        for path in ["/healthz", "/api/v1/records", "/metrics"] {
            let answer = get(port, path)?;
            ensure!(answer.status == 200 && answer.ms < 2_000.0, "{path}: {} after {} ms", answer.status, answer.ms);
        }
        ensure!(curl(&perfmon, STRANGER, "GET", "/healthz", "")?.0 == 200, "another user is not served");
        // Its own head deadline frees its places.
        let mut slow = TcpStream::connect(("127.0.0.1", port))?;
        slow.write_all(b"GET /healthz HTTP/1.1\r\n")?;
        slow.set_read_timeout(Some(std::time::Duration::from_secs(20)))?;
        let ended = std::io::Read::read(&mut slow, &mut [0; 64]);
        ensure!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "half a head kept its connection");
        Ok(())
    })();
    trickle.kill()?;
    trickle.wait()?;
    served?;
    perfmon.stop().map(drop)
}
