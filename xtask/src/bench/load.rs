//! The benchmarks' load: wrk at full speed, h2load at a fixed rate with a log of each request. Both run on core 1.
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{command, output};

/// What a saturating run gave.
#[derive(Clone, Copy, Debug)]
pub struct Saturated {
    /// Answers.
    pub requests: u64,
    /// Answers a second.
    pub per_second: f64,
}

/// 64 connections, as fast as possible.
pub fn saturate(url: &str, seconds: u32) -> Result<Saturated> {
    let mut wrk = command("taskset");
    wrk.args(["-c", "1", "wrk", "-t1", "-c64"]).arg(format!("-d{seconds}s")).arg(url);
    let text = output(&mut wrk)?;
    parse_wrk(&text).with_context(|| format!("wrk said:\n{text}"))
}

fn parse_wrk(text: &str) -> Result<Saturated> {
    ensure!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "requests failed");
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")).context("no number of requests")?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).context("no rate")?;
    Ok(Saturated { requests: requests.0.parse()?, per_second: rate.trim().parse()? })
}

/// Latencies of a run at a fixed rate, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct FixedRate {
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
}

/// Requests a second in sum, over so many connections.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Connections.
    pub connections: u32,
    /// Requests a second of all.
    pub per_second: u32,
}

impl Rate {
    fn h2load(self, seconds: u32) -> Command {
        let mut h2load = command("taskset");
        h2load.args(["-c", "1", "h2load", "--h1", "-t1", "-m1"]).arg(format!("-c{}", self.connections));
        h2load.arg(format!("--rps={}", self.per_second / self.connections)).args(["-n", &(self.per_second * seconds).to_string()]);
        h2load
    }
}

/// A load at a rate whose requests all must be answered; the rate that was reached may be lower.
pub fn at_rate(url: &str, rate: Rate, seconds: u32) -> Result<Saturated> {
    let text = output(rate.h2load(seconds).arg(url))?;
    parse_h2load(&text).with_context(|| format!("h2load said:\n{text}"))
}

fn parse_h2load(text: &str) -> Result<Saturated> {
    let rate = text.lines().find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s"));
    let answered = text.lines().find_map(|line| line.strip_prefix("status codes: ")?.split_once(" 2xx, 0 3xx, 0 4xx, 0 5xx"));
    Ok(Saturated { requests: answered.context("requests failed")?.0.parse()?, per_second: rate.context("no rate")?.parse()? })
}

/// A load at a rate, and its latencies.
pub fn fixed_rate(url: &str, rate: Rate, seconds: u32, log: &Path) -> Result<FixedRate> {
    let _absent_is_fine = std::fs::remove_file(log);
    output(rate.h2load(seconds).arg("--log-file").arg(log).arg(url))?;
    let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut times = text.lines().map(h2load_time).collect::<Result<Vec<f64>>>()?;
    ensure!(times.len() as u64 == u64::from(rate.per_second * seconds), "h2load logged {} requests", times.len());
    times.sort_by(f64::total_cmp);
    Ok(FixedRate { p50_us: super::report::quantile(&times, 0.50), p99_us: super::report::quantile(&times, 0.99) })
}

/// A line of h2load's log: start time, status, response time, all times in µs.
fn h2load_time(line: &str) -> Result<f64> {
    let mut fields = line.split('\t');
    let (Some(_), Some(status), Some(time)) = (fields.next(), fields.next(), fields.next()) else {
        anyhow::bail!("strange line in h2load's log: {line}");
    };
    ensure!(status == "200", "a request was answered with {status}");
    Ok(time.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_read() {
        let text = "Running 1s test\n  71024 requests in 1.00s, 91.19MB read\nRequests/sec:  70991.53\nTransfer/sec:     91.15MB\n";
        let load = parse_wrk(text).unwrap();
        assert_eq!((load.requests, load.per_second), (71_024, 70_991.53));
        assert!(parse_wrk(&format!("{text}  Socket errors: connect 0, read 3, write 0, timeout 0\n")).is_err());
    }

    #[test]
    fn h2load_tells_rate_and_answers() {
        let text = "finished in 2.00s, 19987.90 req/s, 22.70MB/s\nstatus codes: 40000 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        let load = parse_h2load(text).unwrap();
        assert_eq!((load.requests, load.per_second), (40_000, 19_987.9));
        assert!(parse_h2load(&text.replace("0 5xx", "3 5xx")).is_err());
    }

    #[test]
    fn h2load_is_read() {
        assert_eq!(h2load_time("1795341599123456\t200\t134").unwrap(), 134.0);
        assert!(h2load_time("1795341599123456\t404\t134").is_err());
    }
}
