//! What many hosts cost an engine: real answers of `/metrics` under load, told again as those of other hosts and times, and how many bytes
//! Prometheus and VictoriaMetrics need on disk for a sample of them.
//!
//! The answers are a second apart and stand for scrapes that are further apart: counters go on by the increases that were seen, gauges repeat
//! their values. So the values are as hard to pack as real ones of so steady a load.
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::metrics_engine::MetricsEngine;
use crate::wire::{Wire, get};

/// The first time told: the begin of a block of Prometheus (two hours).
const BEGIN_S: u64 = 1_700_006_400;

/// An answer of `/metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scraped {
    /// Bytes without compression.
    pub bytes: usize,
    /// Bytes as a scraper gets them.
    pub gzip_bytes: usize,
    /// Name with labels, and value, in order.
    pub samples: Vec<(String, f64)>,
}

/// Asks perfmon as a scraper does.
pub fn scrape(port: u16, query: &str) -> Result<Scraped> {
    let body = get(port, &format!("/metrics{query}"))?.body;
    let mut packed = Wire::connect("127.0.0.1", port)?;
    let request = format!("GET /metrics{query} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    packed.send(request.as_bytes())?;
    let gzip_bytes = packed.answer(false)?.body.len();
    let text = String::from_utf8(body)?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').with_context(|| format!("no value in {line}"))?;
        Ok((series.to_owned(), value.parse().with_context(|| format!("no number in {line}"))?))
    });
    Ok(Scraped { bytes: text.len(), gzip_bytes, samples: samples.collect::<Result<_>>()? })
}

/// A series over time.
pub struct Told {
    /// Name with labels, the host among them.
    pub series: String,
    /// Values, one for each time.
    pub values: Vec<f64>,
}

/// The series that were in every answer, as those of some hosts at so many times.
pub fn told(answers: &[Scraped], hosts: usize, times: usize) -> Result<Vec<Told>> {
    ensure!(answers.len() > 2, "too few answers");
    let mut all = Vec::new();
    for (series, _) in &answers[0].samples {
        let values: Option<Vec<f64>> =
            answers.iter().map(|answer| answer.samples.iter().find(|sample| sample.0 == *series).map(|sample| sample.1)).collect();
        let Some(seen) = values else { continue };
        let counts =
            ["_total", "_bucket", "_count", "_sum"].iter().any(|end| series.split('{').next().is_some_and(|name| name.ends_with(end)));
        for host in 0..hosts {
            // Hosts begin at different answers, so that they are not alike.
            let values = if counts { counter(&seen, host, times) } else { gauge(&seen, host, times) };
            all.push(Told { series: with_host(series, host), values });
        }
    }
    Ok(all)
}

fn gauge(seen: &[f64], begin: usize, times: usize) -> Vec<f64> {
    (0..times).map(|at| seen[(begin + at) % seen.len()]).collect()
}

fn counter(seen: &[f64], begin: usize, times: usize) -> Vec<f64> {
    let increases: Vec<f64> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut value = seen[0];
    (0..times)
        .map(|at| {
            value += increases[(begin + at) % increases.len()];
            // As perfmon writes them: seconds with nanoseconds.
            (value * 1e9).round() / 1e9
        })
        .collect()
}

fn with_host(series: &str, host: usize) -> String {
    let label = format!("host=\"host-{host}\",instance=\"192.0.2.{host}:9911\",job=\"perfmon\"");
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{{label},{labels}"),
        None => format!("{series}{{{label}}}"),
    }
}

/// Bytes on disk of a sample in a block of Prometheus, index included, by its own tool.
pub fn prometheus_bytes(told: &[Told], interval_s: u64) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut text = String::new();
    for one in told {
        for (at, value) in one.values.iter().enumerate() {
            writeln!(text, "{} {value} {}", one.series, BEGIN_S + at as u64 * interval_s)?;
        }
    }
    text.push_str("# EOF\n");
    let (file, blocks) = (folder.path().join("told.txt"), folder.path().join("blocks"));
    std::fs::write(&file, text)?;
    let output = Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(&blocks).output()?;
    ensure!(output.status.success(), "promtool: {}", String::from_utf8_lossy(&output.stderr));
    Ok(size_of(&blocks)? as f64 / samples(told) as f64)
}

/// Bytes on disk of a sample in VictoriaMetrics, index included, once it has merged what came.
pub fn victoria_bytes(told: &[Told], interval_s: u64) -> Result<f64> {
    let engine = MetricsEngine::victoria_metrics("scrape_configs: []\n")?;
    let times = |count: usize| -> Vec<u64> { (0..count as u64).map(|at| (BEGIN_S + at * interval_s) * 1_000).collect() };
    for part in told.chunks(500) {
        let mut lines = String::new();
        for one in part {
            let line = json!({"metric": labels(&one.series)?, "values": one.values, "timestamps": times(one.values.len())});
            writeln!(lines, "{line}")?;
        }
        let answer = engine.post("/api/v1/import", lines.as_bytes())?;
        ensure!(answer.status == 204, "/api/v1/import: {}", answer.status);
    }
    engine.get("/internal/force_flush")?;
    engine.get("/internal/force_merge")?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let stored = engine.get("/metrics")?;
    let rows: u64 = String::from_utf8(stored.body)?
        .lines()
        .filter(|line| line.starts_with("vm_rows{type=\"storage/"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum();
    ensure!(rows == samples(told), "VictoriaMetrics has {rows} samples of {}:\n{}", samples(told), engine.log());
    Ok((size_of(&engine.data().join("data"))? + size_of(&engine.data().join("indexdb"))?) as f64 / rows as f64)
}

/// `name{a="b"}` as the JSON of labels.
fn labels(series: &str) -> Result<Value> {
    let (name, rest) = series.split_once('{').context("no labels")?;
    let mut all = serde_json::Map::from_iter([("__name__".to_owned(), name.into())]);
    let mut rest = rest;
    while let Some((label, more)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = more.as_bytes();
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let value: String = serde_json::from_str(&format!("\"{}\"", more.get(..end).context("no end of a label")?))?;
        all.insert(label.trim_start_matches(',').to_owned(), value.into());
        rest = &more[end + 1..];
    }
    Ok(all.into())
}

fn samples(told: &[Told]) -> u64 {
    told.iter().map(|one| one.values.len() as u64).sum()
}

/// Bytes of the files below a folder; a file with several names counts once for each.
fn size_of(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_and_gauges_repeat() {
        let answer = |count: f64, gauge: f64| Scraped {
            bytes: 0,
            gzip_bytes: 0,
            samples: vec![("a_total{b=\"c\"}".into(), count), ("d".into(), gauge), ("late".into(), 1.0)],
        };
        let mut answers = vec![answer(1.0, 7.0), answer(2.0, 8.0), answer(4.0, 9.0)];
        answers[2].samples.pop();
        let told = told(&answers, 2, 5).unwrap();
        let of = |name: &str| told.iter().filter(|one| one.series.starts_with(name)).map(|one| one.values.clone()).collect::<Vec<_>>();
        assert_eq!(of("a_total"), [vec![2.0, 4.0, 5.0, 7.0, 8.0], vec![3.0, 4.0, 6.0, 7.0, 9.0]]);
        assert_eq!(of("d"), [vec![7.0, 8.0, 9.0, 7.0, 8.0], vec![8.0, 9.0, 7.0, 8.0, 9.0]]);
        assert!(of("late").is_empty());
        assert_eq!(labels(&told[1].series).unwrap()["b"], "c");
        assert_eq!(labels(&told[1].series).unwrap()["host"], "host-1");
    }
}
