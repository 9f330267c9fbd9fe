//! Encrypted exchanges give the same records as plain ones: every server over TLS with every client, a thousand calls each; counts,
//! statuses and sizes equal the client's log, and both sides report the same number of encrypted bytes.
use anyhow::Result;
use perfmon_tests::client::{Call, TlsClient, logged_facts, recorded_facts};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Kind, Server};

/// Calls of each client.
const CALLS: usize = 1_000;
/// What a record of TLS adds at least: header, tag.
const RECORD: u64 = 21;

#[test]
fn nginx() -> Result<()> {
    matrix(server::NGINX_TLS)
}

#[test]
fn uvicorn_h11() -> Result<()> {
    matrix(server::UVICORN_H11_TLS)
}

#[test]
fn uvicorn_httptools() -> Result<()> {
    matrix(server::UVICORN_HTTPTOOLS_TLS)
}

fn calls(dynamic: bool) -> Vec<Call> {
    let some = |n: usize| match (n % 10, dynamic) {
        (0, _) => Call::get("/missing"),
        (1, _) => Call::get("/bytes/100000"),
        (2, true) => Call::post("/echo", 2_000 + n),
        (3, true) => Call::post("/echo", 70_000 + n),
        (4, true) => Call::get(format!("/bytes/{n}")),
        (5, true) => Call::get("/stream/5"),
        (6, _) => Call::head("/bytes/1000"),
        (7, _) => Call::get("/bytes/1000"),
        _ => Call::get("/hello?q=1"),
    };
    (0..CALLS).map(some).collect()
}

fn matrix(kind: Kind) -> Result<()> {
    if missing(&[kind.needs, &[Need::Perfmon, Need::Python, Need::Program("curl")]].concat()) {
        return Ok(());
    }
    let server = Server::start(kind)?;
    let perfmon = Perfmon::start(&[])?;
    let calls = calls(kind.dynamic);
    for client in TlsClient::ALL {
        let agent = format!("tls-{client:?}");
        let log = client.run(server.port, &server.certificate(), &agent, &calls)?;
        let side = |side: &str| -> Result<Vec<Request>> {
            perfmon.wait_for(calls.len(), |r| r.about(server.port) && r.side == side && r.user_agent.as_deref() == Some(agent.as_str()))
        };
        let (served, sent) = (side("server")?, side("client")?);
        for (side, records) in [("server", &served), ("client", &sent)] {
            let what = format!("{} with {client:?}, {side} side", kind.name);
            assert_eq!(records.len(), calls.len(), "{what}: number of records");
            assert_eq!(recorded_facts(records), logged_facts(&calls, &log), "{what}");
            records.iter().for_each(|record| check(&what, record));
        }
        assert_eq!(wire(&served), wire(&sent), "{} with {client:?}: both sides moved the same bytes", kind.name);
    }
    assert_eq!(perfmon.lost()?, 0, "events were lost");
    perfmon.stop().map(drop)
}

fn check(what: &str, record: &Request) {
    assert!(record.tls && record.error.is_none() && record.missing_bytes == 0 && record.quality == "exact", "{what}: {record:?}");
    assert!(record.request_bytes > record.request_size.unwrap_or(0) + RECORD, "{what}: {record:?}");
    assert!(record.response_bytes > record.response_size.unwrap_or(0) + RECORD, "{what}: {record:?}");
    assert!(record.time_to_first_byte_ms <= record.response_time_ms, "{what}: {record:?}");
}

/// Path and encrypted bytes of each exchange, sorted.
fn wire(records: &[Request]) -> Vec<(Option<String>, u64, u64)> {
    let mut all: Vec<_> = records.iter().map(|r| (r.path.clone(), r.request_bytes, r.response_bytes)).collect();
    all.sort();
    all
}
