//! The state machine over made-up seconds.
use super::*;
use crate::record::metric::{Metric, RecordKind};
use AlertState::{Acknowledged, Firing, Pending, Resolved, Silenced};

#[test]
fn each_threshold_fires_alone_within_30_s_and_is_over_after_a_minute() {
    type Turn = fn(State) -> State;
    let table: [(&str, Severity, &str, Turn); 5] = [
        ("response_time_p95", Severity::Warning, "performance", |s| State { p95_ms: Some(1_000.1), ..s }),
        ("error_rate_5min", Severity::Critical, "reliability", |s| State { error_rate: Some(0.0501), ..s }),
        ("memory_usage", Severity::Warning, "resource", |s| State { memory: 85.1, ..s }),
        ("cpu_usage", Severity::Warning, "resource", |s| State { cpu: 80.1, ..s }),
        ("disk_usage", Severity::Warning, "resource", |s| State { disk: 90.1, ..s }),
    ];
    for (rule, severity, kind, turn) in table {
        let mut machine = machine(&standing());
        assert_eq!(live(&mut machine, 0..100, |_| CALM), []);
        let bad = live(&mut machine, 100..200, |_| turn(CALM));
        let [(100, pending), (fired_at, firing)] = &bad[..] else { panic!("{rule}: {:?}", states(&bad)) };
        assert!(*fired_at <= 130, "{rule} fires only after {} s", fired_at - 100);
        assert_eq!((pending.alert.state, firing.alert.state), (Pending, Firing));
        assert_eq!((&*firing.alert.rule, firing.alert.severity, &*firing.alert.kind_name), (rule, severity, kind));
        assert_eq!((pending.tell.len(), &firing.tell[..]), (0, &["log".into()][..]));
        assert!(firing.alert.value > Some(firing.alert.threshold) && firing.alert.message.contains(", limit "), "{}", firing.alert.message);
        let over = live(&mut machine, 200..400, |_| CALM);
        assert_eq!(states(&over), [(260, rule, Resolved)]);
        let ids = [&pending.alert, &firing.alert, &over[0].1.alert].map(|alert| alert.alert_id.clone());
        assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
        assert!(over[0].1.alert.message.contains(" again, limit "), "{}", over[0].1.alert.message);
    }
}

#[test]
fn the_limit_itself_is_not_above_it() {
    let at_limit = State { p95_ms: Some(1_000.0), error_rate: Some(0.05), cpu: 80.0, memory: 85.0, disk: 90.0, ..CALM };
    assert_eq!(live(&mut machine(&standing()), 0..100, |_| at_limit), []);
}

#[test]
fn fewer_than_ten_requests_are_not_judged() {
    let few = |requests| State { requests, error_rate: Some(1.0), p95_ms: Some(9_000.0), ..CALM };
    assert_eq!(live(&mut machine(&standing()), 0..100, |_| few(9)), []);
    let enough = live(&mut machine(&standing()), 0..100, |_| few(10));
    assert_eq!(enough.iter().filter(|(_, change)| change.alert.state == Firing).count(), 2);
}

#[test]
fn a_value_that_swings_around_its_limit_does_not_flap() {
    let swing = |second: u64, period: u64| State { cpu: if (second / period).is_multiple_of(2) { 81.0 } else { 79.0 }, ..CALM };
    let mut quiet = machine(&standing());
    let swinging = live(&mut quiet, 0..600, |second| swing(second, 3));
    assert_eq!(states(&swinging), [(0, "cpu_usage", Pending)], "a swing faster than `for` only waits");
    let mut loud = machine(&standing());
    live(&mut loud, 0..100, |_| State { cpu: 95.0, ..CALM });
    let swinging = live(&mut loud, 100..1_000, |second| swing(second, 30));
    assert_eq!(states(&swinging), [], "once it fires, swings shorter than `keep_firing_for` keep it");
}

#[test]
fn a_pending_alert_goes_without_having_told_anybody() {
    let mut machine = machine(&standing());
    let changes = live(&mut machine, 0..60, |second| State { memory: if second < 5 { 99.0 } else { 10.0 }, ..CALM });
    assert_eq!(states(&changes), [(0, "memory_usage", Pending), (25, "memory_usage", Resolved)]);
    assert_eq!(told(&changes), 0);
    assert!(machine.alerts().is_empty(), "what never fired is not listed");
}

#[test]
fn it_fires_anew_with_a_new_id() {
    let wave = |second: u64| State { error_rate: Some(if (second / 100).is_multiple_of(2) { 0.5 } else { 0.0 }), ..CALM };
    let mut machine = machine(&standing());
    let changes = live(&mut machine, 0..400, wave);
    let firing: Vec<_> = changes.iter().filter(|(_, change)| change.alert.state == Firing).map(|(_, c)| c.alert.alert_id.clone()).collect();
    assert_eq!(firing.len(), 2);
    assert_ne!(firing[0], firing[1]);
    assert_eq!(told(&changes), 4, "each is told when it fires and when it is over");
}

#[test]
fn each_file_system_is_an_alert_of_its_own() {
    let mut machine = machine(&standing());
    let changes = live(&mut machine, 0..30, |_| State { disk: 99.0, ..CALM });
    assert!(changes.iter().all(|(_, change)| &*change.alert.scope == "/"), "{changes:?}");
    assert_eq!(machine.firing(), 1);
}

#[test]
fn acknowledging_and_resolving_need_the_right_state() {
    let mut machine = machine(&standing());
    let pending = live(&mut machine, 0..1, |_| State { memory: 99.0, ..CALM })[0].1.alert.alert_id.clone();
    assert_eq!(machine.acknowledge(at(1), &pending, None, None), Err(Refused::State(Pending)));
    assert_eq!(machine.acknowledge(at(1), "nonsense", None, None), Err(Refused::Unknown));
    live(&mut machine, 1..30, |_| State { memory: 99.0, ..CALM });
    let change = machine.acknowledge(at(30), &pending, Some("kim".into()), Some("on it".into())).unwrap();
    assert_eq!((change.alert.state, change.alert.acknowledged_by.as_deref(), change.tell.len()), (Acknowledged, Some("kim"), 0));
    assert_eq!(machine.acknowledge(at(31), &pending, None, None), Err(Refused::State(Acknowledged)));
    assert_eq!(machine.firing(), 0);
    let over = live(&mut machine, 31..200, |_| CALM);
    assert_eq!(states(&over), [(91, "memory_usage", Resolved)]);
    assert_eq!(over[0].1.alert.acknowledged_by.as_deref(), Some("kim"), "who had it is kept");
    assert_eq!(machine.resolve(at(201), &pending, None, None), Err(Refused::State(Resolved)));
}

#[test]
fn who_acknowledged_is_told_where_incidents_are_followed() {
    let pager = Channel { name: "pager".into(), kind: ChannelType::named("pagerduty").unwrap(), ..Channel::log() };
    let mut machine = machine(&AlertSettings { channels: vec![Channel::log(), pager], ..standing() });
    let id = live(&mut machine, 0..30, |_| State { memory: 99.0, ..CALM })[0].1.alert.alert_id.clone();
    let change = machine.acknowledge(at(30), &id, Some("kim".into()), None).unwrap();
    assert_eq!((change.alert.state, &change.tell[..]), (Acknowledged, &["pager".into()][..]));
}

#[test]
fn resolved_by_hand_it_stays_quiet_until_the_condition_has_gone() {
    let bad = |_| State { memory: 99.0, ..CALM };
    let mut machine = machine(&standing());
    let id = live(&mut machine, 0..30, bad)[0].1.alert.alert_id.clone();
    let change = machine.resolve(at(30), &id, Some("kim".into()), None).unwrap();
    assert_eq!((change.alert.state, change.alert.resolved_by.as_deref(), change.tell.len()), (Resolved, Some("kim"), 1));
    assert_eq!(live(&mut machine, 31..300, bad), []);
    live(&mut machine, 300..301, |_| CALM);
    assert_eq!(states(&live(&mut machine, 301..330, bad)), [(301, "memory_usage", Pending), (321, "memory_usage", Firing)]);
}

#[test]
fn escalation_goes_on_step_by_step_until_somebody_takes_it() {
    let step =
        |minutes: u64, severity, channel: &str| Escalation { after: Duration::from_secs(60 * minutes), severity, channel: channel.into() };
    let escalation = vec![step(1, None, "team"), step(2, Some(Severity::Critical), "nobody"), step(3, None, "boss")];
    let settings = AlertSettings { escalation, ..standing() };
    let bad = |_| State { memory: 99.0, ..CALM };
    let mut left = machine(&settings);
    let changes = live(&mut left, 0..400, bad);
    let steps: Vec<_> = changes[2..].iter().map(|(second, change)| (*second, change.alert.escalation_level, change.tell.clone())).collect();
    assert_eq!(steps, [(80, 1, vec!["team".into()]), (200, 3, vec!["boss".into()])]);
    let over = live(&mut left, 400..500, |_| CALM);
    assert_eq!(over[0].1.tell, ["log".into(), "team".into(), "boss".into()], "all who were told hear of the end");
    let mut taken = machine(&settings);
    let id = live(&mut taken, 0..100, bad)[0].1.alert.alert_id.clone();
    taken.acknowledge(at(100), &id, None, None).unwrap();
    assert_eq!(live(&mut taken, 100..1_000, bad), []);
}

#[test]
fn a_silence_tells_nobody_until_it_ends() {
    let bad = |_| State { memory: 99.0, ..CALM };
    let new = |rule: &str| NewSilence { rule: Some(rule.into()), duration: Duration::from_secs(100), ..NewSilence::default() };
    let mut silenced = machine(&standing());
    silenced.silence(at(0), new("memory_usage")).unwrap();
    let changes = live(&mut silenced, 0..150, bad);
    assert_eq!(states(&changes), [(0, "memory_usage", Pending), (20, "memory_usage", Silenced), (100, "memory_usage", Firing)]);
    assert_eq!(changes.iter().map(|(_, change)| change.tell.len()).collect::<Vec<_>>(), [0, 0, 1]);
    let id = silenced.silence(at(150), new("memory_usage")).unwrap().silence_id;
    assert_eq!(silenced.silences(at(151)).len(), 1);
    assert_eq!(states(&live(&mut silenced, 151..153, bad)), [(151, "memory_usage", Silenced)]);
    silenced.unsilence(at(153), &id).unwrap();
    assert_eq!(silenced.unsilence(at(153), &id), Err(Refused::Unknown));
    let again = live(&mut silenced, 153..200, bad);
    assert_eq!((states(&again), told(&again)), (vec![(153, "memory_usage", Firing)], 0), "it was told already");
    let mut other = machine(&standing());
    other.silence(at(0), new("cpu_usage")).unwrap();
    assert_eq!(told(&live(&mut other, 0..50, bad)), 1, "a silence covers its rule only");
}

#[test]
fn nothing_is_told_twice_after_a_restart() {
    let bad = |_| State { error_rate: Some(0.5), memory: 99.0, ..CALM };
    let mut before = machine(&standing());
    let mut stored: Vec<Alert> = live(&mut before, 0..50, bad).into_iter().map(|(_, change)| change.alert).collect();
    let memory = before.alerts().into_iter().find(|alert| &*alert.rule == "memory_usage").unwrap().alert_id;
    stored.push(before.acknowledge(at(50), &memory, Some("kim".into()), None).unwrap().alert);
    // As a store keeps and gives them: JSON, in any order.
    let lines: Vec<String> =
        stored.iter().rev().map(|alert| serde_json::to_string(&Record::Alert(Box::new(alert.clone()))).unwrap()).collect();
    let mut after = machine(&standing());
    after.restore(lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect());
    assert_eq!(after.alerts(), before.alerts());
    let empty = |second: u64| State { error_rate: None, requests: 0, p95_ms: None, memory: 99.0, uptime_s: (second - 60) as f64, ..CALM };
    assert_eq!(live(&mut after, 60..200, empty), [], "an empty window after the start says nothing");
    let rest = live(&mut after, 200..300, |_| State { memory: 99.0, ..bad(0) });
    assert_eq!(rest, []);
    let over = live(&mut after, 300..400, |_| CALM);
    assert_eq!(states(&over), [(360, "error_rate_5min", Resolved), (360, "memory_usage", Resolved)]);
}

#[test]
fn a_pending_alert_of_an_earlier_run_needs_its_time_anew() {
    let bad = |_| State { memory: 99.0, ..CALM };
    let stored: Vec<Alert> = live(&mut machine(&standing()), 0..10, bad).into_iter().map(|(_, change)| change.alert).collect();
    let mut after = machine(&standing());
    after.restore(stored.clone());
    let changes = live(&mut after, 1_000..1_100, bad);
    assert_eq!(states(&changes), [(1_020, "memory_usage", Firing)]);
    assert_eq!((told(&changes), &changes[0].1.alert.alert_id), (1, &stored[0].alert_id));
}

#[test]
fn an_alert_whose_rule_is_gone_ends() {
    let stored = live(&mut machine(&standing()), 0..50, |_| State { memory: 99.0, ..CALM });
    let mut after = machine(&AlertSettings { rules: vec![], ..standing() });
    after.restore(stored.into_iter().map(|(_, change)| change.alert).collect());
    let changes = live(&mut after, 60..62, |_| CALM);
    assert_eq!(states(&changes), [(60, "memory_usage", Resolved)]);
}

fn filter(wanted: &[(&str, &str)]) -> RuleFilter {
    let wanted = wanted.iter().map(|(label, pattern)| ((*label).to_owned(), (*pattern).to_owned())).collect();
    RuleFilter::new(RecordKind::Request.labels(), &wanted, &[]).unwrap()
}

fn own_rule(metric: &str, condition: Condition, filter: RuleFilter) -> Rule {
    let template = Thresholds::default().rules().remove(0);
    let metric = AlertMetric::named(metric).unwrap();
    Rule { name: "own".into(), metric, condition, filter, window: metric.default_window(), hold: Duration::ZERO, ..template }
}

#[test]
fn a_rule_with_where_judges_each_endpoint_by_itself() {
    let filter = filter(&[("service", "shop"), ("method", "get")]);
    let rule = Rule { channels: vec!["pager".into()], ..own_rule("request.response_time_ms.p95", Condition::Above(500.0), filter) };
    let mut machine = machine(&AlertSettings { rules: vec![rule], ..standing() });
    let changes = live(&mut machine, 0..5, |_| State { p95_ms: Some(600.0), ..CALM });
    assert_eq!(states(&changes), [(0, "own", Firing)], "without `for` it fires at once");
    assert_eq!((&*changes[0].1.alert.scope, &changes[0].1.tell[..]), ("shop GET /a", &["pager".into()][..]));
    assert_eq!(&*changes[0].1.alert.origin.service, "shop");
}

#[test]
fn a_rule_on_a_service_judges_it_as_a_whole() {
    let filter = filter(&[("service", "shop")]);
    let rule = own_rule("request.response_time_ms.p95", Condition::Above(500.0), filter);
    let mut machine = machine(&AlertSettings { rules: vec![rule], ..standing() });
    let changes = live(&mut machine, 0..5, |_| State { p95_ms: Some(600.0), ..CALM });
    assert_eq!(states(&changes), [(0, "own", Firing)]);
    assert_eq!((&*changes[0].1.alert.scope, changes[0].1.alert.origin.pid), ("shop", 0));
}

#[test]
fn model_calls_are_judged_together() {
    let rules = [("llm.cost_usd.sum", 1.0), ("llm.error_rate", 0.2), ("agent.error_rate", 0.0)];
    let rule =
        |(metric, limit): (&str, f64)| Rule { name: metric.into(), ..own_rule(metric, Condition::Above(limit), RuleFilter::default()) };
    let mut machine = machine(&AlertSettings { rules: rules.map(rule).to_vec(), ..standing() });
    let changes = live(&mut machine, 0..5, |_| CALM);
    assert_eq!(states(&changes), [(0, "llm.cost_usd.sum", Firing), (0, "llm.error_rate", Firing)]);
    assert!(changes[0].1.alert.message.contains("1.5 USD, limit 1 USD, over 5 min"), "{}", changes[0].1.alert.message);
}

#[test]
fn too_little_needs_a_window_that_was_watched() {
    let rule = own_rule("request.count", Condition::Below(5.0), RuleFilter::default());
    let mut machine = machine(&AlertSettings { rules: vec![Rule { min_samples: 0, ..rule }], ..standing() });
    let idle = |second: u64| State { requests: 0, uptime_s: second as f64, ..CALM };
    assert_eq!(states(&live(&mut machine, 0..400, idle)), [(300, "own", Firing)]);
}

fn parts(parts: &[&'static str]) -> Arc<[Degradation]> {
    parts.iter().map(|part| Degradation { part, reason: "shows no sign of life for 2.0 s".into() }).collect()
}

#[test]
fn perfmon_itself_is_judged_without_a_snapshot_and_a_part_at_a_time() {
    let mut machine = machine(&AlertSettings { rules: vec![degraded()], ..standing() });
    let mut judge = |seconds: std::ops::Range<u64>, bad: &[&'static str]| -> Vec<(u64, Change)> {
        let judged = seconds.flat_map(|second| machine.judge_own(at(second), &parts(bad)).into_iter().map(move |change| (second, change)));
        judged.collect()
    };
    assert_eq!(judge(0..5, &[]), []);
    let fired = judge(5..20, &["hub"]);
    assert_eq!((states(&fired), told(&fired)), (vec![(5, DEGRADED, Firing)], 1), "the supervisor has waited before");
    let alert = &fired[0].1.alert;
    assert_eq!(alert.message, "A part of perfmon does not work as it should: hub: shows no sign of life for 2.0 s.");
    assert_eq!((&*alert.scope, &*alert.origin.service, &*alert.metric, alert.value), ("hub", "perfmon", DEGRADED, Some(1.0)));
    let more = judge(20..22, &["hub", "ring"]);
    assert_eq!(more.iter().map(|(second, change)| (*second, &*change.alert.scope)).collect::<Vec<_>>(), [(20, "ring")]);
    let over = judge(22..40, &["hub"]);
    assert_eq!(states(&over), [(27, DEGRADED, Resolved)]);
    assert_eq!(over[0].1.alert.message, "Ring of perfmon works again.");
    assert_eq!(states(&judge(40..60, &[])), [(45, DEGRADED, Resolved)]);
}

#[test]
fn a_snapshot_says_nothing_of_an_alert_on_perfmon_and_the_reverse() {
    let rules = standing().rules.into_iter().chain([degraded()]).collect();
    let mut machine = machine(&AlertSettings { rules, ..standing() });
    let disk = |_| State { disk: 99.0, ..CALM };
    live(&mut machine, 0..30, disk);
    machine.judge_own(at(30), &parts(&["store"]));
    assert_eq!(machine.firing(), 2);
    assert_eq!(states(&live(&mut machine, 31..300, disk)), []);
    (300..600).for_each(|second| assert_eq!(machine.judge_own(at(second), &parts(&["store"])), []));
    assert_eq!(machine.firing(), 2);
}

#[test]
fn an_alert_on_perfmon_is_silenced_and_acknowledged_like_others() {
    let mut machine = machine(&AlertSettings { rules: vec![degraded()], ..standing() });
    let silence = NewSilence { rule: Some(DEGRADED.into()), duration: Duration::from_secs(60), ..NewSilence::default() };
    machine.silence(at(0), silence).unwrap();
    let changes = machine.judge_own(at(1), &parts(&["store"]));
    assert_eq!((changes[0].alert.state, changes[0].tell.len()), (AlertState::Silenced, 0));
    let changes = machine.judge_own(at(62), &parts(&["store"]));
    assert_eq!((changes[0].alert.state, changes[0].tell.len()), (Firing, 1));
    let id = changes[0].alert.alert_id.clone();
    assert_eq!(machine.acknowledge(at(63), &id, Some("ann".into()), None).unwrap().alert.state, AlertState::Acknowledged);
}

#[test]
fn every_metric_is_judged_and_the_nearest_names_of_a_wrong_one_are_told() {
    for name in Metric::names() {
        let metric = AlertMetric::named(&name).unwrap();
        assert_eq!(AlertMetric::named(&metric.name()).unwrap(), metric, "{name}");
        let rule =
            Rule { metric, window: metric.default_window(), ..own_rule("request.count", Condition::Above(0.0), RuleFilter::default()) };
        let machine = machine(&AlertSettings { rules: vec![rule.clone()], ..standing() });
        let readings = StateView::new(&machine, CALM).read(&rule, rule.window_s());
        let is_sampled = matches!(metric.kind(), Some(RecordKind::Process | RecordKind::Pool | RecordKind::Tcp));
        assert!(is_sampled || !readings.is_empty(), "{name}");
        assert!(!metric.words().is_empty());
    }
    assert_eq!(AlertMetric::named("response_time_p95").unwrap().name(), "request.response_time_ms.p95");
    let refused = AlertMetric::named("request.response_time.p95").unwrap_err();
    assert!(refused.contains("nearest names are") && refused.contains("request.response_time_ms.p95"), "{refused}");
}

#[test]
fn open_alerts_and_those_over_are_bounded() {
    let mut machine = machine(&standing());
    for round in 0..150 {
        let base = round * 200;
        live(&mut machine, base..base + 30, |_| State { memory: 99.0, ..CALM });
        live(&mut machine, base + 30..base + 100, |_| CALM);
    }
    assert_eq!(machine.alerts().len(), crate::limits::ALERTS_RESOLVED);
    let delivered = Notified { channel: "log".into(), ok: true, error: None, state: None, severity: None, level: None };
    let newest = machine.alerts()[0].clone();
    let change = machine.delivered(at(99_999), &newest.alert_id, delivered.clone()).unwrap();
    assert_eq!((change.alert.notified, change.alert.state), (vec![delivered.clone()], Resolved));
    assert_eq!(machine.delivered(at(99_999), "gone", delivered), None);
}

#[test]
fn a_dead_channel_is_told_to_the_others_and_ends_only_when_it_works() {
    use crate::alert::delivery::ChannelHealth;
    let channel = |name: &str, default| Channel { name: name.into(), default, ..Channel::log() };
    let settings = |channels| AlertSettings { rules: vec![degraded()], channels, ..AlertSettings::default() };
    let health = |health: ChannelHealth| std::collections::BTreeMap::from([(Arc::from("a"), health)]);
    for (channels, told) in [
        (vec![channel("a", true), channel("b", true)], vec!["b"]),
        (vec![channel("a", true), channel("b", false)], vec!["b"]),
        (vec![channel("a", true)], vec![]),
    ] {
        let mut machine = machine(&settings(channels.clone()));
        machine.note_health(health(ChannelHealth::Down("it answered 404".into())));
        let changes = machine.judge_own(at(0), &[]);
        assert_eq!(changes.iter().map(|change| (&*change.alert.scope, change.alert.state)).collect::<Vec<_>>(), [("channel a", Firing)]);
        assert_eq!(changes[0].tell.iter().map(|name| &**name).collect::<Vec<_>>(), told);
        // The next run does not know: it neither ends nor opens.
        let mut after = super::machine(&settings(channels));
        after.restore(vec![changes[0].alert.clone()]);
        let judge = |machine: &mut Machine, seconds: std::ops::Range<u64>| -> Vec<_> {
            seconds.flat_map(|second| machine.judge_own(at(second), &[])).map(|change| change.alert.state).collect()
        };
        assert_eq!(judge(&mut after, 1..100), []);
        after.note_health(health(ChannelHealth::Up));
        assert_eq!(judge(&mut after, 100..200), [Resolved]);
    }
}

#[test]
fn messages_name_host_scope_and_limit_with_the_digits_that_tell_them_apart() {
    let first = |rule: Rule, state: State| {
        let sender = Arc::new(Sender { host: "web-1".into(), page: None });
        let mut machine = machine(&AlertSettings { rules: vec![rule], sender, ..standing() });
        live(&mut machine, 0..1, |_| state)[0].1.alert.message.clone()
    };
    let rule = |name: &str| Thresholds::default().rules().into_iter().find(|rule| &*rule.name == name).unwrap();
    let shop = filter(&[("service", "shop")]);
    let own = |metric, limit| own_rule(metric, Condition::Above(limit), RuleFilter::default());
    for (rule, state, message) in [
        (rule("cpu_usage"), State { cpu: 99.5, ..CALM }, "CPU of web-1 is 99.5 %, limit 80 %."),
        (rule("cpu_usage"), State { cpu: 80.003, ..CALM }, "CPU of web-1 is 80.003 %, limit 80 %."),
        (rule("disk_usage"), State { disk: 95.0, ..CALM }, "Disk use of / on web-1 is 95 %, limit 90 %."),
        (
            rule("error_rate_5min"),
            State { error_rate: Some(0.2), ..CALM },
            "Error rate of all services on web-1 is 20 %, limit 5 %, over 5 min.",
        ),
        (
            Rule { filter: shop, ..own("request.response_time_ms.p95", 1_000.0) },
            State { p95_ms: Some(1_199.455), ..CALM },
            "95th percentile of response time of shop on web-1 is 1199 ms, limit 1000 ms, over 5 min.",
        ),
        (own("system.cpu_percent", 80.0), State { cpu: 80.04, ..CALM }, "CPU of web-1 is 80.04 %, limit 80 %."),
        (
            own_rule("system.memory_available_bytes", Condition::Below(2e9), RuleFilter::default()),
            CALM,
            "Available memory of web-1 is 0 GB, minimum 2 GB.",
        ),
    ] {
        assert_eq!(first(rule, state), message);
    }
}
