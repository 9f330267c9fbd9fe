use std::sync::Arc;
use std::time::Duration;

use super::metric::MetricReading;
use super::*;
use crate::counters::Counters;
use crate::record::{Alert, AlertState, Degradation, Disk, Llm, Millis, Notified, Origin, Record, Severity, Side, System, WallTime};
use crate::series::{Cell, SeriesCell, SeriesDelta, SeriesFeed};
use crate::store::tests::{call, request};

mod crowd;
mod delivery;
mod life;
mod machine;
mod queue;
mod simulator;
mod trial;

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
    State { p95_ms: Some(20.0), requests: 100_000, error_rate: Some(0.001), cpu: 5.0, memory: 40.0, disk: 50.0, uptime_s: 10_000.0 };

/// A cell that counted the same so many times.
fn times(cell: &Cell, count: u64) -> Cell {
    let (mut sum, mut power) = (Cell::default(), cell.clone());
    for bit in 0..64 - count.leading_zeros() {
        if count >> bit & 1 == 1 {
            sum.merge(&power);
        }
        let half = power.clone();
        power.merge(&half);
    }
    sum
}

fn series_of(records: &[(Record, u64)]) -> Vec<SeriesCell> {
    let cells = records.iter().map(|(record, count)| {
        let mut feed = SeriesFeed::default();
        feed.add(record);
        let delta = feed.take(at(0));
        delta.cells.iter().map(|one| SeriesCell { cell: times(&one.cell, *count), ..one.clone() }).collect::<Vec<_>>()
    });
    cells.flatten().collect()
}

/// What the series count in a second in which host and requests are like this.
fn cells(state: State) -> Vec<SeriesCell> {
    let us = (state.p95_ms.unwrap_or(1.0) * 1_000.0).round() as u64;
    let failed = (state.error_rate.unwrap_or(0.0) * state.requests as f64).round() as u64;
    let quick = state.requests / 100;
    let mut records = vec![
        (request(10_000, "shop", "/a", us, 200), state.requests - failed - quick),
        (request(10_000, "shop", "/a", us, 500), failed),
        (request(10_000, "shop", "/b", 1_000, 200), quick),
    ];
    let Record::Llm(good) = call(0, Side::Client, 0.075) else { unreachable!() };
    let bad = Llm { error_type: Some("overloaded".into()), ..(*good).clone() };
    records.extend([(Record::Llm(good), 15), (Record::Llm(Box::new(bad)), 5)]);
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
    records.push((Record::System(Box::new(system)), 1));
    records.retain(|(_, count)| *count > 0);
    series_of(&records)
}

/// After whatever the clock says while the tests run.
const LATER_S: u64 = BEGIN / SECOND + 1_000_000_000;
/// Seconds between two states: no window reaches from one into the next.
const APART_S: u64 = 10_000;

/// What rules read in the state of a number, and nothing of the one before.
fn delta(number: u64, state: State) -> SeriesDelta {
    let start_s = (LATER_S + number * APART_S) / 10 * 10;
    let cells = cells(state).into_iter().map(|cell| SeriesCell { start_s, ..cell }).collect();
    SeriesDelta { until: WallTime(start_s * SECOND), cells, records: 0 }
}

/// The figures of one state.
struct StateView {
    figures: RuleFigures,
    uptime_s: f64,
}

impl StateView {
    fn new(machine: &Machine, state: State) -> Self {
        let mut figures = RuleFigures::default();
        figures.keep(&machine.rules(), at(0));
        figures.add(&delta(1, state));
        Self { figures, uptime_s: state.uptime_s }
    }
}

impl MetricView for StateView {
    fn read(&self, rule: &Rule, length_s: u64) -> Vec<MetricReading> {
        self.figures.read(rule, length_s)
    }

    fn is_covered(&self, rule: &Rule) -> bool {
        self.uptime_s >= rule.window_s() as f64
    }

    fn is_empty(&self, rule: &Rule) -> bool {
        self.figures.is_empty(rule)
    }

    fn watched_s(&self, _: &Rule) -> f64 {
        self.uptime_s
    }
}

fn standing() -> AlertSettings {
    AlertSettings { rules: Thresholds::default().rules(), channels: vec![Channel::log()], ..AlertSettings::default() }
}

fn machine(settings: &AlertSettings) -> Machine {
    Machine::new(settings, Arc::default())
}

/// Judges each second of a range; what changed, with its second.
fn live(machine: &mut Machine, seconds: std::ops::Range<u64>, state: impl Fn(u64) -> State) -> Vec<(u64, Change)> {
    let judge = |second| {
        let view = StateView::new(machine, state(second));
        machine.judge(at(second), &view).into_iter().map(move |change| (second, change))
    };
    seconds.flat_map(judge).collect()
}

/// State by state, with seconds.
fn states(changes: &[(u64, Change)]) -> Vec<(u64, &str, AlertState)> {
    changes.iter().map(|(second, change)| (*second, &*change.alert.rule, change.alert.state)).collect()
}

fn told(changes: &[(u64, Change)]) -> usize {
    changes.iter().map(|(_, change)| change.tell.len()).sum()
}
