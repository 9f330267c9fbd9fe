//! Followed routes on the stream: whole at first, then what changed, packed as one stream.
use std::time::Duration;

use futures_util::StreamExt;

use super::wire::busy;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// The events of an open stream.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
    /// Bytes on the wire so far.
    wire: usize,
    unpacker: Option<flate2::write::GzDecoder<Vec<u8>>>,
}

impl Events {
    async fn open(server: &Server, path: &str, gzip: bool) -> Self {
        let coding = if gzip { "gzip" } else { "identity" };
        let response = ask(server, HttpRequest::get(path).header("host", "localhost").header("accept-encoding", coding)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), gzip);
        let unpacker = gzip.then(|| flate2::write::GzDecoder::new(Vec::new()));
        Self { body: response.into_body().into_data_stream(), text: String::new(), wire: 0, unpacker }
    }

    /// Type and data of the next events, those of one piece of the body.
    async fn next(&mut self) -> Vec<(String, Value)> {
        use std::io::Write as _;
        let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("nothing came").expect("the stream ended").unwrap();
        self.wire += chunk.len();
        let plain = match &mut self.unpacker {
            None => chunk.to_vec(),
            Some(unpacker) => {
                unpacker.write_all(&chunk).unwrap();
                unpacker.flush().unwrap();
                std::mem::take(unpacker.get_mut())
            }
        };
        self.text.push_str(std::str::from_utf8(&plain).unwrap());
        let end = self.text.rfind("\n\n").expect("a piece ends with an event") + 2;
        let whole: String = self.text.drain(..end).collect();
        let event = |text: &str| {
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            (name.to_string(), serde_json::from_str(data).unwrap())
        };
        whole.trim_end().split("\n\n").map(event).collect()
    }
}

fn changes(events: &[(String, Value)]) -> Vec<&Value> {
    events.iter().filter(|(name, _)| name == "change").map(|(_, data)| data).collect()
}

#[tokio::test]
async fn followed_routes_are_told_whole_and_then_by_what_changed() {
    let server = server();
    let path = "/api/v1/stream?window=1m&follow=health,endpoints,llm,findings&fields.health=status&fields.endpoints=endpoint,count,p95_ms";
    let mut events = Events::open(&server, path, false).await;
    let first = events.next().await;
    assert_eq!(first[0].0, "summary");
    let told = changes(&first);
    assert_eq!(*told[0], serde_json::json!({"route": "health", "fields": {"status": "unhealthy"}}));
    let rows = serde_json::json!([
        [0, {"endpoint": "/a", "count": 5, "p95_ms": 10.0}],
        [1, {"endpoint": "/b", "count": 50, "p95_ms": null}],
        [2, {"endpoint": "/c", "count": 45, "p95_ms": 90.0}]
    ]);
    assert_eq!(*told[1], serde_json::json!({"route": "endpoints", "window_s": 60, "total": 3, "rows": rows, "gone": []}));
    assert_eq!((&told[2]["route"], &told[2]["rows"][0][1]["cost_usd"]), (&"llm".into(), &0.25.into()));
    assert_eq!((&told[3]["rows"][0][1]["finding_id"], &told[3]["order"]), (&"f1".into(), &serde_json::json!([0])));

    let mut later = snapshot();
    for view in &mut later.windows {
        view.endpoints = vec![endpoint("shop", "/a", 6, Some(10.0), 0.7), endpoint("blog", "/c", 45, Some(90.0), 0.1)];
    }
    server.snapshots.send(Arc::new(later)).unwrap();
    let second = events.next().await;
    let want = serde_json::json!({"route": "endpoints", "window_s": 60, "total": 2, "rows": [[0, {"count": 6}]], "gone": [1]});
    assert_eq!(changes(&second), [&want]);
}

#[tokio::test]
async fn four_hundred_busy_endpoints_take_less_than_40_kb_each_second() {
    let server = server_with(busy(400, 0), "127.0.0.1:9911", None, true);
    let fields = "service,method,endpoint,count,requests_per_minute,share_of_time,error_rate,p50_ms,p95_ms,p99_ms";
    let path = format!("/api/v1/stream?window=5m&follow=summary@1m,endpoints&fields.endpoints={fields}");
    let mut events = Events::open(&server, &path, true).await;
    let first = events.next().await;
    assert_eq!(changes(&first)[1]["rows"].as_array().unwrap().len(), 400);
    let opening = events.wire;
    assert!(opening < 12_000, "{opening} bytes at first");
    server.snapshots.send(Arc::new(busy(400, 1))).unwrap();
    let second = events.next().await;
    assert_eq!(changes(&second)[0]["rows"].as_array().unwrap().len(), 400);
    let whole = text(ask(&server, HttpRequest::get("/api/v1/endpoints").header("host", "localhost")).await).await.len();
    let each_second = events.wire - opening;
    assert!(each_second < 12_000 && whole > 200_000, "{each_second} bytes instead of {whole}");
}

#[tokio::test]
async fn slow_requests_are_told_once() {
    let server = server();
    let path = "/api/v1/stream?follow=records&fields.records=span_id,response_time_ms";
    server.push(vec![Record::Request(request(1, "shop", 1_500)), Record::Request(request(2, "shop", 5))]);
    let mut events = Events::open(&server, path, false).await;
    let first = events.next().await;
    assert_eq!(changes(&first)[0]["rows"], serde_json::json!([[0, {"span_id": "0000000000000001", "response_time_ms": 1500.0}]]));
    server.push(vec![Record::Request(request(3, "shop", 2_000))]);
    server.snapshots.send(Arc::new(snapshot())).unwrap();
    let second = events.next().await;
    let told = changes(&second);
    assert_eq!((told[0]["rows"].as_array().unwrap().len(), &told[0]["order"]), (1, &serde_json::json!([1, 0])));
    server.snapshots.send(Arc::new(snapshot())).unwrap();
    assert!(changes(&events.next().await).is_empty());
}
