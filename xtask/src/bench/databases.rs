//! `cargo xtask bench databases`: what watching a database costs. Redis and PostgreSQL on core 0 under their own load programs on core 1, one
//! command at a time and pipelined, by turns without perfmon and with it. Reported are the throughput of both, its ratio in the same turn,
//! and perfmon's CPU time a command. Writes docs/performance.md.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::document;
use super::perfmon::Perfmon;
use super::report::{median_of, spread};
use crate::install;
use crate::shell::{self, command, execute, free_port, output, say};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Turns of each load
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Seconds of each load
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Print the figures, leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

const PROGRAMS: [(&str, &str); 5] = [
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("pgbench", "postgresql-contrib"),
    ("pg_ctlcluster", "postgresql"),
    ("setpriv", "util-linux"),
];

/// What is sent to which database.
#[derive(Clone, Copy, Debug)]
enum DatabaseLoad {
    /// `GET`, so many in one write.
    Redis { pipelined: u32 },
    /// A row by its key, over the simple or the extended protocol.
    Postgres { prepared: bool },
}

const LOADS: [DatabaseLoad; 4] = [
    DatabaseLoad::Redis { pipelined: 1 },
    DatabaseLoad::Redis { pipelined: 16 },
    DatabaseLoad::Postgres { prepared: false },
    DatabaseLoad::Postgres { prepared: true },
];
/// Connections of each load.
const CONNECTIONS: &str = "16";

impl DatabaseLoad {
    fn name(self) -> &'static str {
        match self {
            Self::Redis { pipelined: 1 } => "Redis `GET`, one at a time",
            Self::Redis { .. } => "Redis `GET`, pipelined by 16",
            Self::Postgres { prepared: false } => "PostgreSQL `SELECT`, simple",
            Self::Postgres { prepared: true } => "PostgreSQL `SELECT`, prepared",
        }
    }

    fn system(self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Postgres { .. } => "postgresql",
        }
    }
}

/// Commands of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Done {
    commands: f64,
    per_second: f64,
}

/// One load with perfmon, beside one without.
#[derive(Clone, Copy, Debug)]
struct Turn {
    without: f64,
    with: f64,
    /// perfmon's CPU time a command, µs.
    cpu_us: f64,
    /// Commands counted ÷ commands sent.
    counted: f64,
    lost: f64,
}

/// Measures, prints, writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(args.rounds > 0 && args.seconds > 0, "at least one round of one second is needed");
    install::packages(&PROGRAMS)?;
    let binary = args.perfmon.clone().map_or_else(shell::build_perfmon, Ok)?;
    let folder = tempfile::tempdir()?;
    let (redis, postgres) = (redis(folder.path())?, postgres(folder.path())?);
    let mut table = String::from(
        "| load | commands a second without perfmon | with perfmon | with ÷ without | noise (without) | CPU of perfmon a command, µs | commands counted ÷ sent | events lost |\n|---|---|---|---|---|---|---|---|\n",
    );
    for load in LOADS {
        let server = if load.system() == "redis" { &redis } else { &postgres };
        say(load.name());
        let warm = server.load(load, 1, 20_000)?;
        // redis-benchmark takes a number of commands and no time.
        let commands = (warm.per_second * f64::from(args.seconds)) as u64;
        let mut turns = Vec::new();
        for number in 0..args.rounds {
            turns.push(server.turn(load, number % 2 == 0, args.seconds, commands, &binary)?);
        }
        let row = row(load, &turns);
        print!("{row}");
        table.push_str(&row);
    }
    let figures = format!(
        "{} turns of each load, about {} s each, {CONNECTIONS} connections; both ends watched. {}\n\n{table}",
        args.rounds,
        args.seconds,
        document::machine()?
    );
    if args.dry_run { Ok(()) } else { document::write("databases", &figures) }
}

/// A server that ends when dropped.
struct Database {
    child: Child,
    port: u16,
}

impl Drop for Database {
    fn drop(&mut self) {
        // PostgreSQL ends its backends on SIGINT.
        if Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().is_ok() {
            let _status_is_of_no_use = self.child.wait();
        }
    }
}

impl Database {
    fn start(mut server: Command, port: u16) -> Result<Self> {
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut database = Self { child: child.with_context(|| format!("cannot start {}", shell::line(&server)))?, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(database);
            }
            if let Some(status) = database.child.try_wait()? {
                bail!("{} ended with {status}", shell::line(&server));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nothing answers on port {port}")
    }

    fn load(&self, load: DatabaseLoad, seconds: u32, commands: u64) -> Result<Done> {
        let port = self.port.to_string();
        let mut client = command("taskset");
        client.args(["-c", "1"]);
        match load {
            DatabaseLoad::Redis { pipelined } => {
                client.args(["redis-benchmark", "-h", "127.0.0.1", "-p", &port, "-t", "get", "-c", CONNECTIONS]);
                client.args(["--csv", "-n", &commands.to_string(), "-P", &pipelined.to_string()]);
                let text = output(&mut client)?;
                let per_second = redis_rate(&text).with_context(|| format!("redis-benchmark said:\n{text}"))?;
                Ok(Done { commands: commands as f64, per_second })
            }
            DatabaseLoad::Postgres { prepared } => {
                client.args(["pgbench", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-n", "-S", "-c", CONNECTIONS]);
                client.args(["-T", &seconds.to_string(), "-M", if prepared { "prepared" } else { "simple" }, "postgres"]);
                let text = output(&mut client)?;
                pgbench_done(&text).with_context(|| format!("pgbench said:\n{text}"))
            }
        }
    }

    fn turn(&self, load: DatabaseLoad, bare_first: bool, seconds: u32, commands: u64, binary: &Path) -> Result<Turn> {
        let bare = || Ok::<_, anyhow::Error>(self.load(load, seconds, commands)?.per_second);
        let before = if bare_first { Some(bare()?) } else { None };
        let perfmon = Perfmon::start_with(binary, &["--no-store", "--port", &self.port.to_string()])?;
        std::thread::sleep(Duration::from_millis(500));
        let cpu_ns = perfmon.cpu_ns()?;
        let done = self.load(load, seconds, commands)?;
        let cpu_ns = perfmon.cpu_ns()? - cpu_ns;
        std::thread::sleep(Duration::from_millis(1_500));
        let (counted, lost) = (perfmon.commands_served(load.system())?, Perfmon::figure(&perfmon.report()?, "/events_lost/total")?);
        drop(perfmon);
        let without = before.map_or_else(bare, Ok)?;
        let cpu_us = cpu_ns as f64 / 1e3 / done.commands;
        Ok(Turn { without, with: done.per_second, cpu_us, counted: counted / done.commands, lost })
    }
}

fn redis(folder: &Path) -> Result<Database> {
    let port = free_port()?;
    let mut server = command("taskset");
    server.args(["-c", "0", "redis-server", "--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1", "--dir"]).arg(folder);
    Database::start(server, port)
}

/// With pgbench's tables. It refuses to run as root.
fn postgres(folder: &Path) -> Result<Database> {
    let (port, data) = (free_port()?, folder.join("postgres"));
    std::fs::create_dir(&data)?;
    let as_owner = |program: &Path| {
        if !shell::is_root() {
            return command(program);
        }
        let mut command = command("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    };
    if shell::is_root() {
        execute(command("chown").args(["-R", "postgres"]).arg(folder))?;
    }
    let programs = postgres_programs()?;
    let mut initdb = as_owner(&programs.join("initdb"));
    execute(initdb.args(["-U", "postgres", "-A", "trust", "-D"]).arg(&data).stdout(Stdio::null()))?;
    let mut server = command("taskset");
    server.args(["-c", "0"]);
    let run = as_owner(&programs.join("postgres"));
    server.arg(run.get_program()).args(run.get_args()).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    server.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-D"]).arg(&data);
    let database = Database::start(server, port)?;
    let mut tables = command("pgbench");
    tables.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-q", "-i", "postgres"]);
    // The port answers before the server takes connections.
    for _ in 0..50 {
        if output(&mut tables).is_ok() {
            return Ok(database);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("{} does not succeed", shell::line(&tables))
}

/// Those of the newest version that Debian installed.
fn postgres_programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("no PostgreSQL in /usr/lib/postgresql")?;
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(|bin| bin.join("initdb").is_file()).max();
    newest.context("no initdb in /usr/lib/postgresql")
}

/// The line `"GET","98765.43",…` below its head.
fn redis_rate(text: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("\"GET\",\"")).context("no rate")?;
    Ok(line.split('"').next().context("no rate")?.parse()?)
}

fn pgbench_done(text: &str) -> Result<Done> {
    let after = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no line {name}"));
    ensure!(after("number of failed transactions: ")?.starts_with("0 "), "transactions failed");
    let first = |text: &str| text.split([' ', '/']).next().and_then(|number| number.parse().ok()).context("no number");
    Ok(Done { commands: first(after("number of transactions actually processed: ")?)?, per_second: first(after("tps = ")?)? })
}

fn row(load: DatabaseLoad, turns: &[Turn]) -> String {
    let median = |figure: fn(&Turn) -> f64| median_of(turns.iter().map(figure).collect());
    let ratios = turns.iter().map(|turn| turn.with / turn.without).collect();
    let noise: Vec<f64> = turns.windows(2).map(|pair| pair[1].without / pair[0].without).collect();
    let mut row = String::new();
    let _infallible = writeln!(
        row,
        "| {} | {:.0} | {:.0} | {} | {} | {:.2} | {:.4} | {:.0} |",
        load.name(),
        median(|turn| turn.without),
        median(|turn| turn.with),
        spread(ratios),
        if noise.is_empty() { "–".into() } else { spread(noise) },
        median(|turn| turn.cpu_us),
        median(|turn| turn.counted),
        turns.iter().map(|turn| turn.lost).sum::<f64>()
    );
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_programs_are_read() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"GET\",\"98765.43\",\"0.2\"\n";
        assert_eq!(redis_rate(text).unwrap(), 98_765.43);
        let text = "number of transactions actually processed: 4711\nnumber of failed transactions: 0 (0.000%)\ntps = 942.5 (without initial connection time)\n";
        assert_eq!(pgbench_done(text).unwrap(), Done { commands: 4_711.0, per_second: 942.5 });
        assert!(pgbench_done(&text.replace(": 0 (", ": 3 (")).is_err());
    }

    #[test]
    fn a_row_pairs_the_rounds_of_a_turn() {
        let turn = |without, with| Turn { without, with, cpu_us: 2.0, counted: 1.0, lost: 0.0 };
        let row = row(LOADS[0], &[turn(100.0, 90.0), turn(200.0, 190.0)]);
        assert!(row.contains("| 150 | 140 | 0.925 [0.900–0.950] | 2.000 [2.000–2.000] | 2.00 | 1.0000 | 0 |"), "{row}");
    }
}
