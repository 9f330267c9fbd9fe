//! The capture thread: polls the ring, decides which new processes are watched, runs the pipeline, grants its wishes, and sends batches
//! to the hub. It never waits for anybody: when the hub is behind, a batch is dropped and counted.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perfmon_common::map::{MODE_COUNT, MODE_FULL, MODE_HEAD, MODE_OFF};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};

use crate::clock::{self, ClockOffset};
use crate::counters::Counters;
use crate::decode::{Event, State, StateChange, decode};
use crate::host::Subject;
use crate::pipeline::{Capture, Newcomer, Out, Pipeline, Wish};
use crate::probe::{Probes, TlsSight};
use crate::record::Gauges;
use crate::source::Ring;
use crate::target::{Action, Description, Executed, Processes, Selector};

use super::hub::Batch;
use super::recorder::Recorder;

/// How long the thread sleeps between two looks at the ring: many events at once cost less than each on its own.
const POLL: Duration = Duration::from_millis(5);
/// After so many events at once the ring is looked at again without sleeping.
const BUSY: usize = 8_192;
/// How often the pipeline is told the time.
const TICK_NS: u64 = 1_000_000_000;
/// How often the wall clock is compared with the boot clock.
const CLOCK_NS: u64 = 60 * 1_000_000_000;
/// A process without a TLS library is looked at again after so long at the earliest.
const TLS_AGAIN_NS: u64 = 200_000_000;
/// How often the list of processes is compared with /proc, for events that were lost.
const SWEEP_NS: u64 = 5 * 1_000_000_000;

/// What the thread works with.
pub struct Capturing {
    /// The kernel side.
    pub probes: Arc<Probes>,
    /// Its ring.
    pub ring: Ring,
    /// Which processes are watched.
    pub selector: Selector,
    /// Who they are.
    pub processes: Processes,
    /// Plaintext of TLS libraries is read.
    pub tls: bool,
    /// Bodies of model calls are read.
    pub models: bool,
    /// Where raw events are written, for `perfmon record`.
    pub recorder: Option<Recorder>,
    /// Who is watched now, for the sampler of resources and for readiness.
    pub watched: watch::Sender<Watched>,
    /// To the hub.
    pub batches: mpsc::Sender<Batch>,
    /// Losses.
    pub counters: Arc<Counters>,
    /// Set when the thread shall end.
    pub stop: Arc<AtomicBool>,
}

/// Who is watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Capture runs.
    pub begun: bool,
    /// Described processes: with `--all` those that used a socket.
    pub subjects: Vec<Subject>,
    /// Targets that nothing running matches, in words.
    pub missing: Vec<String>,
}

/// Runs until told to stop; what the ring still holds then is taken too.
pub fn run(capturing: Capturing) {
    let clock = ClockOffset::now();
    let Capturing { probes, mut ring, selector, processes, tls: reads_tls, models, recorder, watched, batches, counters, stop } = capturing;
    let pipeline = Pipeline::new(counters.clone(), clock.wall_at_boot_ns);
    let pipeline = if models { pipeline } else { pipeline.without_models() };
    let (out, times) = (Out::default(), Times::default());
    let mut worker = Worker {
        probes,
        selector,
        processes,
        recorder,
        watched,
        batches,
        counters,
        pipeline,
        out,
        times,
        reads_tls,
        tls: FxHashMap::default(),
    };
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let now_ns = clock::boot_now_ns();
        worker.keep_time(now_ns);
        let taken = ring.drain(|bytes| worker.take(bytes, now_ns));
        worker.hand_over(None);
        if stopping && taken == 0 {
            break;
        }
        if taken < BUSY {
            std::thread::sleep(POLL);
        }
    }
    worker.finish(clock::boot_now_ns());
}

struct Worker {
    probes: Arc<Probes>,
    selector: Selector,
    processes: Processes,
    recorder: Option<Recorder>,
    watched: watch::Sender<Watched>,
    batches: mpsc::Sender<Batch>,
    counters: Arc<Counters>,
    pipeline: Pipeline,
    out: Out,
    times: Times,
    /// See `Capturing::tls`.
    reads_tls: bool,
    /// Process → when its TLS library was last looked for, and what came of it.
    tls: FxHashMap<u32, (u64, Option<TlsSight>)>,
}

/// When what is done now and then was last done.
#[derive(Default)]
struct Times {
    tick_ns: u64,
    clock_ns: u64,
    sweep_ns: u64,
}

/// Whether `every_ns` have passed; then it begins anew.
fn is_due(last_ns: &mut u64, every_ns: u64, now_ns: u64) -> bool {
    let due = now_ns.saturating_sub(*last_ns) >= every_ns;
    if due {
        *last_ns = now_ns;
    }
    due
}

impl Worker {
    fn take(&mut self, bytes: &[u8], now_ns: u64) {
        let event = match decode(bytes) {
            Ok(event) => event,
            Err(error) => {
                self.counters.events_undecodable.inc();
                tracing::debug!(%error, "The kernel sent an event that cannot be decoded.");
                return;
            }
        };
        self.follow(&event, now_ns);
        if self.is_ignored(&event) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.event(now_ns, bytes);
        }
        self.pipeline.event(&event, now_ns, &mut self.out);
        if !self.out.wishes.is_empty() {
            self.grant(happened_ns(&event).unwrap_or(now_ns), now_ns);
        }
    }

    /// Lets the selector judge what processes do.
    fn follow(&mut self, event: &Event<'_>, now_ns: u64) {
        let actions = match event {
            Event::Exec(exec) => {
                let comm = String::from_utf8_lossy(exec.comm);
                self.processes.forget(exec.pid);
                self.tls.remove(&exec.pid);
                self.selector.on_exec(&Executed { pid: exec.pid, parent: exec.parent, comm: &comm, argv: exec.argv })
            }
            Event::Fork(fork) => {
                self.processes.on_fork(fork.pid, fork.parent);
                self.selector.on_fork(fork.pid, fork.parent)
            }
            Event::Exit(exit) => {
                self.processes.on_exit(exit.pid);
                self.tls.remove(&exit.pid);
                self.probes.release_tls(exit.pid);
                self.selector.on_exit(exit.pid);
                return;
            }
            Event::State(State { change: StateChange::Listen(port), pid, .. }) => {
                self.processes.on_listen(*pid);
                self.watch_tls(*pid, now_ns);
                self.selector.on_listen(*pid, *port)
            }
            _ => return,
        };
        self.act(actions);
    }

    fn act(&self, actions: Vec<Action>) {
        for action in actions {
            let result = match action {
                Action::Watch(pid) => self.probes.watch(pid),
                Action::Unwatch(pid) => self.probes.unwatch(pid),
            };
            if let Err(error) = result {
                tracing::warn!(?action, %error, "A process could not be put on or off the kernel's list.");
            }
        }
    }

    /// Events of a process between its exec and the selector's "no".
    fn is_ignored(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Data(data) => !self.selector.is_watched(data.pid),
            Event::Tls(tls) => !self.selector.is_watched(tls.pid),
            Event::Open(open) => open.pid != 0 && !self.selector.is_watched(open.pid),
            _ => false,
        }
    }

    /// Carries out what the pipeline asked for after an event of time `as_of_ns`.
    fn grant(&mut self, as_of_ns: u64, now_ns: u64) {
        for wish in std::mem::take(&mut self.out.wishes) {
            match wish {
                Wish::Describe(newcomer) => self.describe(&newcomer, now_ns),
                Wish::Capture(key, capture) => match self.probes.set_mode(key.sock, key.inode, mode(capture)) {
                    Ok(true) => self.counters.capture_slots_taken.inc(),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "A capture mode could not be set."),
                },
                Wish::CaptureTls(object, capture) => {
                    if let Err(error) = self.probes.set_tls_mode(object.pid, object.ssl, mode(capture), as_of_ns) {
                        tracing::warn!(%error, "A capture mode could not be set.");
                    }
                }
                Wish::WatchTls(pid) => self.watch_tls(pid, now_ns),
            }
        }
    }

    /// Looks for the TLS library of a process, unless its plaintext is seen already or it was looked at a moment ago.
    fn watch_tls(&mut self, pid: u32, now_ns: u64) {
        let known = self.tls.get(&pid);
        let is_settled = known.is_some_and(|(at_ns, sight)| sight.is_some() || now_ns.saturating_sub(*at_ns) < TLS_AGAIN_NS);
        if self.reads_tls && !is_settled {
            self.tls.insert(pid, (now_ns, self.probes.watch_tls(pid)));
        }
    }

    fn describe(&mut self, newcomer: &Newcomer, now_ns: u64) {
        let executed = Executed { pid: newcomer.pid, parent: newcomer.parent, comm: &newcomer.comm, argv: &newcomer.argv };
        let origin = self.processes.get_executed(&executed).origin.clone();
        if let Some(recorder) = &mut self.recorder {
            recorder.process(now_ns, &origin);
        }
        self.pipeline.describe(origin);
    }

    fn keep_time(&mut self, now_ns: u64) {
        if is_due(&mut self.times.clock_ns, CLOCK_NS, now_ns) {
            let wall_at_boot_ns = ClockOffset::now().wall_at_boot_ns;
            self.pipeline.set_wall_at_boot(wall_at_boot_ns);
            if let Some(recorder) = &mut self.recorder {
                recorder.clock(now_ns, wall_at_boot_ns);
            }
        }
        if is_due(&mut self.times.sweep_ns, SWEEP_NS, now_ns) {
            self.processes.sweep();
            let actions = self.selector.rescan();
            self.act(actions);
        }
        if is_due(&mut self.times.tick_ns, TICK_NS, now_ns) {
            if let Some(recorder) = &mut self.recorder {
                recorder.tick(now_ns);
            }
            let mut gauges = self.pipeline.tick(now_ns, &mut self.out);
            self.complete(&mut gauges);
            self.grant(now_ns, now_ns);
            self.hand_over(Some(gauges));
            self.tell_who_is_watched();
        }
    }

    fn tell_who_is_watched(&mut self) {
        let subject = |description: &Arc<Description>| Subject { origin: description.origin.clone(), runtime: description.runtime.clone() };
        let subjects = if self.selector.watches_all() {
            self.processes.running().map(subject).collect()
        } else {
            let pids = self.selector.pids();
            pids.into_iter().filter_map(|pid| Some(subject(&self.processes.get(pid)?))).collect()
        };
        self.watched.send_replace(Watched { begun: true, subjects, missing: self.selector.missing() });
    }

    /// Adds what the pipeline cannot know: runtimes, TLS libraries, events that the full ring refused.
    fn complete(&mut self, gauges: &mut Gauges) {
        let lost = self.probes.lost_by_pid();
        for target in &mut gauges.targets {
            if let Some(description) = self.processes.get(target.pid) {
                target.runtime = description.runtime.clone();
                let sight = self.tls.get(&target.pid).and_then(|(_, sight)| sight.as_ref());
                target.tls = description.tls.as_ref().map(|tls| match sight.map(TlsSight::as_result) {
                    Some(Ok(())) => format!("{tls}: plaintext").into(),
                    Some(Err(reason)) => format!("{tls}: no plaintext, because {reason}").into(),
                    None => tls.to_string().into(),
                });
            }
            target.events_lost = lost.iter().find(|(pid, _)| *pid == target.pid).map_or(0, |(_, count)| *count);
        }
    }

    fn hand_over(&mut self, gauges: Option<Gauges>) {
        if self.out.records.is_empty() && gauges.is_none() {
            return;
        }
        let batch = Batch { records: std::mem::take(&mut self.out.records), gauges };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.batches.try_send(batch) {
            self.counters.batches_dropped.inc();
        }
    }

    fn finish(&mut self, now_ns: u64) {
        self.pipeline.finish(now_ns, &mut self.out);
        self.hand_over(None);
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }
}

/// When the event happened, for those that make the pipeline ask for a capture mode.
fn happened_ns(event: &Event<'_>) -> Option<u64> {
    match event {
        Event::Data(data) => Some(data.time_ns),
        Event::Tls(tls) => Some(tls.time_ns),
        Event::State(state) => Some(state.time_ns),
        _ => None,
    }
}

fn mode(capture: Capture) -> u8 {
    match capture {
        Capture::Off => MODE_OFF,
        Capture::Count => MODE_COUNT,
        Capture::Head => MODE_HEAD,
        Capture::Full => MODE_FULL,
    }
}
