use std::future::pending;

use super::*;
use crate::aggregate::{Aggregate, AggregateOptions};
use crate::app::hub::{Batch, Consumer, Hub, HubPulse, RequestCount};
use crate::record::{Gauges, Record, RecordBatch};
use crate::series::{SeriesDelta, SeriesFeed};
use stage_watch::{ThreadMode, ThreadState};

/// All threads sleep.
struct Asleep;

impl StageThreads for Asleep {
    fn state(&mut self, _: i32) -> Option<ThreadState> {
        Some(self.runtime())
    }
    fn runtime(&mut self) -> ThreadState {
        ThreadState { mode: ThreadMode::Sleeps, cpu_ms: 0 }
    }
}

fn quiet() -> RingFigures {
    RingFigures::default()
}

/// Orders of so many rounds, with their numbers, where there are any.
fn orders(rounds: &mut Rounds, stages: &Heartbeats, count: u32, phase: u8) -> Vec<(u32, Order)> {
    let orders = (1..=count).map(|round| (round, rounds.next(&stages.all(), &mut Asleep, quiet, || phase).order));
    orders.filter(|(_, order)| *order != Order::GoOn).collect()
}

#[test]
fn a_dead_stage_is_told_then_the_run_ends_then_the_process() {
    let stages = Heartbeats::default();
    let heartbeat = stages.add("hub", Patience::STEADY);
    let run = heartbeat.run_as_task();
    let mut rounds = Rounds::default();
    assert_eq!(orders(&mut rounds, &stages, 1, RUNNING), []);
    drop(run);
    let why = "hub ended by itself".to_owned();
    let want = [(1, Order::Tell(why.clone())), (5, Order::End(why.clone()))];
    assert_eq!(orders(&mut rounds, &stages, 12, RUNNING), want);
    let exit = orders(&mut rounds, &stages, 1, RUNNING);
    assert_eq!(exit, [(1, Order::Exit(format!("{why}, and the run did not end")))], "within four seconds of the death");
}

#[test]
fn an_end_has_a_deadline_and_names_who_did_not_end() {
    for (phase, late) in [(ENDING_HURRIED, LATE_HURRIED), (ENDING, LATE)] {
        let stages = Heartbeats::default();
        let (store, hub) = (stages.add("store", Patience::OUTSIDE), stages.add("hub", Patience::STEADY));
        let (_store, hub) = (store.run_as_task(), hub.run_as_task());
        let mut rounds = Rounds::default();
        assert_eq!(orders(&mut rounds, &stages, 3, RUNNING), []);
        drop(hub);
        let told = orders(&mut rounds, &stages, late + LAST, phase);
        let exit = Order::Exit("these parts did not end in time: store".into());
        assert_eq!(told, [(late, Order::Late), (late + LAST, exit)], "a stage that ended at the end is no failure");
        assert_eq!(orders(&mut rounds, &stages, 1, ENDED), [(1, Order::Leave)]);
    }
}

#[test]
fn what_is_degraded_is_logged_once_and_again_when_it_is_over() {
    let stages = Heartbeats::default();
    let store = stages.add("store", Patience::OUTSIDE);
    let _run = store.run_as_task();
    let mut rounds = Rounds::default();
    let mut logged = Vec::new();
    for round in 1..30 {
        if round == 20 {
            store.beat();
        }
        let step = rounds.next(&stages.all(), &mut Asleep, quiet, || RUNNING);
        assert_eq!(step.degraded.len(), usize::from((8..20).contains(&round) || round >= 28), "round {round}");
        logged.extend(step.log.into_iter().map(|line| (round, line)));
    }
    assert_eq!(logged[0], (8, "A part of perfmon does not work as it should: store: shows no sign of life for 2.0 s.".into()));
    assert_eq!(logged[1], (20, "store works again.".into()));
}

#[test]
fn a_ring_that_loses_is_degraded_and_no_failure() {
    let mut rounds = Rounds::default();
    let lost = std::cell::Cell::new(0);
    let ring = || {
        lost.set(lost.get() + 1_000);
        RingFigures { seen: lost.get(), lost: lost.get() }
    };
    let steps: Vec<RoundStep> = (0..8).map(|_| rounds.next(&[], &mut Asleep, ring, || RUNNING)).collect();
    assert_eq!((steps[3].degraded.len(), steps[4].degraded[0].part), (0, "ring"));
    assert!(steps.iter().all(|step| step.order == Order::GoOn));
}

/// A consumer that fails as told.
struct Failing(bool);

impl Consumer for Failing {
    fn take(&mut self, _: &RecordBatch) {}
    fn series(&mut self, _: &Arc<SeriesDelta>) {
        assert!(!self.0, "a consumer panics");
        loop {
            std::thread::park();
        }
    }
}

/// Runs the supervisor over a real hub, on a runtime of its own, until `holds`.
fn hub_with(consumer: Failing, holds: impl Fn(&Supervisor) -> bool) -> Supervisor {
    let stages = Heartbeats::default();
    let supervisor = Supervisor::new(&stages);
    let (batches, to_hub) = tokio::sync::mpsc::channel(8);
    let hub = Hub {
        batches: to_hub,
        snapshots: watch::Sender::default(),
        consumers: vec![Box::new(consumer)],
        spare: Arc::default(),
        counters: Arc::default(),
        budget: Arc::default(),
        requests: RequestCount::default(),
        feed: SeriesFeed::default(),
        custom: tokio::sync::watch::channel(crate::record::custom::CustomMetrics::default()).1,
        pulse: HubPulse::new(&stages),
        check: SupervisorCheck::new(supervisor.clone()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.spawn(hub.run(Aggregate::new(AggregateOptions::default())));
    supervisor.start(quiet).unwrap();
    batches.try_send(Batch { records: Vec::<Record>::new(), gauges: Some(Gauges::default()), seats: None }).unwrap();
    let until = std::iter::repeat_with(|| std::thread::sleep(Duration::from_millis(10)));
    assert!(until.take(3_000).any(|()| holds(&supervisor)), "{:?}", supervisor.stages());
    supervisor.ended();
    runtime.shutdown_background();
    supervisor
}

#[test]
fn a_hub_that_panics_ends_the_run() {
    let is_known = |supervisor: &Supervisor| supervisor.0.failed.borrow().is_some();
    let supervisor = hub_with(Failing(true), is_known);
    assert!(supervisor.0.failed.borrow().as_deref().is_some_and(|why| why.contains("hub panicked")));
}

#[test]
fn a_hub_that_hangs_is_degraded() {
    let is_stalled = |supervisor: &Supervisor| supervisor.degraded().iter().any(|one| one.part == "hub");
    let supervisor = hub_with(Failing(false), is_stalled);
    let hub = supervisor.stages().into_iter().find(|stage| stage.name == "hub").unwrap();
    assert!(hub.state == "stalled" && hub.idle_ms >= 2_000, "{hub:?}");
}

#[tokio::test]
async fn without_a_failure_the_run_goes_on() {
    let supervisor = Supervisor::new(&Heartbeats::default());
    let failed = tokio::select! {
        _ = supervisor.failed() => true,
        () = tokio::task::yield_now() => false,
        () = pending() => true,
    };
    assert!(!failed);
}
