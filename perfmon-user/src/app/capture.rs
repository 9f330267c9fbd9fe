//! The capture thread: polls the ring, runs the pipeline, carries out its commands, and sends batches to the hub. It never blocks and reads
//! no file: when the hub is behind, a batch is dropped and counted; the inspector reads files, and records that depend on its answer wait
//! inside the pipeline.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use perfmon_common::map::{MODE_COUNT, MODE_FULL, MODE_HEAD, MODE_OFF};
use tokio::sync::{mpsc, watch};

use crate::clock::{self, ClockOffset, thread_cpu_ns};
use crate::counters::Counters;
use crate::decode::decode;
use crate::heartbeat;
use crate::host::Subject;
use crate::limits::QUEUED_RECORDS;
use crate::pipeline::{Capture, Out, Pipeline, PipelineCommand};
use crate::probe::{Probes, SkippedRuns};
use crate::process::{Inquiry, Inspected};
use crate::record::{Gauges, QueueRoom, SpareBatches};
use crate::source::Ring;

use super::hub::Batch;
use super::recorder::Recorder;

/// Sleep between two polls of the ring: events cost less in batches.
const POLL: Duration = Duration::from_millis(5);
/// Events in one poll after which the ring is polled again without sleeping.
const BUSY: usize = 512;
/// Longest wait of a record for its batch: each batch wakes the hub and all consumers.
const HAND_OVER_NS: u64 = 20_000_000;
/// Records that make a full batch.
const FULL_BATCH: usize = 512;
/// Interval of the pipeline's tick.
const TICK_NS: u64 = 1_000_000_000;
/// How often the wall clock is compared with the boot clock.
const CLOCK_NS: u64 = 60 * 1_000_000_000;
/// Longest drain of the ring at the end: under load there are always more events.
const ENDING_NS: u64 = 500_000_000;

/// Inputs and outputs of the thread.
pub struct Capturing {
    /// The kernel side.
    pub probes: Arc<Probes>,
    /// Its ring.
    pub ring: Ring,
    /// Processes to watch; `None`: all.
    pub chosen: Option<Chosen>,
    /// Targets that nothing running matches, in words.
    pub missing: Vec<String>,
    /// To the inspector.
    pub questions: SyncSender<Inquiry>,
    /// From the inspector.
    pub answers: Receiver<Inspected>,
    /// Bodies of model calls are read.
    pub models: bool,
    /// Paths are kept with parameters and tokens.
    pub raw_paths: bool,
    /// Where raw events are written, for `perfmon record`.
    pub recorder: Option<Recorder>,
    /// The watched processes, for the resource sampler and for readiness.
    pub watched: watch::Sender<WatchedTargets>,
    /// To the hub.
    pub batches: mpsc::Sender<Batch>,
    /// Batches to fill.
    pub spare: Arc<SpareBatches>,
    /// Losses.
    pub counters: Arc<Counters>,
    /// Set when the thread shall end.
    pub stop: Arc<AtomicBool>,
}

/// Targets.
pub struct Chosen {
    /// Processes that match at the start.
    pub first: Vec<u32>,
    /// Their children are watched too.
    pub follow: bool,
}

/// The watched processes.
#[derive(Clone, Debug, Default)]
pub struct WatchedTargets {
    /// Capture runs.
    pub begun: bool,
    /// Described processes: with `--all` those that used a socket.
    pub subjects: Vec<Subject>,
    /// Targets that nothing running matches, in words.
    pub missing: Vec<String>,
}

/// Runs until stopped, then drains the ring.
pub fn run(capturing: Capturing) {
    let clock = ClockOffset::now();
    let Capturing {
        probes,
        mut ring,
        chosen,
        missing,
        questions,
        answers,
        models,
        raw_paths,
        recorder,
        watched,
        batches,
        spare,
        counters,
        stop,
    } = capturing;
    let pipeline = Pipeline::new(counters.clone(), clock.wall_at_boot_ns).with_cpu_clock(thread_cpu_ns).with_raw_paths(raw_paths);
    let mut pipeline = if models { pipeline } else { pipeline.without_models() };
    if let Some(Chosen { first, follow }) = chosen {
        pipeline.choose(&first, follow);
    }
    let (out, times) = (Out::default(), Times::default());
    let skipped = probes.skipped_runs().inspect_err(|error| tracing::warn!(%error, "Programs that the kernel skips are not seen at once."));
    let mut worker = Worker {
        skipped: skipped.ok(),
        probes,
        questions,
        recorder,
        watched,
        missing,
        batches,
        room: QueueRoom::new(QUEUED_RECORDS),
        spare,
        counters,
        pipeline,
        out,
        times,
    };
    let mut stopping_ns = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            stopping_ns.get_or_insert_with(clock::boot_now_ns);
        }
        heartbeat::beat();
        let now_ns = clock::boot_now_ns();
        worker.keep_time(now_ns);
        // Answers are received before the poll and handled after it: an exec that preceded an answer is in the ring by now.
        let answered: Vec<Inspected> = answers.try_iter().collect();
        let waits = stopping_ns.is_none() && !worker.has_room() && !ring.fills();
        let taken = ring.waiting().filter(|_| !waits).map_or(0, |waiting| {
            worker.look_for_skipped();
            ring.drain(waiting, |bytes| {
                // One drain may take longer than the end may: what is left then is lost like what is left in the ring.
                if !is_late(&stop, &mut stopping_ns) {
                    worker.take(bytes, now_ns);
                }
                worker.out.records.len() < FULL_BATCH
            })
        });
        let is_full = worker.out.records.len() >= FULL_BATCH;
        answered.iter().for_each(|answer| worker.take_answer(answer, now_ns));
        worker.ask();
        if !waits {
            worker.hand_over_due(now_ns);
        }
        if let Some(since_ns) = stopping_ns
            && (now_ns.saturating_sub(since_ns) >= ENDING_NS || (taken == 0 && worker.pipeline.processes().is_settled()))
        {
            break;
        }
        if waits || (taken < BUSY && !is_full) {
            std::thread::sleep(POLL);
        }
    }
    worker.finish(clock::boot_now_ns());
}

/// Whether the end has been drained for long enough.
fn is_late(stop: &AtomicBool, stopping_ns: &mut Option<u64>) -> bool {
    if !stop.load(Ordering::Relaxed) {
        return false;
    }
    let now_ns = clock::boot_now_ns();
    now_ns.saturating_sub(*stopping_ns.get_or_insert(now_ns)) >= ENDING_NS
}

struct Worker {
    room: QueueRoom,
    probes: Arc<Probes>,
    /// `None` when there was no descriptor left for it.
    skipped: Option<SkippedRuns>,
    questions: SyncSender<Inquiry>,
    recorder: Option<Recorder>,
    watched: watch::Sender<WatchedTargets>,
    missing: Vec<String>,
    batches: mpsc::Sender<Batch>,
    spare: Arc<SpareBatches>,
    counters: Arc<Counters>,
    pipeline: Pipeline,
    out: Out,
    times: Times,
}

/// Times of the last periodic actions.
#[derive(Default)]
struct Times {
    tick_ns: u64,
    clock_ns: u64,
    handed_over_ns: u64,
}

/// Whether the interval has passed; then it restarts.
fn is_due(last_ns: &mut u64, every_ns: u64, now_ns: u64) -> bool {
    let due = now_ns.saturating_sub(*last_ns) >= every_ns;
    if due {
        *last_ns = now_ns;
    }
    due
}

impl Worker {
    /// Tells the pipeline, before it gets events, of bytes that passed before them without one.
    fn look_for_skipped(&mut self) {
        if self.skipped.as_mut().is_some_and(SkippedRuns::have_come) {
            self.pipeline.skipped(clock::boot_now_ns());
        }
    }

    fn take(&mut self, bytes: &[u8], now_ns: u64) {
        let event = match decode(bytes) {
            Ok(event) => event,
            Err(error) => {
                self.counters.events_undecodable.inc();
                tracing::debug!(%error, "The kernel sent an event that cannot be decoded.");
                return;
            }
        };
        if !self.pipeline.admits(&event) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.event(now_ns, bytes);
        }
        self.pipeline.event(&event, now_ns, &mut self.out);
        if !self.out.commands.is_empty() {
            self.carry_out(event.time_ns().unwrap_or(now_ns), now_ns);
        }
    }

    fn take_answer(&mut self, answer: &Inspected, now_ns: u64) {
        if let Some(recorder) = &mut self.recorder {
            match answer {
                Inspected::Described(_, described) => recorder.process(now_ns, &described.origin),
                Inspected::Judged { pid, watched: false, .. } => recorder.ignored(now_ns, *pid),
                _ => {}
            }
        }
        if let Inspected::Missing(missing) = answer {
            self.missing.clone_from(missing);
        }
        self.pipeline.answer(answer, now_ns, &mut self.out);
    }

    /// Sends the inquiries of the process table to the inspector, as far as its queue has room.
    fn ask(&mut self) {
        while let Some(question) = self.pipeline.next_question() {
            if let Err(TrySendError::Full(question)) = self.questions.try_send(question) {
                self.pipeline.put_back(question);
                return;
            }
        }
    }

    /// Carries out the commands of the pipeline after an event of time `as_of_ns`.
    fn carry_out(&mut self, as_of_ns: u64, now_ns: u64) {
        for command in self.out.commands.drain(..) {
            match command {
                PipelineCommand::Capture(key, capture) => match self.probes.set_mode(key.sock, key.inode, mode(capture)) {
                    Ok(true) => {}
                    Ok(false) => self.counters.capture_policies_refused.inc(),
                    Err(error) => tracing::warn!(%error, "A capture mode could not be set."),
                },
                PipelineCommand::CaptureTls(object, capture) => {
                    if let Err(error) = self.probes.set_tls_mode(object.pid, object.ssl, mode(capture), as_of_ns) {
                        tracing::warn!(%error, "A capture mode could not be set.");
                    }
                }
                PipelineCommand::WatchTls(pid) => self.pipeline.find_tls(pid, now_ns),
            }
        }
    }

    fn keep_time(&mut self, now_ns: u64) {
        if is_due(&mut self.times.clock_ns, CLOCK_NS, now_ns) {
            let wall_at_boot_ns = ClockOffset::now().wall_at_boot_ns;
            self.pipeline.set_wall_at_boot(wall_at_boot_ns);
            if let Some(recorder) = &mut self.recorder {
                recorder.clock(now_ns, wall_at_boot_ns);
            }
        }
        if is_due(&mut self.times.tick_ns, TICK_NS, now_ns) {
            if let Some(recorder) = &mut self.recorder {
                recorder.tick(now_ns);
            }
            let mut gauges = self.pipeline.tick(now_ns, &mut self.out);
            self.count_lost(&mut gauges);
            self.carry_out(now_ns, now_ns);
            self.hand_over(Some(gauges));
            self.tell_who_is_watched();
        }
    }

    fn tell_who_is_watched(&mut self) {
        let running = self.pipeline.processes().running();
        let subjects = running.map(|(origin, runtime)| Subject { origin: origin.clone(), runtime: runtime.cloned() }).collect();
        self.watched.send_replace(WatchedTargets { begun: true, subjects, missing: self.missing.clone() });
    }

    /// Adds a loss that the pipeline cannot see: events that the full ring refused. A process of which nothing but losses is known is listed
    /// for them.
    fn count_lost(&mut self, gauges: &mut Gauges) {
        for (pid, losses) in self.probes.lost_by_pid() {
            self.pipeline.lost_events(pid, losses.events);
            let at = gauges.targets.iter().position(|target| target.pid == pid).or_else(|| {
                gauges.targets.push(self.pipeline.processes().unseen_coverage(pid)?);
                Some(gauges.targets.len() - 1)
            });
            if let Some(at) = at {
                gauges.targets[at].add_losses(losses.events, losses.exchanges);
            }
            if self.pipeline.processes().has_left(pid) {
                self.probes.forget_losses(pid);
            }
        }
    }

    /// Whether the aggregate can take a full batch more. It falls behind in a burst of commands, of which an event holds many: meanwhile
    /// events wait in the ring.
    fn has_room(&self) -> bool {
        self.room.has(2 * FULL_BATCH) && self.batches.capacity() > 0
    }

    /// Sends the batch when it is full or has waited long enough. After a pause the first records do not wait.
    fn hand_over_due(&mut self, now_ns: u64) {
        let waiting = self.out.records.len();
        if waiting > 0 && (is_due(&mut self.times.handed_over_ns, HAND_OVER_NS, now_ns) || waiting >= FULL_BATCH) {
            self.hand_over(None);
        }
    }

    fn hand_over(&mut self, gauges: Option<Gauges>) {
        if self.out.records.is_empty() && gauges.is_none() {
            return;
        }
        let seats = self.room.take(self.out.records.len());
        if seats.is_none() {
            // The aggregate is behind. What it is told once a second has room, and the lost exchanges are in it.
            self.pipeline.dropped(&self.out.records);
            self.out.records.clear();
            self.counters.batches_dropped.inc();
        }
        let batch = Batch { records: std::mem::replace(&mut self.out.records, self.spare.take()), gauges, seats };
        if let Err(mpsc::error::TrySendError::Full(batch)) = self.batches.try_send(batch) {
            self.pipeline.dropped(&batch.records);
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

fn mode(capture: Capture) -> u8 {
    match capture {
        Capture::Off => MODE_OFF,
        Capture::Count => MODE_COUNT,
        Capture::Head => MODE_HEAD,
        Capture::Full => MODE_FULL,
    }
}
