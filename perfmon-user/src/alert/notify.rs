//! Delivers notifications to channels. Each channel has its own task and bounded [`ChannelQueue`], so that one that hangs delays neither the
//! evaluation nor the other channels. How a delivery went comes back as a [`Delivery`].
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::counters::Counters;
use crate::heartbeat::Heartbeats;
use crate::record::{Alert, AlertState, Notified};

use super::channel::{Attempts, Channel, DeliveryError, Notification, ReportNotice, Sender};
use super::delivery::{ChannelHealth, ChannelQueue, NextStep, NotificationOutcome, RetryPolicy};
use super::machine::AlertSettings;

/// How a delivery went.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The delivered alert.
    pub news: Alert,
    /// To whom, and how it went.
    pub notified: Notified,
}

/// What waits for a channel, and who is woken by more.
#[derive(Debug)]
struct Outbox {
    queue: Mutex<ChannelQueue>,
    wake: Notify,
    started: Instant,
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, ChannelQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A channel and what carries to it.
#[derive(Clone)]
pub(super) struct ChannelSender {
    pub channel: Channel,
    attempts: Attempts,
    sender: Arc<Sender>,
    outbox: Arc<Outbox>,
}

impl ChannelSender {
    /// One for each channel; what waits for a former channel of the same name waits for the new one.
    pub fn all(settings: &AlertSettings, retry: RetryPolicy, stages: &Heartbeats, former: &[Self]) -> Vec<Self> {
        let sender = |channel: &Channel| {
            let transport = channel.kind.open(&channel.options, retry.timeout);
            let attempts = Attempts::new(channel.kind, transport, retry.timeout, stages.clone());
            let (rate, sums_up) = (channel.rate(), channel.kind.sums_up);
            let outbox = match former.iter().find(|former| former.channel.name == channel.name) {
                Some(former) => {
                    former.outbox.queue().configure(retry, rate, sums_up, settings.grouping);
                    former.outbox.clone()
                }
                None => {
                    let queue = Mutex::new(ChannelQueue::new(retry, rate, sums_up, settings.grouping));
                    Arc::new(Outbox { queue, wake: Notify::new(), started: Instant::now() })
                }
            };
            Self { channel: channel.clone(), attempts, sender: settings.sender.clone(), outbox }
        };
        settings.channels.iter().map(sender).collect()
    }

    async fn attempt(&self, alert: &Alert) -> Result<(), DeliveryError> {
        self.attempts.attempt(Notification { alert: alert.clone(), sender: self.sender.clone() }).await
    }

    /// Notes what the channel accepted in an earlier run, so that it is not told again, not as a fallback either.
    pub fn remember(&self, alerts: &[Alert]) {
        let mut queue = self.outbox.queue();
        for (alert, told) in alerts.iter().flat_map(|alert| alert.notified.iter().map(move |told| (alert, told))) {
            if told.ok
                && told.channel == self.channel.name
                && let Some(state) = told.state
            {
                let (severity, level) = (told.severity.unwrap_or(alert.severity), told.level.unwrap_or(alert.escalation_level));
                queue.remember(&Alert { state, severity, escalation_level: level, ..alert.clone() });
            }
        }
    }

    /// One attempt beside what waits.
    pub async fn trial(&self, alert: &Alert) -> Notified {
        let error = self.attempt(alert).await.err().map(|error| error.to_string());
        self.outbox.queue().tried(error.as_deref());
        self.outbox.wake.notify_one();
        self.notified(alert, error)
    }

    /// One attempt to send a report, beside what waits.
    pub async fn report(&self, report: &ReportNotice) -> Notified {
        let error = self.attempts.report(report.clone(), self.sender.clone()).await.err().map(|error| error.to_string());
        Notified { channel: self.channel.name.clone(), ok: error.is_none(), error, state: None, severity: None, level: None }
    }

    fn notified(&self, news: &Alert, error: Option<String>) -> Notified {
        Notified {
            channel: self.channel.name.clone(),
            ok: error.is_none(),
            error,
            state: Some(news.state),
            severity: Some(news.severity),
            level: Some(news.escalation_level),
        }
    }

    fn delivery(&self, outcome: NotificationOutcome) -> Delivery {
        let NotificationOutcome { news, error } = outcome;
        Delivery { notified: self.notified(&news, error), news }
    }
}

/// From half to one and a half, so that many clients of a service that fails do not all come back at once.
fn spread(failed_at: Duration) -> f64 {
    0.5 + (RandomState::new().hash_one(failed_at) % 1_000) as f64 / 1_000.0
}

/// How long the task of a channel goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneEnd {
    Open,
    /// Until nothing can be delivered without a pause.
    Closing,
    /// Another task has its queue.
    Replaced,
}

/// The task of a channel, with the way to end it.
struct Lane {
    sender: ChannelSender,
    end: watch::Sender<LaneEnd>,
}

/// The tasks and the queues to them.
pub(super) struct Notifier {
    lanes: BTreeMap<Arc<str>, Lane>,
    tasks: JoinSet<()>,
    counters: Arc<Counters>,
}

impl Notifier {
    /// Starts a task for each channel; how deliveries went is sent to `deliveries`.
    pub fn start(senders: &[ChannelSender], deliveries: &mpsc::Sender<Delivery>, counters: Arc<Counters>) -> Self {
        let mut notifier = Self { lanes: BTreeMap::new(), tasks: JoinSet::new(), counters };
        notifier.replace(senders, deliveries);
        notifier
    }

    /// Other channels from now on. What waits for one that is gone is lost and counted.
    pub fn replace(&mut self, senders: &[ChannelSender], deliveries: &mpsc::Sender<Delivery>) {
        let gone = self.lanes.values().filter(|lane| !senders.iter().any(|sender| sender.channel.name == lane.sender.channel.name));
        let lost: usize = gone.map(|lane| lane.sender.outbox.queue().len()).sum();
        self.counters.notifications_dropped.add(lost as u64);
        for (_, lane) in std::mem::take(&mut self.lanes) {
            lane.end.send_replace(LaneEnd::Replaced);
        }
        self.check();
        for sender in senders {
            let (end, ended) = watch::channel(LaneEnd::Open);
            self.lanes.insert(sender.channel.name.clone(), Lane { sender: sender.clone(), end });
            self.tasks.spawn(carry(sender.clone(), ended, deliveries.clone()));
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

    /// Queues a notification without waiting; returns a failed delivery at once when the queue is full or the channel is down.
    pub fn offer(&self, channel: &str, news: &Alert) -> Option<Delivery> {
        let sender = &self.lanes.get(channel)?.sender;
        if news.state == AlertState::Resolved && !sender.channel.send_resolved {
            sender.outbox.queue().withdraw(&news.alert_id);
            return None;
        }
        let (before, refused, after) = {
            let mut queue = sender.outbox.queue();
            let before = queue.len();
            let refused = queue.push(sender.outbox.now(), news.clone());
            (before, refused, queue.len())
        };
        if refused.is_some() && before == after {
            self.counters.notifications_dropped.inc();
        }
        sender.outbox.wake.notify_one();
        refused.map(|outcome| sender.delivery(outcome))
    }

    /// An alert is over: channels that are not told so forget what waits of it.
    pub fn withdraw(&self, alert_id: &str, told: &[Arc<str>]) {
        for (_, lane) in self.lanes.iter().filter(|(name, _)| !told.contains(name)) {
            lane.sender.outbox.queue().withdraw(alert_id);
        }
    }

    /// Whether each channel accepts notifications.
    pub fn health(&self) -> BTreeMap<Arc<str>, ChannelHealth> {
        self.lanes.iter().map(|(name, lane)| (name.clone(), lane.sender.outbox.queue().health().clone())).collect()
    }

    /// Who takes what a channel failed to deliver.
    pub fn fallback(&self, channel: &str) -> Option<Arc<str>> {
        self.lanes.get(channel).and_then(|lane| lane.sender.channel.fallback.clone())
    }

    /// Asks the tasks to end: each delivers what it can without a pause.
    pub fn close(&mut self) {
        for lane in self.lanes.values() {
            lane.end.send_replace(LaneEnd::Closing);
        }
    }

    /// Number of notifications that were not delivered.
    pub fn left(&self) -> usize {
        self.lanes.values().map(|lane| lane.sender.outbox.queue().len()).sum()
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

async fn carry(sender: ChannelSender, mut end: watch::Receiver<LaneEnd>, deliveries: mpsc::Sender<Delivery>) {
    let outbox = sender.outbox.clone();
    while *end.borrow() != LaneEnd::Replaced {
        if *end.borrow() == LaneEnd::Closing {
            outbox.queue().hurry();
        }
        let step = outbox.queue().next(outbox.now());
        let pause = match step {
            NextStep::Send(news) => {
                let result = sender.attempt(&news).await;
                note(&sender, &result);
                let now = outbox.now();
                let decided = outbox.queue().done(now, result, spread(now));
                // A task that took this one's place waits for the end of the attempt.
                outbox.wake.notify_one();
                for outcome in decided {
                    if deliveries.send(sender.delivery(outcome)).await.is_err() {
                        return;
                    }
                }
                continue;
            }
            _ if *end.borrow() == LaneEnd::Closing => return,
            NextStep::WaitUntil(at) => at.saturating_sub(outbox.now()),
            NextStep::Idle => Duration::MAX,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = outbox.wake.notified() => {}
            _ = end.changed() => {}
        }
    }
}

fn note(sender: &ChannelSender, result: &Result<(), DeliveryError>) {
    let channel = &sender.channel.name;
    let was_down = matches!(sender.outbox.queue().health(), ChannelHealth::Down(_));
    match result {
        Ok(()) if was_down => tracing::info!(%channel, "The channel accepts notifications again."),
        Ok(()) => {}
        Err(error) if !error.may_pass() => {
            tracing::error!(%channel, %error, "The channel refuses notifications; check its settings.");
        }
        Err(error) if !was_down => tracing::warn!(%channel, %error, "An alert notification could not be delivered; it is tried again."),
        Err(error) => tracing::debug!(%channel, %error, "An alert notification could not be delivered."),
    }
}
