//! Many hosts in one picture: two perfmons, each watching its own services as one host of two, scraped by a real Prometheus, a real
//! VictoriaMetrics and a vmagent that writes to it, with the configuration of `deploy/`. The totals over both hosts equal the records.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use perfmon_tests::chat::{self, ChatAgent};
use perfmon_tests::client::{Call, Client, TlsClient};
use perfmon_tests::fleet::{self, Scraped};
use perfmon_tests::metrics_engine::{MetricsEngine, deployed, replaced};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::promql::{panels, rules, yaml_documents};
use perfmon_tests::receiver::Receiver;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use serde_json::Value;

const NEEDS: [Need; 7] = [
    Need::Perfmon,
    Need::Python,
    Need::Program("node"),
    Need::Program("curl"),
    Need::Program("prometheus"),
    Need::Program("victoria-metrics"),
    Need::Program("vmagent"),
];

const TOKEN: &str = "a-token-of-two-hosts";
/// An alert at once, so that there is one to show.
const RULE: &str = "[[alerts.rules]]\nname = \"failures\"\nmetric = \"request.errors\"\nabove = 0\nwindow = \"5m\"\nfor = \"0s\"\n";

/// Two hosts: a shop in Node on the one, a shop in Python with two agents on the other.
struct Hosts {
    shops: [Server; 2],
    agents: [ChatAgent; 2],
    perfmons: [Perfmon; 2],
    _model: Receiver,
}

impl Hosts {
    fn start(folder: &Path) -> Result<Self> {
        let model = Receiver::start(chat::answer)?;
        let shops = [Server::start(server::NODE)?, Server::start(server::UVICORN_H11)?];
        let agents = [ChatAgent::start(model.port(), folder, "one")?, ChatAgent::start(model.port(), folder, "two")?];
        let config = folder.join("perfmon.toml");
        std::fs::write(&config, RULE)?;
        let config = config.to_string_lossy();
        let (ports, pids) = ([0, 1].map(|at: usize| shops[at].port.to_string()), [0, 1].map(|at: usize| agents[at].pid().to_string()));
        let environment = [("PERFMON_HTTP__TOKEN", TOKEN)];
        let first = Perfmon::start_in(&environment, &["--no-store", "--config", &config, "--port", &ports[0]])?;
        let second = first.beside(&environment, &["--config", &config, "--port", &ports[1], "--pid", &pids[0], "--pid", &pids[1]])?;
        Ok(Self { shops, agents, perfmons: [first, second], _model: model })
    }

    /// Requests that differ between the hosts, and an agent's run on the second.
    fn traffic(&self, round: usize) -> Result<()> {
        let fine: Vec<Call> = (0..30).map(|n| Call::get(format!("/bytes/{}", 100 + n))).collect();
        Client::Curl.run(self.shops[0].port, "fine", &fine)?;
        Client::Curl.run(self.shops[1].port, "fine", &fine[..11])?;
        Client::Curl.run(self.shops[1].port, "slow", &[Call::get("/sleep/120")])?;
        for shop in &self.shops {
            Client::Curl.run(shop.port, "other", &[Call::get("/status/500"), Call::get("/status/404"), Call::post("/echo", 1_000)])?;
        }
        self.agents[round].go()
    }

    /// The records of a kind of each host.
    fn records(&self, kind: &str, side: &str) -> Result<[Vec<Value>; 2]> {
        let of = |perfmon: &Perfmon| -> Result<Vec<Value>> {
            Ok(perfmon.records(kind)?.into_iter().filter(|record| record["side"] == side).collect())
        };
        Ok([of(&self.perfmons[0])?, of(&self.perfmons[1])?])
    }

    /// Waits until the records of all traffic are there: 34 and 15 requests a round, three model calls.
    fn recorded(&self, rounds: usize) -> Result<()> {
        let wanted = [33 * rounds, 15 * rounds, 3 * rounds];
        let counted = || -> Result<[usize; 3]> {
            let [first, second] = self.records("request", "server")?;
            Ok([first.len(), second.len(), self.records("llm", "client")?[1].len()])
        };
        wait_until(10, || Ok((counted()? == wanted).then_some(())))?.with_context(|| format!("{:?} records, not {wanted:?}", counted()))
    }
}

/// The configuration of `deploy/` for these hosts, every second.
fn configured(path: &str, token: (&str, &Path), hosts: &Hosts) -> Result<String> {
    let places = [0, 1].map(|at: usize| format!("127.0.0.1:{}", hosts.perfmons[at].port()));
    std::fs::write(token.1, TOKEN)?;
    replaced(
        deployed(path)?,
        &[("192.0.2.11:9911", &places[0]), ("192.0.2.12:9911", &places[1]), (token.0, &token.1.to_string_lossy()), ("15s", "1s")],
    )
}

/// A sum over records, the metric that has it, and how far apart they may be.
struct Figure {
    name: &'static str,
    /// PromQL without the label matchers, which stand at `{}`.
    metric: &'static str,
    kind: (&'static str, &'static str),
    of: fn(&Value) -> f64,
    tolerance: f64,
}

fn number(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_default()
}

const FIGURES: [Figure; 9] = [
    Figure {
        name: "requests served",
        metric: "http_server_request_duration_seconds_count{}",
        kind: ("request", "server"),
        of: |_| 1.0,
        tolerance: 0.0,
    },
    Figure {
        name: "of status 500",
        metric: "http_server_request_duration_seconds_count{http_response_status_code=\"500\"}",
        kind: ("request", "server"),
        of: |record| f64::from(record["status_code"] == 500),
        tolerance: 0.0,
    },
    Figure {
        name: "of status 404",
        metric: "http_server_request_duration_seconds_count{http_response_status_code=\"404\"}",
        kind: ("request", "server"),
        of: |record| f64::from(record["status_code"] == 404),
        tolerance: 0.0,
    },
    Figure {
        name: "seconds of them",
        metric: "http_server_request_duration_seconds_sum{}",
        kind: ("request", "server"),
        of: |record| number(record, "response_time_ms") / 1e3,
        tolerance: 1e-4,
    },
    Figure {
        name: "exchanges, measured or not",
        metric: "perfmon_exchanges_total{side=\"server\"}",
        kind: ("request", "server"),
        of: |_| 1.0,
        tolerance: 0.0,
    },
    Figure {
        name: "requests made",
        metric: "http_client_request_duration_seconds_count{}",
        kind: ("request", "client"),
        of: |_| 1.0,
        tolerance: 0.0,
    },
    Figure {
        name: "model calls",
        metric: "perfmon_llm_calls_total{side=\"client\"}",
        kind: ("llm", "client"),
        of: |_| 1.0,
        tolerance: 0.0,
    },
    Figure {
        name: "input tokens",
        metric: "gen_ai_client_token_usage_sum{gen_ai_token_type=\"input\"}",
        kind: ("llm", "client"),
        of: |record| number(record, "input_tokens"),
        tolerance: 0.0,
    },
    Figure {
        name: "dollars",
        metric: "perfmon_llm_cost_usd_total{side=\"client\"}",
        kind: ("llm", "client"),
        of: |record| number(record, "cost_usd"),
        tolerance: 1e-9,
    },
];

/// The series of a metric with one more matcher.
fn with(metric: &str, matcher: &str) -> String {
    if metric.contains("{}") { metric.replace("{}", &format!("{{{matcher}}}")) } else { metric.replace('{', &format!("{{{matcher},")) }
}

/// Compares each figure, over both hosts and for each, with the records.
fn compared(engine: &MetricsEngine, matcher: &str, hosts: &Hosts) -> Result<()> {
    for figure in &FIGURES {
        let records = hosts.records(figure.kind.0, figure.kind.1)?;
        let sums = records.each_ref().map(|records| records.iter().map(figure.of).sum::<f64>());
        for (scope, wanted) in [("", sums[0] + sums[1]), ("host=\"host-a\",", sums[0]), ("host=\"host-b\",", sums[1])] {
            let expression = format!("sum({})", with(figure.metric, &format!("{scope}{matcher}")));
            let near = |found: f64| (found - wanted).abs() <= figure.tolerance;
            let found = wait_until(10, || Ok(engine.value(&expression)?.or(Some(0.0)).filter(|found| near(*found))))?;
            let last = engine.value(&expression)?;
            println!("{} {}: {expression} = {last:?}, the records have {wanted}", engine.name, figure.name);
            ensure!(found.is_some(), "{}: {expression} is {last:?}, the records have {wanted}", engine.name);
        }
    }
    Ok(())
}

/// Panels of what does not happen here, and a part of the expression that has no value.
const EMPTY_PANELS: [(&str, &str); 6] = [
    ("endpoints.json: Connections that could not be opened", ""),
    ("endpoints.json: Database commands, P95", ""),
    ("endpoints.json: Destinations", "error_type"),
    ("host.json: Open findings", ""),
    ("models.json: Failed calls by reason", ""),
    ("models.json: Tokens", "cache_read"),
];

/// Whether an expression has a value within ten seconds: one that is a number.
fn has_value(engine: &MetricsEngine, expression: &str) -> Result<bool> {
    let number = || Ok(engine.query(expression)?.iter().any(|point| !point.value.is_nan()).then_some(()));
    Ok(wait_until(10, number)?.is_some())
}

/// Each recording rule has recorded, each alert's expression is taken, and the one that passes perfmon's alerts on fires for both hosts.
fn rules_have_values(engine: &MetricsEngine) -> Result<()> {
    for rule in rules()? {
        if rule.records {
            ensure!(has_value(engine, &rule.name)?, "{} recorded nothing: {}", rule.name, rule.expression);
        }
        engine.query(&rule.expression).with_context(|| rule.name.clone())?;
    }
    let firing = "count(ALERTS{alertname=\"PerfmonAlertOfHost\", alertstate=\"firing\", rule=\"failures\", host=~\"host-[ab]\"})";
    let both = wait_until(10, || Ok(engine.value(firing)?.filter(|count| *count == 2.0)))?;
    ensure!(both.is_some(), "perfmon's alerts are not passed on: {:?}", engine.query("ALERTS"));
    let down = engine.query("ALERTS{alertname=~\"PerfmonDown|PerfmonNowhere|PerfmonLosesEvents\"}")?;
    ensure!(down.is_empty(), "{down:?}");
    Ok(())
}

/// Each expression of the dashboards has a value, except of what does not happen here.
fn panels_have_values(engine: &MetricsEngine) -> Result<()> {
    let panels = panels("host-b")?;
    let empty: Vec<String> = panels
        .iter()
        .filter(|panel| !EMPTY_PANELS.iter().any(|(place, part)| panel.place == *place && panel.text.contains(part)))
        .filter_map(|panel| match has_value(engine, &panel.text) {
            Ok(true) => None,
            Ok(false) => Some(format!("{}: {} has no value", panel.place, panel.text)),
            Err(error) => Some(format!("{}: {error:#}", panel.place)),
        })
        .collect();
    println!("{} expressions of dashboards", panels.len());
    ensure!(empty.is_empty(), "{}", empty.join("\n"));
    Ok(())
}

#[test]
fn totals_over_two_hosts_are_the_sum_of_their_records() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let hosts = Hosts::start(folder.path())?;
    let token = folder.path().join("token");
    hosts.traffic(0)?;
    let prometheus =
        MetricsEngine::prometheus(&configured("prometheus/prometheus.yml", ("/etc/prometheus/perfmon.token", &token), &hosts)?)?;
    let scrape = configured("victoriametrics/scrape.yml", ("/etc/victoriametrics/perfmon.token", &token), &hosts)?;
    let victoria = MetricsEngine::victoria_metrics(&scrape)?;
    let _agent = MetricsEngine::vmagent(&scrape, &victoria, "way=remote_write")?;
    let up = || Ok(prometheus.value("sum(up{job=\"perfmon\"})")?.filter(|up| *up == 2.0));
    wait_until(10, up)?.with_context(|| format!("Prometheus does not reach both: {:?} {}", prometheus.query("up"), prometheus.log()))?;
    hosts.recorded(1)?;

    // Rates need a second value of a series that is there.
    hosts.traffic(1)?;
    hosts.recorded(2)?;
    compared(&prometheus, "job=\"perfmon\"", &hosts)?;
    rules_have_values(&prometheus)?;
    panels_have_values(&prometheus)?;
    compared(&victoria, "way=\"\"", &hosts)?;
    compared(&victoria, "way=\"remote_write\"", &hosts)?;
    Ok(())
}

/// The DaemonSet's capabilities are enough for everything: probes, TLS, names; with the arguments and the configuration that it has.
#[test]
fn the_daemon_sets_capabilities_are_enough() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Python, Need::Program("setpriv"), Need::Program("openssl"), Need::Program("curl")]) {
        return Ok(());
    }
    let documents = yaml_documents(&deployed("kubernetes/perfmon.yml")?)?;
    let set = documents.iter().find(|document| document["kind"] == "DaemonSet").context("no DaemonSet")?;
    let added = &set["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]["add"];
    let names = added.as_array().context("no capabilities")?.iter().filter_map(Value::as_str);
    let bounding = names.fold("-all".to_owned(), |all, name| format!("{all},+{}", name.to_ascii_lowercase()));
    let shop = Server::start(server::UVICORN_H11_TLS)?;
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("perfmon.db").to_string_lossy().into_owned();
    let wrapper = ["setpriv", "--bounding-set", &bounding];
    let perfmon = Perfmon::start_through(&wrapper, &[("PERFMON_HTTP__TOKEN", TOKEN)], &["--db", &db, "--port", &shop.port.to_string()])?;
    let calls: Vec<Call> = (0..20).map(|_| Call::get("/hello")).collect();
    TlsClient::Curl.run(shop.port, &shop.certificate(), "within TLS", &calls)?;
    let requests = perfmon.wait_for(calls.len(), |request| request.served_by(shop.port))?;
    let own = perfmon.api("/api/v1/self")?;
    println!("{}", own["hardening"]);
    let failed: Vec<_> = own["probes"].as_array().context("no probes")?.iter().filter(|probe| probe["state"] == "failed").collect();
    perfmon.stop()?;
    ensure!(failed.is_empty(), "{failed:?}");
    assert_eq!(requests.len(), calls.len());
    ensure!(requests.iter().all(|request| request.tls && request.path.as_deref() == Some("/hello")), "{:?}", requests.first());
    Ok(())
}

/// Endpoints of the hosts that are measured, and with how many the storage is.
const ENDPOINTS: [usize; 4] = [10, 50, 200, 400];
const USUAL: usize = 50;
/// Scrape interval, and the scrapes of two hours.
const INTERVAL_S: u64 = 15;
const TIMES: usize = 480;

/// Answers of perfmon's `/metrics` while a server with so many endpoints is asked, a second apart: with buckets and without.
fn scraped(endpoints: usize, seconds: usize) -> Result<[Vec<Scraped>; 2]> {
    let server = Server::start(server::NODE)?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("perfmon.toml");
    let path = |number: usize| format!("/bytes/{}", 100 + number);
    let patterns: String = (0..endpoints).map(|number| format!("[[endpoints]]\npattern = \"{}\"\n", path(number))).collect();
    std::fs::write(&config, patterns)?;
    let perfmon = Perfmon::start(&["--config", &config.to_string_lossy(), "--port", &server.port.to_string()])?;
    let all: Vec<Call> = (0..endpoints).map(|number| Call::get(path(number))).collect();
    Client::Curl.run(server.port, "once", &all)?;
    perfmon.wait_for(endpoints, |request| request.served_by(server.port))?;
    let mut answers = [Vec::new(), Vec::new()];
    for round in 0..seconds {
        // Some endpoints are asked often, others now and then, none at the same pace.
        let some: Vec<Call> =
            (0..endpoints).filter(|number| (round * 7 + number * 3) % (2 + number % 9) == 0).map(|n| Call::get(path(n))).collect();
        Client::Curl.run(server.port, "some", &some)?;
        std::thread::sleep(std::time::Duration::from_millis(1_000));
        for (query, answers) in ["", "?buckets=none"].iter().zip(&mut answers) {
            answers.push(fleet::scrape(perfmon.port(), query)?);
        }
    }
    perfmon.stop()?;
    Ok(answers)
}

/// Bytes in a unit that a person reads.
fn readable(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let power = (bytes.max(1.0).log10() / 3.0).floor().min(4.0);
    format!("{:.3} {}", bytes / 1_000_f64.powf(power), units[power as usize]).replacen(".000 B", " B", 1)
}

fn short(bytes: f64) -> String {
    let text = readable(bytes);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let number: f64 = number.parse().unwrap_or_default();
    if number < 10.0 && unit != "B" { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
}

/// `cargo xtask bench hosts`: what 1 to 1,000 hosts cost, from real answers of `/metrics`; the figures go to the file `TESTED_FIGURES`.
#[test]
#[ignore = "a benchmark"]
fn what_many_hosts_cost() -> Result<()> {
    ensure!(!missing(&NEEDS), "something is missing");
    let mut text = String::from(
        "| endpoints of a host | series | bytes of a scrape | gzip | without buckets: series | bytes | gzip |\n|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut usual = [Vec::new(), Vec::new()];
    for endpoints in ENDPOINTS {
        let answers = scraped(endpoints, if endpoints == USUAL { 24 } else { 1 })?;
        let [full, lean] = answers.each_ref().map(|answers| answers.last().cloned());
        let (full, lean) = full.zip(lean).context("no answer")?;
        let cells =
            [&full, &lean].map(|one| format!("{} | {} | {}", one.samples.len(), short(one.bytes as f64), short(one.gzip_bytes as f64)));
        text += &format!("| {endpoints} | {} | {} |\n", cells[0], cells[1]);
        if endpoints == USUAL {
            usual = answers;
        }
    }
    let mut costs = Vec::new();
    for answers in &usual {
        let told = fleet::told(answers, 2, TIMES)?;
        costs.push((fleet::prometheus_bytes(&told, INTERVAL_S)?, fleet::victoria_bytes(&told, INTERVAL_S)?));
    }
    text += &format!(
        "\nBytes on disk of a sample, index included, over two hours at {INTERVAL_S} s: Prometheus {:.2} (without buckets {:.2}), VictoriaMetrics {:.2} ({:.2}).\n",
        costs[0].0, costs[1].0, costs[0].1, costs[1].1
    );
    text += &format!(
        "\nHosts with {USUAL} endpoints, scraped every {INTERVAL_S} s:\n\n| hosts | buckets | series | samples a second | network, gzip | Prometheus, disk a day | VictoriaMetrics, disk a day |\n|--:|---|--:|--:|--:|--:|--:|\n"
    );
    for hosts in [1, 10, 100, 1_000] {
        for (at, name) in ["all", "none"].iter().enumerate() {
            let answer = usual[at].last().context("no answer")?;
            let series = (answer.samples.len() * hosts) as f64;
            let rate = series / INTERVAL_S as f64;
            let network = (answer.gzip_bytes * hosts) as f64 / INTERVAL_S as f64;
            let day = |bytes: f64| short(rate * 86_400.0 * bytes);
            text += &format!(
                "| {hosts} | {name} | {series} | {rate:.0} | {}/s | {} | {} |\n",
                short(network),
                day(costs[at].0),
                day(costs[at].1)
            );
        }
    }
    println!("{text}");
    if let Some(file) = std::env::var_os("TESTED_FIGURES") {
        std::fs::write(file, &text)?;
    }
    Ok(())
}
