//! Names of metrics that can be judged, and how each is read from a snapshot. Names follow CONTRACT.md, `<kind>.<field>.<statistic>`,
//! with the short ones as aliases. A metric of rows (endpoints, destinations, disks, processes) gives one reading a row.
use std::sync::Arc;

use crate::aggregate::snapshot::{DestinationRow, EndpointRow, Latency, Snapshot, Window, WindowView};
use crate::record::{Origin, Process, System};

use super::rule::Where;

/// What a metric is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Exchanges of a window: totals, or one row an endpoint or destination when `where` narrows it.
    Requests,
    /// The newest sample of the host.
    Host,
    /// The newest sample of each target process.
    Processes,
    /// What is going on now.
    Now,
}

/// A metric by name.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name, the first of its names.
    pub name: &'static str,
    names: &'static [&'static str],
    /// What it is in a sentence.
    pub words: &'static str,
    /// Written after the value in a sentence.
    pub unit: &'static str,
    read: Read,
}

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it is about.
    pub scope: Arc<str>,
    /// Whose, when it is one process's.
    pub origin: Option<Arc<Origin>>,
    /// The value, when there is one.
    pub value: Option<f64>,
    /// Exchanges behind it; `u64::MAX` for a sample, which is never too few.
    pub samples: u64,
}

/// The figures that totals, endpoints and destinations share.
struct Figures {
    count: u64,
    errors: u64,
    error_rate: Option<f64>,
    requests_per_minute: f64,
    latency: Latency,
    availability: Option<f64>,
}

#[derive(Clone, Copy)]
enum Read {
    Requests(fn(&Figures) -> Option<f64>),
    Host(fn(&System) -> Option<f64>),
    Disks,
    Processes(fn(&Process) -> Option<f64>),
    Connections,
}

const fn metric(names: &'static [&'static str], words: &'static str, unit: &'static str, read: Read) -> Metric {
    Metric { name: names[0], names, words, unit, read }
}

const METRICS: &[Metric] = &[
    metric(&["request.count"], "number of requests", "", Read::Requests(|f| Some(f.count as f64))),
    metric(&["request.errors"], "number of failed requests", "", Read::Requests(|f| Some(f.errors as f64))),
    metric(&["request.error_rate", "error_rate"], "error rate", "", Read::Requests(|f| f.error_rate)),
    metric(&["request.availability"], "availability", "", Read::Requests(|f| f.availability)),
    metric(
        &["request.requests_per_minute", "requests_per_minute"],
        "requests per minute",
        "",
        Read::Requests(|f| Some(f.requests_per_minute)),
    ),
    metric(&["request.response_time_ms.mean"], "mean response time", " ms", Read::Requests(|f| f.latency.mean_ms)),
    metric(&["request.response_time_ms.p50"], "median response time", " ms", Read::Requests(|f| f.latency.p50_ms)),
    metric(
        &["request.response_time_ms.p95", "response_time_p95"],
        "95th percentile of response time",
        " ms",
        Read::Requests(|f| f.latency.p95_ms),
    ),
    metric(&["request.response_time_ms.p99"], "99th percentile of response time", " ms", Read::Requests(|f| f.latency.p99_ms)),
    metric(&["request.response_time_ms.max"], "longest response time", " ms", Read::Requests(|f| f.latency.max_ms)),
    metric(&["system.cpu_percent", "cpu_percent"], "CPU use", " %", Read::Host(|s| s.cpu_percent)),
    metric(&["system.cpu_usage", "cpu_usage"], "CPU use (1 = all cores)", "", Read::Host(|s| s.cpu_percent.map(|v| v / 100.0))),
    metric(&["system.memory_percent", "memory_percent"], "memory use", " %", Read::Host(|s| Some(s.memory_percent))),
    metric(&["system.memory_usage", "memory_usage"], "memory use (1 = all)", "", Read::Host(|s| Some(s.memory_percent / 100.0))),
    metric(&["system.memory_available_bytes"], "available memory", " bytes", Read::Host(|s| Some(s.memory_available_bytes as f64))),
    metric(&["system.swap_percent"], "swap use", " %", Read::Host(|s| s.swap_percent)),
    metric(&["system.load_1m"], "load of one minute", "", Read::Host(|s| Some(s.load_1m))),
    metric(&["system.disk_usage", "disk_usage"], "disk use (1 = full)", "", Read::Disks),
    metric(&["process.cpu_percent"], "CPU use (100 = one core)", " %", Read::Processes(|p| p.cpu_percent)),
    metric(&["process.memory_percent"], "share of memory", " %", Read::Processes(|p| Some(p.memory_percent))),
    metric(&["process.memory_rss_bytes"], "resident memory", " bytes", Read::Processes(|p| Some(p.memory_rss_bytes as f64))),
    metric(&["process.threads"], "number of threads", "", Read::Processes(|p| Some(p.threads as f64))),
    metric(&["process.open_files"], "number of open descriptors", "", Read::Processes(|p| p.open_files.map(|v| v as f64))),
    metric(&["process.connections"], "number of connections", "", Read::Processes(|p| p.connections.map(|v| v as f64))),
    metric(&["active_connections"], "number of open connections", "", Read::Connections),
];

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Metric {
    /// The metric of a name; the error names those that there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = METRICS.iter().find(|metric| metric.names.contains(&name));
        known.copied().ok_or_else(|| {
            let names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
            format!("{name:?} cannot be judged; there are {}", names.join(", "))
        })
    }

    /// What it is read from.
    pub fn source(&self) -> Source {
        match self.read {
            Read::Requests(_) => Source::Requests,
            Read::Host(_) | Read::Disks => Source::Host,
            Read::Processes(_) => Source::Processes,
            Read::Connections => Source::Now,
        }
    }

    /// All readings of it. A row that is not there any more gives none.
    pub fn read(&self, snapshot: &Snapshot, window: Window, wanted: &Where) -> Vec<Reading> {
        match self.read {
            Read::Requests(value) => snapshot
                .window(window)
                .map_or_else(Vec::new, |view| requests(view, wanted).map(|(scope, f)| counted(scope, &f, value)).collect()),
            Read::Host(value) => snapshot.system.iter().map(|system| sampled("host".into(), Some(&system.origin), value(system))).collect(),
            Read::Disks => {
                let disks = snapshot.system.iter().flat_map(|system| system.disks.iter().map(move |disk| (system, disk)));
                disks.map(|(system, disk)| sampled(disk.mount.clone(), Some(&system.origin), Some(disk.used_percent / 100.0))).collect()
            }
            Read::Processes(value) => {
                let mine = snapshot.processes.iter().filter(|process| matches(wanted.service.as_deref(), &process.origin.service));
                mine.map(|process| {
                    let scope = format!("{} (pid {})", process.origin.service, process.origin.pid);
                    sampled(scope.into(), Some(&process.origin), value(process))
                })
                .collect()
            }
            Read::Connections => vec![sampled("all services".into(), None, Some(snapshot.gauges.active_connections as f64))],
        }
    }
}

fn counted(scope: Arc<str>, figures: &Figures, value: fn(&Figures) -> Option<f64>) -> Reading {
    Reading { scope, origin: None, value: value(figures), samples: figures.count }
}

fn sampled(scope: Arc<str>, origin: Option<&Arc<Origin>>, value: Option<f64>) -> Reading {
    Reading { scope, origin: origin.cloned(), value, samples: u64::MAX }
}

fn matches(wanted: Option<&str>, given: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == given)
}

/// The totals, or the rows that are wanted.
fn requests<'a>(view: &'a WindowView, wanted: &'a Where) -> Box<dyn Iterator<Item = (Arc<str>, Figures)> + 'a> {
    if wanted.destination.is_some() {
        let rows = view
            .destinations
            .iter()
            .filter(|row| matches(wanted.service.as_deref(), &row.service) && matches(wanted.destination.as_deref(), &row.destination));
        Box::new(rows.map(|row| (format!("{} → {}", row.service, row.destination).into(), of_destination(row))))
    } else if *wanted == Where::default() {
        let totals = &view.totals;
        let figures = Figures {
            count: totals.requests,
            errors: totals.errors,
            error_rate: totals.error_rate,
            requests_per_minute: totals.requests_per_minute,
            latency: totals.latency,
            availability: totals.error_rate.map(|rate| 1.0 - rate),
        };
        Box::new(std::iter::once(("all requests".into(), figures)))
    } else {
        let rows = view.endpoints.iter().filter(|row| {
            matches(wanted.service.as_deref(), &row.service)
                && matches(wanted.method.as_deref(), &row.method)
                && matches(wanted.endpoint.as_deref(), &row.endpoint)
        });
        Box::new(rows.map(|row| (format!("{} {} {}", row.service, row.method, row.endpoint).into(), of_endpoint(row))))
    }
}

fn of_endpoint(row: &EndpointRow) -> Figures {
    Figures {
        count: row.count,
        errors: row.errors,
        error_rate: row.error_rate,
        requests_per_minute: row.requests_per_minute,
        latency: row.latency,
        availability: row.error_rate.map(|rate| 1.0 - rate),
    }
}

fn of_destination(row: &DestinationRow) -> Figures {
    Figures {
        count: row.count,
        errors: row.errors,
        error_rate: row.error_rate,
        requests_per_minute: row.requests_per_minute,
        latency: row.latency,
        availability: row.availability,
    }
}
