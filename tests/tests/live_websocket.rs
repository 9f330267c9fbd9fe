//! WebSocket connections of real libraries as server and client: the handshake is a request with status 101, the close one more record
//! with messages and bytes of both directions, exact on both sides. Contract: the records' part of docs/records.md.
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::websocket::{Moved, Passed, Said, WsLibrary, WsProxy, WsServer, run_client};

const NEEDS: [Need; 4] = [Need::Perfmon, Need::Python, Need::Program("node"), Need::NodePackages];
/// What a client does on a connection: see tests/clients/websocket_client.py.
const SCENARIOS: [&str; 9] = ["text", "binary", "big", "fragments", "ping", "close-1001", "close-1011", "abort", "cut"];

#[test]
fn websockets_serves_every_client() -> Result<()> {
    matrix(WsLibrary::Websockets)
}

#[test]
fn aiohttp_serves_every_client() -> Result<()> {
    matrix(WsLibrary::Aiohttp)
}

#[test]
fn ws_serves_every_client() -> Result<()> {
    matrix(WsLibrary::Ws)
}

/// A server with all clients, with permessage-deflate and without, through the counting proxy.
fn matrix(library: WsLibrary) -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = watch()?;
    for deflate in [false, true] {
        let server = WsServer::start(library, deflate, false)?;
        for (round, client) in WsLibrary::ALL.into_iter().enumerate() {
            let proxy = WsProxy::start(server.port)?;
            let (client_pid, client_said) = run_client(client, proxy.port, deflate, None, &SCENARIOS)?;
            let server_said = server.said((round + 1) * SCENARIOS.len())?.split_off(round * SCENARIOS.len());
            let passed = proxy.passed(SCENARIOS.len())?;
            let what = format!("{client:?} at {library:?}, deflate {deflate}");
            let ours = |r: &Request| r.pid == client_pid || (r.pid == server.pid() && peers(&passed).contains(&port_of(&r.peer)));
            let records = perfmon.wait_for(4 * SCENARIOS.len(), ours)?;
            assert_eq!(records.len(), 4 * SCENARIOS.len(), "{what}: a handshake and a close on each side: {records:#?}");
            for (number, scenario) in SCENARIOS.into_iter().enumerate() {
                let connection =
                    Connection { passed: passed[number], client: client_said[number], server: server_said[number], scenario, deflate };
                connection.check(&format!("{what}, {scenario}"), &records, client_pid)?;
            }
        }
    }
    // What is cut of a large operation is payload of known length here; the records above are exact all the same.
    let lost = perfmon.api("/api/v1/self")?["events_lost"].clone();
    let cut = lost["by_reason"]["capture_cut"].as_u64().unwrap_or_default();
    assert_eq!(lost["total"].as_u64(), Some(cut), "events were lost: {lost}");
    Ok(())
}

fn watch() -> Result<Perfmon> {
    // Server, client and proxy are all watched here, and move each 10 MB message within some milliseconds.
    Perfmon::start_in(&[("PERFMON_CAPTURE__RING_MIB", "64")], &own_children().each_ref().map(String::as_str))
}

fn peers(passed: &[Passed]) -> Vec<u16> {
    passed.iter().map(|connection| connection.server_peer_port).collect()
}

fn port_of(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
}

/// What is known of a connection besides its records.
struct Connection {
    passed: Passed,
    client: Said,
    server: Said,
    scenario: &'static str,
    deflate: bool,
}

impl Connection {
    fn check(&self, what: &str, records: &[Request], client_pid: u32) -> Result<()> {
        let (to_server, to_client) = (self.passed.to_server, self.passed.to_client);
        let torn = ["abort", "cut"].contains(&self.scenario);
        assert_eq!((to_server.messages, to_client.messages), (self.client.sent, self.server.sent), "{what}: the witnesses agree");
        let client_end = |r: &&Request| r.pid == client_pid && port_of(&r.local) == self.passed.client_port;
        let server_end = |r: &&Request| r.pid != client_pid && port_of(&r.peer) == self.passed.server_peer_port;
        let (client, server): (Vec<_>, Vec<_>) = (records.iter().filter(client_end).collect(), records.iter().filter(server_end).collect());
        for (side, own, said) in [("client", client, self.client), ("server", server, self.server)] {
            let what = format!("{what}, {side} side");
            let (close, handshake): (Vec<&Request>, Vec<&Request>) = own.into_iter().partition(|r| r.protocol == "websocket");
            let (&[handshake], &[close]) = (&handshake[..], &close[..]) else {
                panic!("{what}: {} handshakes, {} closes of this connection: {records:#?}", handshake.len(), close.len())
            };
            check_handshake(&what, side, handshake, to_server, to_client);
            assert_eq!((close.side.as_str(), &close.path, &close.host), (side, &handshake.path, &handshake.host), "{what}");
            assert_eq!((close.messages_sent, close.messages_received), (Some(said.sent), Some(said.received)), "{what}: {close:?}");
            assert_eq!((close.quality.as_str(), close.missing_bytes), ("exact", 0), "{what}: {close:?}");
            // What a torn connection's other end never read is in the sender's record alone.
            if !torn || side == "client" {
                assert_eq!((close.request_bytes, close.request_size), (to_server.bytes, Some(to_server.payload)), "{what}: {close:?}");
            }
            if !torn || side == "server" {
                assert_eq!((close.response_bytes, close.response_size), (to_client.bytes, Some(to_client.payload)), "{what}: {close:?}");
            }
            if !self.deflate && !torn {
                let (sent, received) =
                    if side == "client" { (close.request_size, close.response_size) } else { (close.response_size, close.request_size) };
                assert_eq!((sent, received), (Some(said.sent_bytes), Some(said.received_bytes)), "{what}: {close:?}");
            }
            if !torn {
                assert_eq!(close.error, None, "{what}: {close:?}");
            }
            let life = close.response_time_ms.context("a close has no duration")?;
            assert!(life >= handshake.response_time_ms.unwrap_or(f64::MAX), "{what}: the close's record has the whole duration: {close:?}");
        }
        Ok(())
    }
}

fn check_handshake(what: &str, side: &str, handshake: &Request, to_server: Moved, to_client: Moved) {
    assert_eq!((handshake.side.as_str(), handshake.status_code, handshake.streaming), (side, Some(101), true), "{what}: {handshake:?}");
    assert_eq!((handshake.protocol.as_str(), handshake.error.as_deref()), ("http/1.1", None), "{what}: {handshake:?}");
    assert_eq!((handshake.request_bytes, handshake.response_bytes), (to_server.head, to_client.head), "{what}: {handshake:?}");
    assert_eq!((handshake.messages_sent, handshake.messages_received), (None, None), "{what}: {handshake:?}");
}

#[test]
fn over_tls_counts_are_exact_too() -> Result<()> {
    if missing(&[&NEEDS[..], &[Need::Program("openssl")]].concat()) {
        return Ok(());
    }
    let perfmon = watch()?;
    // Without a cut: what the library had encrypted and the socket never took is in no witness's account.
    let scenarios = ["text", "binary", "fragments", "ping", "close-1001", "close-1011"];
    for library in [WsLibrary::Websockets, WsLibrary::Aiohttp] {
        for deflate in [false, true] {
            let server = WsServer::start(library, deflate, true)?;
            for (round, client) in [WsLibrary::Websockets, WsLibrary::Aiohttp].into_iter().enumerate() {
                let (pid, client_said) = run_client(client, server.port, deflate, Some(&server.certificate()), &scenarios)?;
                let server_said = server.said((round + 1) * scenarios.len())?.split_off(round * scenarios.len());
                let what = format!("{client:?} at {library:?} over TLS, deflate {deflate}");
                let by_client = perfmon.wait_for(2 * scenarios.len(), |r| r.pid == pid)?;
                let ports: Vec<u16> = by_client.iter().map(|r| port_of(&r.local)).collect();
                let by_server = perfmon.wait_for(2 * scenarios.len(), |r| r.pid == server.pid() && ports.contains(&port_of(&r.peer)))?;
                compare_tls(&what, &by_client, &client_said);
                compare_tls(&what, &by_server, &server_said);
                let sizes = |records: &[Request]| sizes_by_port(records, |r| (r.request_size, r.response_size));
                assert_eq!(sizes(&by_client), sizes(&by_server), "{what}: both sides saw the same payload");
            }
        }
    }
    Ok(())
}

/// The closes' figures by the port of the client's end.
fn sizes_by_port<T>(records: &[Request], figure: impl Fn(&Request) -> T) -> BTreeMap<u16, T> {
    let client_port = |r: &Request| port_of(if r.side == "client" { &r.local } else { &r.peer });
    records.iter().filter(|r| r.protocol == "websocket").map(|r| (client_port(r), figure(r))).collect()
}

fn compare_tls(what: &str, records: &[Request], said: &[Said]) {
    let of = |websocket: bool| records.iter().filter(move |r| (r.protocol == "websocket") == websocket).collect::<Vec<_>>();
    let (mut closes, handshakes) = (of(true), of(false));
    closes.sort_by(|a, b| a.time.cmp(&b.time));
    assert_eq!((closes.len(), handshakes.len()), (said.len(), said.len()), "{what}: {records:#?}");
    assert!(records.iter().all(|r| r.tls && r.quality == "exact"), "{what}: {records:#?}");
    assert!(handshakes.iter().all(|r| r.status_code == Some(101) && r.streaming), "{what}: {handshakes:#?}");
    let counts: Vec<_> = closes.iter().map(|r| (r.messages_sent, r.messages_received)).collect();
    let expected: Vec<_> = said.iter().map(|said| (Some(said.sent), Some(said.received))).collect();
    assert_eq!(counts, expected, "{what}");
    for close in closes {
        assert!(close.request_bytes > close.request_size.unwrap_or(u64::MAX), "{what}: records and frames have heads: {close:?}");
    }
}

#[test]
fn totals_count_the_handshake_and_not_the_close() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = watch()?;
    let server = WsServer::start(WsLibrary::Websockets, false, false)?;
    let (pid, _) = run_client(WsLibrary::Websockets, server.port, false, None, &["text"; 5])?;
    perfmon.wait_for(20, |r| r.pid == pid || r.pid == server.pid())?;
    let closes = perfmon.matching(|r| r.pid == server.pid() && r.protocol == "websocket")?;
    assert_eq!(closes.len(), 5, "{closes:#?}");
    std::thread::sleep(std::time::Duration::from_millis(1_500)); // a snapshot is made each second
    assert_eq!(perfmon.figure("/api/v1/summary?window=5m", "/requests")?, 5.0);
    let endpoints = perfmon.api("/api/v1/endpoints?window=5m")?;
    let counted: Vec<u64> = endpoints["items"].as_array().into_iter().flatten().filter_map(|row| row["count"].as_u64()).collect();
    assert_eq!(counted.iter().sum::<u64>(), 5, "{endpoints}");
    Ok(())
}
