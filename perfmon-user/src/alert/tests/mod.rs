use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::aggregate::snapshot::{EndpointRow, Latency, ServiceRow, Snapshot, Totals, Window, WindowView, WorkTotals};
use crate::counters::Counters;
use crate::record::{Alert, AlertState, Degradation, Disk, Millis, Notified, Origin, Record, Severity, System, WallTime};

mod delivery;
mod life;
mod machine;
mod queue;

const SECOND: u64 = 1_000_000_000;
const BEGIN: u64 = 1_795_341_599 * SECOND;

fn at(second: u64) -> WallTime {
    WallTime(BEGIN + second * SECOND)
}

/// What the host and its requests are like.
#[derive(Clone, Copy)]
struct State {
    p95_ms: Option<f64>,
    requests: u64,
    error_rate: Option<f64>,
    cpu: f64,
    memory: f64,
    disk: f64,
    uptime_s: f64,
}

const CALM: State =
    State { p95_ms: Some(20.0), requests: 1_000, error_rate: Some(0.001), cpu: 5.0, memory: 40.0, disk: 50.0, uptime_s: 10_000.0 };

fn snapshot(state: State) -> Snapshot {
    let latency = Latency { p95_ms: state.p95_ms, ..Latency::default() };
    let totals = Arc::new(Totals { requests: state.requests, error_rate: state.error_rate, latency, ..Totals::default() });
    let row = |name: &str, p95| {
        let latency = Latency { p95_ms: p95, ..Latency::default() };
        let (service, method, endpoint) = ("shop".into(), "GET".into(), name.into());
        Arc::new(EndpointRow { service, method, endpoint, count: state.requests, latency, ..EndpointRow::default() })
    };
    let endpoints = vec![row("/a", state.p95_ms), row("/b", Some(1.0))];
    let service = |name: &str, p95_ms| {
        let latency = Latency { p95_ms, ..Latency::default() };
        let origin = Some(Arc::new(Origin { service: name.into(), ..Origin::unknown(7) }));
        Arc::new(ServiceRow { service: name.into(), origin, count: state.requests, latency, ..ServiceRow::default() })
    };
    let services = vec![service("shop", state.p95_ms), service("blog", Some(9_000.0))];
    let work = Arc::new(WorkTotals { llm_calls: 20, llm_errors: 5, cost_usd: Some(1.5), ..WorkTotals::default() });
    let view = |window: Window| WindowView {
        window_s: window.seconds(),
        totals: totals.clone(),
        services: services.clone(),
        work: work.clone(),
        endpoints: endpoints.clone(),
        ..WindowView::default()
    };
    let disk = |mount: &str, used_percent| Disk {
        mount: mount.into(),
        used_percent,
        free_bytes: 1,
        read_bytes: None,
        write_bytes: None,
        busy_percent: None,
        full_in_s: None,
    };
    let system = System {
        time: at(0),
        origin: Arc::new(Origin::unknown(0)),
        cpu_percent: Some(state.cpu),
        memory_percent: state.memory,
        memory_available_bytes: 1,
        swap_percent: None,
        load_1m: 0.0,
        disks: vec![disk("/", state.disk), disk("/home", 10.0)],
        network: vec![],
        psi: None,
        interval_ms: Millis(SECOND),
    };
    Snapshot { uptime_s: state.uptime_s, windows: Window::ALL.map(view).to_vec(), system: Some(Arc::new(system)), ..Snapshot::default() }
}

fn standing() -> AlertSettings {
    AlertSettings { rules: Thresholds::default().rules(), channels: vec![Channel::log()], ..AlertSettings::default() }
}

fn machine(settings: &AlertSettings) -> Machine {
    Machine::new(settings, Arc::default())
}

/// Judges each second of a range; what changed, with its second.
fn live(machine: &mut Machine, seconds: std::ops::Range<u64>, state: impl Fn(u64) -> State) -> Vec<(u64, Change)> {
    let judge = |second| machine.judge(at(second), &snapshot(state(second))).into_iter().map(move |change| (second, change));
    seconds.flat_map(judge).collect()
}

/// State by state, with seconds.
fn states(changes: &[(u64, Change)]) -> Vec<(u64, &str, AlertState)> {
    changes.iter().map(|(second, change)| (*second, &*change.alert.rule, change.alert.state)).collect()
}

fn told(changes: &[(u64, Change)]) -> usize {
    changes.iter().map(|(_, change)| change.tell.len()).sum()
}
