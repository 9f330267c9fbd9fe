//! Model calls under observation: the scripted model server, the clients that call it, and the `llm` records of a call, found by the name
//! in its path (`/s/NAME/v1/…`).
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::need::python;
use crate::perfmon::Perfmon;
use crate::process::Running;
use crate::server::make_certificate;
use crate::{free_port, wait_until, workspace};

/// The scripted model server; ended when dropped.
pub struct ModelServer {
    /// Its TCP port.
    pub port: u16,
    running: Running,
    certificate: Option<PathBuf>,
    _folder: TempDir,
}

impl ModelServer {
    /// Starts it on a free port.
    pub fn start() -> Result<Self> {
        Self::start_with(false)
    }

    /// The same over TLS.
    pub fn start_tls() -> Result<Self> {
        Self::start_with(true)
    }

    fn start_with(tls: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/servers/model_server.py")).arg(port.to_string());
        let mut certificate = None;
        if tls {
            let (file, key) = make_certificate(folder.path())?;
            command.arg(&file).arg(key);
            certificate = Some(file);
        }
        let mut running = Running::start(&mut command, &folder.path().join("server.log"))?;
        running.listens(port)?;
        Ok(Self { port, running, certificate, _folder: folder })
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.certificate.is_some() { "https" } else { "http" }, self.port)
    }

    /// Its certificate, over TLS.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.running.log()
    }
}

/// Runs a program of `tests/clients/` to its end; gives the JSON lines that it printed.
pub fn client(script: &str, arguments: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(python());
    command.arg(workspace().join("tests/clients").join(script)).args(arguments);
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The `llm` records of one side at the server's port by the name of their call, each in order of time; waits until there are `count`.
pub fn calls(perfmon: &Perfmon, server: &ModelServer, side: &str, count: usize) -> Result<BTreeMap<String, Vec<Value>>> {
    let all = || named(perfmon, server.port, side);
    wait_until(20, || Ok((all()?.values().map(Vec::len).sum::<usize>() >= count).then_some(())))?;
    std::thread::sleep(std::time::Duration::from_millis(300)); // for any too many
    all()
}

fn named(perfmon: &Perfmon, port: u16, side: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let requests = perfmon.matching(|request| request.about(port) && request.side == side)?;
    let path_of = |request: &crate::record::Request| request.path.clone().unwrap_or_default();
    let names: BTreeMap<String, String> = requests.iter().map(|request| (request.span_id.clone(), path_of(request))).collect();
    let mut calls: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in perfmon.records("llm")? {
        if let Some(path) = record.get("span_id").and_then(Value::as_str).and_then(|span| names.get(span)) {
            let name = path.trim_start_matches("/s/").split('/').next().unwrap_or_default();
            calls.entry(name.to_owned()).or_default().push(record);
        }
    }
    calls.values_mut().for_each(|records| records.sort_by_key(|record| record.get("time").map(Value::to_string)));
    Ok(calls)
}

/// Options of a perfmon that watches this process and what it starts.
pub fn own_children() -> [String; 2] {
    ["--pid".into(), std::process::id().to_string()]
}

/// Fails where a record has not the values of `expected`.
pub fn assert_has(record: &Value, expected: &Value, what: &str) {
    for (field, value) in expected.as_object().into_iter().flatten() {
        assert_eq!(record.get(field), Some(value), "{field} of {what}: {record}");
    }
}
