use super::*;
use crate::store::{Retention, Store, StoreOptions};

const NOW: u64 = 1_795_341_599;

fn with_history(folder: &std::path::Path, records: Vec<Record>) -> Server {
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

async fn get(server: &Server, path: &str) -> (u16, Value) {
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
        ("metric=error_rate&step=7s", "multiple of 10 seconds"),
        ("metric=error_rate&step=5s", "multiple of 10 seconds"),
        ("metric=error_rate&step=99999999999999999999d", "multiple of 10 seconds"),
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
