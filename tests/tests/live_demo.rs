//! The demo's shop from end to end: customers over TLS, an agent that calls a scripted model server through the SDKs of OpenAI and
//! Anthropic. Within 10 s of the first request every view shows what happened, exact to the token and to the last digit of the cost;
//! resources agree with /proc, commands of the shop's cache and the pool of its connections with what Redis counts.
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use perfmon_tests::demo::{Call, Demo, Log, Tokens, prices};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Usage;
use perfmon_tests::wait_until;
use perfmon_user::clock::wall_now;
use serde_json::Value;

/// The customers' options: four send the same question at once, SDK by SDK, then rounds of everything.
const LOAD: [&str; 8] = ["--burst", "4", "--rounds", "7", "--customers", "4", "--pause-ms", "20"];
/// The task's limit, from the first request on.
const SHOWN_S: f64 = 10.0;

#[test]
fn asyncio_h11() -> Result<()> {
    whole_line("h11", "asyncio")
}

#[test]
fn uvloop_httptools() -> Result<()> {
    whole_line("httptools", "uvloop")
}

fn whole_line(http: &str, event_loop: &str) -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python, Need::Program("openssl")]) {
        return Ok(());
    }
    let demo = Demo::start(http, event_loop)?;
    let perfmon = Perfmon::start(&["--pid", &demo.pid().to_string()])?;
    // Its first sample, about a second after its start, starts the compared span of CPU time.
    let sampled = wait_until(5, || Ok(items(&perfmon, "/api/v1/processes")?.iter().any(|row| row["pid"] == demo.pid()).then_some(())))?;
    sampled.context("the shop was not sampled within 5 s")?;
    let before = Usage::of(demo.pid())?;
    let log = demo.load(&LOAD)?;
    let ledger = demo.ledger()?;
    check_script(&log, &ledger)?;
    all_is_shown(&perfmon, &log, &ledger)?;

    endpoints(&perfmon, &log)?;
    models(&perfmon, &log, &ledger)?;
    agents(&perfmon, &log, &ledger)?;
    health(&perfmon, &log)?;
    if !missing(&[Need::Program("redis-server")]) {
        commands(&perfmon, &demo)?;
        pool(&perfmon, &demo)?;
    }
    resources(&perfmon, &demo, &before)?;
    assert_eq!(perfmon.lost()?, 0, "events were lost");
    let served: Vec<_> = perfmon.requests()?.into_iter().filter(|r| r.side == "server" && r.about(demo.port())).collect();
    assert_eq!(served.len() as u64, log.counts.values().sum::<u64>());
    served.iter().for_each(|record| assert!(record.tls && record.quality == "exact" && record.error.is_none(), "{record:?}"));
    commands_per_request(&perfmon, &demo)?;
    perfmon.stop().map(drop)
}

/// The SDKs report what the model server logged.
fn check_script(log: &Log, ledger: &[Value]) -> Result<()> {
    let mut told: Vec<String> = log.calls().iter().map(|call| call.model.clone()).collect();
    let answered = ledger.iter().filter(|call| call.get("error").is_none());
    let mut scripted: Vec<String> = answered.filter_map(|call| Some(call.get("model")?.as_str()?.to_owned())).collect();
    told.sort();
    scripted.sort();
    ensure!(told == scripted, "the SDKs saw other answers than the model server gave: {told:?} {scripted:?}");
    let tools: u64 = ledger.iter().filter_map(|call| call.get("tools")?.as_u64()).sum();
    ensure!(tools == log.runs.iter().map(|run| run.tools).sum::<u64>(), "not every tool was executed");
    Ok(())
}

/// Waits until everything is there, at most 10 s after the first request, or 4 s when the customers alone took longer.
fn all_is_shown(perfmon: &Perfmon, log: &Log, ledger: &[Value]) -> Result<()> {
    let wanted = [
        ("/requests", log.counts.values().sum::<u64>()),
        ("/llm_calls", ledger.len() as u64),
        ("/agent_runs", log.runs.len() as u64),
        ("/workflows", log.runs.len() as u64),
    ];
    let shown = wait_until((log.started + SHOWN_S - wall_now().0 as f64 / 1e9).max(4.0) as u64, || {
        let summary = perfmon.api("/api/v1/summary?window=5m")?;
        Ok(wanted.iter().all(|(what, count)| summary.pointer(what).and_then(Value::as_u64) == Some(*count)).then_some(()))
    })?;
    let summary = perfmon.api("/api/v1/summary?window=5m")?;
    shown.with_context(|| format!("wanted {wanted:?}, the summary shows {summary}"))
}

fn endpoints(perfmon: &Perfmon, log: &Log) -> Result<()> {
    let rows = items(perfmon, "/api/v1/endpoints?window=5m")?;
    let row = |row: &Value| Ok(((text(row, "/method")?, text(row, "/endpoint")?), (count(row, "/count")?, count(row, "/errors")?)));
    let shown: BTreeMap<_, _> = rows.iter().map(row).collect::<Result<_>>()?;
    assert_eq!(shown, log.endpoints());
    Ok(())
}

/// Calls, errors, tokens and cost of each model.
fn models(perfmon: &Perfmon, log: &Log, ledger: &[Value]) -> Result<()> {
    let calls = log.calls();
    let costs = prices(&calls)?;
    let mut expected: BTreeMap<String, (u64, u64, Tokens, u64)> = BTreeMap::new();
    for refused in ledger.iter().filter(|call| call.get("error").is_some()) {
        let row = expected.entry(text(refused, "/model")?).or_default();
        (row.0, row.1) = (row.0 + 1, row.1 + 1);
    }
    for (call, cost) in calls.iter().zip(&costs) {
        let row = expected.entry(call.model.clone()).or_default();
        (row.0, row.2, row.3) = (row.0 + 1, row.2.plus(call.tokens()), row.3 + cost);
    }
    let rows = items(perfmon, "/api/v1/llm?window=5m")?;
    let mut shown = BTreeMap::new();
    for row in &rows {
        let tokens = Tokens {
            input: count(row, "/input_tokens")?,
            output: count(row, "/output_tokens")?,
            cached: count(row, "/cache_read_tokens")?,
        };
        let cost = (number(row, "/cost_usd")? * 1e12).round() as u64;
        assert_eq!(number(row, "/cost_usd")?, cost as f64 / 1e12, "digits that no price has: {row}");
        shown.insert(text(row, "/request_model")?, (count(row, "/calls")?, count(row, "/errors")?, tokens, cost));
    }
    assert_eq!(shown, expected);
    assert_eq!(rows.len(), expected.len(), "more rows than models: {rows:?}");
    each_call(perfmon, &calls, &costs)
}

/// Tokens and cost of each single call.
fn each_call(perfmon: &Perfmon, calls: &[Call], costs: &[u64]) -> Result<()> {
    let mut expected: Vec<_> =
        calls.iter().zip(costs).map(|(call, cost)| (call.api.clone(), call.model.clone(), call.tokens(), *cost)).collect();
    let mut shown = Vec::new();
    for call in items(perfmon, "/api/v1/records?kind=llm&limit=1000")? {
        if count(&call, "/status_code")? != 200 {
            assert!(call.pointer("/error_type").is_some_and(Value::is_string) && call.pointer("/cost_usd") == Some(&Value::Null), "{call}");
            continue;
        }
        let tokens = Tokens {
            input: count(&call, "/input_tokens")?,
            output: count(&call, "/output_tokens")?,
            cached: count(&call, "/cache_read_tokens")?,
        };
        let cost = number(&call, "/cost_usd")?;
        assert_eq!(cost, (cost * 1e12).round() / 1e12, "digits that no price has: {call}");
        shown.push((text(&call, "/api")?, text(&call, "/response_model")?, tokens, (cost * 1e12).round() as u64));
        assert_eq!(
            call.pointer("/time_to_first_token_ms").is_some_and(Value::is_number),
            call.pointer("/stream") == Some(&true.into()),
            "{call}"
        );
    }
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
    Ok(())
}

/// Runs, their tools, and the requests that they served: sums, and each run by itself, so that no two are swapped.
fn agents(perfmon: &Perfmon, log: &Log, ledger: &[Value]) -> Result<()> {
    let tools: u64 = log.runs.iter().map(|run| run.tools).sum();
    let rows = items(perfmon, "/api/v1/agents?window=5m")?;
    let [row] = &rows[..] else { anyhow::bail!("one agent is at work, not {rows:?}") };
    let told =
        [count(row, "/count")?, count(row, "/errors")?, count(row, "/abandoned")?, count(row, "/llm_calls")?, count(row, "/tools_called")?];
    assert_eq!(told, [log.runs.len() as u64, 0, 0, ledger.len() as u64, tools], "{row}");

    let rows = items(perfmon, "/api/v1/tools?window=5m")?;
    assert_eq!(rows.iter().map(|row| count(row, "/count")).sum::<Result<u64>>()?, tools, "{rows:?}");
    let lost = log.runs.iter().filter(|run| run.question.contains("lost")).count() as u64;
    assert_eq!(rows.iter().map(|row| count(row, "/errors")).sum::<Result<u64>>()?, lost, "{rows:?}");

    // The model server refuses the first attempt of each call of an urgent question; SDKs do not report it.
    let refused = |run: &perfmon_tests::demo::Run| if run.question.contains("urgent") { run.calls.len() as u64 } else { 0 };
    let run = |run| (refused(run) + run.calls.len() as u64, run.tools, run.tokens().input + run.tokens().output);
    let mut expected: Vec<_> = log.runs.iter().map(run).collect();
    expected.sort();
    for (kind, name) in [("agent", "/agent_type"), ("workflow", "/workflow_name")] {
        let record = |r: &Value| Ok((count(r, "/llm_calls")?, count(r, "/tools_called")?, count(r, "/tokens_used")?));
        let records = items(perfmon, &format!("/api/v1/records?kind={kind}&limit=1000"))?;
        let mut shown: Vec<_> = records.iter().map(record).collect::<Result<_>>()?;
        shown.sort();
        assert_eq!(shown, expected, "{kind}");
        let names = records.iter().map(|record| text(record, name)).collect::<Result<Vec<_>>>()?;
        assert!(names.iter().all(|name| name == "shop" || name == "POST /ask"), "{names:?}");
    }
    Ok(())
}

/// Commands of the shop's cache, by name.
fn commands(perfmon: &Perfmon, demo: &Demo) -> Result<()> {
    let (executed, _) = demo.cache_ledger()?;
    let mut shown = BTreeMap::new();
    for row in items(perfmon, "/api/v1/databases?window=5m")? {
        assert_eq!((text(&row, "/system")?, text(&row, "/side")?, count(&row, "/errors")?), ("redis".into(), "client".into(), 0), "{row}");
        *shown.entry(text(&row, "/operation")?).or_insert(0) += count(&row, "/count")?;
    }
    println!("commands, as Redis counts them: {executed:?}");
    assert_eq!(shown, executed);
    Ok(())
}

/// Requests of which all calls are known made as many commands as the shop does for each: what it remembers needs one command less. One more
/// customer, alone and slow, so that requests are known.
fn commands_per_request(perfmon: &Perfmon, demo: &Demo) -> Result<()> {
    if demo.cache_port().is_err() {
        return Ok(());
    }
    let before = items(perfmon, "/api/v1/records?kind=request&limit=1000")?.len();
    demo.load(&["--rounds", "1", "--customers", "1", "--pause-ms", "500"])?;
    std::thread::sleep(std::time::Duration::from_millis(1_500)); // the records of the last request
    let expected = BTreeMap::from([
        ("GET /products".to_owned(), 51..=52),
        ("GET /products/{id}".to_owned(), 3..=4),
        ("GET /orders/{id}".to_owned(), 1..=2),
        ("POST /orders".to_owned(), 3..=3),
    ]);
    let requests = items(perfmon, "/api/v1/records?kind=request&limit=1000")?;
    let mut known = BTreeMap::new();
    for request in requests.iter().filter(|request| request.pointer("/downstream/complete") == Some(&true.into())) {
        let endpoint = format!("{} {}", text(request, "/method")?, text(request, "/endpoint")?);
        let commands = count(request, "/downstream/db_calls")?;
        let expected = expected.get(&endpoint).cloned().unwrap_or(0..=0);
        assert!(expected.contains(&commands), "{expected:?} commands are expected: {request}");
        *known.entry(endpoint).or_insert(0) += 1;
    }
    println!("all calls are known of {known:?}");
    assert!(requests.len() > before && known.contains_key("GET /orders/{id}") && known.contains_key("POST /orders"), "{known:?}");
    Ok(())
}

/// The pool of the shop's connections to its cache. An interval of pools is 5 s.
fn pool(perfmon: &Perfmon, demo: &Demo) -> Result<()> {
    let (_, open) = demo.cache_ledger()?;
    let path = format!("/api/v1/pools?destination=127.0.0.1:{}", demo.cache_port()?);
    let settled = wait_until(12, || {
        let rows = items(perfmon, &path)?;
        Ok(rows.first().filter(|row| row["open"] == open && row["in_use"] == 0).cloned())
    })?;
    let pool = settled.with_context(|| format!("{open} idle connections are expected: {:?}", items(perfmon, &path)))?;
    assert_eq!(
        (text(&pool, "/service")?, text(&pool, "/system")?, count(&pool, "/size")?),
        ("shop".into(), "redis".into(), open),
        "{pool}"
    );
    assert!((1..=4).contains(&open), "{pool}");
    Ok(())
}

fn health(perfmon: &Perfmon, log: &Log) -> Result<()> {
    let health = perfmon.api("/health/performance")?;
    let requests: u64 = log.counts.values().sum();
    let errors: u64 = log.endpoints().values().map(|(_, errors)| errors).sum();
    assert_eq!(number(&health, "/performance_metrics/error_rate")?, errors as f64 / requests as f64, "{health}");
    for figure in ["avg_response_time", "avg_agent_time", "memory_percent", "cpu_percent", "requests_per_minute"] {
        assert!(number(&health, &format!("/performance_metrics/{figure}"))? > 0.0, "{figure} in {health}");
    }
    Ok(())
}

/// CPU and memory of the shop from /proc. Samples are a second apart, ticks of /proc/PID/stat 10 ms; the shop idles before and after the
/// customers, so the two spans may differ at their edges. Memory is compared at rest.
fn resources(perfmon: &Perfmon, demo: &Demo, before: &Usage) -> Result<()> {
    std::thread::sleep(std::time::Duration::from_millis(1_500)); // the sample after the last request
    let now = Usage::of(demo.pid())?;
    let rows = items(perfmon, "/api/v1/processes")?;
    let row =
        rows.iter().find(|row| count(row, "/pid").ok() == Some(u64::from(demo.pid()))).context("the shop is not among the processes")?;
    let memory = count(row, "/memory_rss_bytes")? as f64;
    assert!((memory / now.rss_bytes as f64 - 1.0).abs() < 0.03, "{memory} bytes, /proc says {}", now.rss_bytes);
    let samples = items(perfmon, "/api/v1/records?kind=process&limit=1000")?;
    let mut samples: Vec<&Value> = samples.iter().filter(|sample| sample["pid"] == demo.pid()).collect();
    let first = samples.pop().context("the shop has no sample")?;
    assert_eq!(first["cpu_percent"], Value::Null, "the first sample has nothing to compare with: {first}");
    let used_ms = |sample: &&Value| Ok(number(sample, "/cpu_percent")? / 100.0 * number(sample, "/interval_ms")?);
    let cpu_ms: f64 = samples.iter().map(used_ms).sum::<Result<f64>>()?;
    let expected = (now.cpu_ms - before.cpu_ms) as f64;
    println!("CPU: {cpu_ms:.0} ms, by /proc {expected} ms; memory: {memory} bytes, by /proc {}", now.rss_bytes);
    assert!((cpu_ms - expected).abs() < 60.0 + expected * 0.05, "{cpu_ms} ms of CPU, /proc says {expected}");
    Ok(())
}

fn items(perfmon: &Perfmon, path: &str) -> Result<Vec<Value>> {
    let list = perfmon.api(path)?;
    list.get("items").and_then(Value::as_array).cloned().with_context(|| format!("no items in {path}: {list}"))
}

fn number(value: &Value, pointer: &str) -> Result<f64> {
    value.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("no number {pointer} in {value}"))
}

fn count(value: &Value, pointer: &str) -> Result<u64> {
    value.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no count {pointer} in {value}"))
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no text {pointer} in {value}"))
}
