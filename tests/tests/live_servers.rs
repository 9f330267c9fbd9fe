//! Every server with every client: the records of both sides equal the client's log, call by call (method, path, status, body sizes), and
//! their percentiles agree with the client's clock.
use anyhow::Result;
use perfmon_tests::client::{Call, Client, Logged, SLEEP, logged_facts, plan, recorded_facts};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::{Request, different_percentiles};
use perfmon_tests::server::{self, Kind, Server};

#[test]
fn nginx() -> Result<()> {
    matrix(server::NGINX)
}

#[test]
fn python_http_server() -> Result<()> {
    matrix(server::HTTP_SERVER)
}

#[test]
fn uvicorn_h11() -> Result<()> {
    matrix(server::UVICORN_H11)
}

#[test]
fn uvicorn_httptools() -> Result<()> {
    matrix(server::UVICORN_HTTPTOOLS)
}

#[test]
fn gunicorn() -> Result<()> {
    matrix(server::GUNICORN)
}

#[test]
fn aiohttp() -> Result<()> {
    matrix(server::AIOHTTP)
}

#[test]
fn node() -> Result<()> {
    matrix(server::NODE)
}

#[test]
fn go() -> Result<()> {
    matrix(server::GO)
}

#[test]
fn java() -> Result<()> {
    matrix(server::JAVA)
}

/// All clients, one after another, on one server under one perfmon.
fn matrix(kind: Kind) -> Result<()> {
    if missing(&[kind.needs, &Client::NEEDS, &[Need::Perfmon]].concat()) {
        return Ok(());
    }
    let server = Server::start(kind)?;
    let perfmon = Perfmon::start(&[])?;
    let calls = plan(kind.dynamic);
    for client in Client::ALL {
        // Counts and sizes must be right each time. Times may differ once because the scheduler delayed only the client's side of the
        // socket; a fault of perfmon shows in all three attempts.
        let mut different = Vec::new();
        for attempt in 1..=3 {
            different = observe(&perfmon, &server, client, &format!("{}-{attempt}", client.name()), &calls)?;
            if different.is_empty() {
                break;
            }
        }
        assert!(different.is_empty(), "three times: {different:#?}");
    }
    assert_eq!(perfmon.lost()?, 0, "events were lost");
    perfmon.stop().map(drop)
}

/// One client's calls: the records of both sides must equal its log; gives where their times differ.
fn observe(perfmon: &Perfmon, server: &Server, client: Client, agent: &str, calls: &[Call]) -> Result<Vec<String>> {
    let log = client.run(server.port, agent, calls)?;
    let mut different = Vec::new();
    for side in ["server", "client"] {
        let ours = |r: &Request| r.about(server.port) && r.side == side && r.user_agent.as_deref() == Some(agent);
        let records = perfmon.wait_for(calls.len(), ours)?;
        let what = format!("{} with {client:?}, {side} side", server.kind.name);
        compare(&what, &records, calls, &log);
        different.extend(compare_times(&what, client, &records, calls, &log));
    }
    Ok(different)
}

/// Counts, statuses, sizes, exactly; and that nothing failed, was guessed or missed.
fn compare(what: &str, records: &[Request], calls: &[Call], log: &[Logged]) {
    assert_eq!(records.len(), calls.len(), "{what}: number of records");
    assert_eq!(recorded_facts(records), logged_facts(calls, log), "{what}");
    for record in records {
        assert!(record.error.is_none() && record.missing_bytes == 0 && record.quality == "exact", "{what}: {record:?}");
        assert!(!record.tls && !record.streaming && record.protocol.starts_with("http/1."), "{what}: {record:?}");
        assert!(record.request_bytes > record.request_size.unwrap_or(0), "{what}: a head has bytes too: {record:?}");
        assert!(record.response_bytes > record.response_size.unwrap_or(0), "{what}: a head has bytes too: {record:?}");
        assert!(record.time_to_first_byte_ms <= record.response_time_ms, "{what}: {record:?}");
    }
}

/// The sleeping calls with every client; all calls with the one that reads its clock at its socket.
fn compare_times(what: &str, client: Client, records: &[Request], calls: &[Call], log: &[Logged]) -> Vec<String> {
    let mut different = Vec::new();
    let times = |keep: &dyn Fn(&str) -> bool| -> (Vec<f64>, Vec<f64>) {
        let seen = records.iter().filter(|record| record.path.as_deref().is_some_and(keep));
        let logged = calls.iter().zip(log).filter(|(call, _)| keep(&call.path));
        (seen.filter_map(|record| record.response_time_ms).collect(), logged.map(|(_, got)| got.ms).collect())
    };
    let (seen, logged) = times(&|path| path == SLEEP);
    if !logged.is_empty() {
        different.extend(different_percentiles(&format!("{what}, {SLEEP}"), &seen, &logged));
    }
    if client == Client::Wire {
        let (seen, logged) = times(&|_| true);
        different.extend(different_percentiles(what, &seen, &logged));
    }
    different
}
