//! The page of a live perfmon in a real browser: `dashboard/e2e/perfmon.test.ts`, run on a service with traffic, model calls, agent runs
//! and a firing alert, over a restart by SIGKILL. What the suite does not find there fails it.
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::kept::Kept;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::process::Running;
use perfmon_tests::wire::{self, Wire};
use perfmon_tests::{free_port, wait_until, workspace};
use serde_json::Value;

/// Fires as early as possible (10 s), independent of the machine's load.
const CONFIG: &str = r#"
[[alerts.rules]]
name = "busy shop"
metric = "request.count"
above = 5
severity = "critical"
type = "business"
"#;

/// Routes of the service, so that each second brings something new.
const ROUND: [(&str, &str); 6] =
    [("GET", "/users/1"), ("GET", "/users/2"), ("POST", "/checkout"), ("GET", "/broken"), ("POST", "/ask"), ("GET", "/users/3")];

fn program(log: &std::path::Path, port: u16, model: Option<u16>) -> Result<Running> {
    let mut command = Command::new(python());
    command.arg(workspace().join("tests/servers/shop.py")).arg(port.to_string());
    match model {
        Some(port) => command.env("MODEL_PORT", port.to_string()),
        None => command.arg("--model"),
    };
    let mut running = Running::start(&mut command, log)?;
    running.listens(port)?;
    Ok(running)
}

fn traffic(port: u16, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        for (method, path) in ROUND {
            Wire::connect("127.0.0.1", port)?.call(method, path, "reader", b"")?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn first(port: u16, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let seen = wait_until(40, || {
        let answer: Value = serde_json::from_slice(&wire::get(port, path)?.body)?;
        let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(items.iter().any(&wanted).then_some(()))
    })?;
    seen.with_context(|| format!("{path} never had what the page is to show"))
}

/// Runs the suite; at each of its requests, perfmon is killed and restarted.
fn suite(perfmon: &mut Kept) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (asked, done, script) = (folder.path().join("asked"), folder.path().join("done"), folder.path().join("restart"));
    let lines = format!("#!/bin/sh\ntouch '{}'\nuntil [ -e '{}' ]; do sleep 0.1; done\n", asked.display(), done.display());
    std::fs::write(&script, lines)?;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    let mut command = Command::new("npm");
    command.current_dir(workspace().join("dashboard")).args(["run", "e2e:perfmon"]).env("NO_COLOR", "1");
    command
        .env("PERFMON_URL", format!("http://127.0.0.1:{}/", perfmon.port()))
        .env("PERFMON_RESTART", &script)
        .env("PERFMON_COMPLETE", "1");
    let mut running = Running::start(&mut command, &folder.path().join("suite.log"))?;
    let status = wait_until(240, || {
        if asked.exists() && !done.exists() {
            // Down long enough for the page's banner to be seen.
            perfmon.restart(Duration::from_secs(2))?;
            std::fs::write(&done, "")?;
        }
        running.ended()
    })?;
    println!("{}", running.log());
    ensure!(status.context("the suite did not end")?.success(), "the page is not as it should be");
    Ok(())
}

#[test]
fn the_page_shows_what_the_api_has_and_survives_a_restart() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python, Need::Program("npm"), Need::Program("chromium"), Need::PageTools]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (model_port, port) = (free_port()?, free_port()?);
    let _model = program(&folder.path().join("model.log"), model_port, None)?;
    let _shop = program(&folder.path().join("shop.log"), port, Some(model_port))?;
    let mut perfmon = Kept::start(&["--port".into(), port.to_string()], CONFIG)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| traffic(port, &stop));
        let seen = first(perfmon.port(), "/api/v1/agents", |_| true)
            .and_then(|()| {
                let firing = |alert: &Value| alert.get("state").and_then(Value::as_str) == Some("firing");
                first(perfmon.port(), "/api/v1/alerts", firing)
            })
            .and_then(|()| suite(&mut perfmon));
        stop.store(true, Ordering::Relaxed);
        let sent = reader.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))?;
        seen.and(sent)
    })
}
