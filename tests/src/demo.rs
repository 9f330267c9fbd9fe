//! The demo's programs (`demo/`) under observation: the scripted model server, the shop over TLS with its agent and, where Redis is
//! installed, its cache, and customers that log their requests and the usage reported by the SDKs.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::fed;
use crate::need::{self, python};
use crate::process::Running;
use crate::{free_port, wire, workspace};

/// Model server, shop and its cache; ended when dropped.
pub struct Demo {
    shop: Running,
    port: u16,
    model_port: u16,
    folder: TempDir,
    _model: Running,
    redis: Option<(Running, u16)>,
}

/// What the customers did.
#[derive(Debug, Deserialize)]
pub struct Log {
    /// When the first request was sent, in seconds since 1970.
    pub started: f64,
    /// Requests by `METHOD /template STATUS`.
    pub counts: BTreeMap<String, u64>,
    /// Agent runs.
    pub runs: Vec<Run>,
}

/// One agent run.
#[derive(Debug, Deserialize)]
pub struct Run {
    /// The question.
    pub question: String,
    /// Tools that were executed.
    pub tools: u64,
    /// Model calls that answered.
    pub calls: Vec<Call>,
}

/// One model call as reported by the SDK.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub struct Call {
    /// `chat`, `responses`, `messages`.
    pub api: String,
    /// Model that answered.
    pub model: String,
    /// The provider's own words for it.
    pub usage: Value,
}

/// Tokens in perfmon's convention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokens {
    /// All of the prompt.
    pub input: u64,
    /// All of the answer.
    pub output: u64,
    /// Of the prompt, from the cache.
    pub cached: u64,
}

impl Demo {
    /// Starts them with uvicorn's ways to read HTTP and to loop.
    pub fn start(http: &str, event_loop: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (model_port, port) = (free_port()?, free_port()?);
        let log = |name: &str| folder.path().join(name);
        let mut model = Running::start(script("model_server.py").args(["--port", &model_port.to_string()]), &log("model.log"))?;
        model.listens(model_port)?;
        let redis = need::find("redis-server").map(|server| redis(&server, folder.path())).transpose()?;
        let mut shop = script("service.py");
        shop.args(["--port", &port.to_string(), "--model-url", &format!("http://127.0.0.1:{model_port}"), "--folder"]);
        shop.arg(folder.path()).args(["--http", http, "--loop", event_loop]).env("OTEL_SERVICE_NAME", "shop");
        if let Some((_, port)) = &redis {
            shop.args(["--redis-port", &port.to_string()]);
        }
        let mut shop = Running::start(&mut shop, &log("shop.log"))?;
        shop.listens(port)?;
        Ok(Self { shop, port, model_port, folder, _model: model, redis })
    }

    /// The shop's process.
    pub fn pid(&self) -> u32 {
        self.shop.pid()
    }

    /// Where the shop listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The customers come; done when they are.
    pub fn load(&self, options: &[&str]) -> Result<Log> {
        let log = self.folder.path().join("log.json");
        let mut command = script("load.py");
        command.args(["--url", &format!("https://127.0.0.1:{}", self.port), "--certificate"]).arg(self.folder.path().join("cert.pem"));
        let output = command.arg("--log").arg(&log).args(options).output().context("cannot start the customers")?;
        ensure!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), self.shop.log());
        Ok(serde_json::from_slice(&std::fs::read(log)?)?)
    }

    /// Where the shop's cache listens; an error without one.
    pub fn cache_port(&self) -> Result<u16> {
        self.redis.as_ref().map(|(_, port)| *port).context("the shop has no cache")
    }

    /// Commands that the shop's cache executed, by name in capitals, and the connections of its clients.
    pub fn cache_ledger(&self) -> Result<(BTreeMap<String, u64>, u64)> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.cache_port()?))?;
        socket.write_all(b"INFO clients commandstats\r\nQUIT\r\n")?;
        let (mut commands, mut clients) = (BTreeMap::new(), None);
        for line in BufReader::new(socket).lines() {
            let line = line?;
            if let Some((name, figures)) = line.strip_prefix("cmdstat_").and_then(|rest| rest.split_once(":calls=")) {
                let calls = figures.split(',').next().unwrap_or(figures).parse()?;
                commands.insert(name.to_uppercase(), calls);
            }
            // This connection is one of them.
            clients =
                line.strip_prefix("connected_clients:").map(|number| number.parse::<u64>().map(|all| all - 1)).transpose()?.or(clients);
        }
        // Executed for this function.
        commands.retain(|name: &String, _| !["INFO", "QUIT"].contains(&name.as_str()));
        Ok((commands, clients.context("Redis tells no number of clients")?))
    }

    /// Each call that the model server answered or refused.
    pub fn ledger(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_slice(&wire::get(self.model_port, "/ledger")?.body)?)
    }
}

impl Log {
    /// Requests and failed ones (status 5xx) by method and template.
    pub fn endpoints(&self) -> BTreeMap<(String, String), (u64, u64)> {
        let mut endpoints = BTreeMap::new();
        for (what, count) in &self.counts {
            let words: Vec<&str> = what.split(' ').collect();
            let sum: &mut (u64, u64) = endpoints.entry((words[0].to_owned(), words[1].to_owned())).or_default();
            sum.0 += count;
            sum.1 += if words[2].starts_with('5') { *count } else { 0 };
        }
        endpoints
    }

    /// All model calls that answered.
    pub fn calls(&self) -> Vec<Call> {
        self.runs.iter().flat_map(|run| run.calls.iter().cloned()).collect()
    }
}

impl Run {
    /// Tokens of all its calls.
    pub fn tokens(&self) -> Tokens {
        self.calls.iter().map(Call::tokens).fold(Tokens::default(), Tokens::plus)
    }
}

impl Call {
    /// Its tokens: Anthropic's `input_tokens` excludes what is read from or written to its cache.
    pub fn tokens(&self) -> Tokens {
        let count = |pointer: &str| self.usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        match self.api.as_str() {
            "chat" => {
                let cached = count("/prompt_tokens_details/cached_tokens");
                Tokens { input: count("/prompt_tokens"), output: count("/completion_tokens"), cached }
            }
            "responses" => {
                let cached = count("/input_tokens_details/cached_tokens");
                Tokens { input: count("/input_tokens"), output: count("/output_tokens"), cached }
            }
            _ => {
                let cached = count("/cache_read_input_tokens");
                let input = count("/input_tokens") + cached + count("/cache_creation_input_tokens");
                Tokens { input, output: count("/output_tokens"), cached }
            }
        }
    }
}

impl Tokens {
    /// Their sum.
    pub fn plus(self, other: Self) -> Self {
        Self { input: self.input + other.input, output: self.output + other.output, cached: self.cached + other.cached }
    }
}

/// What Python's genai-prices computes for each call, in millionths of a millionth of a dollar: decimal numbers have no rounding error.
pub fn prices(calls: &[Call]) -> Result<Vec<u64>> {
    let lines: Vec<String> = calls.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let output = fed(Command::new(python()).arg(workspace().join("tests/clients/prices.py")), &lines.join("\n"))?;
    output.lines().map(pico_dollars).collect()
}

/// Of a decimal number, exactly; an error when it has more than twelve places.
fn pico_dollars(number: &str) -> Result<u64> {
    let (mantissa, exponent) = number.split_once(['E', 'e']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = fraction.len() as i64 - exponent.parse::<i64>()?;
    let digits: u64 = format!("{whole}{fraction}").parse().with_context(|| format!("{number} is no number"))?;
    match 12 - places {
        more @ 0.. => Ok(digits * 10_u64.pow(more.try_into()?)),
        fewer => {
            let scale = 10_u64.pow((-fewer).try_into()?);
            ensure!(digits.is_multiple_of(scale), "{number} has more than twelve places");
            Ok(digits / scale)
        }
    }
}

/// A Redis that listens on loopback and writes nothing.
fn redis(server: &Path, folder: &Path) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut command = Command::new(server);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
    let mut redis = Running::start(&mut command, &folder.join("redis.log"))?;
    redis.listens(port)?;
    Ok((redis, port))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(folder().join(name)).env("PYTHONUNBUFFERED", "1");
    command
}

fn folder() -> PathBuf {
    workspace().join(Path::new("demo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_are_read_exactly() {
        let read = |number: &str| pico_dollars(number).unwrap();
        assert_eq!(
            [read("0.0016610"), read("3.65E-5"), read("2"), read("0.0000000000010")],
            [1_661_000_000, 36_500_000, 2_000_000_000_000, 1]
        );
        assert!(pico_dollars("1E-13").is_err() && pico_dollars("x").is_err());
    }
}
