//! Alerts from live traffic: both rules on requests fire soon, a webhook is notified once, users' decisions and the end of an alert show
//! everywhere, and a killed perfmon continues where it was.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::events::Events;
use perfmon_tests::mail_sink::MailSink;
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::{Perfmon, binary, perfmon as command};
use perfmon_tests::process::signal;
use perfmon_tests::receiver::{Receiver, Reply, Seen};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use perfmon_tests::wire::{Wire, get};
use perfmon_user::clock::boot_now_ns;
use serde_json::{Value, json};

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("curl")];
/// The standing rules on requests.
const STANDING: [&str; 2] = ["response_time_p95", "error_rate_5min"];

/// The ten requests that a window needs: eight of 1.1 s at once, two that fail.
fn bad_traffic(port: u16) -> Result<()> {
    std::thread::scope(|scope| {
        let slow = || Wire::connect("127.0.0.1", port)?.call("GET", "/sleep/1100", "slow", b"").map(drop);
        let slow: Vec<_> = (0..8).map(|_| scope.spawn(slow)).collect();
        Client::Curl.run(port, "failing", &[Call::get("/status/500"), Call::get("/status/503")])?;
        slow.into_iter().try_for_each(|call| call.join().expect("a caller panicked"))
    })
}

/// A file with the configuration of channels and rules.
fn configured(folder: &Path, text: &str) -> Result<String> {
    let file = folder.join("perfmon.toml");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// Alerts that the API shows, by rule; one rule has one alert in these tests.
fn alerts(perfmon: &Perfmon) -> Result<BTreeMap<String, Value>> {
    let list = perfmon.api("/api/v1/alerts")?;
    let items = list.get("items").and_then(Value::as_array).context("no items")?;
    Ok(items.iter().rev().map(|alert| (text(alert, "rule"), alert.clone())).collect())
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Waits until all rules have an alert in this state, at most for `seconds`.
fn in_state(perfmon: &Perfmon, rules: &[&str], state: &str, seconds: u64) -> Result<BTreeMap<String, Value>> {
    let all = wait_until(seconds, || {
        let alerts = alerts(perfmon)?;
        let there = rules.iter().all(|rule| alerts.get(*rule).is_some_and(|alert| text(alert, "state") == state));
        Ok(there.then_some(alerts))
    })?;
    all.with_context(|| format!("not all of {rules:?} are {state} after {seconds} s: {:#?}", alerts(perfmon)))
}

/// Number of notifications of a rule in a state that a hook received.
fn told(hook: &Receiver, path: &str, rule: &str, state: &str) -> Result<usize> {
    let news: Vec<Value> = hook.seen().iter().filter(|seen| seen.path == path).map(Seen::json).collect::<Result<_>>()?;
    Ok(news.iter().filter(|news| text(news, "rule") == rule && text(news, "state") == state).count())
}

/// The last state of each alert of the last day in a store, by id.
fn stored(db: &str) -> Result<BTreeMap<String, String>> {
    let report = report(db)?;
    let alerts = report.get("alerts").and_then(Value::as_array).context("a report without alerts")?;
    Ok(alerts.iter().map(|alert| (text(alert, "alert_id"), text(alert, "state"))).collect())
}

fn report(db: &str) -> Result<Value> {
    let output = command(&["report", "--period", "day", "--format", "json", "--db", db]).output()?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn both_rules_fire_are_told_once_and_go_on_after_a_kill() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11)?;
    let folder = tempfile::tempdir()?;
    let hook = Receiver::start(|_| Reply::status(200))?;
    let own = "[[alerts.rules]]\nname = \"own\"\nmetric = \"request.errors\"\nabove = 1\nwindow = \"1m\"\nfor = \"1s\"\n";
    let channel = format!("[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/hook"));
    let config = configured(folder.path(), &(channel + own))?;
    let db = folder.path().join("data/perfmon.db").to_string_lossy().into_owned();
    let port = server.port.to_string();
    let options = ["--port", port.as_str(), "--config", &config, "--db", &db];
    let rules = ["own", STANDING[0], STANDING[1]];

    let perfmon = Perfmon::start_in(&[], &options)?;
    let events = Events::listen(perfmon.port())?;
    bad_traffic(server.port)?;
    let allowed = boot_now_ns();
    let firing = in_state(&perfmon, &rules, "firing", 30)?;
    println!("{} ms from the tenth request to both alerts", (boot_now_ns() - allowed) / 1_000_000);
    let id = |rule: &str| text(&firing[rule], "alert_id");
    // A percentile is that of its bucket, within 1 % of the slept 1.1 s on either side.
    for (rule, at_least) in STANDING.into_iter().zip([1_100.0 * 0.99, 0.2]) {
        let value = firing[rule].get("value").and_then(Value::as_f64).context("no value")?;
        assert!((at_least..at_least * 2.0).contains(&value), "{rule}: {value}");
    }

    // One is taken by command, one by the API; a third is left.
    let url = perfmon.url();
    let taken = command(&["alerts", "ack", &id(STANDING[0]), "--by", "ann", "--note", "mine", "--url", &url]).output()?;
    assert!(taken.status.success() && said(&taken).contains("acknowledged"), "{}", said(&taken));
    let (status, answer) = perfmon.post(&format!("/api/v1/alerts/{}/ack", id(STANDING[1])), &json!({"by": "bob"}))?;
    assert_eq!((status, text(&answer, "state"), text(&answer, "acknowledged_by")), (200, "acknowledged".into(), "root".into()));
    assert_eq!(text(&answer, "note"), "as bob");
    let acknowledged = in_state(&perfmon, &STANDING, "acknowledged", 1)?;
    assert_eq!(
        (text(&acknowledged[STANDING[0]], "acknowledged_by"), text(&acknowledged[STANDING[0]], "note")),
        ("root".into(), "mine (as ann)".into())
    );
    for rule in STANDING {
        let is = |alert: &Value| text(alert, "rule") == rule && text(alert, "state") == "acknowledged";
        let shown = wait_until(5, || Ok((perfmon.records("alert")?.iter().any(is) && events.of("alert").iter().any(is)).then_some(())))?;
        shown.with_context(|| format!("{rule} is not acknowledged in records or in the stream"))?;
        let written = wait_until(5, || Ok((stored(&db)?.get(&id(rule)).map(String::as_str) == Some("acknowledged")).then_some(())))?;
        written.with_context(|| format!("{rule} is not acknowledged in the store"))?;
    }
    for rule in rules {
        wait_until(5, || Ok((told(&hook, "/hook", rule, "firing")? > 0).then_some(())))?;
        assert_eq!(told(&hook, "/hook", rule, "firing")?, 1, "{rule}");
    }

    // Killed under traffic: everything answered more than a second before is in the store. Half a second is allowed for the two busy cores.
    let (mut ended_ns, until) = (Vec::new(), boot_now_ns() + 3_000_000_000);
    while boot_now_ns() < until {
        Wire::connect("127.0.0.1", server.port)?.call("GET", "/hello", "steady", b"")?;
        ended_ns.push(boot_now_ns());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(perfmon.pid(), "KILL")?;
    let killed_ns = boot_now_ns();
    drop(perfmon);
    let certain = 10 + ended_ns.iter().filter(|at| **at + 1_500_000_000 < killed_ns).count() as u64;
    let kept = report(&db)?.pointer("/traffic/count").and_then(Value::as_u64).context("no traffic in the report")?;
    println!("{kept} of {} requests are in the store, {certain} have to be", 10 + ended_ns.len());
    assert!((certain..=10 + ended_ns.len() as u64).contains(&kept), "{kept} requests, at least {certain} have to be there");

    // After the restart it knows the alerts and does not notify again, although the rules are true again.
    let before = hook.seen().len();
    let perfmon = Perfmon::start_in(&[], &options)?;
    bad_traffic(server.port)?;
    std::thread::sleep(std::time::Duration::from_secs(13)); // ten until a rule fires, some for the telling
    let again = alerts(&perfmon)?;
    for (rule, state) in rules.into_iter().zip(["firing", "acknowledged", "acknowledged"]) {
        assert_eq!((text(&again[rule], "alert_id"), text(&again[rule], "state").as_str()), (id(rule), state), "{rule}");
        assert_eq!(told(&hook, "/hook", rule, "firing")?, 1, "{rule}");
    }
    let more: Vec<Value> = hook.seen()[before..].iter().map(Seen::json).collect::<Result<_>>()?;
    assert!(more.iter().all(|news| !rules.contains(&text(news, "rule").as_str())), "told again: {more:#?}");
    assert_eq!(text(&again[STANDING[0]], "acknowledged_by"), "root");
    Ok(())
}

#[test]
fn a_dead_webhook_falls_back() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11)?;
    let folder = tempfile::tempdir()?;
    let hook = Receiver::start(|seen| match seen.path.as_str() {
        "/broken" => Reply::status(500),
        "/hanging" => Reply::never(),
        _ => Reply::status(200),
    })?;
    let refused = format!("http://127.0.0.1:{}/", perfmon_tests::free_port()?);
    let mut config = format!("[[alerts.channels]]\nname = \"spare\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/spare"));
    for (name, url) in [("refused", refused), ("hanging", hook.url("/hanging")), ("broken", hook.url("/broken"))] {
        config += &format!("[[alerts.channels]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\nfallback = \"spare\"\n");
        config += &format!("[[alerts.rules]]\nname = \"{name}\"\nmetric = \"request.errors\"\nabove = 1\nwindow = \"1m\"\n");
        config += &format!("for = \"0s\"\nkeep_firing_for = \"5m\"\nchannels = [\"{name}\"]\n");
    }
    let config = configured(folder.path(), &config)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string(), "--config", &config])?;
    Client::Curl.run(server.port, "failing", &[Call::get("/status/500"), Call::get("/status/500"), Call::get("/status/500")])?;
    let rules = ["refused", "hanging", "broken"];
    // Three attempts of five seconds and the pauses between them are the longest.
    let arrived = wait_until(40, || {
        let health = get(perfmon.port(), "/health/performance")?;
        ensure!(health.status == 200 && health.ms < 1_000.0, "health took {} ms", health.ms);
        let told = rules.iter().map(|rule| told(&hook, "/spare", rule, "firing")).collect::<Result<Vec<_>>>()?;
        Ok(told.iter().all(|count| *count > 0).then_some(()))
    })?;
    arrived.context("the fallback did not get all three")?;
    let noted = wait_until(5, || {
        let alerts = alerts(&perfmon)?;
        let notified = |rule: &&str| alerts[*rule].get("notified").and_then(Value::as_array).map_or(0, Vec::len);
        Ok(rules.iter().all(|rule| notified(rule) >= 2).then_some(alerts))
    })?;
    let alerts = noted.context("deliveries are not noted")?;
    for rule in rules {
        assert_eq!(told(&hook, "/spare", rule, "firing")?, 1, "{rule}");
        let of = |index: usize| (alerts[rule]["notified"][index]["channel"].clone(), alerts[rule]["notified"][index]["ok"].clone());
        assert_eq!((of(0), of(1)), ((json!(rule), json!(false)), (json!("spare"), json!(true))), "{:#}", alerts[rule]);
    }
    let attempts = |path: &str| hook.seen().iter().filter(|seen| seen.path == path).count();
    assert!(attempts("/broken") >= 3 && attempts("/hanging") >= 3, "{} and {}", attempts("/broken"), attempts("/hanging"));
    assert!(perfmon.figure("/api/v1/self", "/counters/notifications_failed")? >= 3.0);
    // Each dead channel is an alert on the others.
    for rule in rules {
        let about =
            |seen: &Seen| Ok::<_, anyhow::Error>(seen.path == "/spare" && text(&seen.json()?, "scope") == format!("channel {rule}"));
        let told = wait_until(5, || Ok(hook.seen().iter().map(about).collect::<Result<Vec<_>>>()?.contains(&true).then_some(())))?;
        told.with_context(|| format!("that {rule} is dead is not told"))?;
    }
    Ok(())
}

#[test]
fn a_breach_pages_once_by_webhook_and_mail_and_a_channel_that_comes_back() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11)?;
    let folder = tempfile::tempdir()?;
    let down_until = boot_now_ns() + 12_000_000_000;
    let hook = Receiver::start(move |seen| match seen.path.as_str() {
        "/flaky" if seen.at_ns < down_until => Reply::status(500),
        _ => Reply::status(200),
    })?;
    let mails = MailSink::start()?;
    let refused = format!("http://127.0.0.1:{}/", perfmon_tests::free_port()?);
    let mut config = String::new();
    for (name, url, more) in [
        ("hook", hook.url("/hook"), "default = true"),
        ("flaky", hook.url("/flaky"), "default = true"),
        ("dead", refused, "default = true\nfallback = \"spare\""),
        ("spare", hook.url("/spare"), ""),
    ] {
        config += &format!("[[alerts.channels]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\n{more}\n");
    }
    let address = "from = \"perfmon@example.com\"\nto = [\"ops@example.com\"]\ndefault = true\n";
    config += &format!("[[alerts.channels]]\nname = \"mail\"\ntype = \"email\"\nsmtp = \"{}\"\n{address}", mails.url());
    for (name, metric, above) in [("errors", "request.error_rate", 0.05), ("slow", "response_time_p95", 1_000.0)] {
        config += &format!("[[alerts.rules]]\nname = \"{name}\"\nmetric = \"{metric}\"\nabove = {above}\nwindow = \"1m\"\nfor = \"0s\"\n");
        config += "keep_firing_for = \"1s\"\n";
    }
    let config = configured(folder.path(), &config)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string(), "--config", &config])?;
    bad_traffic(server.port)?;
    let rules = ["errors", "slow"];
    in_state(&perfmon, &rules, "firing", 15)?;
    let mailed = |subject: &str, rule: &str| {
        let is = |mail: &String| mail.lines().any(|line| line.starts_with(&format!("Subject: {subject}: {rule} on ")));
        mails.mails().iter().filter(|mail| is(mail)).count()
    };
    let accepted = |path: &str, rule: &str, state: &str| -> Result<usize> {
        let news: Vec<Value> = hook.seen().iter().filter(|seen| seen.path == path && seen.taken).map(Seen::json).collect::<Result<_>>()?;
        Ok(news.iter().filter(|news| text(news, "rule") == rule && text(news, "state") == state).count())
    };
    let counts = |state: &str, subject: &str| -> Result<Vec<usize>> {
        let mut counts = Vec::new();
        for rule in rules {
            for path in ["/hook", "/spare", "/flaky"] {
                counts.push(accepted(path, rule, state)?);
            }
            counts.push(mailed(subject, rule));
        }
        Ok(counts)
    };
    let once = vec![1; 8];
    wait_until(40, || Ok((counts("firing", "Warning")? == once).then_some(())))?
        .with_context(|| format!("not each channel is told once: {:?}", counts("firing", "Warning")))?;

    let good: Vec<Call> = (0..240).map(|_| Call::get("/hello")).collect();
    Client::Curl.run(server.port, "good", &good)?;
    in_state(&perfmon, &rules, "resolved", 20)?;
    wait_until(10, || Ok((counts("resolved", "Resolved")? == once).then_some(())))?
        .with_context(|| format!("not each channel hears of the end: {:?}", counts("resolved", "Resolved")))?;
    assert_eq!(counts("firing", "Warning")?, once, "nothing is told twice");
    Ok(())
}

#[test]
fn recovery_is_told_and_what_does_not_exist_is_said() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::UVICORN_H11)?;
    let folder = tempfile::tempdir()?;
    let hook = Receiver::start(|_| Reply::status(200))?;
    let rule = |name: &str, metric: &str, above: f64| {
        let times = "window = \"1m\"\nfor = \"0s\"\nkeep_firing_for = \"1s\"\n";
        format!("[[alerts.rules]]\nname = \"{name}\"\nmetric = \"{metric}\"\nabove = {above}\n{times}")
    };
    let mut config = format!("[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/hook"));
    config += &(rule("errors", "request.error_rate", 0.05) + &rule("slow", "response_time_p95", 1_000.0));
    let config = configured(folder.path(), &config)?;
    let db = folder.path().join("perfmon.db").to_string_lossy().into_owned();
    let perfmon = Perfmon::start_in(&[], &["--port", &server.port.to_string(), "--config", &config, "--db", &db])?;
    let url = perfmon.url();
    let rules = ["errors", "slow"];
    bad_traffic(server.port)?;
    let firing = in_state(&perfmon, &rules, "firing", 15)?;
    let list = command(&["alerts", "list", "--url", &url]).output()?;
    assert!(rules.iter().all(|rule| said(&list).contains(&text(&firing[*rule], "alert_id"))), "{}", said(&list));

    // 8 slow and 2 failed ones among 250 are less than 5 %.
    let good: Vec<Call> = (0..240).map(|_| Call::get("/hello")).collect();
    Client::Curl.run(server.port, "good", &good)?;
    let over = in_state(&perfmon, &rules, "resolved", 20)?;
    for rule in rules {
        let id = text(&over[rule], "alert_id");
        assert_eq!(id, text(&firing[rule], "alert_id"), "{rule}");
        let told = || -> Result<_> { Ok((told(&hook, "/hook", rule, "firing")?, told(&hook, "/hook", rule, "resolved")?)) };
        wait_until(5, || Ok(Some(told()?).filter(|told| told.1 > 0)))?;
        assert_eq!(told()?, (1, 1), "{rule}");
        let written = wait_until(5, || Ok((stored(&db)?.get(&id).map(String::as_str) == Some("resolved")).then_some(())))?;
        written.with_context(|| format!("{rule} is not resolved in the store"))?;
    }

    let none = command(&["alerts", "ack", "no-such-id", "--url", &url]).output()?;
    assert!(none.status.code() == Some(1) && said(&none).contains("no-such-id"), "{}", said(&none));
    for act in ["ack", "resolve"] {
        let (status, answer) = perfmon.post(&format!("/api/v1/alerts/no-such-id/{act}"), &json!({}))?;
        assert!(status == 404 && answer["error"]["message"].as_str().is_some_and(|said| said.contains("no-such-id")), "{answer}");
    }
    let tried = command(&["alerts", "test", "--url", &url]).output()?;
    assert!(tried.status.success() && told(&hook, "/hook", "test", "firing")? == 1, "{}", said(&tried));
    Ok(())
}

#[test]
fn senseless_thresholds_are_all_listed() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let text = "[alerts.thresholds]\nresponse_time_p95_ms = -5\nerror_rate_5min = 7\ndisk_usage = \"full\"\ndisc_usage = 0.5\n\
                [[alerts.rules]]\nname = \"x\"\nmetric = \"no.such.metric\"\nabove = 1\n[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\n";
    let config = configured(folder.path(), text)?;
    let environment = ["PERFMON_ALERT_MEMORY_USAGE=85", "PERFMON_ALERT_CPU_USAGE=nan"];
    let mut command = as_root("env");
    command.args(environment).arg(binary()).args(["run", "--ui", "none", "--no-store", "--config", &config]);
    let output = command.output()?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let wrong = ["response_time_p95_ms", "error_rate_5min", "disk_usage", "disc_usage", "no.such.metric", "url"];
    for name in wrong.into_iter().chain(["PERFMON_ALERT_MEMORY_USAGE", "PERFMON_ALERT_CPU_USAGE"]) {
        assert!(said(&output).contains(name), "{name} is not named:\n{}", said(&output));
    }
    Ok(())
}
