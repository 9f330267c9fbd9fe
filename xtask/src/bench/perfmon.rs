//! perfmon under measurement: started as `perfmon run` (through sudo when needed), read through its API; its kernel programs are read from
//! bpftool.
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::nginx::process_cpu_ns;
use crate::shell::{self, as_root, command, output};

/// A running perfmon; ended when dropped.
pub struct Perfmon {
    child: Child,
    port: u16,
    pid: u32,
    programs_before: Vec<u64>,
}

/// A kernel program's counters while `kernel.bpf_stats_enabled` is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Times it ran.
    pub runs: u64,
    /// Run time.
    pub ns: u64,
}

impl Perfmon {
    /// Starts `perfmon run` with these options and waits until it is ready.
    pub fn start_with(binary: &Path, options: &[&str]) -> Result<Self> {
        let programs_before = programs()?.keys().map(|(id, _)| *id).collect();
        let port = shell::free_port()?;
        let mut run = as_root(binary);
        run.args(["run", "--ui", "none", "--listen"]).arg(format!("127.0.0.1:{port}")).args(options);
        let child = run.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {}", shell::line(&run)))?;
        let mut perfmon = Self { pid: child.id(), child, port, programs_before };
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(50));
            if perfmon.get("/readyz").is_ok() {
                perfmon.pid = perfmon.own_pid()?;
                return Ok(perfmon);
            }
            if let Some(status) = perfmon.child.try_wait()? {
                bail!("perfmon ended with {status}");
            }
        }
        bail!("perfmon was not ready after 10 s")
    }

    /// The child of sudo, if perfmon runs through sudo.
    fn own_pid(&self) -> Result<u32> {
        if shell::is_root() {
            return Ok(self.child.id());
        }
        shell::behind_sudo(self.child.id())?.context("sudo has no child")
    }

    fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        output(command("curl").args(["--silent", "--fail", "--max-time", "5", &url]))
    }

    /// Address of its API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `/api/v1/self`.
    pub fn report(&self) -> Result<Value> {
        serde_json::from_str(&self.get("/api/v1/self")?).context("/api/v1/self is not JSON")
    }

    /// A figure of a report.
    pub fn figure(report: &Value, pointer: &str) -> Result<f64> {
        report.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("/api/v1/self has no {pointer}"))
    }

    /// Requests of the endpoint `path` in the last hour.
    pub fn requests_of(&self, path: &str) -> Result<f64> {
        self.count("/api/v1/endpoints?window=1h", |row| row["endpoint"] == path)
    }

    /// Commands that servers of a database answered in the last hour.
    pub fn commands_served(&self, system: &str) -> Result<f64> {
        self.count(&format!("/api/v1/databases?window=1h&side=server&system={system}"), |_| true)
    }

    /// Sum of the counts of a list's rows.
    fn count(&self, path: &str, is_meant: impl Fn(&Value) -> bool) -> Result<f64> {
        let list: Value = serde_json::from_str(&self.get(path)?).with_context(|| format!("{path} is not JSON"))?;
        let rows = list.get("items").and_then(Value::as_array).with_context(|| format!("{path} has no items"))?;
        Ok(rows.iter().filter(|row| is_meant(row)).filter_map(|row| row.get("count").and_then(Value::as_f64)).sum())
    }

    /// CPU time in nanoseconds that perfmon's user side has used.
    pub fn cpu_ns(&self) -> Result<u64> {
        process_cpu_ns(self.pid)
    }

    /// Its kernel programs by name.
    pub fn programs(&self) -> Result<BTreeMap<String, Program>> {
        let mut own = BTreeMap::<String, Program>::new();
        for ((id, name), program) in programs()? {
            if !self.programs_before.contains(&id) {
                let sum = own.entry(name).or_default();
                sum.runs += program.runs;
                sum.ns += program.ns;
            }
        }
        ensure!(!own.is_empty(), "bpftool shows no kernel program of perfmon");
        Ok(own)
    }
}

impl Drop for Perfmon {
    fn drop(&mut self) {
        if as_root("kill").args(["-INT", &self.pid.to_string()]).status().is_ok() {
            let _status_is_of_no_use = self.child.wait();
        }
    }
}

/// All kernel programs of the host by id and name.
fn programs() -> Result<BTreeMap<(u64, String), Program>> {
    let json = output(as_root("bpftool").args(["--json", "prog", "show"]))?;
    parse_programs(&json).with_context(|| format!("bpftool said: {json}"))
}

fn parse_programs(json: &str) -> Result<BTreeMap<(u64, String), Program>> {
    let list: Vec<Value> = serde_json::from_str(json)?;
    let number = |program: &Value, field: &str| program.get(field).and_then(Value::as_u64);
    list.iter()
        .map(|program| {
            let id = number(program, "id").context("a program without id")?;
            let name = program.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
            let counted = Program { runs: number(program, "run_cnt").unwrap_or(0), ns: number(program, "run_time_ns").unwrap_or(0) };
            Ok(((id, name), counted))
        })
        .collect()
}

/// Switches the kernel's accounting of programs on while it lives (about 58 ns a run), and back to what it was.
pub struct KernelStats {
    before: String,
}

impl KernelStats {
    const SWITCH: &str = "kernel.bpf_stats_enabled";

    /// On.
    pub fn on() -> Result<Self> {
        let before = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").context("this kernel cannot account for programs")?;
        shell::execute(as_root("sysctl").args(["--quiet", "--write", &format!("{}=1", Self::SWITCH)]))?;
        Ok(Self { before: before.trim().to_owned() })
    }
}

impl Drop for KernelStats {
    fn drop(&mut self) {
        let back = format!("{}={}", Self::SWITCH, self.before);
        if let Err(error) = shell::execute(as_root("sysctl").args(["--quiet", "--write", &back])) {
            eprintln!("warning: {error:#}; set {back} by hand");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_bpftool() {
        let json = r#"[{"id":7,"type":"raw_tracepoint","name":"sock_recv","run_time_ns":900,"run_cnt":3},{"id":8,"type":"cgroup_skb"}]"#;
        let programs = parse_programs(json).unwrap();
        assert_eq!(programs[&(7, "sock_recv".to_owned())], Program { runs: 3, ns: 900 });
        assert_eq!(programs[&(8, String::new())], Program::default());
    }
}
