//! Who may see what, with real users: `nobody` gets health and nothing else, a user of `http.allow_users` gets everything and acts under its
//! own name, over TCP as over a unix socket, and connections that trickle take nothing from others. TLS with curl and perfmon's own commands.
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::{self, Perfmon};
use perfmon_tests::wire::get;
use perfmon_tests::{free_port, wait_until};
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

/// Status and body of a request by a user over TCP.
fn curl(perfmon: &Perfmon, uid: &str, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    curl_with(&[], uid, method, &format!("{}{path}", perfmon.url()), body)
}

/// The same with options of curl; status 0: no connection.
fn curl_with(options: &[&str], uid: &str, method: &str, url: &str, body: &str) -> Result<(u16, String)> {
    let mut command = as_user(uid, "curl");
    command.args(["--silent", "--show-error", "--max-time", "10", "--request", method, "--write-out", "\n%{http_code}"]).args(options);
    if !body.is_empty() {
        command.args(["--data", body]);
    }
    let output = command.arg(url).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, format!("{body}{}", String::from_utf8_lossy(&output.stderr))))
}

/// A folder that every user may enter.
fn open_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// A server certificate for localhost that signs itself, and its key, by OpenSSL.
fn make_certificate(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output()?;
    ensure!(made.status.success(), "openssl failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok((certificate, key))
}

/// Exit code and all output of a perfmon command.
fn said(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = perfmon::perfmon(arguments).output()?;
    Ok((output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
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

#[test]
fn the_audit_trail_survives_a_restart() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("perfmon.db");
    let perfmon = Perfmon::start_in(&[("PERFMON_HTTP__ALLOW_USERS", "nobody")], &["--db", text(&db)])?;
    let silence = r#"{"rule":"cpu_usage","duration":"1m","note":"nightly"}"#;
    assert_eq!(curl(&perfmon, "65534", "POST", "/api/v1/silences", silence)?.0, 201);
    assert_eq!(curl(&perfmon, STRANGER, "POST", "/api/v1/silences", silence)?.0, 403);
    assert_eq!(curl(&perfmon, STRANGER, "GET", "/api/v1/audit", "")?.0, 403);
    perfmon.stop()?;
    let perfmon = Perfmon::start_in(&[], &["--db", text(&db)])?;
    let items = perfmon.api("/api/v1/audit")?["items"].clone();
    let [entry] = items.as_array().context("no items")?.as_slice() else { anyhow::bail!("not one entry: {items}") };
    let said_of = ["by", "action", "note"].map(|name| entry[name].as_str());
    assert_eq!((said_of, entry["uid"].as_u64()), ([Some("nobody"), Some("silence"), Some("nightly")], Some(65_534)));
    let (code, table) = said(&["alerts", "audit", "--url", &perfmon.url()])?;
    assert!(code == Some(0) && table.contains("nobody") && table.contains("nightly"), "{code:?} {table}");
    perfmon.stop().map(drop)
}

/// User × method × route, and the status.
const TABLE: [(&str, &str, &str, u16); 12] = [
    ("0", "GET", "/healthz", 200),
    ("0", "GET", "/api/v1/records", 200),
    ("0", "POST", "/api/v1/silences", 400),
    ("65534", "GET", "/health/performance", 200),
    ("65534", "GET", "/api/v1/records", 200),
    ("65534", "DELETE", "/api/v1/silences/x", 404),
    (STRANGER, "GET", "/healthz", 200),
    (STRANGER, "GET", "/health/performance", 200),
    (STRANGER, "GET", "/api/v1/records", 403),
    (STRANGER, "GET", "/metrics", 403),
    (STRANGER, "POST", "/api/v1/alerts/x/ack", 403),
    (STRANGER, "DELETE", "/api/v1/silences/x", 403),
];

/// What `perfmon alerts list` prints; a busy machine has an alert.
fn is_list_of_alerts(text: &str) -> bool {
    text.contains("no alerts") || text.contains("SEVERITY")
}

#[test]
fn a_unix_socket_knows_its_users_and_is_private() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let folder = open_folder()?;
    let socket = folder.path().join("perfmon.sock");
    let over = ["--unix-socket", text(&socket)];
    let ask = |uid: &str, method: &str, path: &str| curl_with(&over, uid, method, &format!("http://localhost{path}"), "");

    let perfmon = Perfmon::start_at(Some(&socket), &[], &["--no-store"])?;
    assert_eq!(socket.metadata()?.permissions().mode() & 0o777, 0o600);
    assert_eq!((ask("0", "GET", "/api/v1/records")?.0, ask("65534", "GET", "/healthz")?.0), (200, 0));
    let url = format!("unix:{}", socket.display());
    let (code, list) = said(&["alerts", "list", "--url", &url])?;
    assert!(code == Some(0) && is_list_of_alerts(&list), "{code:?} {list}");
    let (code, shown) = said(&["top", "--url", &url])?;
    assert!(code == Some(0), "{code:?} {shown}");
    let (code, refused) = said(&["run", "--ui", "none", "--no-store", "--listen", &url])?;
    assert!(code == Some(2) && refused.contains("another program is listening"), "{code:?} {refused}");
    perfmon.end("KILL")?;
    assert!(socket.exists(), "a killed perfmon leaves its file");

    // nogroup and nobody of Debian.
    let perfmon = Perfmon::start_at(Some(&socket), &[("PERFMON_HTTP__ALLOW_GROUPS", "65534")], &["--no-store"])?;
    let file = socket.metadata()?;
    assert_eq!((file.permissions().mode() & 0o777, file.gid()), (0o660, 65_534));
    assert_eq!((ask("65534", "GET", "/api/v1/records")?.0, ask(STRANGER, "GET", "/healthz")?.0), (200, 0));
    // An operator who opens the file opens health alone.
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666))?;
    for (uid, method, path, wanted) in TABLE {
        let (status, answer) = ask(uid, method, path)?;
        assert_eq!(status, wanted, "{uid} {method} {path}: {answer}");
    }
    perfmon.stop()?;
    assert!(!socket.exists(), "the file of the socket stays");
    Ok(())
}

#[test]
fn it_speaks_tls_and_takes_a_new_certificate() -> Result<()> {
    if missing(&[NEEDS[0], NEEDS[1], NEEDS[2], Need::Program("openssl")]) {
        return Ok(());
    }
    let folder = open_folder()?;
    let (certificate, key) = make_certificate(folder.path())?;
    let socket = folder.path().join("perfmon.sock");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644))?;
    let environment = [("PERFMON_HTTP__TLS_CERT", text(&certificate)), ("PERFMON_HTTP__TLS_KEY", text(&key))];
    let perfmon = Perfmon::start_at(Some(&socket), &environment, &["--no-store"])?;
    assert!(perfmon.log().contains("Every user of this host can read the TLS key"), "{}", perfmon.log());
    let url = format!("https://localhost:{}", perfmon.port());
    let with = |ca: &Path, uid: &str, path: &str| curl_with(&["--cacert", text(ca)], uid, "GET", &format!("{url}{path}"), "");
    assert_eq!(with(&certificate, "0", "/api/v1/records")?.0, 200);
    assert_eq!(with(&certificate, STRANGER, "/api/v1/records")?.0, 403, "the user is known behind TLS too");
    let (status, clear) = curl(&perfmon, "0", "GET", "/api/v1/records", "")?;
    assert!(status == 400 && clear.contains("https_required"), "{status} {clear}");

    let (code, list) = said(&["alerts", "list", "--url", &url, "--ca", text(&certificate)])?;
    assert!(code == Some(0) && is_list_of_alerts(&list), "{code:?} {list}");
    let (code, shown) = said(&["top", "--url", &url, "--ca", text(&certificate)])?;
    assert_eq!(code, Some(0), "{shown}");
    let (code, untrusted) = said(&["alerts", "list", "--url", &url])?;
    assert!(code == Some(1) && untrusted.contains("certificate"), "{code:?} {untrusted}");
    let (code, clear) = said(&["top", "--url", &url.replace("https", "http")])?;
    assert!(code == Some(1) && clear.contains("https://"), "{code:?} {clear}");

    let former = folder.path().join("former.pem");
    std::fs::copy(&certificate, &former)?;
    make_certificate(folder.path())?;
    assert_eq!(with(&former, "0", "/healthz")?.0, 200, "files that changed are not served before SIGHUP");
    perfmon.signal("HUP")?;
    let renewed = wait_until(5, || Ok((with(&certificate, "0", "/healthz")?.0 == 200).then_some(())))?;
    assert!(renewed.is_some(), "{}", perfmon.log());
    std::fs::write(&key, "no key")?;
    perfmon.signal("HUP")?;
    let kept = wait_until(5, || Ok(perfmon.log().contains("the former one stays in use").then_some(())))?;
    assert!(kept.is_some() && with(&certificate, "0", "/healthz")?.0 == 200, "{}", perfmon.log());
    perfmon.stop()?;

    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut wrong = as_root("env");
    wrong.args(environment.map(|(name, value)| format!("{name}={value}"))).arg(perfmon::binary()).args([
        "run",
        "--no-store",
        "--listen",
        &listen,
    ]);
    let output = wrong.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("no private key"), "{said}");
    Ok(())
}
