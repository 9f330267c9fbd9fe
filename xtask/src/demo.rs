//! `cargo xtask demo`: a small real service under load with perfmon on it, for whoever wants to see it work. Installs what is missing,
//! builds as the calling user, starts the scripted model server, a Redis of its own where one is installed, the service, its customers and
//! perfmon (`demo/`; perfmon as root), prints the address, and ends all of them by their process ids. Everything it writes stands in a
//! temporary folder that goes at the end.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::Stopwatch;
use crate::install;
use crate::process::Program;
use crate::shell::{self, as_root, command, execute, free_port, say};

const EXAMPLES: &str = "Examples:
  cargo xtask demo
  cargo xtask demo --duration 60s
  cargo xtask demo --listen 127.0.0.1:9000 --http h11 --loop asyncio
  cargo xtask demo --screenshot docs/dashboard.png";

/// perfmon's address, unless taken.
const LISTEN: &str = "127.0.0.1:9911";
/// How long the demo runs before its picture is taken: the graphs have a shape then, and the low threshold has raised its alert.
const BEFORE_PICTURE: Duration = Duration::from_secs(100);

/// Options.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where perfmon listens [default: 127.0.0.1:9911, another port when that one is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// End after this time, like 60s or 5m [default: until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Customers at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    customers: u32,
    /// How uvicorn reads HTTP: auto, h11, httptools
    #[arg(long, default_value = "auto", value_parser = ["auto", "h11", "httptools"])]
    http: String,
    /// Event loop of uvicorn: auto, asyncio, uvloop
    #[arg(long = "loop", default_value = "auto", value_parser = ["auto", "asyncio", "uvloop"])]
    event_loop: String,
    /// Use this perfmon instead of building one
    #[arg(long, value_name = "FILE")]
    perfmon: Option<PathBuf>,
    /// Take a picture of the page after a while (chromium), then end
    #[arg(long, value_name = "PNG")]
    screenshot: Option<PathBuf>,
}

/// Runs until Ctrl-C, the end of `--duration` or the picture.
pub fn run(args: &Args) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    install::demo(args.screenshot.is_some())?;
    let perfmon = args.perfmon.clone().map_or_else(shell::build_perfmon, Ok)?;
    let folder = Folder::new()?;
    let listen = address(args.listen)?;
    let mut stage = Stage::set(args, &folder.0, &perfmon, listen)?;
    tell(listen, &stage, args);
    let watch = Stopwatch::start();
    let wanted = args.duration.or(args.screenshot.as_ref().map(|_| BEFORE_PICTURE));
    while !interrupted.load(Ordering::Relaxed) && wanted.is_none_or(|wanted| watch.elapsed() < wanted) {
        stage.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    if let Some(picture) = &args.screenshot
        && !interrupted.load(Ordering::Relaxed)
    {
        take_picture(listen, picture)?;
    }
    say("ending everything that was started");
    stage.end()
}

/// The programs of the demo.
struct Stage {
    perfmon: Program,
    load: Program,
    service: Program,
    model: Program,
    /// Without it the shop has no cache.
    redis: Option<Program>,
    shop: u16,
}

impl Stage {
    /// Starts the programs in the order of their dependencies; perfmon before the customers, so that it sees everything.
    fn set(args: &Args, folder: &Path, perfmon: &Path, listen: SocketAddr) -> Result<Self> {
        let (model_port, shop) = (free_port()?, free_port()?);
        let model_url = format!("http://127.0.0.1:{model_port}");
        let mut model = Program::start("model server", script("model_server.py").args(["--port", &model_port.to_string()]), folder)?;
        listens(&mut model, model_port)?;
        let (mut redis, redis_port) = (None, free_port()?);
        if let Some(server) = shell::find("redis-server") {
            let started = redis.insert(Program::start("Redis", redis_server(server, redis_port).arg("--dir").arg(folder), folder)?);
            listens(started, redis_port)?;
        } else {
            say("without redis-server the shop has no cache and perfmon no database commands to show: apt-get install redis-server");
        }
        let mut service = script("service.py");
        service.args(["--port", &shop.to_string(), "--model-url", &model_url, "--http", &args.http, "--loop", &args.event_loop]);
        if redis.is_some() {
            service.args(["--redis-port", &redis_port.to_string()]);
        }
        service.arg("--folder").arg(folder).env("OTEL_SERVICE_NAME", "shop");
        let mut service = Program::start("service", &mut service, folder)?;
        listens(&mut service, shop)?;
        let mut run = as_root(perfmon);
        run.args(["run", "--ui", "none", "--listen", &listen.to_string(), "--pid", &service.pid().to_string(), "--db"]);
        run.arg(folder.join("perfmon.db")).arg("--config").arg(configuration(folder)?);
        let mut perfmon = Program::start("perfmon", &mut run, folder)?;
        wait(&mut perfmon, "perfmon is not ready", || is_ready(listen))?;
        let mut load = script("load.py");
        load.args(["--url", &format!("https://127.0.0.1:{shop}"), "--customers", &args.customers.to_string(), "--certificate"]);
        let load = Program::start("load", load.arg(folder.join("cert.pem")).arg("--log").arg(folder.join("load.json")), folder)?;
        Ok(Self { perfmon, load, service, model, redis, shop })
    }

    /// Fails when one of them has ended.
    fn check(&mut self) -> Result<()> {
        let programs = [&mut self.load, &mut self.perfmon, &mut self.service, &mut self.model];
        programs.into_iter().chain(self.redis.as_mut()).try_for_each(Program::check)
    }

    /// Ends them, the customers first.
    fn end(self) -> Result<()> {
        [self.load, self.perfmon, self.service, self.model].into_iter().chain(self.redis).try_for_each(Program::end)
    }
}

/// The default thresholds, except one that is low enough to fire here.
fn configuration(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("perfmon.toml");
    std::fs::write(&file, "[alerts.thresholds]\nresponse_time_p95_ms = 300\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn tell(listen: SocketAddr, stage: &Stage, args: &Args) {
    let url = format!("http://{listen}");
    say(format_args!(
        "a shop serves HTTPS on port {} with {} customers; perfmon watches it (pid {})",
        stage.shop,
        args.customers,
        stage.service.pid()
    ));
    println!();
    println!("    {url}/");
    println!();
    println!("  What to look at:");
    println!("    health       degraded: one in five requests to GET /delivery-dates fails, and its error rate shows it");
    println!("    endpoints    POST /ask and GET /reports/sales take most of the time, GET /products/{{id}} is one row");
    println!("    models       the agent in POST /ask asks five models through two SDKs: tokens, cost, first token");
    println!("    agents       runs with their tools; order_status fails whenever a customer asks for a lost parcel");
    if stage.redis.is_some() {
        println!("    databases    the shop's cache; GET /products sends one command for each product (finding n_plus_one)");
        println!("    pools        its connections to the cache, at most four");
    }
    println!("    alerts       response_time_p95 fires within a minute or two: the demo sets its threshold to 300 ms");
    println!("  The same as JSON:");
    println!("    curl {url}/health/performance");
    println!("    curl '{url}/api/v1/llm?window=1m'");
    println!();
    let end = match (&args.screenshot, args.duration) {
        (Some(_), time) => format!("a picture is taken after {} s", time.unwrap_or(BEFORE_PICTURE).as_secs()),
        (None, Some(time)) => format!("it ends after {} s, or with Ctrl-C", time.as_secs()),
        (None, None) => "Ctrl-C ends it".into(),
    };
    say(end);
}

fn take_picture(listen: SocketAddr, picture: &Path) -> Result<()> {
    say(format_args!("taking a picture of the page: {}", picture.display()));
    execute(command("node").arg("demo/screenshot.mjs").arg(format!("http://{listen}/")).arg(picture))
}

/// A Redis that listens on loopback and writes nothing.
fn redis_server(server: PathBuf, port: u16) -> Command {
    let mut command = command(server);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command
}

/// A Python program of the demo.
fn script(name: &str) -> Command {
    let mut command = command(install::venv().join("bin/python"));
    command.arg(shell::root().join("demo").join(name)).env("PYTHONUNBUFFERED", "1");
    command
}

fn listens(program: &mut Program, port: u16) -> Result<()> {
    wait(program, &format!("nothing listens on port {port}"), || TcpStream::connect(("127.0.0.1", port)).is_ok())
}

/// True when perfmon reports that its probes are attached and data flows.
fn is_ready(perfmon: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect(perfmon)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(socket, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Waits up to 30 s; an error, with what the program printed, when it is not done then or the program has ended.
fn wait(program: &mut Program, otherwise: &str, done: impl Fn() -> bool) -> Result<()> {
    let watch = Stopwatch::start();
    while !done() {
        program.check()?;
        ensure!(watch.elapsed() < Duration::from_secs(30), "{otherwise} after 30 s:\n{}", program.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The given address, an error if taken; by default the usual one, or the same with a free port.
fn address(wanted: Option<SocketAddr>) -> Result<SocketAddr> {
    if let Some(wanted) = wanted {
        TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}; choose another address with --listen"))?;
        return Ok(wanted);
    }
    let usual: SocketAddr = LISTEN.parse().context("the usual address is one")?;
    if TcpListener::bind(usual).is_ok() {
        return Ok(usual);
    }
    let other = SocketAddr::new(usual.ip(), free_port()?);
    say(format_args!("{usual} is taken (perhaps by another perfmon), so this one listens on {other}"));
    Ok(other)
}

/// `60s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; write it like 60s, 5m or 1h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|&seconds| seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// A temporary folder; removed when dropped, as root where perfmon wrote as root.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("perfmon-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            let _what_stays_is_temporary = as_root("rm").arg("-rf").arg(&self.0).status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "60", "s", "-1s", "0s", "1ms", "99999999999999999999h", "ü"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_said() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let problem = address(Some(taken.local_addr().unwrap())).unwrap_err().to_string();
        assert!(problem.contains("--listen"), "{problem}");
    }
}
