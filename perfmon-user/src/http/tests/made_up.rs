//! A kind that only tests have (`record::made_up`) is found in each view of the series.
use super::history::{NOW, get, with_history};
use super::*;
use crate::alert::{Assertion, RuleFigures};
use crate::record::made_up::made_up;

#[tokio::test]
async fn a_new_kind_needs_its_rows_alone() {
    let folder = tempfile::tempdir().unwrap();
    let one = |ms, rcode| made_up(WallTime((NOW - 30) * SECOND), &origin("shop"), "odd", ms, rcode);
    let records = vec![one(40, "NOERROR"), one(60, "NOERROR"), one(80, "SERVFAIL")];
    let server = with_history(folder.path(), records.clone());
    let (_, refused) = get(&server, "/api/v1/history?metric=nonsense").await;
    let names = refused.to_string();
    assert!(names.contains("made_up.response_time_ms.p95") && names.contains("made_up.error_rate"), "{names}");
    let range = "from=2026-11-22T09:59:20Z&to=2026-11-22T10:00:00%2B00:00&step=10s&service=shop&word=odd";
    for (metric, value) in [("response_time_ms.max", 80.0), ("count", 3.0), ("errors", 1.0), ("attempts.sum", 6.0)] {
        let (status, answer) = get(&server, &format!("/api/v1/history?metric=made_up.{metric}&{range}")).await;
        assert_eq!((status, answer["points"][0]["value"].as_f64()), (200, Some(value)), "{metric}: {answer}");
    }
    let mut feed = SeriesFeed::default();
    records.iter().for_each(|record| feed.add(record));
    let delta = feed.take(WallTime(NOW * SECOND));
    server.push(records);
    let body = text(ask(&server, HttpRequest::get("/metrics").header("host", "localhost")).await).await;
    let labels = r#"service_name="shop",perfmon_made_up_word="odd""#;
    for line in [
        format!("perfmon_made_up_things_total{{{labels}}} 2"),
        format!("perfmon_made_up_things_total{{{labels},error_type=\"SERVFAIL\"}} 1"),
        format!("perfmon_made_up_response_time_seconds_bucket{{{labels},le=\"0.04\"}} 1"),
        format!("perfmon_made_up_response_time_seconds_count{{{labels}}} 2"),
        format!("perfmon_made_up_response_time_seconds_sum{{{labels}}} 0.1"),
        format!("perfmon_made_up_attempts_total{{{labels}}} 4"),
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
    }
    let assertion = Assertion::parse("made_up.error_rate < 10%", &Default::default()).unwrap();
    let mut figures = RuleFigures::default();
    figures.keep(std::slice::from_ref(assertion.rule()), WallTime((NOW - 60) * SECOND));
    figures.add(&delta);
    let verdicts = assertion.judge(&figures);
    assert!(verdicts.len() == 1 && !verdicts[0].holds, "{verdicts:?}");
}
