//! Database commands by query.
use super::*;
use crate::aggregate::snapshot::QueryRow;
use crate::record::{Db, LostExchanges, TargetCoverage};

pub(crate) fn command(side: Side, query: &str, time_ms: u64) -> Db {
    Db {
        time: at(0),
        origin: Arc::new(Origin { service: "shop".into(), ..Origin::unknown(9) }),
        side,
        system: "postgresql",
        operation: Some("SELECT".into()),
        target: Some("users".into()),
        query: Some(query.into()),
        query_id: None,
        statement: None,
        database: Some("shop".into()),
        error: None,
        rows: Some(2),
        response_time_ms: Some(Millis(time_ms * MS)),
        time_to_first_byte_ms: None,
        request_bytes: 10,
        response_bytes: 20,
        tls: false,
        local: "10.0.0.1:4000".into(),
        peer: "10.0.0.2:5432".into(),
        destination: Some("10.0.0.2:5432".into()),
        span_id: SpanId(0xdb),
        trace_id: None,
        parent_span_id: None,
        link: None,
        quality: crate::record::Quality::Exact,
        missing_bytes: 0,
    }
}

#[test]
fn queries_are_rows_by_the_time_that_they_take() {
    let mut aggregate = aggregate();
    for (side, query, time_ms) in
        [(Side::Client, "often", 1), (Side::Client, "slow", 900), (Side::Client, "often", 3), (Side::Server, "slow", 800)]
    {
        aggregate.add(&mut Record::Db(Box::new(command(side, query, time_ms))));
    }
    let failed = Db { error: Some("42P01".into()), rows: None, ..command(Side::Client, "often", 2) };
    aggregate.add(&mut Record::Db(Box::new(failed)));
    // A command that waits by design has no latency.
    let waits = Db { system: "redis", operation: Some("BLPOP".into()), ..command(Side::Client, "BLPOP ?", 5_000) };
    aggregate.add(&mut Record::Db(Box::new(waits)));
    let view = minute(&mut aggregate, 1);
    let rows: Vec<_> = view.queries.iter().map(|row| (row.query.as_deref().unwrap(), row.side, row.count, row.errors, row.rows)).collect();
    assert_eq!(
        rows,
        [
            ("slow", Side::Client, 1, 0, Some(2)),
            ("slow", Side::Server, 1, 0, Some(2)),
            ("often", Side::Client, 3, 1, Some(4)),
            ("BLPOP ?", Side::Client, 1, 0, Some(2)),
        ]
    );
    assert_eq!((view.queries[2].time_total_ms, view.queries[2].latency.max_ms), (Some(6.0), Some(3.0)));
    assert_eq!((view.queries[3].time_total_ms, view.queries[3].latency.p95_ms), (None, None));
    assert_eq!(view.db_calls(), Some(5), "of each system the side from which more were seen");
}

#[test]
fn what_waits_for_news_has_no_latency() {
    let waits = |operation: &str, query: &str| {
        let command = Db { system: "mongodb", operation: Some(operation.into()), ..command(Side::Client, query, 10_000) };
        (command.is_blocking(), command.latency().is_none())
    };
    assert_eq!(waits("hello", "hello {maxAwaitTimeMS: ?}"), (true, true));
    assert_eq!(waits("getMore", "getMore oplog {maxTimeMS: ?}"), (true, true));
    assert_eq!(waits("hello", "hello"), (false, false));
    assert_eq!(waits("getMore", "getMore orders"), (false, false));
    assert_eq!(waits("find", "find orders {filter: {maxTimeMS: ?}}"), (false, false));
}

#[test]
fn commands_of_dropped_records_are_lost_ones_of_their_rows() {
    let mut aggregate = aggregate();
    for query in ["often", "often", "often", "seldom"] {
        aggregate.add(&mut Record::Db(Box::new(command(Side::Server, query, 1))));
    }
    let lost = LostExchanges { served: 8, ..LostExchanges::default() };
    let target = TargetCoverage { lost_commands: lost, ..TargetCoverage::named("shop", 9) };
    aggregate.gauges(Gauges { targets: vec![target], ..Gauges::default() });
    let view = minute(&mut aggregate, 1);
    let told = |row: &Arc<QueryRow>| (row.count, row.losses.lost, row.losses.estimated_count, row.completeness, row.losses.rates_estimated);
    let mut rows: Vec<_> = view.queries.iter().map(told).collect();
    rows.sort_by_key(|row| row.0);
    assert_eq!(rows, [(1, 2, 3, Some(1.0 / 3.0), true), (3, 6, 9, Some(1.0 / 3.0), true)]);
    assert_eq!(view.totals.losses.lost, 0, "they are no requests");
}
