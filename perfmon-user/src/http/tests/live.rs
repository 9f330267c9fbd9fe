//! The stream and the server on a real socket.
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the body until it holds `part`.
async fn read_until(stream: &mut (impl StreamExt<Item = Result<axum::body::Bytes, axum::Error>> + Unpin), text: &mut String, part: &str) {
    while !text.contains(part) {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await.expect("nothing came").expect("the stream ended").unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn the_stream_sends_summaries_and_findings() {
    let server = server();
    let response = ask(&server, HttpRequest::get("/api/v1/stream?window=1m").header("host", "localhost")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let (mut body, mut text) = (response.into_body().into_data_stream(), String::new());
    read_until(&mut body, &mut text, "\n\n").await;
    assert!(text.starts_with("event: summary\ndata: {") && text.contains("\"window_s\":60"), "{text}");
    server.push(vec![Record::Finding(Box::new(finding(1, "shop"))), Record::Request(request(1, "shop", 1))]);
    read_until(&mut body, &mut text, "event: finding\ndata: {\"kind\":\"finding\"").await;
    server.snapshots.send(Arc::new(Snapshot { uptime_s: 77.5, ..snapshot() })).unwrap();
    read_until(&mut body, &mut text, "\"uptime_s\":77.5").await;
    assert!(!text.contains("\"kind\":\"request\""));
    server.shutdown.send(true).unwrap();
    while let Some(chunk) = tokio::time::timeout(PATIENCE, body.next()).await.expect("the stream did not end") {
        chunk.unwrap();
    }
}

#[tokio::test]
async fn who_falls_behind_is_disconnected_and_counted() {
    let server = server();
    let response = ask(&server, HttpRequest::get("/api/v1/stream").header("host", "localhost")).await;
    let flood: Vec<_> = (0..limits::STREAM_BACKLOG as u64 + 1).map(|second| Record::Finding(Box::new(finding(second, "shop")))).collect();
    server.push(flood);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX);
    tokio::time::timeout(PATIENCE, body).await.expect("the stream did not end").unwrap();
    assert_eq!(server.state.parts.counters.stream_clients_dropped.get(), 1);
}

#[tokio::test]
async fn places_of_the_stream_are_bounded_and_given_back() {
    let server = server();
    let open = || ask(&server, HttpRequest::get("/api/v1/stream").header("host", "localhost"));
    let mut clients = Vec::new();
    for _ in 0..limits::STREAM_CLIENTS {
        clients.push(open().await);
        assert_eq!(clients.last().unwrap().status(), 200);
    }
    assert_eq!(open().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    clients.pop();
    assert_eq!(open().await.status(), 200);
}

#[tokio::test]
async fn it_serves_on_a_socket_and_ends_when_asked_with_streams_open() {
    let server = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(vec![ListeningSocket::Tcp(listener, None)], server.state.clone()));
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"status\":\"alive\"}"), "{answer}");
    let mut streaming = TcpStream::connect(address).await.unwrap();
    streaming.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(streaming.read(&mut [0; 64]).await.unwrap() > 0);
    server.shutdown.send(true).unwrap();
    tokio::time::timeout(PATIENCE, serving).await.expect("the server did not end").unwrap().unwrap();
}
