//! What one channel still has to be told. In: notifications, results of attempts, the time; out: the next attempt, and how deliveries went.
//! Pure: nothing is sent from here.
//!
//! A notification of a firing alert is tried until the channel accepts it or the alert is over. After some attempts in vain the channel is
//! down: each waiting notification is reported as failed once, so that the fallback gets it meanwhile, and the attempts go on with growing
//! pauses. What the channel accepted is not sent to it again. Above its rate, a channel for people gets one summary of what waited.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::record::{Alert, AlertState, Severity};

use super::channel::DeliveryError;
use super::group::Grouping;
use super::judgement;

/// How deliveries are tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// For the answer to one attempt.
    pub timeout: Duration,
    /// Attempts in vain after which a channel is down.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one, give or take a half.
    pub pause: Duration,
    /// The longest pause, unless the receiver asks for a longer one.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), attempts: 3, pause: Duration::from_millis(500), longest_pause: Duration::from_secs(30) }
    }
}

/// What is said of an alert that is over, or was taken, is tried for this long.
const AFTER_THE_END: Duration = Duration::from_secs(3_600);
/// Window of the rate.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether a channel accepts notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ChannelHealth {
    /// Nothing was sent yet.
    #[default]
    Unknown,
    /// The last one was accepted.
    Up,
    /// It does not, with the last error.
    Down(String),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NextStep {
    /// Send this; then call [`ChannelQueue::done`].
    Send(Box<Alert>),
    /// Nothing before this time.
    WaitUntil(Duration),
    /// Nothing waits, or an attempt is under way.
    Idle,
}

/// How the delivery of a notification went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NotificationOutcome {
    /// What was told.
    pub news: Alert,
    /// Why the channel did not accept it.
    pub error: Option<String>,
}

/// One state of one alert; a further step of the escalation and a worse severity are told anew.
type NewsKey = (Arc<str>, AlertState, u32, Option<Severity>);

fn key(news: &Alert) -> NewsKey {
    let is_firing = news.state == AlertState::Firing;
    let level = if is_firing { news.escalation_level } else { 0 };
    (news.alert_id.clone(), news.state, level, is_firing.then_some(news.severity))
}

#[derive(Debug)]
struct WaitingNotification {
    news: Alert,
    since: Duration,
    /// Its failure was reported.
    reported: bool,
}

/// The queue of a channel. Times are those of any clock that does not jump.
#[derive(Debug)]
pub(super) struct ChannelQueue {
    retry: RetryPolicy,
    /// Notifications a minute.
    rate: Option<u32>,
    sums_up: bool,
    grouping: Grouping,
    waiting: VecDeque<WaitingNotification>,
    /// Number of notifications at the front that are on their way.
    in_flight: usize,
    /// Attempts in vain since the last accepted one.
    failures: u32,
    not_before: Duration,
    accepted: VecDeque<NewsKey>,
    /// When the last ones were accepted, within a minute.
    accepted_at: VecDeque<Duration>,
    /// More came than the rate allows.
    is_held: bool,
    /// What is on its way is a summary of what was held.
    is_summary: bool,
    health: ChannelHealth,
}

impl ChannelQueue {
    /// An empty one.
    pub fn new(retry: RetryPolicy, rate: Option<u32>, sums_up: bool, grouping: Grouping) -> Self {
        Self {
            retry,
            rate,
            sums_up,
            grouping,
            waiting: VecDeque::new(),
            in_flight: 0,
            failures: 0,
            not_before: Duration::ZERO,
            accepted: VecDeque::new(),
            accepted_at: VecDeque::new(),
            is_held: false,
            is_summary: false,
            health: ChannelHealth::Unknown,
        }
    }

    /// Other settings for what waits.
    pub fn configure(&mut self, retry: RetryPolicy, rate: Option<u32>, sums_up: bool, grouping: Grouping) {
        (self.retry, self.rate, self.sums_up, self.grouping) = (retry, rate, sums_up, grouping);
        (self.failures, self.not_before) = (0, Duration::ZERO);
    }

    /// Whether the channel accepts notifications.
    pub fn health(&self) -> &ChannelHealth {
        &self.health
    }

    /// Number of notifications that wait or are on their way.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Queues a notification. One that repeats another is ignored; the end of an alert takes the place of what still waited of it. Returns a
    /// failed delivery when the queue is full, or when the channel is down: the notification is then tried, but others need to know it now.
    pub fn push(&mut self, now: Duration, news: Alert) -> Option<NotificationOutcome> {
        let key_of_news = key(&news);
        if self.accepted.contains(&key_of_news) || self.waiting.iter().any(|waiting| key(&waiting.news) == key_of_news) {
            return None;
        }
        if news.state == AlertState::Resolved {
            self.withdraw(&news.alert_id);
        }
        let is_full = self.waiting.len() >= limits::CHANNEL_QUEUE;
        let error = match &self.health {
            _ if is_full => Some("too many notifications are queued for this channel".into()),
            ChannelHealth::Down(error) if self.failures >= self.retry.attempts => Some(error.clone()),
            _ => None,
        };
        let outcome = error.map(|error| NotificationOutcome { news: news.clone(), error: Some(error) });
        if !is_full {
            self.waiting.push_back(WaitingNotification { news, since: now, reported: outcome.is_some() });
        }
        outcome
    }

    /// Notes what was accepted in an earlier run.
    pub fn remember(&mut self, news: &Alert) {
        self.accepted.push_back(key(news));
        let excess = self.accepted.len().saturating_sub(limits::CHANNEL_REMEMBERED);
        self.accepted.drain(..excess);
    }

    /// No notification waits for others of its group any more.
    pub fn hurry(&mut self) {
        self.grouping.wait = Duration::ZERO;
    }

    /// Forgets what waits of an alert.
    pub fn withdraw(&mut self, alert_id: &str) {
        let on_their_way = self.in_flight;
        let mut index = 0;
        self.waiting.retain(|waiting| {
            index += 1;
            index <= on_their_way || *waiting.news.alert_id != *alert_id
        });
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> NextStep {
        if self.waiting.is_empty() || self.in_flight > 0 {
            return NextStep::Idle;
        }
        if now < self.not_before {
            return NextStep::WaitUntil(self.not_before);
        }
        while self.accepted_at.front().is_some_and(|at| *at + MINUTE <= now) {
            self.accepted_at.pop_front();
        }
        if let (Some(rate), Some(oldest)) = (self.rate, self.accepted_at.front())
            && self.accepted_at.len() >= rate as usize
        {
            self.is_held = true;
            return NextStep::WaitUntil(*oldest + MINUTE);
        }
        if let Some(due) = self.group_due().filter(|due| *due > now) {
            return NextStep::WaitUntil(due);
        }
        self.is_summary = std::mem::take(&mut self.is_held) && self.sums_up;
        self.in_flight = if self.is_summary { self.waiting.len() } else { self.gather() };
        let sent: Vec<&Alert> = self.waiting.iter().take(self.in_flight).map(|waiting| &waiting.news).collect();
        let news = match sent[..] {
            [one] => one.clone(),
            _ if self.is_summary => judgement::summary(&sent),
            _ => self.grouping.notification(&sent).unwrap_or_else(|| sent[0].clone()),
        };
        NextStep::Send(Box::new(news))
    }

    /// What makes a group with others; only people get groups.
    fn group_of(&self, news: &Alert) -> Option<(Arc<str>, AlertState)> {
        self.grouping.key(news).filter(|_| self.sums_up)
    }

    /// When the first notification has waited for others of its group.
    fn group_due(&self) -> Option<Duration> {
        let first = self.waiting.front().filter(|first| self.group_of(&first.news).is_some())?;
        Some(first.since + self.grouping.wait)
    }

    /// Moves what belongs to the first notification's group to the front; returns how many they are.
    fn gather(&mut self) -> usize {
        let Some(group) = self.waiting.front().and_then(|first| self.group_of(&first.news)) else { return 1 };
        let (mut members, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| self.group_of(&waiting.news).as_ref() == Some(&group));
        let count = members.len();
        members.extend(others);
        self.waiting = members;
        count
    }

    /// The attempt ended; `spread` from 0.5 to 1.5 scatters the pause. Returns deliveries that are decided.
    pub fn done(&mut self, now: Duration, result: Result<(), DeliveryError>, spread: f64) -> Vec<NotificationOutcome> {
        let sent = std::mem::take(&mut self.in_flight).min(self.waiting.len());
        match result {
            Ok(()) => self.accept(now, sent),
            Err(error) if error.may_pass() => self.fail(now, sent, &error, spread),
            Err(error) => {
                let error = error.to_string();
                self.health = ChannelHealth::Down(error.clone());
                let refused = self.waiting.drain(..sent).filter(|waiting| !waiting.reported);
                refused.map(|waiting| NotificationOutcome { news: waiting.news, error: Some(error.clone()) }).collect()
            }
        }
    }

    /// A trial of the channel ended. After a success nothing waits for its pause any more.
    pub fn tried(&mut self, error: Option<&str>) {
        match error {
            None => (self.failures, self.not_before, self.health) = (0, Duration::ZERO, ChannelHealth::Up),
            Some(error) => self.health = ChannelHealth::Down(error.into()),
        }
    }

    fn accept(&mut self, now: Duration, sent: usize) -> Vec<NotificationOutcome> {
        self.tried(None);
        self.accepted_at.push_back(now);
        let told: Vec<Alert> = self.waiting.drain(..sent).map(|waiting| waiting.news).collect();
        self.accepted.extend(told.iter().map(key));
        let excess = self.accepted.len().saturating_sub(limits::CHANNEL_REMEMBERED);
        self.accepted.drain(..excess);
        // A minute's number of them is known by the rate; without one it is not needed.
        self.accepted_at.drain(..self.accepted_at.len().saturating_sub(self.rate.unwrap_or(0) as usize));
        told.into_iter().map(|news| NotificationOutcome { news, error: None }).collect()
    }

    fn fail(&mut self, now: Duration, sent: usize, error: &DeliveryError, spread: f64) -> Vec<NotificationOutcome> {
        self.is_held = std::mem::take(&mut self.is_summary) && sent > 1;
        self.failures = self.failures.saturating_add(1);
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let pause = self.retry.pause.saturating_mul(doubled).min(self.retry.longest_pause).mul_f64(spread);
        self.not_before = now + error.retry_after().map_or(pause, |wanted| wanted.max(pause));
        if self.failures < self.retry.attempts {
            self.forget_ended();
            return Vec::new();
        }
        let error = error.to_string();
        self.health = ChannelHealth::Down(error.clone());
        let unreported = self.waiting.iter_mut().filter(|waiting| !waiting.reported);
        let failed = unreported.map(|waiting| {
            waiting.reported = true;
            NotificationOutcome { news: waiting.news.clone(), error: Some(error.clone()) }
        });
        let failed = failed.collect();
        self.forget_ended();
        self.waiting.retain(|waiting| waiting.news.state == AlertState::Firing || now.saturating_sub(waiting.since) < AFTER_THE_END);
        failed
    }

    /// Of an alert that ended during an attempt, only the end is left to tell.
    fn forget_ended(&mut self) {
        let ended: Vec<Arc<str>> = self
            .waiting
            .iter()
            .map(|waiting| &waiting.news)
            .filter(|news| news.state == AlertState::Resolved)
            .map(|news| news.alert_id.clone())
            .collect();
        self.waiting.retain(|waiting| waiting.news.state == AlertState::Resolved || !ended.contains(&waiting.news.alert_id));
    }
}
