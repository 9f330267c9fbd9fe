//! The delivery threads, one for each receiver and signal, each with its own queue. A failure is logged when it starts and when it ends,
//! not for every attempt.
use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use super::Clocks;
use super::envelope::Envelope;
use super::post::Poster;
use super::queue::{DeliveryFigures, DeliveryOutcome, DeliveryQueue, QueueStep};
use crate::config::{ExportTarget, Signal};
use crate::counters::Counters;
use crate::export::logfire;
use crate::heartbeat::{self, BEAT, Heartbeat, Heartbeats, Patience};
use crate::redact;

/// State of the delivery of one signal to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFigures {
    /// What messages call it.
    pub name: String,
    /// What it gets.
    pub signal: Signal,
    /// Where, without what may be a secret.
    pub url: String,
    /// The figures.
    pub figures: DeliveryFigures,
}

/// All lanes; clones are the same lanes.
#[derive(Clone, Debug)]
pub struct Deliveries(Vec<Arc<DeliveryShared>>);

/// What the collector and a delivering thread share.
#[derive(Debug)]
struct DeliveryShared {
    target: ExportTarget,
    state: Mutex<DeliveryState>,
    changed: Condvar,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct DeliveryState {
    queue: DeliveryQueue,
    /// Nothing more comes.
    closing: bool,
    /// Losses that were counted.
    counted: (u64, u64),
    overflowing: bool,
}

impl Deliveries {
    /// Starts the threads; `running` is dropped by the last one that ends.
    pub fn start(
        targets: &[ExportTarget],
        bound: usize,
        clocks: Clocks,
        counters: &Arc<Counters>,
        stages: &Heartbeats,
        running: SyncSender<()>,
    ) -> io::Result<Self> {
        let start = |target: &ExportTarget| {
            let heartbeat = stages.add(thread_name(target.signal), Patience::STEADY);
            DeliveryShared::start(target, bound, clocks, counters.clone(), heartbeat, running.clone())
        };
        let deliveries = targets.iter().map(start);
        deliveries.collect::<io::Result<_>>().map(Self)
    }

    /// Queues an envelope for each receiver of its signal.
    pub fn push(&self, envelope: &Envelope) {
        for shared in self.0.iter().filter(|shared| shared.target.signal == envelope.signal) {
            let mut state = shared.lock();
            let overflowing = state.queue.push(envelope.clone());
            let begins = overflowing && !state.overflowing;
            state.overflowing = overflowing;
            shared.count(&mut state);
            shared.changed.notify_one();
            // The log may wait for its reader, and whoever asks for figures takes the lock.
            drop(state);
            if begins {
                let (target, signal) = (shared.target.name.as_str(), envelope.signal.name());
                tracing::warn!(target, signal, "Too much telemetry is queued for delivery; the oldest is dropped and counted.");
            }
        }
    }

    /// Nothing more comes: what waits is tried once more.
    pub fn close(&self) {
        for shared in &self.0 {
            let mut state = shared.lock();
            state.closing = true;
            state.queue.hurry();
            shared.changed.notify_one();
        }
    }

    /// State of all deliveries.
    pub fn figures(&self) -> Vec<TargetFigures> {
        let figures = |shared: &Arc<DeliveryShared>| {
            let ExportTarget { name, signal, url, .. } = &shared.target;
            TargetFigures { name: name.clone(), signal: *signal, url: redact::url(url), figures: shared.lock().queue.figures() }
        };
        self.0.iter().map(figures).collect()
    }
}

/// Name of the thread that delivers a signal, and of the stage.
fn thread_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "export traces",
        Signal::Metrics => "export metrics",
        Signal::Logs => "export logs",
    }
}

impl DeliveryShared {
    fn start(
        target: &ExportTarget,
        bound: usize,
        clocks: Clocks,
        counters: Arc<Counters>,
        heartbeat: Heartbeat,
        running: SyncSender<()>,
    ) -> io::Result<Arc<Self>> {
        let state = DeliveryState { queue: DeliveryQueue::new(bound), closing: false, counted: (0, 0), overflowing: false };
        let shared = Arc::new(Self { target: target.clone(), state: Mutex::new(state), changed: Condvar::new(), counters });
        let poster = Poster::new(target.clone());
        let worker = shared.clone();
        Builder::new().name(heartbeat.name().into()).spawn(move || {
            let _run = heartbeat.run_here();
            worker.deliver(&poster, clocks, &heartbeat);
            drop(running);
        })?;
        Ok(shared)
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, poster: &Poster, clocks: Clocks, heartbeat: &Heartbeat) {
        if let Some(url) = &self.target.check_url {
            heartbeat.outside(|| logfire::check(poster, url));
        }
        let mut trouble = DeliveryTrouble::default();
        while let Some(envelope) = self.next(clocks) {
            let outcome = heartbeat.outside(|| poster.send(&envelope, (clocks.wall)()));
            trouble.tell(&self.target, &outcome);
            let mut state = self.lock();
            let unreachable = matches!(outcome, DeliveryOutcome::Again { .. });
            state.queue.answered((clocks.steady_ns)(), outcome);
            let given_up = (unreachable && state.closing).then(|| state.queue.give_up());
            self.count(&mut state);
            drop(state);
            if let Some(lost) = given_up {
                tracing::error!(
                    target = self.target.name,
                    signal = self.target.signal.name(),
                    lost,
                    "Telemetry is lost: it could not be delivered."
                );
            }
        }
    }

    /// Waits for something to send; `None` at the end.
    fn next(&self, clocks: Clocks) -> Option<Envelope> {
        let mut state = self.lock();
        loop {
            heartbeat::beat();
            let time = match state.queue.next((clocks.steady_ns)()) {
                QueueStep::Send(envelope) => return Some(envelope),
                QueueStep::Wait(time) => time.min(BEAT),
                QueueStep::Idle if state.closing => return None,
                QueueStep::Idle => BEAT,
            };
            state = self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Counts the losses since the last call.
    fn count(&self, state: &mut DeliveryState) {
        let DeliveryFigures { dropped, failed, .. } = state.queue.figures();
        self.counters.export_items_dropped.add(dropped - state.counted.0);
        self.counters.export_items_refused.add(failed - state.counted.1);
        state.counted = (dropped, failed);
    }
}

/// The failure that was logged last.
#[derive(Debug, Default)]
struct DeliveryTrouble(Option<TroubleKind>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TroubleKind {
    Unreachable,
    Forbidden,
    Refused,
    Partial,
    /// No failure: what it says of a delivery that it took whole.
    Remark,
}

impl DeliveryTrouble {
    fn tell(&mut self, target: &ExportTarget, outcome: &DeliveryOutcome) {
        let (kind, why) = match outcome {
            DeliveryOutcome::TooLarge => return,
            DeliveryOutcome::Taken { why: None, .. } => (None, ""),
            DeliveryOutcome::Taken { why: Some(why), rejected: 0 } => (Some(TroubleKind::Remark), why.as_str()),
            DeliveryOutcome::Taken { why: Some(why), .. } => (Some(TroubleKind::Partial), why.as_str()),
            DeliveryOutcome::Again { why, .. } => (Some(TroubleKind::Unreachable), why.as_str()),
            DeliveryOutcome::Refused { forbidden: true, why } => (Some(TroubleKind::Forbidden), why.as_str()),
            DeliveryOutcome::Refused { forbidden: false, why } => (Some(TroubleKind::Refused), why.as_str()),
        };
        if kind == self.0 {
            return;
        }
        let (name, signal, url) = (target.name.as_str(), target.signal.name(), redact::url(&target.url));
        match kind {
            None => tracing::info!(target = name, signal, "Telemetry is delivered again."),
            Some(TroubleKind::Unreachable) => {
                tracing::warn!(target = name, signal, url, why, "Telemetry cannot be delivered; it stays queued and is retried.")
            }
            Some(TroubleKind::Forbidden) => {
                tracing::error!(target = name, signal, url, why, "Telemetry is lost: the receiver rejects the token; check it.");
            }
            Some(TroubleKind::Refused) => tracing::error!(target = name, signal, url, why, "Telemetry is lost: the receiver rejects it."),
            Some(TroubleKind::Remark) => {
                tracing::info!(target = name, signal, url, remark = why, "Telemetry is delivered; the receiver remarks.")
            }
            Some(TroubleKind::Partial) => tracing::warn!(target = name, signal, url, why, "The receiver rejects part of the telemetry."),
        }
        self.0 = kind;
    }
}
