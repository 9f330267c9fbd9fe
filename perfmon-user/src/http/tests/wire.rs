//! What passes on the wire: gzip, validators, 304.
use std::io::Read as _;

use super::*;

async fn bytes_of(response: Response) -> Vec<u8> {
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

fn get(path: &str) -> axum::http::request::Builder {
    HttpRequest::get(path).header("host", "localhost")
}

/// A snapshot with so many endpoints under traffic.
pub(super) fn busy(endpoints: u64, second: u64) -> Snapshot {
    let mut snapshot = snapshot();
    let row = |index: u64| EndpointRow {
        service: "shop".into(),
        method: "GET".into(),
        endpoint: format!("/items-{index}/{{id}}").into(),
        count: 1_000 + index * 7 + second,
        requests_per_minute: (1_000 + index * 7 + second) as f64 / 5.0,
        share_of_time: 0.002_5,
        latency: Latency { p95_ms: Some(20.0 + (index % 90) as f64 + second as f64 / 8.0), ..Latency::default() },
        ..EndpointRow::default()
    };
    for view in &mut snapshot.windows {
        view.endpoints = (0..endpoints).map(|index| Arc::new(row(index))).collect();
    }
    snapshot
}

#[tokio::test]
async fn answers_and_files_are_packed_for_who_accepts_it() {
    let server = server_with(busy(400, 0), "127.0.0.1:9911", None, true);
    for path in ["/api/v1/endpoints", "/metrics", "/app.js", "/app.css", "/"] {
        let plain = ask(&server, get(path)).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "{path}");
        assert_eq!(plain.headers()[header::VARY], "accept-encoding");
        let plain = bytes_of(plain).await;
        let packed = ask(&server, get(path).header("accept-encoding", "br, gzip;q=0.8")).await;
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip", "{path}");
        let packed = bytes_of(packed).await;
        assert!(packed.len() < plain.len(), "{path}: {} of {}", packed.len(), plain.len());
        assert!(unpacked(&packed) == plain, "{path}");
    }
    for refused in ["identity", "gzip;q=0", "br"] {
        let answer = ask(&server, get("/app.js").header("accept-encoding", refused)).await;
        assert!(!answer.headers().contains_key(header::CONTENT_ENCODING), "{refused}");
    }
    assert!(!ask(&server, get("/healthz").header("accept-encoding", "gzip")).await.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn who_has_the_answer_already_gets_304() {
    let server = server();
    for path in ["/api/v1/endpoints", "/api/v1/summary", "/app.js", "/"] {
        let first = ask(&server, get(path).header("accept-encoding", "gzip")).await;
        let tag = first.headers()[header::ETAG].clone();
        for known in [tag.to_str().unwrap().to_string(), format!("\"x\", {}", tag.to_str().unwrap()), "*".into()] {
            let again = ask(&server, get(path).header("if-none-match", known)).await;
            assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag), "{path}");
            assert!(bytes_of(again).await.is_empty());
        }
        assert_eq!(ask(&server, get(path).header("if-none-match", "W/\"0\"")).await.status(), StatusCode::OK);
    }
    let before = ask(&server, get("/api/v1/endpoints")).await.headers()[header::ETAG].clone();
    server.snapshots.send(Arc::new(busy(3, 1))).unwrap();
    let now = ask(&server, get("/api/v1/endpoints").header("if-none-match", before)).await;
    assert_eq!(now.status(), StatusCode::OK);
}

#[tokio::test]
async fn errors_have_no_validator() {
    let answer = ask(&server(), get("/api/v1/nothing").header("if-none-match", "*")).await;
    assert_eq!((answer.status(), answer.headers().contains_key(header::ETAG)), (StatusCode::NOT_FOUND, false));
}
