//! What a channel is told, over made-up seconds.
use ureq::http::StatusCode;

use super::*;
use crate::alert::channel::DeliveryError;
use crate::alert::delivery::{ChannelHealth, ChannelQueue, NextStep, NotificationOutcome};
use crate::alert::judgement;

fn queue(rate: Option<u32>, sums_up: bool) -> ChannelQueue {
    ChannelQueue::new(RetryPolicy::default(), rate, sums_up, Grouping::default())
}

fn news(name: &str, state: AlertState) -> Alert {
    Alert { alert_id: name.into(), rule: name.into(), state, ..judgement::test_alert(at(0)) }
}

fn status(code: u16, retry_after: Option<u64>) -> DeliveryError {
    let status = StatusCode::from_u16(code).unwrap();
    DeliveryError::Status { status, said: String::new(), retry_after: retry_after.map(Duration::from_secs) }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Goes on until a time. `answer` gives the result of an attempt by its time; returns what was sent and what was decided, with their times.
fn go(
    queue: &mut ChannelQueue,
    from: Duration,
    until: Duration,
    answer: impl Fn(Duration) -> Result<(), DeliveryError>,
) -> (Vec<(Duration, Alert)>, Vec<(Duration, NotificationOutcome)>) {
    let (mut now, mut sent, mut decided) = (from, Vec::new(), Vec::new());
    loop {
        match queue.next(now) {
            NextStep::Send(news) => {
                sent.push((now, *news));
                decided.extend(queue.done(now, answer(now), 1.0).into_iter().map(|outcome| (now, outcome)));
            }
            NextStep::WaitUntil(at) if at < until => now = at,
            _ => return (sent, decided),
        }
    }
}

#[test]
fn three_failures_lose_no_page_and_a_dead_hour_delivers_it_once() {
    for dead in [s(2), s(60), s(3_600)] {
        let mut queue = queue(None, false);
        assert_eq!(queue.push(s(0), news("a", AlertState::Firing)), None);
        let (sent, decided) = go(&mut queue, s(0), s(10_000), |now| if now < dead { Err(status(500, None)) } else { Ok(()) });
        let accepted: Vec<_> = decided.iter().filter(|(_, outcome)| outcome.error.is_none()).collect();
        assert_eq!(accepted.len(), 1, "{decided:?}");
        assert!(accepted[0].0 >= dead && accepted[0].0 < dead + s(31), "delivered at {:?}", accepted[0].0);
        assert_eq!(sent.iter().filter(|(now, _)| *now >= dead).count(), 1);
        // The fallback hears of it once, after the third attempt.
        let failed: Vec<_> = decided.iter().filter(|(_, outcome)| outcome.error.is_some()).map(|(now, _)| *now).collect();
        assert_eq!(failed, [Duration::from_millis(1_500)]);
        assert_eq!(queue.health(), &ChannelHealth::Up);
        assert_eq!(queue.push(s(20_000), news("a", AlertState::Firing)), None);
        assert_eq!(queue.next(s(20_000)), NextStep::Idle, "what was accepted is not sent again");
    }
}

#[test]
fn while_it_is_down_the_fallback_gets_new_pages_at_once() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Firing));
    go(&mut queue, s(0), s(2), |_| Err(status(503, None)));
    assert!(matches!(queue.health(), ChannelHealth::Down(error) if error.contains("503")));
    let refused = queue.push(s(2), news("b", AlertState::Firing)).unwrap();
    assert_eq!((&*refused.news.alert_id, refused.error.as_deref()), ("b", Some("it answered 503 Service Unavailable")));
    let (sent, decided) = go(&mut queue, s(2), s(100), |now| if now < s(20) { Err(status(503, None)) } else { Ok(()) });
    let told: Vec<&str> = decided.iter().map(|(_, outcome)| &*outcome.news.alert_id).collect();
    assert_eq!((told, decided.iter().all(|(_, outcome)| outcome.error.is_none())), (vec!["a", "b"], true), "{sent:?}");
}

#[test]
fn a_trial_that_succeeds_ends_the_pause() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Firing));
    go(&mut queue, s(0), s(300), |_| Err(status(500, None)));
    assert!(matches!(queue.next(s(300)), NextStep::WaitUntil(_)));
    queue.tried(None);
    assert!(matches!(queue.next(s(300)), NextStep::Send(_)));
}

#[test]
fn what_the_receiver_asks_for_is_kept() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Firing));
    let (sent, _) = go(&mut queue, s(0), s(1_000), |now| if now < s(1) { Err(status(429, Some(120))) } else { Ok(()) });
    assert_eq!(sent.iter().map(|(now, _)| *now).collect::<Vec<_>>(), [s(0), s(120)]);
}

#[test]
fn what_is_refused_goes_to_the_fallback_and_is_not_tried_again() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Firing));
    let (sent, decided) = go(&mut queue, s(0), s(1_000), |_| Err(status(404, None)));
    assert_eq!((sent.len(), decided.len(), decided[0].1.error.as_deref()), (1, 1, Some("it answered 404 Not Found")));
    assert!(matches!(queue.health(), ChannelHealth::Down(_)));
    assert_eq!(queue.push(s(1), news("b", AlertState::Firing)), None, "each is tried once");
    assert_eq!(go(&mut queue, s(1), s(2), |_| Ok(())).0.len(), 1);
}

#[test]
fn the_end_of_an_alert_takes_the_place_of_its_page() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Firing));
    queue.push(s(0), news("b", AlertState::Firing));
    go(&mut queue, s(0), s(60), |_| Err(status(500, None)));
    queue.push(s(60), news("a", AlertState::Resolved));
    queue.withdraw("b");
    let (sent, _) = go(&mut queue, s(60), s(200), |_| Ok(()));
    assert_eq!(sent.iter().map(|(_, news)| (&*news.alert_id, news.state)).collect::<Vec<_>>(), [("a", AlertState::Resolved)]);
    // An attempt under way is not taken back; the end follows it.
    queue.push(s(200), news("c", AlertState::Firing));
    assert!(matches!(queue.next(s(200)), NextStep::Send(_)));
    queue.push(s(201), news("c", AlertState::Resolved));
    assert_eq!(queue.done(s(202), Ok(()), 1.0).len(), 1);
    assert_eq!(go(&mut queue, s(202), s(203), |_| Ok(())).0[0].1.state, AlertState::Resolved);
    // One that failed is not tried again.
    queue.push(s(210), news("d", AlertState::Firing));
    assert!(matches!(queue.next(s(210)), NextStep::Send(_)));
    queue.push(s(211), news("d", AlertState::Resolved));
    queue.done(s(212), Err(status(500, None)), 1.0);
    let (sent, _) = go(&mut queue, s(212), s(300), |_| Ok(()));
    assert_eq!(sent.iter().map(|(_, news)| news.state).collect::<Vec<_>>(), [AlertState::Resolved]);
}

#[test]
fn the_end_of_an_alert_is_tried_for_an_hour() {
    let mut queue = queue(None, false);
    queue.push(s(0), news("a", AlertState::Resolved));
    queue.push(s(0), news("b", AlertState::Firing));
    go(&mut queue, s(0), s(3_700), |_| Err(status(500, None)));
    let (sent, _) = go(&mut queue, s(3_700), s(4_000), |_| Ok(()));
    assert_eq!(sent.iter().map(|(_, news)| &*news.alert_id).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn above_its_rate_people_get_a_summary_and_programs_get_each() {
    let names: Vec<String> = (0..50).map(|number| format!("alert{number}")).collect();
    let run = |sums_up| {
        let mut queue = queue(Some(10), sums_up);
        for name in &names {
            assert_eq!(queue.push(s(0), news(name, AlertState::Firing)), None);
        }
        go(&mut queue, s(0), s(3_600), |_| Ok(()))
    };
    let (sent, decided) = run(true);
    assert_eq!((sent.len(), decided.len()), (11, 50), "each is told, in eleven notifications");
    let (at_last, summary) = &sent[10];
    assert_eq!((*at_last, &*summary.rule), (s(60), "summary"));
    assert!(summary.message.contains("40 notifications") && summary.message.contains("alert10 of test is firing"), "{}", summary.message);
    assert!(summary.message.contains("and 30 more"), "{}", summary.message);
    let (sent, decided) = run(false);
    assert_eq!((sent.len(), decided.len(), sent[49].0), (50, 50, s(240)));
}

#[test]
fn a_full_queue_says_so() {
    let mut queue = queue(None, false);
    let refused = (0..100).filter_map(|number| queue.push(s(0), news(&format!("alert{number}"), AlertState::Firing))).count();
    assert_eq!((queue.len(), refused), (crate::limits::CHANNEL_QUEUE, 100 - crate::limits::CHANNEL_QUEUE));
}
