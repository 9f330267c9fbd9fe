//! The delivery queue of one receiver and signal, and the schedule of retries. Pure: time and answers are arguments. Bounded in bytes: on
//! overflow the oldest envelope is dropped and counted.
use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::envelope::Envelope;

const FIRST_WAIT_NS: u64 = 1_000_000_000;
const LONGEST_WAIT_NS: u64 = 60_000_000_000;
/// Upper bound of the delay that a receiver may request.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Accepted, except for `rejected` items.
    Taken {
        /// Items that the receiver refused.
        rejected: u64,
        /// Why, or a remark when none is refused.
        why: Option<String>,
    },
    /// It was not, and may be later.
    Again {
        /// Delay requested by the receiver.
        after: Option<Duration>,
        /// Why not now.
        why: String,
    },
    /// It is too large.
    TooLarge,
    /// It will never be.
    Refused {
        /// The receiver does not know us: nothing will be taken before the user does something.
        forbidden: bool,
        /// Why.
        why: String,
    },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueStep {
    /// Send this, then call `answered`.
    Send(Envelope),
    /// Wait, at most this long.
    Wait(Duration),
    /// Nothing to do.
    Idle,
}

/// What users see of a lane. Items are spans, points or log records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryFigures {
    /// Items that wait.
    pub queued: u64,
    /// Bytes that wait.
    pub queued_bytes: u64,
    /// Items delivered.
    pub sent: u64,
    /// Items that the receiver refused for good.
    pub failed: u64,
    /// Items dropped because too many waited.
    pub dropped: u64,
    /// Repeated deliveries.
    pub retries: u64,
    /// What went wrong last; null when the last delivery was taken.
    pub last_error: Option<String>,
}

/// The queue.
#[derive(Debug)]
pub struct DeliveryQueue {
    waiting: VecDeque<Envelope>,
    bound: usize,
    /// Being sent.
    away: Option<Envelope>,
    failures: u32,
    not_before_ns: u64,
    figures: DeliveryFigures,
}

impl DeliveryQueue {
    /// An empty queue for `bound` bytes.
    pub fn new(bound: usize) -> Self {
        Self { waiting: VecDeque::new(), bound, away: None, failures: 0, not_before_ns: 0, figures: DeliveryFigures::default() }
    }

    /// Adds an envelope; true when older ones were dropped for it.
    pub fn push(&mut self, envelope: Envelope) -> bool {
        self.waiting.push_back(envelope);
        self.make_room()
    }

    /// What to do at this time.
    pub fn next(&mut self, now_ns: u64) -> QueueStep {
        if now_ns < self.not_before_ns && !self.waiting.is_empty() {
            return QueueStep::Wait(Duration::from_nanos(self.not_before_ns - now_ns));
        }
        match self.waiting.pop_front() {
            Some(envelope) => {
                self.away = Some(envelope.clone());
                QueueStep::Send(envelope)
            }
            None => QueueStep::Idle,
        }
    }

    /// Takes the result of the delivery that `next` started.
    pub fn answered(&mut self, now_ns: u64, outcome: DeliveryOutcome) {
        let Some(envelope) = self.away.take() else { return };
        self.figures.last_error = None;
        match outcome {
            DeliveryOutcome::Taken { rejected, why } => {
                let rejected = rejected.min(envelope.items);
                self.figures.sent += envelope.items - rejected;
                self.figures.failed += rejected;
                // With nothing rejected it is a remark (opentelemetry-proto, `error_message` of a partial success).
                self.figures.last_error = why.filter(|_| rejected > 0);
                self.failures = 0;
            }
            DeliveryOutcome::Again { after, why } => {
                self.figures.retries += 1;
                self.figures.last_error = Some(why);
                self.not_before_ns = now_ns + self.wait_ns(now_ns, after);
                self.failures = self.failures.saturating_add(1);
                self.waiting.push_front(envelope);
                self.make_room();
            }
            DeliveryOutcome::TooLarge => match envelope.halves() {
                Some([first, second]) => {
                    self.waiting.push_front(second);
                    self.waiting.push_front(first);
                    self.make_room();
                }
                None => {
                    self.figures.failed += envelope.items;
                    self.figures.last_error = Some("one item alone is too large for the receiver".into());
                }
            },
            DeliveryOutcome::Refused { why, .. } => {
                self.figures.failed += envelope.items;
                self.figures.last_error = Some(why);
                self.failures = 0;
            }
        }
    }

    /// Does not wait any longer for what failed.
    pub fn hurry(&mut self) {
        self.not_before_ns = 0;
    }

    /// The end: what waits is dropped and counted.
    pub fn give_up(&mut self) -> u64 {
        let left = self.waiting.drain(..).chain(self.away.take()).map(|envelope| envelope.items).sum();
        self.figures.dropped += left;
        left
    }

    /// What users see.
    pub fn figures(&self) -> DeliveryFigures {
        let queued = self.waiting.iter().chain(&self.away);
        DeliveryFigures { queued: queued.map(|envelope| envelope.items).sum(), queued_bytes: self.bytes() as u64, ..self.figures.clone() }
    }

    /// Doubles with each failure, ± half, so that many senders do not come back at once.
    fn wait_ns(&self, now_ns: u64, asked: Option<Duration>) -> u64 {
        let backed_off = (FIRST_WAIT_NS << self.failures.min(6)).min(LONGEST_WAIT_NS);
        let chance = now_ns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let wait_ns = backed_off / 2 + backed_off * chance / (1 << 16);
        asked.map_or(wait_ns, |asked| wait_ns.max(asked.min(LONGEST_ASKED).as_nanos() as u64))
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().chain(&self.away).map(|envelope| envelope.gzipped.len()).sum()
    }

    fn make_room(&mut self) -> bool {
        let mut over = self.bytes().saturating_sub(self.bound);
        let overflowed = over > 0;
        while over > 0
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.figures.dropped += oldest.items;
            over = over.saturating_sub(oldest.gzipped.len());
        }
        overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Signal;

    const SECOND: u64 = 1_000_000_000;

    fn envelope(items: u64) -> Envelope {
        Envelope { signal: Signal::Metrics, items, gzipped: vec![0; 100].into() }
    }

    fn again(after: Option<u64>) -> DeliveryOutcome {
        DeliveryOutcome::Again { after: after.map(Duration::from_secs), why: "refused".into() }
    }

    fn taken() -> DeliveryOutcome {
        DeliveryOutcome::Taken { rejected: 0, why: None }
    }

    /// Runs against a receiver for a time; returns the items that arrived.
    fn run(queue: &mut DeliveryQueue, from_ns: u64, to_ns: u64, answer: &mut dyn FnMut(u64) -> DeliveryOutcome) -> u64 {
        let (mut now_ns, mut arrived) = (from_ns, 0);
        while now_ns < to_ns {
            match queue.next(now_ns) {
                QueueStep::Send(envelope) => {
                    let outcome = answer(now_ns);
                    arrived += if matches!(outcome, DeliveryOutcome::Taken { .. }) { envelope.items } else { 0 };
                    queue.answered(now_ns, outcome);
                    now_ns += SECOND / 1_000;
                }
                QueueStep::Wait(wait) => now_ns += wait.as_nanos() as u64,
                QueueStep::Idle => return arrived,
            }
        }
        arrived
    }

    #[test]
    fn a_minute_of_refused_connections_loses_nothing_within_the_bound() {
        let mut queue = DeliveryQueue::new(10_000);
        let (mut tries, mut arrived) = (0, 0);
        for second in 0..60 {
            queue.push(envelope(7));
            arrived += run(&mut queue, second * SECOND, (second + 1) * SECOND, &mut |_| {
                tries += 1;
                again(None)
            });
        }
        assert_eq!((arrived, queue.figures().queued, queue.figures().dropped), (0, 420, 0));
        assert!((5..=12).contains(&tries), "{tries} tries in a minute");
        let arrived = run(&mut queue, 60 * SECOND, 300 * SECOND, &mut |_| taken());
        assert_eq!((arrived, queue.figures().sent, queue.figures().queued), (420, 420, 0));
        assert_eq!(queue.figures().last_error, None);
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes_and_is_counted() {
        let mut queue = DeliveryQueue::new(1_000);
        let overflowed = (1..=15).map(|items| queue.push(envelope(items))).filter(|overflowed| *overflowed).count();
        assert_eq!((overflowed, queue.figures().dropped), (5, 1 + 2 + 3 + 4 + 5));
        assert_eq!(queue.figures().queued_bytes, 1_000);
        assert_eq!(queue.next(0), QueueStep::Send(envelope(6)));
        // One that comes back to a full queue is the oldest.
        queue.push(envelope(16));
        queue.answered(0, again(None));
        assert!(queue.figures().queued_bytes <= 1_000);
        let arrived = run(&mut queue, 0, 600 * SECOND, &mut |_| taken());
        assert_eq!(arrived + queue.figures().dropped, (1..=16).sum::<u64>());
    }

    #[test]
    fn the_receiver_says_how_long_to_wait() {
        let mut queue = DeliveryQueue::new(1_000);
        queue.push(envelope(1));
        let mut tries = Vec::new();
        run(&mut queue, 0, 200 * SECOND, &mut |now_ns| {
            tries.push(now_ns);
            if tries.len() == 1 { again(Some(17)) } else { taken() }
        });
        assert_eq!(tries.len(), 2);
        assert!((17 * SECOND..18 * SECOND).contains(&tries[1]), "{tries:?}");
    }

    #[test]
    fn a_refusal_is_not_repeated() {
        let mut queue = DeliveryQueue::new(1_000);
        queue.push(envelope(3));
        queue.push(envelope(4));
        let mut tries = 0;
        run(&mut queue, 0, 600 * SECOND, &mut |_| {
            tries += 1;
            DeliveryOutcome::Refused { forbidden: true, why: "401".into() }
        });
        assert_eq!((tries, queue.figures().failed, queue.figures().queued), (2, 7, 0));
        assert_eq!(queue.figures().last_error.as_deref(), Some("401"));
    }

    #[test]
    fn what_a_receiver_refuses_of_an_envelope_is_counted() {
        let mut queue = DeliveryQueue::new(1_000);
        queue.push(envelope(10));
        run(&mut queue, 0, SECOND, &mut |_| DeliveryOutcome::Taken { rejected: 3, why: Some("too old".into()) });
        let figures = queue.figures();
        assert_eq!((figures.sent, figures.failed, figures.last_error.as_deref()), (7, 3, Some("too old")));
    }

    #[test]
    fn giving_up_counts_what_is_left() {
        let mut queue = DeliveryQueue::new(1_000);
        queue.push(envelope(2));
        queue.push(envelope(3));
        assert_eq!(queue.next(0), QueueStep::Send(envelope(2)));
        assert_eq!((queue.give_up(), queue.figures().dropped, queue.figures().queued), (5, 5, 0));
    }
}
