//! As many rules as a configuration may have, over as many series as windows keep.
use std::collections::BTreeMap;

use super::*;
use crate::limits;
use crate::record::metric::RecordKind;

const SERVICES: usize = 40;
const ENDPOINTS: usize = 50;
/// The endpoint that is too slow, of one service.
const SLOW: &str = "/7";

fn of_endpoint(number: usize) -> Rule {
    let wanted = [("service", format!("s{}", number % SERVICES)), ("endpoint", format!("/{}", number / SERVICES % ENDPOINTS))];
    let wanted: BTreeMap<String, String> = wanted.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    let metric = AlertMetric::named("request.response_time_ms.p95").unwrap();
    let filter = RuleFilter::new(RecordKind::Request.labels(), &wanted, &[]).unwrap();
    let one = Thresholds::default().rules().swap_remove(0);
    Rule { name: format!("rule {number}").into(), metric, filter, condition: Condition::Above(1_000.0), min_samples: 1, ..one }
}

#[test]
fn ten_thousand_rules_are_judged_within_the_time_that_a_breach_may_take() {
    let rules: Vec<Rule> = (0..limits::ALERT_RULES).map(of_endpoint).collect();
    let settings = AlertSettings { rules, channels: vec![Channel::log()], ..AlertSettings::default() };
    let mut machine = machine(&settings);
    let mut figures = RuleFigures::default();
    figures.keep(&machine.rules(), at(0));
    let mut fired = Vec::new();
    for second in 0..40 {
        let mut feed = SeriesFeed::default();
        for (service, endpoint) in (0..SERVICES).flat_map(|service| (0..ENDPOINTS).map(move |endpoint| (service, endpoint))) {
            let (service, endpoint) = (format!("s{service}"), format!("/{endpoint}"));
            let is_slow = service == "s3" && endpoint == SLOW;
            feed.add(&request(BEGIN / SECOND + second, &service, &endpoint, if is_slow { 5_000_000 } else { 5_000 }, 200));
        }
        figures.add(&feed.take(at(second)));
        #[expect(clippy::disallowed_methods, reason = "the figure is printed")]
        let begin = std::time::Instant::now();
        let changes = machine.judge(at(second), &figures);
        println!("second {second}: judged in {:?}", begin.elapsed());
        fired.extend(changes.into_iter().filter(|change| change.alert.state == AlertState::Firing).map(|change| (second, change.alert)));
    }
    let meant: Vec<usize> =
        (0..limits::ALERT_RULES).filter(|number| number % SERVICES == 3 && number / SERVICES % ENDPOINTS == 7).collect();
    let mut found: Vec<String> = fired.iter().map(|(_, alert)| alert.rule.to_string()).collect();
    let mut wanted: Vec<String> = meant.iter().map(|number| format!("rule {number}")).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "each rule on the slow endpoint, and no other");
    assert!(fired.iter().all(|(second, _)| *second <= 30), "{fired:?}");
}
