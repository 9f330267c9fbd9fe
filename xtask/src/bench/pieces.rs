//! `cargo xtask bench pieces`: what each piece of perfmon adds. One steady load (a file in plain and over TLS, model calls of an agent) on
//! one nginx worker; for each piece rounds without and with it by turns, everything else as it is; what is reported are the differences
//! of neighbouring rounds. The first piece is none at all: its differences are the noise. Writes docs/performance.md.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::nginx::{self, Nginx};
use super::perfmon::{KernelStats, Perfmon};
use super::{document, report};
use crate::install;
use crate::shell::{self, command, execute, free_port, output, say};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Pairs of rounds for each piece
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of a round's load
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Print the figures, leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

const PROGRAMS: [(&str, &str); 5] =
    [("nginx", "nginx-light"), ("h2load", "nghttp2-client"), ("bpftool", "bpftool"), ("openssl", "openssl"), ("curl", "curl")];

/// Requests a second of each kind of load.
const PLAIN: u32 = 1_000;
const TLS: u32 = 250;
const MODELS: u32 = 100;

/// A request of an agent to its model: a tool was used, the answer ends the run.
const CALL: &str = r#"{"model":"gpt-4o-mini","tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object"}}}],
"messages":[{"role":"user","content":"Is order 7 done?"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function",
"function":{"name":"look_up","arguments":"{\"order\":7}"}}]},{"role":"tool","tool_call_id":"call_1","content":"done"}]}"#;

/// A piece of perfmon.
struct Piece {
    name: &'static str,
    /// The configuration with it on and with it off.
    on: String,
    off: String,
    /// Whether a round with it keeps the history.
    store: bool,
    /// Whether a client reads the page's stream.
    page: bool,
}

fn pieces(otlp_port: u16) -> Vec<Piece> {
    let switch = |name, key: &str| {
        let (on, off) = (String::new(), format!("{key} = false\n"));
        Piece { name, on, off, store: false, page: false }
    };
    let same = |name| Piece { name, on: String::new(), off: String::new(), store: false, page: false };
    let export = format!("export.interval = \"1s\"\nexport.otlp.endpoint = \"http://127.0.0.1:{otlp_port}/otlp\"\n");
    vec![
        same("nothing (the noise)"),
        switch("resources", "resources.enabled"),
        switch("TLS plaintext", "capture.tls"),
        switch("model calls and agents", "capture.models"),
        switch("alerts", "alerts.enabled"),
        Piece { store: true, ..same("history") },
        Piece { on: export, ..same("export, each second") },
        Piece { page: true, ..same("a reader of the page's stream") },
    ]
}

/// What a round cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// perfmon's CPU time, ms a second.
    user_ms: f64,
    /// Time in kernel programs, ms a second.
    kernel_ms: f64,
    /// Resident memory, MiB.
    rss_mib: f64,
    /// The server's CPU time a request, µs.
    server_us: f64,
}

/// Measures, prints, writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0 && args.seconds > 0, "at least one round of one second is needed");
    install::packages(&PROGRAMS)?;
    let binary = args.perfmon.clone().map_or_else(shell::build_perfmon, Ok)?;
    let bench = Bench::prepare(binary, args.seconds)?;
    let _on_while_measuring = KernelStats::on()?;
    say("warming up");
    bench.load()?;
    let mut table = String::from(
        "| piece | CPU of perfmon, ms a second | time in kernel programs, ms a second | resident memory, MiB | CPU of the server a request, µs |\n|---|---|---|---|---|\n",
    );
    let mut whole = Vec::new();
    for piece in pieces(bench.port) {
        let mut pairs = Vec::new();
        for _ in 0..args.rounds {
            let off = bench.round(&piece, false)?;
            pairs.push((off, bench.round(&piece, true)?));
        }
        let row = row(piece.name, &pairs);
        print!("{row}");
        table.push_str(&row);
        whole.extend(pairs.into_iter().filter(|_| piece.name.starts_with("nothing")).flat_map(|(a, b)| [a, b]));
    }
    let figures = format!("{}\n{}\n{table}", conditions(args)?, sum(&whole));
    println!("\n{figures}");
    if args.dry_run { Ok(()) } else { document::write("pieces", &figures) }
}

/// Everything that does not change between rounds.
struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    nginx: Nginx,
    port: u16,
    tls_port: u16,
    seconds: u32,
}

impl Bench {
    fn prepare(binary: PathBuf, seconds: u32) -> Result<Self> {
        let folder = nginx::folder()?;
        let (port, tls_port) = (free_port()?, free_port()?);
        certificate(&folder)?;
        std::fs::write(folder.join("call.json"), CALL)?;
        let template = include_str!("pieces.conf");
        let values = [("{folder}", folder.display().to_string()), ("{port}", port.to_string()), ("{tls_port}", tls_port.to_string())];
        let text = values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
        let nginx = Nginx::configured(&folder, port, &text)?;
        Ok(Self { binary, folder, nginx, port, tls_port, seconds })
    }

    fn round(&self, piece: &Piece, on: bool) -> Result<Cost> {
        let (config, db) = (self.folder.join("perfmon.toml"), self.folder.join("history.db"));
        std::fs::write(&config, if on { &piece.on } else { &piece.off })?;
        let (config, db) = (config.display().to_string(), db.display().to_string());
        let options: &[&str] = if on && piece.store { &["--config", &config, "--db", &db] } else { &["--config", &config, "--no-store"] };
        let perfmon = Perfmon::start_with(&self.binary, options)?;
        let reader = if on && piece.page { Some(Reader::start(&perfmon.url())?) } else { None };
        std::thread::sleep(Duration::from_millis(500));
        let before = (perfmon.cpu_ns()?, self.nginx.cpu_ns()?, kernel_ns(&perfmon)?);
        self.load()?;
        let after = (perfmon.cpu_ns()?, self.nginx.cpu_ns()?, kernel_ns(&perfmon)?);
        let rss_bytes = Perfmon::figure(&perfmon.report()?, "/rss_bytes")?;
        drop(reader);
        let seconds = f64::from(self.seconds);
        let requests = seconds * f64::from(PLAIN + TLS + MODELS);
        Ok(Cost {
            user_ms: (after.0 - before.0) as f64 / 1e6 / seconds,
            kernel_ms: (after.2 - before.2) as f64 / 1e6 / seconds,
            rss_mib: rss_bytes / 1_048_576.0,
            server_us: (after.1 - before.1) as f64 / 1e3 / requests,
        })
    }

    /// The three loads at once.
    fn load(&self) -> Result<()> {
        let call = self.folder.join("call.json").display().to_string();
        let plain = format!("http://127.0.0.1:{}", self.port);
        let runs = [
            self.h2load(PLAIN, &[&format!("{plain}/1k")]),
            self.h2load(TLS, &[&format!("https://127.0.0.1:{}/1k", self.tls_port)]),
            self.h2load(MODELS, &["-d", &call, "-H", "content-type: application/json", &format!("{plain}/v1/chat/completions")]),
        ];
        let started = runs.into_iter().map(|mut run| run.spawn().context("cannot start h2load")).collect::<Result<Vec<Child>>>()?;
        for child in started {
            let result = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&result.stdout);
            ensure!(result.status.success() && text.contains(" 0 failed, 0 errored, 0 timeout"), "h2load said:\n{text}");
        }
        Ok(())
    }

    fn h2load(&self, rate: u32, rest: &[&str]) -> Command {
        const CONNECTIONS: u32 = 5;
        let mut h2load = command("taskset");
        h2load.args(["-c", "1", "h2load", "--h1", "-t1", "-m1"]).arg(format!("-c{CONNECTIONS}"));
        h2load.arg(format!("--rps={}", rate / CONNECTIONS)).args(["-n", &(rate * self.seconds).to_string()]).args(rest);
        h2load.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        h2load
    }
}

/// One who has the page open.
struct Reader(Child);

impl Reader {
    fn start(url: &str) -> Result<Self> {
        let mut curl = command("curl");
        curl.args(["--silent", "--no-buffer", "--output", "/dev/null"]).arg(format!("{url}/api/v1/stream"));
        Ok(Self(curl.stdin(Stdio::null()).spawn().context("cannot start curl")?))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status_is_of_no_use = self.0.wait();
    }
}

fn kernel_ns(perfmon: &Perfmon) -> Result<u64> {
    Ok(perfmon.programs()?.values().map(|program| program.ns).sum())
}

fn certificate(folder: &Path) -> Result<()> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut openssl = command("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"]);
    execute(openssl.arg(key).arg("-out").arg(certificate).stderr(Stdio::null()))
}

/// The difference that a piece makes, of each figure: median [lowest–highest].
fn row(name: &str, pairs: &[(Cost, Cost)]) -> String {
    let figures: [fn(&Cost) -> f64; 4] = [|cost| cost.user_ms, |cost| cost.kernel_ms, |cost| cost.rss_mib, |cost| cost.server_us];
    let mut row = format!("| {name} |");
    for figure in figures {
        let mut differences: Vec<f64> = pairs.iter().map(|(off, on)| figure(on) - figure(off)).collect();
        differences.sort_by(f64::total_cmp);
        let (low, high) = (differences.first().copied().unwrap_or(0.0), differences.last().copied().unwrap_or(0.0));
        let _infallible = write!(row, " {:+.2} [{low:+.2} – {high:+.2}] |", report::median_of(differences));
    }
    row.push('\n');
    row
}

/// Cost of everything on by default except history, export and page.
fn sum(rounds: &[Cost]) -> String {
    let median = |figure: fn(&Cost) -> f64| report::median_of(rounds.iter().map(figure).collect());
    format!(
        "With everything that is on by default, no history: CPU of perfmon {:.1} ms a second, in kernel programs {:.1} ms a second, resident memory {:.1} MiB, CPU of the server {:.1} µs a request.\n",
        median(|cost| cost.user_ms),
        median(|cost| cost.kernel_ms),
        median(|cost| cost.rss_mib),
        median(|cost| cost.server_us)
    )
}

fn conditions(args: &Args) -> Result<String> {
    let h2load = output(command("h2load").arg("--version"))?;
    Ok(format!(
        "{} pairs of rounds for each piece, {} s of load each: {PLAIN} requests a second in plain, {TLS} over TLS, {MODELS} model calls; both ends watched; {}. {}\n",
        args.rounds,
        args.seconds,
        h2load.trim(),
        document::machine()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_differences_of_pairs() {
        let cost = |user_ms| Cost { user_ms, kernel_ms: 1.0, rss_mib: 50.0, server_us: 20.0 };
        let row = row("x", &[(cost(1.0), cost(2.0)), (cost(5.0), cost(4.0)), (cost(1.0), cost(1.5))]);
        assert!(row.starts_with("| x | +0.50 [-1.00 – +1.00] | +0.00 [+0.00 – +0.00] |"), "{row}");
    }

    #[test]
    fn the_call_is_json() {
        assert!(serde_json::from_str::<serde_json::Value>(CALL).unwrap()["tools"].is_array());
    }
}
