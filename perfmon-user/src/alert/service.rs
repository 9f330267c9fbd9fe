//! Interface of alerts to the rest of the program: `run` evaluates the rules once a second, passes records to the hub and notifications to channels;
//! HTTP reads alerts and changes them. One lock guards the machine, held for one step at a time.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::counters::Counters;
use crate::heartbeat::{BEAT, Heartbeat, Heartbeats};
use crate::record::{Alert, AlertState, DegradedNow, Notified, WallTime};
use crate::series::SeriesDelta;

use super::channel::ReportNotice;
use super::delivery::RetryPolicy;
use super::figures::RuleFigures;
use super::judgement;
use super::machine::{AlertSettings, Change, Machine, Refused};
use super::notify::{ChannelSender, Delivery, Notifier};
use super::rule::Rule;
use super::silence::{NewSilence, Silence};

/// How long the end waits for deliveries under way.
const GRACE: Duration = Duration::from_secs(3);

/// What rules are fed with.
pub struct RuleFeed {
    /// What the series counted, once a second.
    pub deltas: mpsc::Receiver<Arc<SeriesDelta>>,
    /// Windows, with what an earlier run counted.
    pub figures: RuleFigures,
}

/// The desk.
pub struct AlertService {
    state: Mutex<ServiceState>,
    wake: Notify,
    retry: RetryPolicy,
    counters: Arc<Counters>,
    stages: Heartbeats,
}

struct ServiceState {
    machine: Machine,
    /// Changes by users that are not published yet. Each needs a change of state, so the list is bounded.
    outbox: Vec<Change>,
    senders: Vec<ChannelSender>,
    /// The notifier has the former channels yet. Whoever takes the lock for a step brings it up to date, so that what the step decides
    /// finds the channels it was decided for.
    replaced: bool,
}

impl AlertService {
    /// A desk with what an earlier run left.
    pub fn new(settings: &AlertSettings, stored: Vec<Alert>, retry: RetryPolicy, counters: Arc<Counters>) -> Arc<Self> {
        Self::supervised(settings, stored, retry, counters, Heartbeats::default())
    }

    /// The same; threads that deliver are among `stages` while they run.
    pub fn supervised(
        settings: &AlertSettings,
        stored: Vec<Alert>,
        retry: RetryPolicy,
        counters: Arc<Counters>,
        stages: Heartbeats,
    ) -> Arc<Self> {
        let mut machine = Machine::new(settings, counters.clone());
        machine.restore(stored);
        let senders = ChannelSender::all(settings, retry, &stages, &[]);
        senders.iter().for_each(|sender| sender.remember(&machine.alerts()));
        let state = Mutex::new(ServiceState { machine, outbox: Vec::new(), senders, replaced: false });
        Arc::new(Self { state, wake: Notify::new(), retry, counters, stages })
    }

    /// Takes other rules, channels and steps; alerts and silences stay.
    pub fn replace(&self, settings: &AlertSettings) {
        let mut state = self.state();
        let senders = ChannelSender::all(settings, self.retry, &self.stages, &state.senders);
        state.machine.replace(settings);
        state.senders = senders;
        state.replaced = true;
        self.wake.notify_one();
    }

    fn senders(&self) -> Vec<ChannelSender> {
        self.state().senders.clone()
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates the rules with each delta of the series, and twice a second what is degraded of perfmon, until `stop` becomes true or is
    /// closed; `publish` gets the records. Then waits a short time for open deliveries.
    pub async fn run(
        self: Arc<Self>,
        RuleFeed { mut deltas, mut figures }: RuleFeed,
        mut stop: watch::Receiver<bool>,
        now: fn() -> WallTime,
        mut publish: impl FnMut(Vec<Alert>) + Send,
        heartbeat: Heartbeat,
        degraded: DegradedNow,
    ) {
        let _run = heartbeat.run_as_task();
        let mut kept: Arc<[Rule]> = Arc::default();
        let mut pulse = tokio::time::interval(BEAT);
        let started = Instant::now();
        let (sender, mut deliveries) = mpsc::channel(crate::limits::CHANNEL_QUEUE);
        let mut notifier = Notifier::start(&self.senders(), &sender, self.counters.clone());
        // What an earlier run could not deliver.
        let owed = self.state().machine.owed(now());
        self.spread(&notifier, owed, now(), &mut |_| {});
        loop {
            heartbeat.beat();
            notifier.check();
            let changes = tokio::select! {
                _ = stop.wait_for(|asked| *asked) => break,
                delta = deltas.recv() => match delta {
                    Some(delta) => {
                        let rules = self.rules();
                        if !Arc::ptr_eq(&rules, &kept) {
                            figures.keep(&rules, now());
                            kept = rules;
                        }
                        figures.add(&delta);
                        self.step(&mut notifier, &sender, |machine| {
                            machine.heed_clock(now(), started.elapsed());
                            machine.judge(now(), &figures)
                        })
                    }
                    None => break,
                },
                Some(delivery) = deliveries.recv() => {
                    let mut changes = self.step(&mut notifier, &sender, |_| Vec::new());
                    changes.extend(self.settle(&notifier, delivery, now()));
                    changes
                }
                _ = pulse.tick() => {
                    let health = notifier.health();
                    self.step(&mut notifier, &sender, |machine| {
                        machine.heed_clock(now(), started.elapsed());
                        machine.note_health(health);
                        machine.judge_own(now(), &degraded())
                    })
                }
                () = self.wake.notified() => self.step(&mut notifier, &sender, |_| Vec::new()),
            };
            self.spread(&notifier, changes, now(), &mut publish);
        }
        let changes = self.step(&mut notifier, &sender, |_| Vec::new());
        self.spread(&notifier, changes, now(), &mut publish);
        notifier.close();
        drop(sender);
        let last = async {
            while let Some(delivery) = deliveries.recv().await {
                let mut changes = std::mem::take(&mut self.state().outbox);
                changes.extend(self.settle(&notifier, delivery, now()));
                self.spread(&notifier, changes, now(), &mut publish);
            }
            notifier.ended().await;
        };
        let in_time = tokio::time::timeout(GRACE, last).await.is_ok();
        let left = notifier.left();
        if !in_time || left > 0 {
            tracing::warn!(
                left,
                "Some alert notifications are not delivered yet; the next run of perfmon with this history delivers them."
            );
        }
    }

    /// One step of the machine, with the notifier at the channels that the machine has in this step. Returns what users decided before,
    /// then what the step decided.
    fn step(
        &self,
        notifier: &mut Notifier,
        deliveries: &mpsc::Sender<Delivery>,
        decide: impl FnOnce(&mut Machine) -> Vec<Change>,
    ) -> Vec<Change> {
        let mut state = self.state();
        if std::mem::take(&mut state.replaced) {
            notifier.replace(&state.senders, deliveries);
        }
        let mut changes = std::mem::take(&mut state.outbox);
        changes.extend(decide(&mut state.machine));
        changes
    }

    /// Publishes changes and notifies their channels.
    fn spread(&self, notifier: &Notifier, mut decided: Vec<Change>, now: WallTime, publish: &mut impl FnMut(Vec<Alert>)) {
        // The record of a delivery tells nobody.
        for change in decided.iter().filter(|change| change.alert.state == AlertState::Resolved && !change.tell.is_empty()) {
            notifier.withdraw(&change.alert.alert_id, &change.tell);
        }
        let refused: Vec<Delivery> =
            decided.iter().flat_map(|change| change.tell.iter().filter_map(|channel| notifier.offer(channel, &change.alert))).collect();
        decided.extend(refused.into_iter().flat_map(|delivery| self.settle(notifier, delivery, now)));
        if !decided.is_empty() {
            publish(decided.into_iter().map(|change| change.alert).collect());
        }
    }

    /// Records the result of a delivery. A failed one goes to the channel's fallback, and on to that channel's fallback.
    fn settle(&self, notifier: &Notifier, delivery: Delivery, now: WallTime) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut next = Some(delivery);
        while let Some(Delivery { news, notified }) = next.take() {
            if !notified.ok {
                notifier.failed();
                next = notifier.fallback(&notified.channel).and_then(|fallback| notifier.offer(&fallback, &news));
            }
            changes.extend(self.state().machine.delivered(now, &news.alert_id, notified));
        }
        changes
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<[Rule]> {
        self.state().machine.rules()
    }

    /// Open alerts, then the last that are over; newest first each.
    pub fn alerts(&self) -> Vec<Alert> {
        self.state().machine.alerts()
    }

    /// Number of firing alerts that are not acknowledged.
    pub fn firing(&self) -> u64 {
        self.state().machine.firing()
    }

    /// Acknowledges an alert.
    pub fn acknowledge(&self, now: WallTime, id: &str, by: Option<Arc<str>>, note: Option<Arc<str>>) -> Result<Alert, Refused> {
        self.decide(|machine| machine.acknowledge(now, id, by, note))
    }

    /// Resolves an alert.
    pub fn resolve(&self, now: WallTime, id: &str, by: Option<Arc<str>>, note: Option<Arc<str>>) -> Result<Alert, Refused> {
        self.decide(|machine| machine.resolve(now, id, by, note))
    }

    fn decide(&self, decision: impl FnOnce(&mut Machine) -> Result<Change, Refused>) -> Result<Alert, Refused> {
        let mut state = self.state();
        let change = decision(&mut state.machine)?;
        let alert = change.alert.clone();
        state.outbox.push(change);
        self.wake.notify_one();
        Ok(alert)
    }

    /// Silences in force.
    pub fn silences(&self, now: WallTime) -> Vec<Silence> {
        self.state().machine.silences(now)
    }

    /// Adds a silence.
    pub fn silence(&self, now: WallTime, new: NewSilence) -> Result<Silence, Refused> {
        self.state().machine.silence(now, new)
    }

    /// Ends a silence.
    pub fn unsilence(&self, now: WallTime, id: &str) -> Result<Silence, Refused> {
        self.state().machine.unsilence(now, id)
    }

    /// Restores the silences of an earlier run.
    pub fn restore_silences(&self, now: WallTime, stored: Vec<Silence>) {
        self.state().machine.restore_silences(now, stored);
    }

    /// Sends a report to the channels of these names, one attempt each. A channel that is no longer configured is a failed delivery.
    pub async fn report(&self, report: &ReportNotice, channels: &[Arc<str>]) -> Vec<Notified> {
        let senders = self.senders();
        let send = async |name: &Arc<str>| match senders.iter().find(|sender| sender.channel.name == *name) {
            Some(sender) => sender.report(report).await,
            None => Notified {
                channel: name.clone(),
                ok: false,
                error: Some("no channel has this name".into()),
                state: None,
                severity: None,
                level: None,
            },
        };
        futures_util::future::join_all(channels.iter().map(send)).await
    }

    /// Sends a test alert to one channel or to all, one attempt each; returns the results.
    pub async fn test(&self, now: WallTime, channel: Option<&str>) -> Result<Vec<Notified>, Refused> {
        let mut trials = self.senders();
        trials.retain(|sender| channel.is_none_or(|name| *sender.channel.name == *name));
        if trials.is_empty() {
            return Err(Refused::Unknown);
        }
        let news = judgement::test_alert(now);
        let trial = async |sender: ChannelSender| sender.trial(&news).await;
        Ok(futures_util::future::join_all(trials.drain(..).map(trial)).await)
    }
}
