//! Prometheus, VictoriaMetrics and vmagent as Debian has them, on loopback with temporary folders: started with a configuration of `deploy/`
//! in which the places are replaced, asked by PromQL, ended when dropped.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Running;
use crate::{free_port, wait_until, wire, workspace};

/// A file of `deploy/`.
pub fn deployed(path: &str) -> Result<String> {
    let file = workspace().join("deploy").join(path);
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// A text with places replaced; each has to be in it.
pub fn replaced(mut text: String, places: &[(&str, &str)]) -> Result<String> {
    for (place, by) in places {
        ensure!(text.contains(place), "no {place} in\n{text}");
        text = text.replace(place, by);
    }
    Ok(text)
}

/// One value of an answer and its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Labels, the metric's name as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The value; NaN is one.
    pub value: f64,
}

/// A running program.
pub struct MetricsEngine {
    /// Name in messages.
    pub name: &'static str,
    running: Running,
    port: u16,
    folder: TempDir,
}

impl MetricsEngine {
    /// Prometheus with a configuration whose rules are those of `deploy/prometheus/rules`.
    pub fn prometheus(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let rules = folder.path().join("rules");
        std::fs::create_dir(&rules)?;
        for name in ["recording.yml", "alerts.yml"] {
            std::fs::write(rules.join(name), deployed(&format!("prometheus/rules/{name}"))?)?;
        }
        let (file, port) = (folder.path().join("prometheus.yml"), free_port()?);
        std::fs::write(&file, config)?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
        Self::started("prometheus", command, port, folder)
    }

    /// A single VictoriaMetrics that scrapes by itself. Its answers hold what came until now, not until 30 s ago as by default.
    pub fn victoria_metrics(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", folder.path().join("data").display()));
        command.args([
            "-search.latencyOffset=0s",
            "-search.disableCache",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=256MB",
            "-loggerLevel=WARN",
        ]);
        Self::scraping("victoria-metrics", command, config, port, folder)
    }

    /// vmagent that scrapes and writes to a VictoriaMetrics, with a label of its own on each series.
    pub fn vmagent(config: &str, to: &Self, label: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new("vmagent");
        command.arg(format!("-remoteWrite.url=http://127.0.0.1:{}/api/v1/write", to.port)).arg(format!("-remoteWrite.label={label}"));
        command.arg(format!("-remoteWrite.tmpDataPath={}", folder.path().join("queue").display())).arg("-loggerLevel=WARN");
        Self::scraping("vmagent", command, config, port, folder)
    }

    fn scraping(name: &'static str, mut command: Command, config: &str, port: u16, folder: TempDir) -> Result<Self> {
        let file = folder.path().join("scrape.yml");
        std::fs::write(&file, config)?;
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}")).arg(format!("-promscrape.config={}", file.display()));
        Self::started(name, command, port, folder)
    }

    fn started(name: &'static str, mut command: Command, port: u16, folder: TempDir) -> Result<Self> {
        let mut running = Running::start(&mut command, &folder.path().join("log"))?;
        running.listens(port).with_context(|| format!("{name} did not start"))?;
        let mut engine = Self { name, running, port, folder };
        let path = if name == "prometheus" { "/-/ready" } else { "/health" };
        let ready = wait_until(20, || {
            ensure!(engine.running.ended()?.is_none(), "{name} ended:\n{}", engine.running.log());
            Ok(wire::get(port, path).ok().filter(|answer| answer.status == 200))
        })?;
        ready.with_context(|| format!("{name} was not ready:\n{}", engine.running.log()))?;
        Ok(engine)
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Where its data is.
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The answer of a path.
    pub fn get(&self, path: &str) -> Result<wire::Answer> {
        wire::get(self.port, path).with_context(|| format!("{} does not answer:\n{}", self.name, self.log()))
    }

    /// The answer to a POST.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<wire::Answer> {
        wire::Wire::connect("127.0.0.1", self.port)?.call("POST", path, "test", body)
    }

    /// The value of an expression now: one for each series; a scalar is one without labels.
    pub fn query(&self, expression: &str) -> Result<Vec<Point>> {
        let answer = self.get(&format!("/api/v1/query?query={}", percent_encoded(expression)))?;
        let body: Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{} on {expression}: {}", self.name, String::from_utf8_lossy(&answer.body)))?;
        ensure!(body["status"] == "success", "{} refused {expression}: {}", self.name, body["error"]);
        let number = |value: &Value| -> Result<f64> { Ok(value[1].as_str().context("no value")?.parse()?) };
        let result = &body["data"]["result"];
        match body["data"]["resultType"].as_str() {
            Some("scalar") => Ok(vec![Point { labels: BTreeMap::new(), value: number(result)? }]),
            Some("vector") => result
                .as_array()
                .context("no vector")?
                .iter()
                .map(|point| Ok(Point { labels: serde_json::from_value(point["metric"].clone())?, value: number(&point["value"])? }))
                .collect(),
            other => bail!("{expression} gave {other:?}"),
        }
    }

    /// The one value of an expression; none when there is no series.
    pub fn value(&self, expression: &str) -> Result<Option<f64>> {
        let points = self.query(expression)?;
        ensure!(points.len() <= 1, "{expression} has {} series: {points:?}", points.len());
        Ok(points.first().map(|point| point.value))
    }
}

/// A query parameter: everything but letters, digits and `-._~` is escaped (RFC 3986, 2.3).
fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Runs a checker (promtool, vmagent, …) to its end; what it said when it found fault.
pub fn faults(program: &str, arguments: &[&str], folder: &Path) -> Result<Option<String>> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then_some(said))
}
