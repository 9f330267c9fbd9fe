use super::*;
use crate::store::{Retention, Store, StoreOptions};

pub(super) const NOW: u64 = 1_795_341_599;

pub(super) fn with_history(folder: &std::path::Path, records: Vec<Record>) -> Server {
    let options = StoreOptions {
        path: folder.join("perfmon.db"),
        max_bytes: 1 << 30,
        retention: Retention::default(),
        now: || WallTime(NOW * SECOND),
    };
    let store = Store::start(options, Arc::default(), crate::heartbeat::Heartbeat::unwatched()).unwrap();
    crate::store::tests::offer(&store, records);
    let reader = store.reader();
    store.finish();
    let mut server = server();
    Arc::get_mut(&mut server.state).unwrap().parts.history = Some(reader);
    server
}

pub(super) async fn get(server: &Server, path: &str) -> (u16, Value) {
    let response = ask(server, HttpRequest::get(path).header("host", "localhost")).await;
    (response.status().as_u16(), serde_json::from_str(&text(response).await).unwrap())
}

#[tokio::test]
async fn history_is_a_point_a_step_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let records = vec![
        Record::Request(request(NOW - 30, "shop", 100)),
        Record::Request(request(NOW - 30, "other", 300)),
        Record::System(Box::new(system(NOW - 10, 40.0))),
    ];
    let server = with_history(folder.path(), records);
    let range = "from=2026-11-22T09:59:20Z&to=2026-11-22T10:00:00%2B00:00&step=10s";
    let (status, answer) = get(&server, &format!("/api/v1/history?metric=request.response_time_ms.max&{range}")).await;
    assert_eq!((status, &answer["step_s"], &answer["metric"]), (200, &10.into(), &"request.response_time_ms.max".into()));
    let points = answer["points"].as_array().unwrap();
    let times: Vec<_> = points.iter().map(|point| point["time"].as_str().unwrap()).collect();
    assert_eq!(times[..2], ["2026-11-22T09:59:20.000000000Z", "2026-11-22T09:59:30.000000000Z"]);
    let values: Vec<_> = points.iter().map(|point| point["value"].as_f64()).collect();
    assert_eq!(values, [Some(300.0), None, None, None]);
    let (_, shop) = get(&server, &format!("/api/v1/history?metric=request.response_time_ms.p95&service=shop&{range}")).await;
    assert_eq!(shop["points"][0]["value"], 100.0);
    let (_, hour) = get(&server, "/api/v1/history?metric=memory_percent").await;
    assert_eq!((hour["step_s"].as_u64(), hour["points"].as_array().unwrap().len()), (Some(10), 360));
    let (_, own) = get(&server, "/api/v1/self").await;
    assert_eq!(own["store"]["state"], "ok");
}

#[tokio::test]
async fn wrong_questions_are_told_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_history(folder.path(), vec![]);
    for (question, message) in [
        ("", "is required"),
        ("metric=nonsense", "request.error_rate"),
        ("metric=error_rate&step=0s", "from 1s to 366d"),
        ("metric=error_rate&step=-5s", "from 1s to 366d"),
        ("metric=error_rate&step=367d", "from 1s to 366d"),
        ("metric=error_rate&step=99999999999999999999d", "from 1s to 366d"),
        ("metric=error_rate&from=1969-12-31T23:59:59Z", "from 1970 to 2554"),
        ("metric=error_rate&to=9999-01-01T00:00:00Z", "from 1970 to 2554"),
        ("metric=error_rate&format=xml", "json, csv"),
        ("metric=error_rate&from=yesterday", "RFC 3339"),
        ("metric=error_rate&from=2026-11-23T00:00:00Z", "before to"),
        ("metric=error_rate&from=1970-01-01T00:00:00Z&step=10s", "points"),
        ("metric=cpu_percent&service=shop", "unknown parameter"),
    ] {
        let (status, answer) = get(&server, &format!("/api/v1/history?{question}")).await;
        let told = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && told.contains(message), "{question}: {status} {told}");
    }
    let (status, answer) = get(&super::server(), "/api/v1/history?metric=error_rate").await;
    assert_eq!((status, &answer["error"]["code"]), (503, &"no_store".into()));
}

#[tokio::test]
async fn any_step_and_any_time_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_history(folder.path(), vec![Record::Request(request(NOW - 30, "shop", 100))]);
    let range = "from=2026-11-22T09:59:20Z&to=2026-11-22T10:00:00Z";
    for (step, gives) in [("1s", 10), ("7s", 10), ("11s", 20), ("10s", 10), ("1m", 60), ("366d", 366 * 86_400)] {
        let (status, answer) = get(&server, &format!("/api/v1/history?metric=request.count&{range}&step={step}")).await;
        assert_eq!((status, answer["step_s"].as_u64()), (200, Some(gives)), "{step}: {answer}");
        let said = answer["note"].as_str().is_some_and(|note| note.contains(&format!("the step is {gives} s")));
        assert_eq!(said, !["10s", "1m", "366d"].contains(&step), "{answer}");
    }
    // 40 days ago only hours are kept.
    let (_, old) = get(&server, "/api/v1/history?metric=request.count&from=2026-10-13T00:00:00Z&step=10s").await;
    assert!(old["step_s"] == 3_600 && old["note"].is_string(), "{old}");
    for (from, to) in [
        ("1970-01-01T00:00:00Z", "2026-11-22T10:00:00Z"),
        ("1970-01-01T00:00:00Z", "2554-07-21T23:34:33.709551615Z"),
        ("2500-01-01T00:00:00Z", "2554-07-21T23:34:33.709551615Z"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000000001Z"),
        ("2030-01-01T00:00:00+14:00", "2030-01-02T00:00:00-12:00"),
    ] {
        let (from, to) = (from.replace('+', "%2B"), to.replace('+', "%2B"));
        let (status, answer) = get(&server, &format!("/api/v1/history?metric=request.count&from={from}&to={to}&step=300d")).await;
        assert_eq!(status, 200, "{from} {to}: {answer}");
        assert!(!answer["points"].as_array().unwrap().is_empty());
    }
    for name in crate::record::metric::Metric::names() {
        let (status, answer) = get(&server, &format!("/api/v1/history?metric={name}&{range}")).await;
        assert_eq!(status, 200, "{name}: {answer}");
    }
}

#[tokio::test]
async fn history_comes_as_csv_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_history(folder.path(), vec![Record::Request(request(NOW - 30, "shop", 100))]);
    let range = "from=2026-11-22T09:59:20Z&to=2026-11-22T09:59:40Z";
    let path = format!("/api/v1/history?metric=request.response_time_ms.p95&{range}&step=5s");
    let wanted =
        "time,request.response_time_ms.p95,step_s\r\n2026-11-22T09:59:20.000000000Z,100,10\r\n2026-11-22T09:59:30.000000000Z,,10\r\n";
    let by_header = ask(&server, HttpRequest::get(&path).header("host", "localhost").header("accept", "text/csv")).await;
    assert!(by_header.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(by_header.headers()["perfmon-note"].to_str().unwrap().contains("the step is 10 s"));
    assert_eq!(text(by_header).await, wanted);
    let by_name = ask(&server, HttpRequest::get(format!("{path}&format=csv")).header("host", "localhost")).await;
    assert_eq!(text(by_name).await, wanted);
    let hour =
        HttpRequest::get("/api/v1/history?metric=error_rate&format=csv").header("host", "localhost").header("accept-encoding", "gzip");
    assert_eq!(ask(&server, hour).await.headers()["content-encoding"], "gzip");
}
