//! The live screen on a real terminal: `perfmon top` and the screen of `perfmon run` show the same, and what they show is what the API
//! answers.
use anyhow::{Context, Result};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::demo::Demo;
use perfmon_tests::need::{self, Need, missing};
use perfmon_tests::perfmon::{Perfmon, binary};
use perfmon_tests::server::{self, Server};
use perfmon_tests::terminal::Terminal;
use perfmon_tests::{free_port, wait_until};
use serde_json::Value;

/// A threshold that every request exceeds, so that its alert fires.
const LOW: (&str, &str) = ("PERFMON_ALERT_RESPONSE_TIME_P95_MS", "0.001");

fn top(width: u16, height: u16, perfmon: &Perfmon) -> Result<Terminal> {
    let binary = binary();
    Terminal::start(width, height, &[binary.to_str().context("no UTF-8")?, "top", "--url", &perfmon.url()])
}

fn items(perfmon: &Perfmon, path: &str) -> Result<Vec<Value>> {
    perfmon.api(path)?.get("items").and_then(Value::as_array).cloned().with_context(|| format!("no items in {path}"))
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The word of a row below a title of the table.
fn value(lines: &[String], row: &str, title: &str) -> Option<String> {
    let titles = lines.iter().find(|line| words(line).contains(&title))?;
    // A value is right-aligned below its title; the direction of the order may stand behind that.
    let end = titles.find(title)? + title.len();
    let row: Vec<char> = lines.iter().find(|line| words(line).contains(&row))?.chars().collect();
    let start = (0..end.min(row.len())).rev().find(|at| row[*at] == ' ').map_or(0, |at| at + 1);
    Some(row[start..end.min(row.len())].iter().collect())
}

fn line_with(lines: &[String], text: &str) -> Option<String> {
    lines.iter().find(|line| line.contains(text)).cloned()
}

#[test]
fn top_shows_what_the_client_did() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("tmux"), Need::Program("node"), Need::Program("curl")]) {
        return Ok(());
    }
    let server = Server::start(server::NODE)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let screen = top(100, 30, &perfmon)?;
    screen.wait_for(10, "the empty table", |lines| line_with(lines, "No requests in this window."))?;
    let calls = (100..160).map(|n| Call::get(format!("/bytes/{n}"))).chain((0..20).map(|_| Call::get("/status/503")));
    Client::Curl.run(server.port, "curl", &calls.collect::<Vec<_>>())?;

    let head = screen.wait_for(10, "80 requests", |lines| line_with(lines, "last 1m: 80 requests"))?;
    assert!(head.contains("errors 25%"), "{head}");
    let lines = screen.lines()?;
    assert_eq!((value(&lines, "/bytes/{id}", "COUNT"), value(&lines, "/bytes/{id}", "ERR%")), (Some("60".into()), Some("0".into())));
    assert_eq!((value(&lines, "/status/{id}", "COUNT"), value(&lines, "/status/{id}", "ERR%")), (Some("20".into()), Some("100".into())));
    let is_braille = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
    screen.wait_for(5, "a graph of the rate", |lines| lines.get(5)?.split(' ').find(|word| word.contains(is_braille)).map(String::from))?;

    // The slowest endpoint comes first; the filter leaves the failing one, which Enter opens.
    screen.press(&["/", "s", "t", "a", "t", "u", "s", "Enter", "Enter"])?;
    screen.wait_for(5, "the opened row", |lines| line_with(lines, "┌ GET /status/{id} of "))?;
    let failed = screen.wait_for(5, "its errors", |lines| line_with(lines, "status 5xx"))?;
    assert!(failed.contains("status 5xx             20"), "{failed}");
    screen.press(&["?"])?;
    screen.wait_for(5, "the help", |lines| line_with(lines, "Keys (Esc closes)"))?;
    screen.resize("20", "5")?;
    screen.wait_for(5, "the help on a small terminal", |lines| line_with(lines, "┌ Keys (Esc closes)┐"))?;
    screen.press(&["Escape"])?;
    screen.wait_for(5, "the head alone", |lines| lines.first().filter(|line| line.starts_with("last 1m:")).cloned())?;
    screen.press(&["q"])?;
    wait_until(5, || Ok(screen.has_ended().then_some(())))?.context("q did not end it")?;
    perfmon.stop().map(drop)
}

#[test]
fn top_and_run_show_models_agents_and_alerts_as_the_api() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("tmux"), Need::Python, Need::Program("openssl")]) {
        return Ok(());
    }
    let demo = Demo::start("h11", "asyncio")?;
    let pid = demo.pid().to_string();
    let perfmon = Perfmon::start_in(&[LOW], &["--no-store", "--pid", &pid])?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let (binary, low) = (binary(), format!("{}={}", LOW.0, LOW.1));
    let as_root: &[&str] = if need::is_root() { &["env"] } else { &["sudo", "--non-interactive", "env", "LC_ALL=C.UTF-8"] };
    let run = [&low, binary.to_str().context("no UTF-8")?, "run", "--ui", "table", "--no-store", "--listen", &listen, "--pid", &pid];
    let own = Terminal::start(160, 40, &[as_root, &run].concat())?;
    own.wait_for(15, "perfmon's own screen", |lines| line_with(lines, "last 1m:"))?;
    let other = top(160, 40, &perfmon)?;
    let screens = [&own, &other];
    demo.load(&["--rounds", "7", "--customers", "2", "--pause-ms", "20"])?;
    screens.iter().try_for_each(|screen| screen.press(&["w"]))?;

    let summary = wait_until(20, || Ok(Some(perfmon.api("/api/v1/summary?window=5m")?).filter(|summary| summary["alerts_firing"] != 0)))?;
    let summary = summary.context("no alert fired within 20 s")?;
    let rows = [items(&perfmon, "/api/v1/llm?window=5m")?, items(&perfmon, "/api/v1/agents?window=5m")?];
    let alerts = items(&perfmon, "/api/v1/alerts?state=firing")?;
    for screen in screens {
        let name = if std::ptr::eq(screen, &own) { "run" } else { "top" };
        let cost = format!("cost ${:.4} in 5m", summary["cost_usd"].as_f64().context("no cost")?);
        screen.wait_for(15, &format!("cost and alert in the head of {name}"), |lines| {
            line_with(lines, "FIRING").filter(|line| line.contains(&cost))
        })?;
        screen.press(&["Tab"; 5])?;
        for row in &rows[0] {
            let model = row["request_model"].as_str().context("no model")?;
            let shown = screen.wait_for(10, &format!("{model} on {name}"), |lines| {
                Some((value(lines, model, "CALLS")?, value(lines, model, "COST")?, value(lines, model, "OUT")?))
            })?;
            let cost = row["cost_usd"].as_f64().map_or("-".into(), |cost| format!("${cost:.4}"));
            assert_eq!(shown, (row["calls"].to_string(), cost, row["output_tokens"].to_string()), "{name}: {model}");
        }
        screen.press(&["Tab"])?;
        let agent = rows[1].first().context("no agent")?;
        let runs = screen.wait_for(10, &format!("the agent on {name}"), |lines| value(lines, "shop", "RUNS"))?;
        assert_eq!(runs, agent["count"].to_string(), "{name}");
        let tool = screen.wait_for(10, "the agent's tools", |lines| line_with(lines, "order_status"))?;
        assert!(tool.starts_with('│'), "{tool}");
        screen.press(&["BTab"; 7])?;
        let alert = screen.wait_for(10, &format!("the alert on {name}"), |lines| {
            lines.iter().find(|line| line.starts_with("firing") && line.contains("response_time_p95")).cloned()
        })?;
        assert!(alerts.iter().any(|alert| alert["rule"] == "response_time_p95") && alert.contains("all services"), "{alert}");
    }
    own.press(&["q"])?;
    wait_until(15, || Ok(own.has_ended().then_some(())))?.context("q did not end perfmon")?;
    perfmon.stop().map(drop)
}
