//! Alert management over HTTP.
use axum::http::Method;
use serde_json::json;

use super::*;
use crate::alert::{AlertService, RuleFigures};
use crate::record::Alert;
use crate::series::SeriesDelta;

/// A desk on which `error_rate_5min` fires, and its id.
fn firing() -> (Server, String) {
    let settings = crate::config::Alerts::default().settings();
    let counters = Arc::new(Counters::default());
    let mut machine = crate::alert::Machine::new(&settings, counters.clone());
    let mut figures = RuleFigures::default();
    figures.keep(&machine.rules(), WallTime::default());
    let records: Vec<Record> =
        (0..100).map(|n| crate::store::tests::request(1_000, "shop", "/", 5, if n < 50 { 500 } else { 200 })).collect();
    figures.add(&SeriesDelta { until: WallTime(1_000 * SECOND), ..(*crate::store::tests::delta(&records)).clone() });
    let changes: Vec<_> = (0..20).flat_map(|second| machine.judge(WallTime(second * SECOND), &figures)).collect();
    let stored: Vec<Alert> = changes.into_iter().map(|change| change.alert).collect();
    let id = stored[0].alert_id.to_string();
    let alert_service = AlertService::new(&settings, stored, crate::alert::RetryPolicy::default(), counters);
    (server_over(alert_service, snapshot(), "127.0.0.1:9911", None, true), id)
}

async fn send(server: &Server, method: Method, path: &str, body: &str) -> (u16, Value) {
    let request = HttpRequest::builder().method(method).uri(path).header("host", "localhost");
    let response = ask_as(server, Caller::User(1001), request.body(Body::from(body.to_owned())).unwrap()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_str(&text(response).await).unwrap())
}

async fn post(server: &Server, path: &str, body: Value) -> (u16, Value) {
    send(server, Method::POST, path, &body.to_string()).await
}

#[tokio::test]
async fn alerts_are_listed_and_the_summary_counts_them() {
    let (server, id) = firing();
    let list = ok(&server, "/api/v1/alerts").await;
    assert_eq!((&list["window_s"], &list["total"]), (&Value::Null, &json!(1)));
    let alert = &list["items"][0];
    assert_eq!((&alert["alert_id"], &alert["state"], &alert["severity"]), (&json!(id), &json!("firing"), &json!("critical")));
    assert_eq!((&alert["threshold"], &alert["value"], &alert["type"]), (&json!(0.05), &json!(0.5), &json!("reliability")));
    assert_eq!(ok(&server, "/api/v1/summary").await["alerts_firing"], 1);
    assert_eq!(ok(&server, "/api/v1/alerts?state=resolved").await["total"], 0);
    assert_eq!(ok(&server, "/api/v1/alerts?rule=error_rate_5min&limit=1").await["total"], 1);
    assert_eq!(get_json(&server, "/api/v1/alerts?state=loud").await.0, 400);
}

#[tokio::test]
async fn an_alert_is_acknowledged_then_resolved_each_once() {
    let (server, id) = firing();
    let (status, alert) = post(&server, &format!("/api/v1/alerts/{id}/ack"), json!({"by": "kim", "note": "on it"})).await;
    assert_eq!(
        (status, &alert["state"], &alert["acknowledged_by"], &alert["note"]),
        (200, &json!("acknowledged"), &json!("ann"), &json!("on it (as kim)"))
    );
    let (status, error) = post(&server, &format!("/api/v1/alerts/{id}/ack"), json!({})).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("wrong_state")));
    assert_eq!(ok(&server, "/api/v1/summary").await["alerts_firing"], 0);
    let (status, alert) = send(&server, Method::POST, &format!("/api/v1/alerts/{id}/resolve"), "").await;
    assert_eq!((status, &alert["state"], &alert["resolved_by"]), (200, &json!("resolved"), &json!("ann")));
    assert_eq!(post(&server, &format!("/api/v1/alerts/{id}/resolve"), json!({})).await.0, 409);
    assert_eq!(ok(&server, "/api/v1/alerts").await["items"][0]["state"], "resolved");
}

#[tokio::test]
async fn wrong_questions_get_json_errors() {
    let (server, id) = firing();
    let long = "x".repeat(1_001);
    let flood = "x".repeat(100_000);
    for (path, body, status) in [
        ("/api/v1/alerts/nonsense/ack".to_owned(), "{}", 404),
        ("/api/v1/alerts/nonsense/resolve".to_owned(), "{}", 404),
        (format!("/api/v1/alerts/{id}/ack"), "{\"who\":\"x\"}", 400),
        (format!("/api/v1/alerts/{id}/ack"), "{\"by\":5}", 400),
        (format!("/api/v1/alerts/{id}/ack"), "[", 400),
        (format!("/api/v1/alerts/{id}/ack"), &*format!("{{\"by\":\"{long}\"}}"), 400),
        (format!("/api/v1/alerts/{id}/ack"), &*format!("{{\"by\":\"{flood}\"}}"), 413),
        ("/api/v1/alerts/test".to_owned(), "{\"channel\":\"nonsense\"}", 404),
        ("/api/v1/silences".to_owned(), "{}", 400),
        ("/api/v1/silences".to_owned(), "{\"rule\":\"cpu_usage\"}", 400),
        ("/api/v1/silences".to_owned(), "{\"rule\":\"cpu_usage\",\"duration\":\"5\"}", 400),
    ] {
        let (given, error) = send(&server, Method::POST, &path, body).await;
        assert_eq!(given, status, "{path} {error}");
        assert!(error["error"]["message"].is_string() && error["error"]["code"].is_string(), "{error}");
    }
    assert_eq!(send(&server, Method::GET, &format!("/api/v1/alerts/{id}/ack"), "").await.0, 405);
    let foreign = HttpRequest::post(format!("/api/v1/alerts/{id}/ack")).header("host", "localhost").header("origin", "http://evil.example");
    assert_eq!(ask(&server, foreign).await.status(), 403);
    assert_eq!(ok(&server, "/api/v1/alerts").await["items"][0]["state"], "firing", "nothing of this changed it");
}

#[tokio::test]
async fn silences_come_and_go() {
    let (server, _) = firing();
    let wish = json!({"rule": "error_rate_5min", "duration": "2h", "by": "kim", "note": ""});
    let (status, silence) = post(&server, "/api/v1/silences", wish).await;
    assert_eq!(
        (status, &silence["rule"], &silence["scope"], &silence["by"], &silence["note"]),
        (201, &json!("error_rate_5min"), &Value::Null, &json!("ann"), &json!("as kim"))
    );
    assert_eq!(silence["until"], "2026-11-22T11:59:59.123456789Z");
    let id = silence["silence_id"].as_str().unwrap();
    assert_eq!(ok(&server, "/api/v1/silences").await["items"][0], silence);
    let (status, mut ended) = send(&server, Method::DELETE, &format!("/api/v1/silences/{id}"), "").await;
    assert!(status == 200 && ended["ended_at"].is_string(), "{ended}");
    ended["ended_at"] = Value::Null;
    assert_eq!(ended, silence);
    assert_eq!(send(&server, Method::DELETE, &format!("/api/v1/silences/{id}"), "").await.0, 404);
    assert_eq!(ok(&server, "/api/v1/silences").await["total"], 0);
    let matching = json!({"matchers": ["severity!=critical", "rule=~cpu.*|memory.*"], "duration": "2h"});
    let (status, silence) = post(&server, "/api/v1/silences", matching).await;
    assert_eq!((status, &silence["matchers"]), (201, &json!(["severity!=critical", "rule=~cpu.*|memory.*"])));
    for wrong in
        [json!(["colour=red"]), json!(["rule=~("]), json!([]), json!(vec!["rule=a"; 17]), json!(["rule=".to_owned() + &"a".repeat(1_001)])]
    {
        let (status, error) = post(&server, "/api/v1/silences", json!({"matchers": wrong, "duration": "2h"})).await;
        assert_eq!((status, &error["error"]["code"]), (400, &json!("bad_parameter")), "{error}");
    }
}

#[tokio::test]
async fn a_test_alert_goes_to_the_channels() {
    let (server, _) = firing();
    let want = json!({"window_s": null, "total": 1, "items": [{"channel": "log", "ok": true, "error": null, "state": "firing", "severity": "info", "level": 0}]});
    assert_eq!(post(&server, "/api/v1/alerts/test", json!({})).await, (200, want.clone()));
    assert_eq!(post(&server, "/api/v1/alerts/test", json!({"channel": "log"})).await, (200, want));
}

#[tokio::test]
async fn the_stream_gets_alerts_at_once() {
    use futures_util::StreamExt;
    let (server, _) = firing();
    let response = ask(&server, HttpRequest::get("/api/v1/stream").header("host", "localhost")).await;
    let alert = server.state.parts.alerts.alerts().remove(0);
    server.push(vec![Record::Alert(Box::new(alert))]);
    let mut body = response.into_body().into_data_stream();
    let mut seen = String::new();
    while !seen.contains("event: alert\ndata: {\"kind\":\"alert\"") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.expect("nothing came");
        seen.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn each_change_stands_in_the_audit_trail() {
    let folder = tempfile::tempdir().unwrap();
    let options = crate::store::StoreOptions {
        path: folder.path().join("perfmon.db"),
        max_bytes: 1 << 30,
        retention: crate::store::Retention::default(),
        now: || WallTime(1_795_341_599 * SECOND),
    };
    let store = crate::store::Store::start(options, Arc::default(), crate::heartbeat::Heartbeat::unwatched()).unwrap();
    let (mut server, id) = firing();
    let parts = &mut Arc::get_mut(&mut server.state).unwrap().parts;
    (parts.history, parts.audit) = (Some(store.reader()), Some(store.audit_trail()));
    assert_eq!(post(&server, &format!("/api/v1/alerts/{id}/ack"), json!({"by": "kim", "note": "on it"})).await.0, 200);
    let (_, begun) = post(&server, "/api/v1/silences", json!({"rule": "cpu_usage", "duration": "1m"})).await;
    let silence = begun["silence_id"].as_str().unwrap().to_owned();
    assert_eq!(send(&server, Method::DELETE, &format!("/api/v1/silences/{silence}"), "").await.0, 200);
    // What was refused changed nothing.
    assert_eq!(send(&server, Method::DELETE, "/api/v1/silences/x", "").await.0, 404);
    store.finish();
    let list = ok(&server, "/api/v1/audit").await;
    let said: Vec<_> = list["items"].as_array().unwrap().iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["id"])).collect();
    assert_eq!(said, [("unsilence", &json!(silence)), ("silence", &json!(silence)), ("acknowledged", &json!(id))]);
    let first = &list["items"][2];
    assert_eq!((&first["by"], &first["uid"], &first["from"]), (&json!("ann"), &json!(1001), &json!("127.0.0.1:5000")));
    assert_eq!((&first["note"], &first["time"]), (&json!("on it (as kim)"), &json!("2026-11-22T09:59:59.123456789Z")));
    assert_eq!(ok(&server, "/api/v1/audit?limit=1").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(ok(&server, "/api/v1/audit?to=2026-11-22T09:00:00Z").await["total"], 0);
}
