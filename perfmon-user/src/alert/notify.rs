//! Delivers notifications to channels. Each channel has its own task and bounded queue, so that one that hangs delays neither the
//! evaluation nor the other channels. A delivery is retried with growing, jittered pauses; its result comes back as a [`Delivery`].
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::counters::Counters;
use crate::heartbeat::Heartbeats;
use crate::limits;
use crate::record::{Alert, AlertState, Notified, Severity};

use super::channel::{Channel, ChannelKind};
use super::webhook::{DeliveryError, Webhook};

/// How long a delivery is tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// For the answer to one attempt.
    pub timeout: Duration,
    /// Attempts.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one, give or take a half.
    pub pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), attempts: 3, pause: Duration::from_millis(500) }
    }
}

/// How a delivery went.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The delivered alert.
    pub news: Alert,
    /// To whom, and how it went.
    pub notified: Notified,
}

/// A channel and what carries to it.
#[derive(Clone, Debug)]
pub(super) struct ChannelSender {
    pub channel: Channel,
    webhook: Option<Webhook>,
    retry: RetryPolicy,
}

impl ChannelSender {
    /// One for each channel.
    pub fn all(channels: &[Channel], retry: RetryPolicy, stages: &Heartbeats) -> Vec<Self> {
        let webhook = |channel: &Channel| match &channel.kind {
            ChannelKind::Webhook { url } => Some(Webhook::new(url, retry.timeout, stages.clone())),
            ChannelKind::Log => None,
        };
        channels.iter().map(|channel| Self { channel: channel.clone(), webhook: webhook(channel), retry }).collect()
    }

    /// One attempt.
    pub async fn attempt(&self, alert: &Alert) -> Result<(), DeliveryError> {
        match &self.webhook {
            Some(webhook) => webhook.post(alert).await,
            None => {
                log(alert);
                Ok(())
            }
        }
    }

    /// All attempts.
    async fn deliver(&self, alert: &Alert) -> Result<(), DeliveryError> {
        let mut attempt = 1;
        loop {
            match self.attempt(alert).await {
                Err(error) if error.may_pass() && attempt < self.retry.attempts => {
                    tokio::time::sleep(scattered(self.retry.pause * (1 << (attempt - 1)))).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}

/// Between half and one and a half of a pause, so that many clients of a service that fails do not all come back at once.
fn scattered(pause: Duration) -> Duration {
    let part = RandomState::new().hash_one(pause) % 1_000;
    pause.mul_f64(0.5 + part as f64 / 1_000.0)
}

fn log(alert: &Alert) {
    let Alert { alert_id, rule, state, message, scope, .. } = alert;
    match (alert.severity, state) {
        (_, AlertState::Resolved) => tracing::info!(%alert_id, %rule, %scope, "Alert resolved. {message}"),
        (Severity::Info, _) => tracing::info!(%alert_id, %rule, %scope, "Alert firing. {message}"),
        (Severity::Warning, _) => tracing::warn!(%alert_id, %rule, %scope, "Alert firing. {message}"),
        (Severity::Critical, _) => tracing::error!(%alert_id, %rule, %scope, "Alert firing. {message}"),
    }
}

/// The tasks and the queues to them.
pub(super) struct Notifier {
    queues: BTreeMap<Arc<str>, (Channel, mpsc::Sender<Alert>)>,
    tasks: JoinSet<()>,
    counters: Arc<Counters>,
}

impl Notifier {
    /// Starts a task for each channel; how deliveries went is sent to `deliveries`.
    pub fn start(senders: &[ChannelSender], deliveries: &mpsc::Sender<Delivery>, counters: Arc<Counters>) -> Self {
        let mut notifier = Self { queues: BTreeMap::new(), tasks: JoinSet::new(), counters };
        notifier.replace(senders, deliveries);
        notifier
    }

    /// Other channels from now on: tasks of the former ones deliver what they have queued, and end.
    pub fn replace(&mut self, senders: &[ChannelSender], deliveries: &mpsc::Sender<Delivery>) {
        self.close();
        self.check();
        for sender in senders {
            let (queue, waiting) = mpsc::channel(limits::CHANNEL_QUEUE);
            self.queues.insert(sender.channel.name.clone(), (sender.channel.clone(), queue));
            self.tasks.spawn(carry(sender.clone(), waiting, deliveries.clone()));
        }
    }

    /// The task of a channel ends in order with its queue. One that panicked would leave its channel silent: so the alert stage panics too.
    pub fn check(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Some(panic) = ended.err().filter(JoinError::is_panic) {
                std::panic::resume_unwind(panic.into_panic());
            }
        }
    }

    /// Queues a notification without waiting; returns a failed delivery at once when the queue is full.
    pub fn offer(&self, channel: &str, news: &Alert) -> Option<Delivery> {
        let (channel, queue) = self.queues.get(channel)?;
        if news.state == AlertState::Resolved && !channel.send_resolved {
            return None;
        }
        queue.try_send(news.clone()).err().map(|_| {
            self.counters.notifications_dropped.inc();
            failed(channel, news, "too many notifications are queued for this channel")
        })
    }

    /// Who takes what a channel failed to deliver.
    pub fn fallback(&self, channel: &str) -> Option<Arc<str>> {
        self.queues.get(channel).and_then(|(channel, _)| channel.fallback.clone())
    }

    /// Closes the queues: the tasks end after they have delivered what is queued.
    pub fn close(&mut self) {
        self.queues.clear();
    }

    /// Waits for the tasks.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Counts a failure.
    pub fn failed(&self) {
        self.counters.notifications_failed.inc();
    }
}

fn failed(channel: &Channel, news: &Alert, error: impl ToString) -> Delivery {
    Delivery { news: news.clone(), notified: Notified { channel: channel.name.clone(), ok: false, error: Some(error.to_string()) } }
}

async fn carry(sender: ChannelSender, mut waiting: mpsc::Receiver<Alert>, deliveries: mpsc::Sender<Delivery>) {
    while let Some(news) = waiting.recv().await {
        let delivery = match sender.deliver(&news).await {
            Ok(()) => Delivery { news, notified: Notified { channel: sender.channel.name.clone(), ok: true, error: None } },
            Err(error) => {
                tracing::warn!(channel = %sender.channel.name, %error, "An alert notification could not be delivered.");
                failed(&sender.channel, &news, error)
            }
        };
        if deliveries.send(delivery).await.is_err() {
            return;
        }
    }
}
