//! Protocols that are recognised and not read: perfmon says who speaks them, makes no record of them and takes nothing for an error.
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::{Perfmon, perfmon};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use serde_json::Value;

#[test]
fn http2_is_said_to_be_unread() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_H2)?;
    let perfmon = Perfmon::start(&[])?;
    let curl = |version: &str, url: &str| -> Result<String> {
        let answer =
            Command::new("curl").args(["--silent", "--write-out", "%{http_version}", "--output", "/dev/null", version, url]).output()?;
        ensure!(answer.status.success(), "curl failed");
        Ok(String::from_utf8(answer.stdout)?)
    };
    assert_eq!(curl("--http2-prior-knowledge", &format!("{}/hello", server.url()))?, "2", "the connection speaks HTTP/2");
    // The same processes go on to be read where they speak HTTP/1.
    let plain = Server::start(server::NGINX)?;
    assert_eq!(curl("--http1.1", &format!("{}/hello", plain.url()))?, "1.1");
    perfmon.wait_for(2, |r| r.served_by(plain.port) || r.sent_to(plain.port))?;

    assert!(perfmon.matching(|r| r.served_by(server.port) || r.sent_to(server.port))?.is_empty(), "an exchange of what is not read");
    let speaks = |target: &Value| target["unread"].as_array().is_some_and(|protocols| protocols.contains(&"h2".into()));
    // What is known of targets is published once a second.
    let own = wait_until(5, || {
        let own = perfmon.api("/api/v1/self")?;
        let is_said = own["targets"].as_array().into_iter().flatten().any(|target| target["service"] == "nginx" && speaks(target));
        Ok(is_said.then_some(own))
    })?;
    let own = own.context("nginx is not said to speak h2")?;
    assert_eq!(own["counters"]["connections_unread"], 2, "both ends of one connection");
    Ok(())
}

#[test]
fn check_says_what_is_read() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let told: Value = serde_json::from_slice(&perfmon(&["check", "--json"]).output()?.stdout)?;
    let names = |list: &str| -> Vec<String> { serde_json::from_value(told["protocols"][list].clone()).unwrap_or_default() };
    for name in ["http/1.0", "http/1.1", "websocket"] {
        assert!(names("read").contains(&name.to_owned()), "{told:#}");
    }
    assert_eq!(names("unread"), ["h2"]);
    let words = String::from_utf8(perfmon(&["check"]).output()?.stdout)?;
    assert!(words.lines().any(|line| line.trim() == "recognised and not read yet: h2"), "{words}");
    Ok(())
}
