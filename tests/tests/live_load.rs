//! Under load: counts equal the load generator's or the difference is stated as loss; at 10,000 requests a second nothing is lost.
use anyhow::Result;
use perfmon_tests::client::{h2load, wrk};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};

/// Complete answers of the file of 1,000 bytes, as far as they are recorded.
fn complete(record: &Request, port: u16) -> bool {
    let sizes = record.response_size == Some(1_000) && record.status_code == Some(200);
    record.served_by(port) && record.path.as_deref() == Some("/bytes/1000") && sizes && record.error.is_none()
}

#[test]
fn ten_thousand_a_second_lose_nothing() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("h2load")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let load = h2load(&format!("{}/bytes/1000", server.url()), 100_000, 50, Some(10_000))?;
    println!("{} answers at {:.0} a second", load.answers, load.per_second);
    let records = perfmon.wait_for(100_000, |r| r.served_by(server.port))?;
    assert_eq!(load.answers, 100_000);
    assert_eq!(records.iter().filter(|record| complete(record, server.port)).count(), 100_000);
    assert_eq!((records.len(), perfmon.lost()?), (100_000, 0));
    assert!(records.iter().all(|record| record.quality == "exact" && record.missing_bytes == 0));
    Ok(())
}

#[test]
fn a_saturated_nginx_is_counted_or_the_loss_is_stated() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("nginx"), Need::Program("wrk")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let connections = 64;
    let load = wrk(&format!("{}/bytes/1000", server.url()), 3, connections)?;
    println!("{} answers at {:.0} a second", load.answers, load.per_second);
    let records = perfmon.wait_for(load.answers as usize, |r| complete(r, server.port))?;
    let (seen, lost) = (records.len() as u64, perfmon.lost()?);
    println!("{seen} records, {lost} events lost");
    // wrk does not count requests in flight when it stops: at most one answer a connection.
    assert!(seen <= load.answers + u64::from(connections), "{seen} records of {} answers", load.answers);
    assert!(seen + lost >= load.answers, "{} answers, {seen} records, and only {lost} events stated as lost", load.answers);
    if lost == 0 {
        let summary = perfmon.api("/api/v1/summary?window=5m")?;
        let counted = summary.get("requests").and_then(serde_json::Value::as_u64).unwrap_or_default();
        assert!(counted >= seen, "the summary counts {counted}, the records are {seen}");
    }
    Ok(())
}
