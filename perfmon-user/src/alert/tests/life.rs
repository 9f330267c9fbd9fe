//! The life of alerts beyond firing and ending: silences with matchers, severities that rise, flapping, groups, restarts, jumps of the clock.
use super::*;
use crate::alert::delivery::{ChannelQueue, NextStep};
use crate::alert::judgement::test_alert;
use AlertState::{Acknowledged, Firing, Pending, Resolved, Silenced};

const BAD: State = State { memory: 99.0, ..CALM };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn matchers_silence_what_they_match_and_survive_a_restart() {
    let matcher = |text: &str| SilenceMatcher::parse(text).unwrap();
    let mut before = machine(&standing());
    let new = |matchers: &[&str], duration| NewSilence {
        matchers: matchers.iter().map(|text| matcher(text)).collect(),
        duration: seconds(duration),
        ..NewSilence::default()
    };
    let kept = before.silence(at(0), new(&["severity!=critical", "rule=~memory.*|disk.*"], 100)).unwrap();
    let ended = before.silence(at(0), new(&["severity=critical"], 1_000)).unwrap();
    assert_ne!(kept.id, ended.id);
    let over = before.unsilence(at(5), &ended.id).unwrap();
    assert_eq!(over.ended_at, Some(at(5)));
    // As a store gives them: both ends of the second, in any order.
    let lines = [&over, &kept, &ended].map(|silence| serde_json::to_string(silence).unwrap());
    let mut after = machine(&standing());
    after.restore_silences(at(10), lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect());
    assert_eq!(after.silences(at(10)), [kept]);
    let both = |_| State { memory: 99.0, cpu: 99.0, error_rate: Some(0.5), ..CALM };
    let changes = live(&mut after, 10..50, both);
    let silenced: Vec<_> = changes.iter().filter(|(_, change)| change.alert.state == Silenced).map(|(_, c)| &*c.alert.rule).collect();
    assert_eq!((silenced, told(&changes)), (vec!["memory_usage"], 2), "CPU and the critical error rate are told");
    assert_eq!(states(&live(&mut after, 50..110, both)), [(100, "memory_usage", Firing)]);
}

fn critical_at(limit: f64) -> AlertSettings {
    let escalation = vec![Escalation { after: seconds(60), severity: None, channel: "boss".into() }];
    AlertSettings { critical: [("memory_usage".into(), Condition::Above(limit))].into(), escalation, ..standing() }
}

#[test]
fn a_worse_severity_is_told_again_and_starts_the_escalation_again() {
    let mut machine = machine(&critical_at(0.95));
    let id = live(&mut machine, 0..30, |_| State { memory: 90.0, ..CALM })[0].1.alert.alert_id.clone();
    machine.acknowledge(at(30), &id, Some("kim".into()), None).unwrap();
    let worse = live(&mut machine, 30..200, |second| State { memory: if second < 100 { 90.0 } else { 97.0 }, ..CALM });
    let steps: Vec<_> = worse.iter().map(|(second, change)| (*second, change.alert.escalation_level, change.tell.clone())).collect();
    assert_eq!(steps, [(120, 0, vec!["log".into()]), (180, 1, vec!["boss".into()])], "after `for`, and a minute after that");
    let alert = &worse[0].1.alert;
    assert_eq!((&alert.alert_id, alert.severity, alert.state), (&id, Severity::Critical, Firing));
    assert_eq!((alert.acknowledged_by.as_deref(), alert.fired_at, alert.severity_since), (None, Some(at(20)), Some(at(120))));
    assert_eq!(alert.message, "Memory of this host is 97 %, limit 95 %.");
    // Less bad is not well: it stays critical until it is over.
    let less = live(&mut machine, 200..400, |_| State { memory: 90.0, ..CALM });
    assert_eq!(states(&less), []);
    let over = live(&mut machine, 400..500, |_| CALM);
    assert_eq!((states(&over), over[0].1.alert.severity), (vec![(460, "memory_usage", Resolved)], Severity::Critical));
}

#[test]
fn a_short_peak_is_not_critical_and_one_from_the_start_is_told_once() {
    let mut peak = machine(&critical_at(0.95));
    let changes = live(&mut peak, 0..60, |second| State { memory: if second % 10 == 0 { 99.0 } else { 90.0 }, ..CALM });
    assert!(changes.iter().all(|(_, change)| change.alert.severity == Severity::Warning), "{changes:?}");
    let mut whole = machine(&critical_at(0.95));
    let changes = live(&mut whole, 0..60, |_| BAD);
    assert_eq!(states(&changes), [(0, "memory_usage", Pending), (20, "memory_usage", Firing)]);
    assert_eq!((changes[1].1.alert.severity, told(&changes)), (Severity::Critical, 1));
}

#[test]
fn a_worse_severity_and_the_escalation_go_on_after_a_restart() {
    let mut before = machine(&critical_at(0.95));
    let changes = live(&mut before, 0..150, |second| State { memory: if second < 100 { 90.0 } else { 97.0 }, ..CALM });
    assert_eq!(changes.last().map(|(second, change)| (*second, change.alert.severity)), Some((120, Severity::Critical)));
    let lines: Vec<String> =
        changes.iter().map(|(_, change)| serde_json::to_string(&Record::Alert(Box::new(change.alert.clone()))).unwrap()).collect();
    let mut after = machine(&critical_at(0.95));
    after.restore(lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect());
    let changes = live(&mut after, 160..300, |_| State { memory: 97.0, ..CALM });
    let told: Vec<_> = changes.iter().map(|(second, change)| (*second, change.alert.escalation_level, change.tell.clone())).collect();
    assert_eq!(told, [(180, 1, vec!["boss".into()])], "a minute after it became critical");
}

#[test]
fn an_alert_that_fires_again_and_again_is_held_and_says_so_once() {
    let flapping = FlapSettings { firings: 3, window: seconds(1_800) };
    let mut machine = machine(&AlertSettings { flapping, ..standing() });
    // 30 s bad, 90 s well, 40 times.
    let wave = |second: u64| State { memory: if second % 120 < 30 { 99.0 } else { 10.0 }, ..CALM };
    let changes = live(&mut machine, 0..4_800, wave);
    let said: Vec<_> =
        changes.iter().filter(|(_, change)| !change.tell.is_empty()).map(|(s, c)| (*s, c.alert.state, c.alert.flapping)).collect();
    assert_eq!(said, [(20, Firing, false), (90, Resolved, false), (140, Firing, false), (210, Resolved, false), (260, Firing, true)]);
    let message = &changes.last().unwrap().1.alert.message;
    assert!(
        message.ends_with("It flaps: it fired 3 times or more in 30 min, so it stays open until its condition was false for 10 min."),
        "{message}"
    );
    let over = live(&mut machine, 4_800..6_000, |_| CALM);
    assert_eq!(states(&over), [(4_710 + 600, "memory_usage", Resolved)]);
    // A restart knows it too.
    let firing = changes.last().unwrap().1.alert.clone();
    let mut after = super::machine(&AlertSettings { flapping, ..standing() });
    after.restore(vec![firing]);
    assert_eq!(states(&live(&mut after, 300..1_000, |_| CALM)), [(900, "memory_usage", Resolved)]);
}

#[test]
fn a_restart_ends_nothing_that_it_does_not_see() {
    let mut before = machine(&standing());
    let firing: Vec<Alert> = live(&mut before, 0..50, |_| BAD).into_iter().map(|(_, change)| change.alert).collect();
    let mut after = machine(&standing());
    after.restore(firing);
    // No sample of the host yet, whatever the reason.
    for second in 60..600 {
        let unseen = StateView { figures: RuleFigures::default(), uptime_s: (second - 60) as f64 };
        assert_eq!(after.judge(at(second), &unseen), []);
    }
    assert_eq!(states(&live(&mut after, 600..700, |_| CALM)), [(660, "memory_usage", Resolved)]);
}

#[test]
fn no_jump_of_the_clock_fires_ends_or_escalates() {
    let hour = 3_600;
    let escalation = vec![Escalation { after: seconds(900), severity: None, channel: "boss".into() }];
    let settings = AlertSettings { escalation, ..standing() };
    // Forward and back, while it is pending, while it fires, and while it is well.
    for jump in [hour, -1_000] {
        let mut machine = machine(&settings);
        let mut changes = Vec::new();
        for second in 0..1_100_u64 {
            let wall = if second >= 1_075 || (10..60).contains(&second) {
                (5_000 + second).checked_add_signed(jump).unwrap()
            } else {
                5_000 + second
            };
            machine.heed_clock(at(wall), seconds(second));
            let state = if second < 1_050 { BAD } else { CALM };
            let view = StateView::new(&machine, state);
            changes.extend(machine.judge(at(wall), &view).into_iter().map(|change| (second, change)));
        }
        assert_eq!(states(&changes), [(0, "memory_usage", Pending), (20, "memory_usage", Firing), (920, "memory_usage", Firing)], "{jump}");
    }
}

fn of(rule: &str, scope: &str, state: AlertState, severity: Severity) -> Alert {
    let message = format!("{scope} is too slow.");
    Alert {
        alert_id: format!("{rule} {scope}").into(),
        rule: rule.into(),
        scope: scope.into(),
        state,
        severity,
        message,
        ..test_alert(at(0))
    }
}

fn sent(queue: &mut ChannelQueue, from: Duration, until: Duration) -> Vec<(Duration, Alert, usize)> {
    let (mut now, mut sent) = (from, Vec::new());
    loop {
        match queue.next(now) {
            NextStep::Send(news) => sent.push((now, *news, queue.done(now, Ok(()), 1.0).len())),
            NextStep::WaitUntil(at) if at < until => now = at,
            _ => return sent,
        }
    }
}

#[test]
fn alerts_of_a_rule_that_fire_together_are_one_notification_for_people() {
    let grouping = Grouping { by: GroupBy::Rule, wait: seconds(1) };
    let push = |queue: &mut ChannelQueue| {
        for scope in ["/a", "/b", "/c"] {
            queue.push(seconds(10), of("slow", scope, Firing, Severity::Warning));
            queue.push(seconds(10), of(&format!("other {scope}"), "x", Firing, Severity::Info));
        }
        queue.push(seconds(10), of("slow", "/d", Firing, Severity::Critical));
        queue.push(seconds(10), of("slow", "/e", Resolved, Severity::Warning));
    };
    let mut people = ChannelQueue::new(RetryPolicy::default(), Some(20), true, grouping);
    push(&mut people);
    let told = sent(&mut people, seconds(10), seconds(100));
    assert_eq!(
        told.iter().map(|(_, news, count)| (&*news.rule, *count)).collect::<Vec<_>>(),
        [("slow", 4), ("other /a", 1), ("other /b", 1), ("other /c", 1), ("slow", 1)]
    );
    let (first, group, _) = &told[0];
    assert_eq!((*first, group.severity, &*group.scope), (seconds(11), Severity::Critical, "/a, /b, /c, /d"));
    assert_eq!(group.message, "4 alerts of slow:\n/a is too slow.\n/b is too slow.\n/c is too slow.\n/d is too slow.");
    let mut programs = ChannelQueue::new(RetryPolicy::default(), None, false, grouping);
    push(&mut programs);
    let told = sent(&mut programs, seconds(10), seconds(100));
    assert_eq!((told.len(), told[0].0), (8, seconds(10)), "each alert, at once");
}

#[test]
fn a_group_of_one_service_and_one_that_fails_is_tried_as_a_group() {
    let grouping = Grouping { by: GroupBy::Service, wait: seconds(1) };
    let mut queue = ChannelQueue::new(RetryPolicy::default(), None, true, grouping);
    queue.push(seconds(0), of("slow", "/a", Firing, Severity::Warning));
    queue.push(seconds(0), of("errors", "/a", Firing, Severity::Critical));
    let NextStep::Send(first) = queue.next(seconds(1)) else { panic!() };
    assert_eq!((&*first.rule, first.severity), ("2 alerts", Severity::Critical));
    assert_eq!(queue.done(seconds(1), Err(crate::alert::channel::DeliveryError::TimedOut(seconds(5))), 1.0), []);
    let again = sent(&mut queue, seconds(1), seconds(60));
    assert_eq!(again.iter().map(|(_, news, count)| (&news.alert_id, *count)).collect::<Vec<_>>(), [(&first.alert_id, 2)]);
}

#[test]
fn what_an_earlier_run_told_a_channel_is_not_told_again_as_a_fallback() {
    let mut queue = ChannelQueue::new(RetryPolicy::default(), None, false, Grouping::default());
    let news = of("slow", "/a", Firing, Severity::Warning);
    queue.remember(&news);
    assert_eq!(queue.push(seconds(0), news.clone()), None);
    assert_eq!(queue.len(), 0);
    for more in [
        Alert { severity: Severity::Critical, ..news.clone() },
        Alert { escalation_level: 1, ..news.clone() },
        Alert { state: Acknowledged, ..news },
    ] {
        let before = queue.len();
        queue.push(seconds(0), more);
        assert_eq!(queue.len(), before + 1);
    }
}

#[test]
fn a_page_that_a_channel_owes_is_told_after_a_restart_also_when_somebody_took_the_alert() {
    let channel = |name: &str| Channel { name: name.into(), ..Channel::log() };
    let settings = AlertSettings { channels: vec![channel("up"), channel("down")], ..standing() };
    let mut before = machine(&settings);
    let mut stored: Vec<Alert> = live(&mut before, 0..30, |_| BAD).into_iter().map(|(_, change)| change.alert).collect();
    let id = stored[0].alert_id.clone();
    let state = Some(Firing);
    let told = Notified { channel: "up".into(), ok: true, error: None, state, severity: Some(Severity::Warning), level: Some(0) };
    stored.extend(before.delivered(at(30), &id, told).map(|change| change.alert));
    stored.push(before.acknowledge(at(31), &id, None, None).unwrap().alert);
    let mut after = machine(&settings);
    after.restore(stored);
    let owed = after.owed(at(40));
    assert_eq!(owed.iter().map(|change| (change.alert.state, change.tell.clone())).collect::<Vec<_>>(), [(Firing, vec!["down".into()])]);
    assert_eq!(after.alerts()[0].state, Acknowledged);
}
