//! Attempts of one channel. Each runs on a thread of its own, because transports block; the thread is a stage while it runs and is not awaited
//! at shutdown. A receiver that keeps threads busy beyond their time gets no further ones.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::heartbeat::{Heartbeats, Patience};

use super::{ChannelTransport, ChannelType, DeliveryError, Notification, ReportNotice, Sender};

/// An attempt whose thread does not end for this long after its time is over is given up.
const MARGIN: Duration = Duration::from_secs(1);
/// Threads of a channel at once, those that were given up included.
const THREADS: usize = 3;

/// Makes attempts.
#[derive(Clone)]
pub(in super::super) struct Attempts {
    name: &'static str,
    transport: Arc<dyn ChannelTransport>,
    timeout: Duration,
    stages: Heartbeats,
    running: Arc<AtomicUsize>,
}

impl Attempts {
    /// Attempts of this type of channel; threads and stages have its name.
    pub fn new(kind: &ChannelType, transport: Arc<dyn ChannelTransport>, timeout: Duration, stages: Heartbeats) -> Self {
        Self { name: kind.name, transport, timeout, stages, running: Arc::default() }
    }

    /// One attempt.
    pub async fn attempt(&self, notification: Notification) -> Result<(), DeliveryError> {
        self.attempt_with(move |transport| transport.send(&notification)).await
    }

    /// One attempt to send a report.
    pub async fn report(&self, report: ReportNotice, sender: Arc<Sender>) -> Result<(), DeliveryError> {
        self.attempt_with(move |transport| transport.send_report(&report, &sender)).await
    }

    async fn attempt_with(
        &self,
        send: impl FnOnce(&dyn ChannelTransport) -> Result<(), DeliveryError> + Send + 'static,
    ) -> Result<(), DeliveryError> {
        if self.transport.is_immediate() {
            return send(&*self.transport);
        }
        if self.running.load(Ordering::Relaxed) >= THREADS {
            return Err(DeliveryError::TimedOut(self.timeout));
        }
        let (sender, result) = oneshot::channel();
        let of_thread = self.clone();
        of_thread.running.fetch_add(1, Ordering::Relaxed);
        let started = Builder::new().name(self.name.into()).spawn(move || {
            // The receiver may be gone at shutdown.
            drop(sender.send(of_thread.run(send)));
        });
        if let Err(error) = started {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return Err(DeliveryError::Unreachable(error.to_string()));
        }
        match tokio::time::timeout(self.timeout + MARGIN, result).await {
            Ok(ended) => ended.unwrap_or_else(|_| Err(DeliveryError::Unreachable("the attempt panicked".into()))),
            Err(_) => Err(DeliveryError::TimedOut(self.timeout)),
        }
    }

    #[cfg(test)]
    pub fn threads(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    fn run(&self, send: impl FnOnce(&dyn ChannelTransport) -> Result<(), DeliveryError>) -> Result<(), DeliveryError> {
        let _leaves = Leaves(&self.running);
        let stage = self.stages.add(self.name, Patience::UNPACED);
        let run = stage.run_here();
        let result = send(&*self.transport);
        drop(run);
        self.stages.remove(&stage);
        result
    }
}

/// Counts a thread as ended, also when it panics.
struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
