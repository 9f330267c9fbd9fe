//! Clients that make a list of calls one after another and log the result of each: curl, python's requests, node's fetch, and the bare
//! socket of `wire`. wrk and h2load report sums only.
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::need::{Need, python};
use crate::record::Request;
use crate::wire::Wire;
use crate::workspace;

/// A request to make.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// Path with query.
    pub path: String,
    /// Bytes of body (POST).
    pub body: usize,
}

impl Call {
    /// GET of a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: 0 }
    }

    /// POST with a body of `bytes` bytes.
    pub fn post(path: impl Into<String>, body: usize) -> Self {
        Self { method: "POST", path: path.into(), body }
    }

    /// HEAD of a path.
    pub fn head(path: impl Into<String>) -> Self {
        Self { method: "HEAD", path: path.into(), body: 0 }
    }
}

/// A sleep much longer than the client's own overhead (node's fetch: 3 ms when each call needs a new connection), so that a tolerance of 5
/// % tests perfmon.
pub const SLEEP: &str = "/sleep/120";

/// Calls for a server with or without the routes of the tests' own programs.
pub fn plan(dynamic: bool) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.extend([Call::get("/hello?q=1"), Call::get("/bytes/1000"), Call::get("/missing")]);
        if dynamic {
            calls.extend([Call::post("/echo", 2_000), Call::get(SLEEP)]);
        }
    }
    calls.extend([Call::get("/bytes/100000"), Call::head("/bytes/1000")]);
    if dynamic {
        calls.extend([Call::get("/status/204"), Call::get("/status/500"), Call::get("/status/418")]);
        calls.extend([Call::get("/stream/5"), Call::post("/echo", 0), Call::post("/echo", 300_000)]);
    }
    calls.push(Call::get("/hello"));
    calls
}

/// What a call got, as the client saw it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Logged {
    /// Status.
    pub status: u16,
    /// Body bytes.
    pub size: u64,
    /// Duration.
    pub ms: f64,
}

/// A client program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// curl, all calls in one process.
    Curl,
    /// A session of python's requests.
    Requests,
    /// node's fetch.
    Fetch,
    /// A bare socket, a new connection whenever the server closed the last one.
    Wire,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Curl, Self::Requests, Self::Fetch, Self::Wire];
    /// What they need.
    pub const NEEDS: [Need; 3] = [Need::Program("curl"), Need::Program("node"), Need::Python];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Requests => "requests",
            Self::Fetch => "fetch",
            Self::Wire => "wire",
        }
    }

    /// Makes the calls to a port of 127.0.0.1; the `User-Agent` identifies the records of a run.
    pub fn run(self, port: u16, agent: &str, calls: &[Call]) -> Result<Vec<Logged>> {
        let url = format!("http://127.0.0.1:{port}");
        let script = |name: &str| workspace().join("tests/clients").join(name);
        let log = match self {
            Self::Curl => curl(&url, calls, agent, None)?,
            Self::Requests => scripted(Command::new(python()).arg(script("requests_client.py")).args([url.as_str(), agent]), calls)?,
            Self::Fetch => scripted(Command::new("node").arg(script("fetch_client.mjs")).args([url.as_str(), agent]), calls)?,
            Self::Wire => bare(port, calls, agent)?,
        };
        ensure!(log.len() == calls.len(), "{self:?} made {} calls and logged {}", calls.len(), log.len());
        Ok(log)
    }
}

/// A client program over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsClient {
    /// curl, all calls in one process.
    Curl,
    /// A session of python's requests.
    Requests,
    /// python's httpx.
    Httpx,
    /// httpx on asyncio, ten calls at once.
    HttpxAsync,
    /// aiohttp, ten calls at once.
    Aiohttp,
}

impl TlsClient {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Curl, Self::Requests, Self::Httpx, Self::HttpxAsync, Self::Aiohttp];

    /// Makes the calls to a port of 127.0.0.1 whose certificate is trusted.
    pub fn run(self, port: u16, certificate: &Path, agent: &str, calls: &[Call]) -> Result<Vec<Logged>> {
        let url = format!("https://127.0.0.1:{port}");
        let library = match self {
            Self::Curl => return curl(&url, calls, agent, Some(certificate)),
            Self::Requests => "requests",
            Self::Httpx => "httpx",
            Self::HttpxAsync => "httpx-async",
            Self::Aiohttp => "aiohttp",
        };
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/tls_client.py")).args([library, &url, agent]).arg(certificate);
        let log = scripted(&mut command, calls)?;
        ensure!(log.len() == calls.len(), "{self:?} made {} calls and logged {}", calls.len(), log.len());
        Ok(log)
    }
}

fn scripted(command: &mut Command, calls: &[Call]) -> Result<Vec<Logged>> {
    let lines: Vec<String> = calls.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let output = fed(command, &lines.join("\n"))?;
    output.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Runs a command with this standard input and gives its standard output.
pub fn fed(command: &mut Command, input: &str) -> Result<String> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A curl configuration with one section a call.
fn curl(url: &str, calls: &[Call], agent: &str, certificate: Option<&Path>) -> Result<Vec<Logged>> {
    let folder = tempfile::tempdir()?;
    let mut sections = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let mut section = format!("url = \"{url}{}\"\nuser-agent = \"{agent}\"\noutput = \"/dev/null\"\n", call.path);
        section += "write-out = \"%{http_code} %{size_download} %{time_pretransfer} %{time_total}\\n\"\n";
        if let Some(certificate) = certificate {
            section += &format!("cacert = \"{}\"\nhttp1.1\n", certificate.display());
        }
        if call.method == "HEAD" {
            section += "head\n";
        }
        if call.method == "POST" {
            let body = folder.path().join(format!("body{number}"));
            std::fs::write(&body, vec![b'b'; call.body])?;
            section += &format!("request = \"POST\"\ndata-binary = \"@{}\"\n", body.display());
        }
        sections.push(section);
    }
    let output = fed(Command::new("curl").args(["--silent", "--config", "-"]), &sections.join("next\n"))?;
    output.lines().map(curl_line).collect()
}

/// `STATUS SIZE PRETRANSFER TOTAL`, times in seconds since the start of the call; nothing is sent before `PRETRANSFER`.
fn curl_line(line: &str) -> Result<Logged> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [status, size, pretransfer, total] = fields[..] else { anyhow::bail!("curl printed {line}") };
    let ms = (total.parse::<f64>()? - pretransfer.parse::<f64>()?) * 1_000.0;
    Ok(Logged { status: status.parse()?, size: size.parse()?, ms })
}

fn bare(port: u16, calls: &[Call], agent: &str) -> Result<Vec<Logged>> {
    let mut wire = Wire::connect("127.0.0.1", port)?;
    let mut log = Vec::new();
    for call in calls {
        let body = vec![b'b'; call.body];
        if wire.is_spent() {
            wire = Wire::connect("127.0.0.1", port)?;
        }
        let answer = wire.call(call.method, &call.path, agent, &body).with_context(|| format!("{call:?}"))?;
        log.push(Logged { status: answer.status, size: answer.body.len() as u64, ms: answer.ms });
    }
    Ok(log)
}

/// The report of h2load for `requests` GETs over `connections` connections, at a fixed total rate or at full speed.
pub fn h2load(url: &str, requests: u32, connections: u32, rate: Option<u32>) -> Result<Sum> {
    let mut command = Command::new("h2load");
    command.args(["--h1", "-t1", "-m1", "-n", &requests.to_string(), "-c", &connections.to_string()]);
    if let Some(rate) = rate {
        command.arg(format!("--rps={}", rate / connections));
    }
    let text = fed(command.arg(url), "")?;
    let line = text.lines().find_map(|line| line.strip_prefix("status codes: ")).context("h2load printed no status codes")?;
    let succeeded = line.split(' ').next().unwrap_or_default().parse()?;
    let finished = text.lines().find_map(|line| line.strip_prefix("finished in ")).context("h2load did not finish")?;
    let rate = finished.split(", ").find_map(|part| part.strip_suffix(" req/s")).context("h2load printed no rate")?;
    Ok(Sum { answers: succeeded, per_second: rate.parse()? })
}

/// The report of wrk after `seconds` at full speed; it does not count requests in flight at the end.
pub fn wrk(url: &str, seconds: u32, connections: u32) -> Result<Sum> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-d{seconds}s"), "-c", &connections.to_string(), url]);
    let text = fed(&mut command, "")?;
    ensure!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "wrk met errors:\n{text}");
    let count = text.lines().find_map(|line| line.trim().split_once(" requests in ")).context("wrk printed no number of requests")?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).context("wrk printed no rate")?;
    Ok(Sum { answers: count.0.parse()?, per_second: rate.trim().parse()? })
}

/// Sums of a load generator.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// Answers with status 200.
    pub answers: u64,
    /// Answers a second.
    pub per_second: f64,
}

/// `curl` of one URL in a process of its own, with the certificate to trust over TLS; gives its process id.
pub fn curl_once(url: &str, file: &Path, certificate: Option<&Path>) -> Result<u32> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--http1.1", "--output"]).arg(file).arg(url);
    if let Some(certificate) = certificate {
        command.arg("--cacert").arg(certificate);
    }
    let mut child = command.spawn().context("cannot start curl")?;
    let pid = child.id();
    ensure!(child.wait()?.success(), "curl failed");
    Ok(pid)
}

/// What must be equal between a call with its answer and the record of it: method, path, status, body sizes.
pub type Facts = (String, String, u16, u64, u64);

/// The facts of calls and their answers, sorted.
pub fn logged_facts(calls: &[Call], log: &[Logged]) -> Vec<Facts> {
    let path = |call: &Call| call.path.split('?').next().unwrap_or_default().to_owned();
    let facts = calls.iter().zip(log).map(|(call, got)| (call.method.to_owned(), path(call), got.status, call.body as u64, got.size));
    sorted(facts.collect())
}

/// The facts of records, sorted. What a record does not know fails.
pub fn recorded_facts(requests: &[Request]) -> Vec<Facts> {
    let known = |request: &Request| -> Option<Facts> {
        let (method, path) = (request.method.clone()?, request.path.clone()?);
        Some((method, path, request.status_code?, request.request_size?, request.response_size?))
    };
    sorted(requests.iter().map(|request| known(request).unwrap_or_else(|| panic!("a figure is missing: {request:?}"))).collect())
}

fn sorted(mut facts: Vec<Facts>) -> Vec<Facts> {
    facts.sort();
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curl_times_count_from_the_first_byte_sent() {
        let logged = curl_line("204 17 0.000500 0.012500").unwrap();
        assert_eq!((logged.status, logged.size), (204, 17));
        assert!((logged.ms - 12.0).abs() < 1e-9);
        assert!(curl_line("204").is_err());
    }
}
