//! Rules over made-up hours: each scenario is traffic and a host second by second, the rules that watch it, and which of them have to page,
//! how often. When they have to is computed from the raw values, apart from the windows under test. To add one: a line in `scenarios`.
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use super::*;
use crate::record::metric::RecordKind;
use crate::store::tests::{DAY, system};

/// A page comes this much after the raw values allow it, at most.
const LATE_S: u64 = 30;
/// Share of scenarios that have to go right.
const GOAL: f64 = 0.97;

/// Requests of one second that are alike.
#[derive(Clone, Copy)]
struct AlikeRequests {
    ms: f64,
    failed: bool,
    count: u64,
}

/// One second.
#[derive(Clone, Default)]
struct Second {
    requests: Vec<AlikeRequests>,
    cpu: f64,
    memory: f64,
    disk: f64,
    cost: f64,
}

type World = Box<dyn Fn(u64) -> Second>;

struct Scenario {
    name: String,
    rules: Vec<Rule>,
    /// Seconds between two looks.
    every: u64,
    length: u64,
    world: World,
    restart: Option<u64>,
    /// Rules that page, each as often as it stands here.
    pages: Vec<&'static str>,
}

fn ok(ms: f64, count: u64) -> AlikeRequests {
    AlikeRequests { ms, failed: false, count }
}

fn failed(count: u64) -> AlikeRequests {
    AlikeRequests { ms: 20.0, failed: true, count }
}

/// A number that looks like chance and is the same in each run.
fn chance(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((x ^ (x >> 27)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The raw values of a window, for the moment at which a page is due.
#[derive(Default)]
struct Raw(VecDeque<(u64, Second)>);

impl Raw {
    fn push(&mut self, second: u64, state: Second, length: u64) {
        self.0.push_back((second, state));
        while self.0.front().is_some_and(|(first, _)| first + length <= second) {
            self.0.pop_front();
        }
    }

    /// `None`: too few, or of no metric of this table.
    fn value(&self, rule: &Rule) -> Option<f64> {
        let newest = &self.0.back()?.1;
        let all = || self.0.iter().flat_map(|(_, second)| &second.requests);
        let count: u64 = all().map(|alike| alike.count).sum();
        match &*rule.metric.name() {
            "system.cpu_usage" => Some(newest.cpu / 100.0),
            "system.memory_usage" => Some(newest.memory / 100.0),
            "system.disk_usage" => Some(newest.disk / 100.0),
            "llm.cost_usd.sum" => Some(self.0.iter().map(|(_, second)| second.cost).sum()),
            "request.count" => Some(count as f64),
            _ if count < rule.min_samples.max(1) => None,
            "request.error_rate" => Some(all().filter(|alike| alike.failed).map(|alike| alike.count).sum::<u64>() as f64 / count as f64),
            "request.response_time_ms.p95" => {
                let mut sorted: Vec<_> = all().collect();
                sorted.sort_by(|a, b| a.ms.total_cmp(&b.ms));
                let mut left = (count as f64 * 0.95).ceil() as u64;
                let at = sorted.iter().find(|alike| {
                    left = left.saturating_sub(alike.count);
                    left == 0
                });
                at.map(|alike| alike.ms)
            }
            _ => None,
        }
    }
}

/// What a scenario gave.
#[derive(Default)]
struct Outcome {
    pages: Vec<(u64, String)>,
    /// For each rule with a plain limit: when its page was due first.
    due: Vec<(String, u64)>,
}

thread_local! {
    /// What alike requests count, by microseconds, failure and number: most seconds are alike.
    static KNOWN: RefCell<HashMap<(u64, bool, u64), Vec<SeriesCell>>> = RefCell::default();
}

fn requests_of(alike: AlikeRequests) -> Vec<SeriesCell> {
    let us = (alike.ms * 1_000.0) as u64;
    let made = || series_of(&[(request(DAY + 100_000, "shop", "/", us, if alike.failed { 500 } else { 200 }), alike.count)]);
    KNOWN.with_borrow_mut(|known| known.entry((us, alike.failed, alike.count)).or_insert_with(made).clone())
}

fn cells_of(second: u64, state: &Second) -> Vec<SeriesCell> {
    let mut records = Vec::new();
    let mut cells: Vec<SeriesCell> = state.requests.iter().filter(|alike| alike.count > 0).flat_map(|alike| requests_of(*alike)).collect();
    if state.cost > 0.0 {
        records.push((call(DAY, Side::Client, state.cost), 1));
    }
    let Record::System(mut sample) = system(DAY, state.cpu) else { unreachable!() };
    sample.memory_percent = state.memory;
    sample.disks = vec![Disk {
        mount: "/".into(),
        used_percent: state.disk,
        free_bytes: 1,
        read_bytes: None,
        write_bytes: None,
        busy_percent: None,
        full_in_s: None,
    }];
    records.push((Record::System(sample), 1));
    let start_s = (DAY + second) / 10 * 10;
    cells.extend(series_of(&records));
    cells.into_iter().map(|cell| SeriesCell { start_s, ..cell }).collect()
}

fn run(scenario: &Scenario) -> Outcome {
    let settings = AlertSettings { rules: scenario.rules.clone(), channels: vec![Channel::log()], ..AlertSettings::default() };
    let at = |second: u64| WallTime((DAY + second) * SECOND);
    let (mut machine, mut figures, mut outcome) = (machine(&settings), RuleFigures::default(), Outcome::default());
    figures.keep(&settings.rules, at(0));
    let mut raw: Vec<(Raw, Option<u64>)> = settings.rules.iter().map(|_| Default::default()).collect();
    let mut stored = Vec::new();
    let mut told: Vec<SeriesCell> = Vec::new();
    for second in (0..scenario.length).step_by(scenario.every as usize) {
        let state = (scenario.world)(second);
        if scenario.restart == Some(second) {
            machine = super::machine(&settings);
            machine.restore(std::mem::take(&mut stored));
            figures = RuleFigures::default();
            figures.keep(&settings.rules, at(second));
            figures.begin_with(RecordKind::Request, DAY, &told);
        }
        let cells = cells_of(second, &state);
        if scenario.restart.is_some_and(|restart| second < restart) {
            told.extend(cells.iter().cloned());
        }
        figures.add(&SeriesDelta { until: at(second + scenario.every), cells, records: 0 });
        for change in machine.judge(at(second + scenario.every), &figures) {
            stored.push(change.alert.clone());
            if change.alert.state == AlertState::Firing && !change.tell.is_empty() {
                outcome.pages.push((second + scenario.every, change.alert.rule.to_string()));
            }
        }
        for (rule, (raw, bad_since)) in settings.rules.iter().zip(&mut raw) {
            // The raw values are only looked at until a page is due.
            let is_done = outcome.due.iter().any(|(name, _)| **name == *rule.name);
            if is_done || !scenario.pages.contains(&&*rule.name) {
                continue;
            }
            raw.push(second, state.clone(), rule.window_s());
            let bad = matches!(rule.condition, Condition::Above(_)) && rule.forecast.is_none();
            match raw.value(rule).filter(|value| bad && rule.condition.holds(*value)) {
                Some(_) => {
                    let since = *bad_since.get_or_insert(second + scenario.every);
                    let is_due = second + scenario.every >= since + rule.hold.as_secs();
                    if is_due {
                        outcome.due.push((rule.name.to_string(), since + rule.hold.as_secs()));
                    }
                }
                None => *bad_since = None,
            }
        }
    }
    outcome
}

/// Why a scenario went wrong.
fn fault(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    let mut wanted: Vec<&str> = scenario.pages.clone();
    let mut got: Vec<&str> = outcome.pages.iter().map(|(_, rule)| &**rule).collect();
    wanted.sort_unstable();
    got.sort_unstable();
    if wanted != got {
        return Some(format!("{}: pages {:?}, wanted {wanted:?}", scenario.name, outcome.pages));
    }
    for (rule, due) in outcome.due.iter().filter(|(rule, _)| wanted.contains(&&**rule)) {
        let first = outcome.pages.iter().find(|(_, paged)| paged == rule).map(|(second, _)| *second)?;
        if first > due + LATE_S.max(scenario.every) {
            return Some(format!("{}: {rule} pages at {first}, due at {due}", scenario.name));
        }
    }
    None
}

const CALM_SECOND: fn() -> Second = || Second { requests: vec![ok(50.0, 10)], cpu: 20.0, memory: 40.0, disk: 50.0, cost: 0.0 };

fn standing_rules() -> Vec<Rule> {
    Thresholds::default().rules()
}

fn own(name: &'static str, metric: &str, condition: Condition) -> Rule {
    let metric = AlertMetric::named(metric).unwrap();
    let template = standing_rules().remove(0);
    let min_samples = if condition == Condition::Absent { 0 } else { metric.min_samples() };
    Rule { name: name.into(), metric, condition, window: metric.default_window(), min_samples, ..template }
}

fn scenario(name: String, world: impl Fn(u64) -> Second + 'static, pages: Vec<&'static str>) -> Scenario {
    Scenario { name, rules: standing_rules(), every: 1, length: 1_200, world: Box::new(world), restart: None, pages }
}

fn within(second: u64, from: u64, length: u64) -> bool {
    (from..from + length).contains(&second)
}

/// Steps of host figures, by level and length.
fn host_steps(all: &mut Vec<Scenario>) {
    for (rule, limit) in [("cpu_usage", 80.0), ("memory_usage", 85.0), ("disk_usage", 90.0)] {
        for (level, length) in [
            (limit - 20.0, 600),
            (limit - 1.0, 600),
            (limit - 0.1, 900),
            (limit + 0.1, 900),
            (limit + 3.0, 200),
            (limit, 600),
            (limit + 0.5, 600),
            (99.5, 600),
            (99.5, 300),
            (99.5, 120),
            (99.5, 60),
            (99.5, 8),
            (99.5, 3),
        ] {
            let bad = level > limit && length > 50;
            let world = move |second| {
                let value = if within(second, 300, length) { level } else { 30.0 };
                let mut state = CALM_SECOND();
                match rule {
                    "cpu_usage" => state.cpu = value,
                    "memory_usage" => state.memory = value,
                    _ => state.disk = value,
                }
                state
            };
            all.push(scenario(format!("{rule} at {level} for {length} s"), world, if bad { vec![rule] } else { vec![] }));
        }
        for period in [4, 10, 30] {
            let world = move |second: u64| {
                let value = if (second / period).is_multiple_of(2) { limit + 5.0 } else { limit - 5.0 };
                let mut state = CALM_SECOND();
                match rule {
                    "cpu_usage" => state.cpu = value,
                    "memory_usage" => state.memory = value,
                    _ => state.disk = value,
                }
                state
            };
            // Swings of half a minute are bad for longer than a rule waits; it pages once, and not with each swing.
            all.push(scenario(format!("{rule} swings every {period} s"), world, if period == 30 { vec![rule] } else { vec![] }));
        }
    }
    for minutes in [5, 10, 20] {
        let world =
            move |second: u64| Second { memory: (40.0 + 55.0 * second as f64 / (60.0 * minutes as f64)).min(95.0), ..CALM_SECOND() };
        all.push(Scenario { length: 1_800, ..scenario(format!("memory ramps for {minutes} min"), world, vec!["memory_usage"]) });
    }
    for seed in 0..8 {
        let world = move |second: u64| Second { cpu: 60.0 + 30.0 * (chance(seed * 10_000 + second) - 0.5), ..CALM_SECOND() };
        all.push(scenario(format!("busy and noisy CPU {seed}"), world, vec![]));
    }
}

/// Slow answers, by share and length.
fn latency_steps(all: &mut Vec<Scenario>) {
    for ms in [100.0, 500.0, 900.0, 990.0, 1_020.0, 1_500.0, 3_000.0, 20_000.0] {
        for rate in [1, 10, 200] {
            let world =
                move |second| Second { requests: vec![ok(if within(second, 300, 500) { ms } else { 50.0 }, rate)], ..CALM_SECOND() };
            let pages = if ms > 1_000.0 { vec!["response_time_p95"] } else { vec![] };
            all.push(scenario(format!("all take {ms} ms at {rate}/s"), world, pages));
        }
    }
    for share in [1, 2, 3, 4, 8, 12, 20, 30] {
        let world = move |second| {
            let slow = if within(second, 300, 700) { share } else { 0 };
            Second { requests: vec![ok(50.0, 100 - slow), ok(4_000.0, slow)], ..CALM_SECOND() }
        };
        all.push(scenario(format!("{share} % take 4 s"), world, if share > 5 { vec!["response_time_p95"] } else { vec![] }));
    }
    for every in [10, 30, 60, 300] {
        let world = move |second: u64| {
            let slow = u64::from(second.is_multiple_of(every));
            Second { requests: vec![ok(50.0, 10), ok(60_000.0, slow)], ..CALM_SECOND() }
        };
        all.push(scenario(format!("one very slow request every {every} s"), world, vec![]));
    }
    for seed in 0..6 {
        let world = move |second: u64| {
            let requests = (0..10).map(|n| ok(20.0 + 900.0 * chance(seed * 100_000 + second * 10 + n).powi(3), 1)).collect();
            Second { requests, ..CALM_SECOND() }
        };
        all.push(scenario(format!("a long tail below the limit {seed}"), world, vec![]));
    }
}

/// Failed requests, by share, and too few of them.
fn errors(all: &mut Vec<Scenario>) {
    for (permille, bad) in [(0, false), (5, false), (30, false), (45, false), (60, true), (80, true), (200, true), (1_000, true)] {
        for rate in [10, 100] {
            let world = move |second| {
                let share = if within(second, 200, 900) { permille } else { 0 };
                let bad = (second + 1) * rate * share / 1_000 - second * rate * share / 1_000;
                Second { requests: vec![ok(50.0, rate - bad), failed(bad)], ..CALM_SECOND() }
            };
            let pages = if bad { vec!["error_rate_5min"] } else { vec![] };
            all.push(scenario(format!("{permille} in 1,000 fail at {rate}/s"), world, pages));
        }
    }
    for (count, bad) in [(1, false), (5, false), (9, false), (12, true), (30, true)] {
        let world = move |second: u64| {
            let here = second >= 600 && second < 600 + count * 5 && second.is_multiple_of(5);
            Second { requests: vec![failed(u64::from(here))], ..CALM_SECOND() }
        };
        let pages = if bad { vec!["error_rate_5min"] } else { vec![] };
        all.push(scenario(format!("{count} requests, all of them fail"), world, pages));
    }
    for seconds in [1, 5, 10] {
        let world = move |second| {
            let bad = within(second, 400, seconds);
            Second { requests: vec![ok(50.0, if bad { 0 } else { 10 }), failed(if bad { 10 } else { 0 })], ..CALM_SECOND() }
        };
        all.push(scenario(format!("all fail for {seconds} s"), world, vec![]));
    }
    for (fail, calm) in [(30, 30), (60, 60), (120, 120)] {
        let world = move |second: u64| {
            let bad = second > 300 && second % (fail + calm) < fail;
            Second { requests: vec![ok(50.0, if bad { 0 } else { 10 }), failed(if bad { 10 } else { 0 })], ..CALM_SECOND() }
        };
        all.push(scenario(format!("fails {fail} s, works {calm} s"), world, vec!["error_rate_5min"]));
    }
    for seed in 0..8 {
        let world = move |second: u64| {
            let bad = (0..20).filter(|n| chance(seed * 1_000_000 + second * 20 + n) < 0.03).count() as u64;
            Second { requests: vec![ok(50.0, 20 - bad), failed(bad)], ..CALM_SECOND() }
        };
        all.push(scenario(format!("steady 3 % errors {seed}"), world, vec![]));
    }
    for gap in [700, 1_500] {
        let world = move |second: u64| {
            let bad = within(second, 200, 100) || within(second, 300 + gap, 100);
            Second { requests: vec![ok(50.0, if bad { 0 } else { 10 }), failed(if bad { 10 } else { 0 })], ..CALM_SECOND() }
        };
        let name = format!("two outages {gap} s apart");
        all.push(Scenario { length: 3_000, ..scenario(name, world, vec!["error_rate_5min"; 2]) });
    }
}

/// A restart in the middle of whatever happens tells nothing twice and forgets nothing.
fn restarts(all: &mut Vec<Scenario>) {
    for restart in [250, 320, 400, 500, 640, 700, 800] {
        let world = |second| Second { cpu: if within(second, 300, 400) { 97.0 } else { 20.0 }, ..CALM_SECOND() };
        all.push(Scenario { restart: Some(restart), ..scenario(format!("busy CPU, restart at {restart} s"), world, vec!["cpu_usage"]) });
        let world = |second| {
            let bad = within(second, 300, 400);
            Second { requests: vec![ok(50.0, if bad { 5 } else { 10 }), failed(if bad { 5 } else { 0 })], ..CALM_SECOND() }
        };
        let name = format!("failures, restart at {restart} s");
        all.push(Scenario { restart: Some(restart), ..scenario(name, world, vec!["error_rate_5min"]) });
        all.push(Scenario { restart: Some(restart), ..scenario(format!("calm, restart at {restart} s"), |_| CALM_SECOND(), vec![]) });
    }
}

/// Traffic that follows the day, with and without something unusual.
fn spikes(all: &mut Vec<Scenario>) {
    let day = 86_400.0;
    let wave = move |second: u64| 1.0 + 0.8 * (second as f64 / day * std::f64::consts::TAU).sin();
    let rule = || vec![own("spike", "request.per_minute", Condition::Spike(3.0))];
    for seed in 0..8 {
        let world = move |second: u64| {
            let count = (100.0 * wave(second) * (0.8 + 0.4 * chance(seed * 7 + second))) as u64;
            Second { requests: vec![ok(50.0, count.max(1))], ..CALM_SECOND() }
        };
        let long = Scenario { rules: rule(), every: 60, length: 3 * 86_400, ..scenario(format!("a daily cycle {seed}"), world, vec![]) };
        all.push(long);
    }
    for (seed, factor) in [(0, 5.0), (1, 8.0), (2, 20.0), (3, 5.0)] {
        let world = move |second: u64| {
            let more = if within(second, 220_000 + seed * 4_000, 1_200) { factor } else { 1.0 };
            let count = (100.0 * wave(second) * more * (0.8 + 0.4 * chance(seed * 7 + second))) as u64;
            Second { requests: vec![ok(50.0, count.max(1))], ..CALM_SECOND() }
        };
        let name = format!("{factor} times the traffic in a daily cycle {seed}");
        all.push(Scenario { rules: rule(), every: 60, length: 3 * 86_400, ..scenario(name, world, vec!["spike"]) });
    }
    for (factor, bad) in [(1.5, false), (2.5, false), (4.0, true), (10.0, true)] {
        let world = move |second: u64| {
            let ms = if within(second, 3_000, 600) { 100.0 * factor } else { 90.0 + 20.0 * chance(second) };
            Second { requests: vec![ok(ms, 10)], ..CALM_SECOND() }
        };
        let rules = vec![own("slower", "request.response_time_ms.p95", Condition::Spike(3.0))];
        let pages = if bad { vec!["slower"] } else { vec![] };
        all.push(Scenario { rules, every: 5, length: 4_500, ..scenario(format!("{factor} times as slow as usual"), world, pages) });
    }
}

/// Budgets, forecasts, absence.
fn budgets(all: &mut Vec<Scenario>) {
    for (permille, bad) in [(1, false), (5, false), (20, true), (100, true)] {
        let world = move |second: u64| {
            let bad = if second > 4_000 { permille } else { 0 };
            Second { requests: vec![ok(50.0, 1_000 - bad), failed(bad)], ..CALM_SECOND() }
        };
        let rule = Rule {
            window: Duration::from_secs(3_600),
            ..own("burn", "request.error_rate", Condition::Burn { rate: 14.4, objective: 0.999 })
        };
        let name = format!("{permille} in 1,000 of a budget of one");
        all.push(Scenario {
            rules: vec![rule],
            every: 10,
            length: 9_000,
            ..scenario(name, world, if bad { vec!["burn"] } else { vec![] })
        });
    }
    for (per_hour, bad) in [(0.05, false), (0.5, false), (1.0, true), (3.0, true)] {
        for noise in [0.0, 0.2] {
            let world = move |second: u64| Second {
                disk: 70.0 + per_hour * second as f64 / 3_600.0 + noise * (chance(second) - 0.5),
                ..CALM_SECOND()
            };
            let rule = Rule {
                window: Duration::from_secs(3_600),
                forecast: Some(Duration::from_secs(86_400)),
                ..own("full soon", "disk_usage", Condition::Above(0.9))
            };
            let name = format!("a disk fills {per_hour} % an hour, noise {noise}");
            let pages = if bad { vec!["full soon"] } else { vec![] };
            all.push(Scenario { rules: vec![rule], every: 30, length: 4 * 3_600, ..scenario(name, world, pages) });
        }
    }
    for (stop, bad) in [(None, false), (Some(600), true), (Some(1_150), false)] {
        let world = move |second: u64| {
            let gone = stop.is_some_and(|stop| second >= stop);
            Second { requests: if gone { vec![] } else { vec![ok(50.0, 1)] }, ..CALM_SECOND() }
        };
        let rules = vec![own("gone", "request.count", Condition::Absent)];
        all.push(Scenario { rules, ..scenario(format!("traffic stops at {stop:?}"), world, if bad { vec!["gone"] } else { vec![] }) });
    }
    for (window, limit, cost, bad) in
        [(3_600, 5.0, 0.001, false), (3_600, 5.0, 0.002, true), (86_400, 20.0, 0.000_2, false), (86_400, 20.0, 0.000_5, true)]
    {
        let rule = Rule { window: Duration::from_secs(window), ..own("budget", "llm.cost_usd.sum", Condition::Above(limit)) };
        let world = move |_| Second { cost: cost * 30.0, ..CALM_SECOND() };
        let name = format!("{cost} USD a second, {limit} may be spent in {window} s");
        all.push(Scenario {
            rules: vec![rule],
            every: 30,
            length: window.max(7_200),
            ..scenario(name, world, if bad { vec!["budget"] } else { vec![] })
        });
    }
    for (name, rate, bad) in [("few", 0, true), ("enough", 1, false)] {
        let rule = Rule { min_samples: 0, ..own("quiet", "request.count", Condition::Below(50.0)) };
        let world = move |_| Second { requests: vec![ok(20.0, rate)], ..CALM_SECOND() };
        all.push(Scenario { rules: vec![rule], ..scenario(format!("{name} requests"), world, if bad { vec!["quiet"] } else { vec![] }) });
    }
    for rate in [1, 10, 100, 1_000] {
        let world = move |second: u64| Second { requests: vec![ok(30.0 + 10.0 * chance(second), rate)], ..CALM_SECOND() };
        all.push(scenario(format!("nothing happens at {rate}/s"), world, vec![]));
    }
}

fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for add in [host_steps, latency_steps, errors, restarts, spikes, budgets] {
        add(&mut all);
    }
    all
}

#[test]
fn rules_page_when_they_have_to_and_only_then() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 200, "{}", scenarios.len());
    let faults: Vec<String> = scenarios.iter().filter_map(|scenario| fault(scenario, &run(scenario))).collect();
    let right = 1.0 - faults.len() as f64 / scenarios.len() as f64;
    println!("{} scenarios, {:.1} % right", scenarios.len(), right * 100.0);
    assert!(right >= GOAL, "{} of {} scenarios:\n{}", faults.len(), scenarios.len(), faults.join("\n"));
}
