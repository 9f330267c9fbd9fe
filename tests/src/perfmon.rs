//! perfmon under test: started as root with its records going into a file, stopped by signal. Only one runs at a time, since each
//! watches the whole machine; `beside` starts another as a second host would have one.
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use perfmon_user::clock::boot_now_ns;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, signal};
use crate::record::{Request, requests};
use crate::{free_port, need, wait_until, wire, workspace};

static TURN: Mutex<()> = Mutex::new(());

/// The binary: `TESTED_PERFMON`, else the newest one that cargo built.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("TESTED_PERFMON") {
        return binary.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let built = ["release/perfmon", "debug/perfmon"].map(|name| workspace().join(&target).join(name));
    let age = |file: &PathBuf| file.metadata().and_then(|metadata| metadata.modified()).ok();
    if age(&built[1]) > age(&built[0]) { built[1].clone() } else { built[0].clone() }
}

/// A copy of the binary that every user may execute, in a folder of its own that every user may enter.
pub fn binary_for_everybody() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let copy = folder.path().join("perfmon");
    std::fs::copy(binary(), &copy).with_context(|| format!("cannot copy {}", binary().display()))?;
    Ok((folder, copy))
}

/// A running `perfmon run`.
pub struct Perfmon {
    running: Running,
    pid: u32,
    port: u16,
    folder: TempDir,
    read: RefCell<Read>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// How far the file of records was read, and the `request` records until there.
#[derive(Default)]
struct Read {
    bytes: usize,
    requests: Vec<Request>,
}

/// Waits until `/readyz` of a started perfmon reports that data flows.
pub(crate) fn wait_until_ready(running: &mut Running, port: u16) -> Result<()> {
    wait_until_it_answers(running, || wire::get(port, "/readyz"))
}

fn wait_until_it_answers(running: &mut Running, ask: impl Fn() -> Result<wire::Answer>) -> Result<()> {
    let ready = wait_until(15, || {
        ensure!(running.ended()?.is_none(), "perfmon ended:\n{}", running.log());
        Ok(ask().ok().filter(|answer| answer.status == 200))
    })?;
    ready.with_context(|| format!("perfmon was not ready after 15 s:\n{}", running.log())).map(drop)
}

/// The process id of a started perfmon: the child of sudo if it runs through sudo.
pub fn own_pid(running: &Running) -> Result<u32> {
    let started = running.pid();
    if need::is_root() {
        return Ok(started);
    }
    let children = std::fs::read_to_string(format!("/proc/{started}/task/{started}/children"))?;
    Ok(children.split_whitespace().next().context("sudo has no child")?.parse()?)
}

impl Perfmon {
    /// Starts it with more options (none: it watches everything) and without a store, and waits until `/readyz` reports that data flows.
    pub fn start(options: &[&str]) -> Result<Self> {
        Self::start_in(&[], &[&["--no-store"], options].concat())
    }

    /// The same with further environment variables; the options decide about the store.
    pub fn start_in(environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        Self::start_as("none", None, environment, options)
    }

    /// The same; it listens at a unix socket too, and is asked there whether it is ready.
    pub fn start_at(socket: Option<&Path>, environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        Self::start_as("none", socket, environment, options)
    }

    /// The same with a kind of `--ui`, which goes into the log.
    pub fn start_showing(ui: &str, environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        Self::start_as(ui, None, environment, options)
    }

    /// Starts another one while this one runs, as that of a second host: options name its targets, and it keeps no store.
    pub fn beside(&self, environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        Self::start_in_turn(None, &[], "none", None, environment, &[&["--no-store"], options].concat())
    }

    /// Starts it through another program that takes a command line: `setpriv …`.
    pub fn start_through(wrapper: &[&str], environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self::start_in_turn(Some(turn), wrapper, "none", None, environment, options)
    }

    fn start_as(ui: &str, socket: Option<&Path>, environment: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self::start_in_turn(Some(turn), &[], ui, socket, environment, options)
    }

    fn start_in_turn(
        turn: Option<MutexGuard<'static, ()>>,
        wrapper: &[&str],
        ui: &str,
        socket: Option<&Path>,
        environment: &[(&str, &str)],
        options: &[&str],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let jsonl = folder.path().join("records.jsonl");
        std::fs::write(&jsonl, "")?; // so that it belongs to this user whoever perfmon runs as
        // Without a terminal, where SIGHUP has another meaning; sudo passes no environment on.
        let mut command = need::as_root("setsid");
        command
            .args(["env", "--default-signal=HUP"])
            .args(environment.iter().map(|(name, value)| format!("{name}={value}")))
            .args(wrapper)
            .arg(binary());
        let also = socket.map_or_else(String::new, |path| format!(",unix:{}", path.display()));
        command.args(["run", "--ui", ui, "--listen", &format!("127.0.0.1:{port}{also}"), "--jsonl"]).arg(jsonl).args(options);
        let running = Running::start(&mut command, &folder.path().join("perfmon.log"))?;
        let mut perfmon = Self { pid: running.pid(), running, port, folder, read: RefCell::default(), _turn: turn };
        match socket {
            None => wait_until_ready(&mut perfmon.running, port)?,
            Some(path) => {
                wait_until_it_answers(&mut perfmon.running, || wire::Wire::connect_unix(path)?.call("GET", "/readyz", "test", b""))?;
            }
        }
        perfmon.pid = own_pid(&perfmon.running)?;
        Ok(perfmon)
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid, name)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its API listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Whether it is there, and what it printed: for a test that it does not answer.
    fn condition(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_else(|_| "it is gone".into());
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or("it is gone");
        format!("perfmon ({state}) said:\n{}", self.log())
    }

    /// All `request` records so far.
    pub fn requests(&self) -> Result<Vec<Request>> {
        self.matching(|_| true)
    }

    /// The `request` records so far that match `keep`.
    pub fn matching(&self, keep: impl Fn(&Request) -> bool) -> Result<Vec<Request>> {
        let mut read = self.read.borrow_mut();
        let mut file = File::open(self.folder.path().join("records.jsonl"))?;
        file.seek(SeekFrom::Start(read.bytes as u64))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1)); // a last line that is being written comes next time
        read.requests.extend(requests(&text)?);
        read.bytes += text.len();
        Ok(read.requests.iter().filter(|request| keep(request)).cloned().collect())
    }

    /// All records so far, as they were written.
    pub fn output(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("records.jsonl"))?)
    }

    /// All records of a kind so far, whole.
    pub fn records(&self, kind: &str) -> Result<Vec<Value>> {
        let text = self.output()?;
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let records: Vec<Value> = whole.map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(records.into_iter().filter(|record| record.get("kind").and_then(Value::as_str) == Some(kind)).collect())
    }

    /// The `request` records that match `keep`: waits up to 10 s for `count` of them, then half a second for surplus ones.
    pub fn wait_for(&self, count: usize, keep: impl Fn(&Request) -> bool) -> Result<Vec<Request>> {
        wait_until(10, || Ok((self.matching(&keep)?.len() >= count).then_some(())))?;
        std::thread::sleep(Duration::from_millis(500));
        self.matching(&keep)
    }

    /// The JSON answer of an API path.
    pub fn api(&self, path: &str) -> Result<Value> {
        let answer = wire::get(self.port, path).with_context(|| format!("{path} did not answer; {}", self.condition()))?;
        ensure!(answer.status == 200, "{path} answered {}", answer.status);
        serde_json::from_slice(&answer.body).with_context(|| format!("{path} did not answer JSON"))
    }

    /// Status and JSON of the answer to a POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let answer = wire::Wire::connect("127.0.0.1", self.port)?.call("POST", path, "test", body.to_string().as_bytes())?;
        Ok((answer.status, serde_json::from_slice(&answer.body)?))
    }

    /// A number of an API path.
    pub fn figure(&self, path: &str, pointer: &str) -> Result<f64> {
        let answer = self.api(path)?;
        answer.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("no number {pointer} in {answer}"))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Events lost so far, by its own account.
    pub fn lost(&self) -> Result<u64> {
        self.api("/api/v1/self")?.pointer("/events_lost/total").and_then(Value::as_u64).context("no events_lost.total in /api/v1/self")
    }

    /// The rows of a route once `is_told` of them, the last ones otherwise: they are counted once a second.
    pub fn rows_when(&self, path: &str, is_told: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let rows = || Ok(self.api(path)?["items"].as_array().cloned().unwrap_or_default());
        let told = wait_until(10, || Ok(Some(rows()?).filter(|rows: &Vec<Value>| is_told(rows))))?;
        told.map_or_else(rows, Ok)
    }

    /// Sends a signal and waits for the end, up to 10 s.
    pub fn end(mut self, name: &str) -> Result<ExitStatus> {
        signal(self.pid, name)?;
        self.running.wait(10)?.with_context(|| format!("perfmon did not end on SIG{name}:\n{}", self.running.log()))
    }

    /// Waits for an end that nobody asked for.
    pub fn status_within(mut self, seconds: u64) -> Result<ExitStatus> {
        self.running.wait(seconds)?.with_context(|| format!("perfmon did not end:\n{}", self.running.log()))
    }

    /// Sends a signal and gives status and milliseconds until its end. When that takes longer than `seconds`, the error tells what each of
    /// its threads was doing then.
    pub fn end_within(mut self, name: &str, seconds: u64) -> Result<(ExitStatus, f64)> {
        let start = boot_now_ns();
        signal(self.pid, name)?;
        if let Some(status) = self.running.wait(seconds)? {
            return Ok((status, (boot_now_ns() - start) as f64 / 1e6));
        }
        let threads = threads_of(self.pid)?;
        let late = self.running.wait(20)?;
        let took = (boot_now_ns() - start) / 1_000_000;
        bail!("perfmon ran {seconds} s after SIG{name}, ended after {took} ms with {late:?}:\n{threads}\n{}", self.running.log())
    }

    /// Ends it by Ctrl-C's signal and gives all `request` records.
    pub fn stop(mut self) -> Result<Vec<Request>> {
        signal(self.pid, "INT")?;
        let status = self.running.wait(10)?.context("perfmon did not end on SIGINT")?;
        ensure!(status.success(), "perfmon ended with {status}:\n{}", self.running.log());
        self.requests()
    }
}

impl Drop for Perfmon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("perfmon said:\n{}", self.running.log());
        }
    }
}

/// What each thread of a process does in the kernel.
fn threads_of(pid: u32) -> Result<String> {
    let script = "cd /proc/$0/task && for t in *; do echo \"thread $t $(cat $t/comm) state $(cut -d' ' -f3 $t/stat) in $(cat $t/wchan)\"; cat $t/stack; done";
    let output = need::as_root("sh").args(["-c", script, &pid.to_string()]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `perfmon` with arguments, as root, to its end.
pub fn perfmon(arguments: &[&str]) -> Command {
    let mut command = need::as_root(binary());
    command.args(arguments);
    command
}

/// Ids of the kernel programs and links' programs that a process holds.
pub fn kernel_programs(pid: u32) -> Result<Vec<u64>> {
    let list = need::as_root("sh").args(["-c", &format!("cat /proc/{pid}/fdinfo/*")]).output()?;
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Ids of all kernel programs of the host, by bpftool.
pub fn programs_of_the_host() -> Result<Vec<u64>> {
    let bpftool = need::find("bpftool").unwrap_or_else(|| Path::new("bpftool").into());
    let output = need::as_root(bpftool).args(["--json", "prog", "show"]).output()?;
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).context("bpftool did not answer JSON")?;
    Ok(list.iter().filter_map(|program| program.get("id")?.as_u64()).collect())
}
