//! The supervisor thread. In: heartbeats of all stages, what their threads do, losses of the ring. Out: which parts are degraded, for
//! `/readyz`, health, a finding and an alert; the end of a run in which a stage is dead or hangs; and the deadline of every end, with the names
//! of those that did not end. The hub looks at the supervisor in turn ([`SupervisorCheck`]).
mod ring_share;
mod stage_watch;
mod thread_state;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::watch;

use crate::heartbeat::{BEAT, Heartbeat, Heartbeats, Patience, StageLife};
use crate::http::StageStatus;
use crate::record::{Degradation, DegradedNow};

pub use ring_share::RingFigures;
use ring_share::RingShare;
use stage_watch::{StageThreads, StageWatch};
use thread_state::KernelThreads;

use super::{EXIT_FAILED, complain, ending};

/// What threads of the async runtime are called.
pub const RUNTIME_THREAD: &str = "async runtime";
/// A round of the supervisor.
const ROUND: Duration = Duration::from_millis(250);
const ROUND_MS: u32 = 250;
/// Rounds between a death and the ordered end: `/readyz` and the alert tell of it meanwhile.
const LINGER: u32 = 4;
/// Rounds from a death on, after which the process ends in whatever state it is.
const FORCED: u32 = 12;
/// Rounds between two looks at the ring.
const RING_ROUNDS: u32 = 4;
/// A hurried end is late after these rounds, any other after the next number.
const LATE_HURRIED: u32 = 8;
const LATE: u32 = 40;
/// Rounds that a late end has left.
const LAST: u32 = 12;
/// Time for last words, which may find the log blocked.
const LAST_WORDS: Duration = Duration::from_millis(300);

const RUNNING: u8 = 0;
const ENDING: u8 = 1;
const ENDING_HURRIED: u8 = 2;
const ENDED: u8 = 3;

/// What the supervisor tells; clones are the same.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<SupervisorShared>);

#[derive(Debug)]
struct SupervisorShared {
    heartbeats: Heartbeats,
    /// Its own, which the hub looks at.
    own: Heartbeat,
    /// The hub found the supervisor stalled.
    is_stalled: AtomicBool,
    /// `RUNNING` …
    phase: AtomicU8,
    degraded: Mutex<Arc<[Degradation]>>,
    stages: Mutex<Vec<StageStatus>>,
    failed: watch::Sender<Option<String>>,
}

impl Supervisor {
    /// Not started yet.
    pub fn new(heartbeats: &Heartbeats) -> Self {
        // Not in the list: it does not judge itself.
        let own = Heartbeats::default().add("supervisor", Patience::STEADY);
        Self(Arc::new(SupervisorShared {
            heartbeats: heartbeats.clone(),
            own,
            is_stalled: AtomicBool::new(false),
            phase: AtomicU8::new(RUNNING),
            degraded: Mutex::new(Arc::from([])),
            stages: Mutex::default(),
            failed: watch::Sender::new(None),
        }))
    }

    /// Starts the thread.
    pub fn start(&self, ring: impl Fn() -> RingFigures + Send + 'static) -> io::Result<()> {
        let supervisor = self.clone();
        Builder::new().name("supervisor".into()).spawn(move || supervisor.run(ring)).map(drop)
    }

    /// What does not work as it should.
    pub fn degraded(&self) -> Arc<[Degradation]> {
        let known = self.0.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.0.is_stalled.load(Ordering::Relaxed) {
            return known;
        }
        let own = Degradation { part: "supervisor", reason: "shows no sign of life".into() };
        known.iter().cloned().chain([own]).collect()
    }

    /// The same, for other stages.
    pub fn degraded_now(&self) -> DegradedNow {
        let supervisor = self.clone();
        Arc::new(move || supervisor.degraded())
    }

    /// Every stage as it was seen last.
    pub fn stages(&self) -> Vec<StageStatus> {
        self.0.stages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns why the run cannot go on.
    pub async fn failed(&self) -> String {
        let mut failed = self.0.failed.subscribe();
        if let Ok(reason) = failed.wait_for(Option::is_some).await
            && let Some(reason) = reason.clone()
        {
            return reason;
        }
        std::future::pending().await
    }

    /// The stages are about to be ended: from now on there is a deadline.
    pub fn ends(&self, is_hurried: bool) {
        self.0.phase.store(if is_hurried { ENDING_HURRIED } else { ENDING }, Ordering::SeqCst);
    }

    /// All stages have ended.
    pub fn ended(&self) {
        self.0.phase.store(ENDED, Ordering::SeqCst);
    }

    fn run(&self, ring: impl Fn() -> RingFigures) {
        let _run = self.0.own.run_here();
        let (mut rounds, mut threads) = (Rounds::default(), KernelThreads::default());
        loop {
            std::thread::sleep(ROUND);
            self.0.own.beat();
            let heartbeats = self.0.heartbeats.all();
            let runtime = heartbeats.iter().filter(|one| one.name() == RUNTIME_THREAD).filter_map(Heartbeat::thread);
            threads.begin(runtime.collect());
            let step = rounds.next(&heartbeats, &mut threads, &ring, || self.0.phase.load(Ordering::SeqCst));
            *self.0.stages.lock().unwrap_or_else(PoisonError::into_inner) = rounds.statuses();
            *self.0.degraded.lock().unwrap_or_else(PoisonError::into_inner) = step.degraded.into();
            for line in step.log {
                tracing::warn!("{line}");
            }
            match step.order {
                Order::GoOn => {}
                Order::Tell(why) => tracing::error!("perfmon cannot go on: {why}."),
                Order::End(why) => drop(self.0.failed.send_replace(Some(why))),
                Order::Late => ending::threads().iter().for_each(|thread| tracing::warn!("perfmon takes long to end; {thread}.")),
                Order::Exit(why) => last_words(why),
                Order::Leave => return,
            }
        }
    }
}

/// What follows from a round.
#[derive(Debug)]
struct RoundStep {
    degraded: Vec<Degradation>,
    log: Vec<String>,
    order: Order,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    GoOn,
    /// A stage died or hangs.
    Tell(String),
    /// The run ends in order.
    End(String),
    /// An end takes long.
    Late,
    /// The process ends at once.
    Exit(String),
    /// There is nothing left to do.
    Leave,
}

/// The supervisor's rounds so far. Pure: threads and losses are arguments.
#[derive(Debug, Default)]
struct Rounds {
    watches: Vec<StageWatch>,
    ring: RingShare,
    ring_reason: Option<String>,
    count: u32,
    /// Why perfmon cannot go on, and rounds since.
    failed: Option<(String, u32)>,
    /// Rounds since the end began.
    ending: u32,
    /// What was logged last.
    told: Vec<&'static str>,
}

impl Rounds {
    fn next(
        &mut self,
        heartbeats: &[Heartbeat],
        threads: &mut impl StageThreads,
        ring: impl Fn() -> RingFigures,
        phase: impl Fn() -> u8,
    ) -> RoundStep {
        self.follow(heartbeats);
        let mut degraded = Vec::new();
        let mut fatal = Vec::new();
        for watch in &mut self.watches {
            let (verdict, part) = (watch.look(ROUND_MS, threads), watch.heartbeat().name());
            if let Some(reason) = verdict.words() {
                if verdict.is_fatal() {
                    fatal.push(format!("{part} {reason}"));
                }
                degraded.push(Degradation { part, reason });
            }
        }
        // Read after the stages: one that ended because the end began is no failure.
        let phase = phase();
        if phase != RUNNING {
            return self.end(phase);
        }
        if self.count.is_multiple_of(RING_ROUNDS) {
            self.ring_reason = self.ring.add(ring());
        }
        self.count = self.count.wrapping_add(1);
        degraded.extend(self.ring_reason.clone().map(|reason| Degradation { part: "ring", reason }));
        let log = self.changes(&degraded);
        RoundStep { degraded, log, order: self.fail(fatal) }
    }

    /// Takes up stages that are new and forgets those that left.
    fn follow(&mut self, heartbeats: &[Heartbeat]) {
        self.watches.retain(|watch| heartbeats.iter().any(|one| one.is(watch.heartbeat())));
        for heartbeat in heartbeats {
            if !self.watches.iter().any(|watch| watch.heartbeat().is(heartbeat)) {
                self.watches.push(StageWatch::new(heartbeat.clone()));
            }
        }
    }

    /// A stage is dead or hangs: first it is told, then the run ends, then the process.
    fn fail(&mut self, fatal: Vec<String>) -> Order {
        match &mut self.failed {
            None if fatal.is_empty() => Order::GoOn,
            None => {
                let why = fatal.join(", ");
                self.failed = Some((why.clone(), 0));
                Order::Tell(why)
            }
            Some((why, rounds)) => {
                *rounds += 1;
                match *rounds {
                    LINGER => Order::End(why.clone()),
                    FORCED.. => Order::Exit(format!("{why}, and the run did not end")),
                    _ => Order::GoOn,
                }
            }
        }
    }

    fn end(&mut self, phase: u8) -> RoundStep {
        self.ending += 1;
        let late = if phase == ENDING_HURRIED { LATE_HURRIED } else { LATE };
        // Counted on from the death of a stage, if there was one.
        let since_death = self.failed.as_mut().map_or(0, |(_, rounds)| {
            *rounds += 1;
            *rounds
        });
        let order = match self.ending {
            _ if phase == ENDED => Order::Leave,
            _ if since_death >= FORCED => Order::Exit(self.unfinished()),
            rounds if rounds == late => Order::Late,
            rounds if rounds >= late + LAST => Order::Exit(self.unfinished()),
            _ => Order::GoOn,
        };
        RoundStep { degraded: Vec::new(), log: Vec::new(), order }
    }

    /// Who did not end.
    fn unfinished(&self) -> String {
        let running = self.watches.iter().map(StageWatch::heartbeat);
        let running = running.filter(|one| one.life() == StageLife::Runs && one.name() != RUNTIME_THREAD).map(Heartbeat::name);
        let names: Vec<&str> = running.collect();
        let failed = self.failed.iter().map(|(why, _)| format!("{why}; ")).collect::<String>();
        format!(
            "{failed}these parts did not end in time: {}",
            if names.is_empty() { "none of its stages".into() } else { names.join(", ") }
        )
    }

    /// What is new or over since the last round, to be logged.
    fn changes(&mut self, degraded: &[Degradation]) -> Vec<String> {
        let now: Vec<&'static str> = degraded.iter().map(|one| one.part).collect();
        let new = degraded.iter().filter(|one| !self.told.contains(&one.part));
        let new = new.map(Degradation::message);
        let over = self.told.iter().filter(|part| !now.contains(part)).map(|part| format!("{part} works again."));
        let log = new.chain(over).collect();
        self.told = now;
        log
    }

    fn statuses(&self) -> Vec<StageStatus> {
        let stages = self.watches.iter().filter(|watch| watch.heartbeat().name() != RUNTIME_THREAD);
        let status = |watch: &StageWatch| StageStatus {
            name: watch.heartbeat().name(),
            state: match watch.heartbeat().life() {
                StageLife::Waits => "starting",
                StageLife::Runs if watch.idle_ms() >= watch.heartbeat().patience().stalled_ms => "stalled",
                StageLife::Runs => "running",
                StageLife::Ended => "ended",
                StageLife::Panicked => "panicked",
            },
            idle_ms: watch.idle_ms(),
        };
        stages.map(status).collect()
    }
}

/// Looks at the supervisor, from the hub: who judges others may hang as well.
#[derive(Debug)]
pub struct SupervisorCheck {
    supervisor: Supervisor,
    watch: StageWatch,
}

impl SupervisorCheck {
    /// Of this supervisor.
    pub fn new(supervisor: Supervisor) -> Self {
        let watch = StageWatch::new(supervisor.0.own.clone());
        Self { supervisor, watch }
    }

    /// What the supervisor finds degraded.
    pub fn degraded(&self) -> Arc<[Degradation]> {
        self.supervisor.degraded()
    }

    /// To be called every [`BEAT`].
    pub fn look(&mut self) {
        let verdict = self.watch.look(BEAT.as_millis() as u32, &mut KernelThreads::default());
        let is_ending = self.supervisor.0.phase.load(Ordering::SeqCst) != RUNNING;
        self.supervisor.0.is_stalled.store(verdict.words().is_some() && !is_ending, Ordering::Relaxed);
        if verdict.is_fatal() && !is_ending {
            last_words(format!("supervisor {}", verdict.words().unwrap_or_default()));
        }
    }
}

/// Ends the process. Its log may be blocked by whatever hangs, so it is not waited for long.
fn last_words(why: String) {
    let speaking = Builder::new().name("last-words".into()).spawn(move || {
        if std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            ratatui::restore();
        }
        complain(&format!("perfmon: {why}\n"));
        ending::threads().iter().for_each(|thread| complain(&format!("perfmon: {thread}\n")));
    });
    let rounds = (0..LAST_WORDS.as_millis() / 10).take_while(|_| speaking.as_ref().is_ok_and(|speaker| !speaker.is_finished()));
    rounds.for_each(|_| std::thread::sleep(Duration::from_millis(10)));
    std::process::exit(EXIT_FAILED.into());
}

/// Panics are logged with the thread's name; which stage it was is told by its heartbeat.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (thread, message) = (thread.name().unwrap_or("unnamed"), panic.payload_as_str().unwrap_or("no message"));
        let place = panic.location().map(ToString::to_string);
        tracing::error!(thread, place, message, "A thread of perfmon panicked; please report this.");
    }));
}

#[cfg(test)]
mod tests;
