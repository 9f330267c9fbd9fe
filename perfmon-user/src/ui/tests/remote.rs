//! What the screen reads from the API of another perfmon is what this perfmon's own snapshot has.
use super::*;

/// Through JSON, as `/api/v1` sends it.
fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(row: &T) -> T {
    serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap()
}

#[test]
fn rows_survive_the_api() {
    let full = EndpointRow {
        slowest_span_ids: [crate::record::SpanId(0xabc)].into(),
        oldest_in_flight_ms: Some(3.5),
        error_classes: crate::aggregate::snapshot::ErrorClasses { status_5xx: 4, ..Default::default() },
        ..(*endpoint(3)).clone()
    };
    assert_eq!(through_json(&full), full);
    let row = llm("m", Some(0.5));
    assert_eq!(through_json(&*row), *row);
    let model = model();
    assert_eq!(through_json(&*model.destinations[0]), *model.destinations[0]);
    assert_eq!(through_json(&*model.queries[0]), *model.queries[0]);
    assert_eq!(through_json(&*model.names[0]), *model.names[0]);
    assert_eq!(through_json(&*model.agents[0]), *model.agents[0]);
    assert_eq!(through_json(&*model.workflows[0]), *model.workflows[0]);
    assert_eq!(through_json(&model.alerts[0]), model.alerts[0]);
}

#[test]
fn pools_are_read_as_the_snapshot_has_them() {
    let pool = crate::record::Pool::made_up("redis", "cache");
    let told: PoolRow = serde_json::from_str(&serde_json::to_string(&pool).unwrap()).unwrap();
    let shown = ScreenModel::of(&Snapshot { pools: vec![Arc::new(pool)], ..Snapshot::default() }, Window::Minute).pools.remove(0);
    assert_eq!(told, shown);
    assert_eq!((&*told.service, told.pid, &*told.system, told.use_time_p95_ms), ("shop", 7, "redis", Some(9.9)));
}

#[test]
fn records_of_processes_and_findings_are_read() {
    let process: ProcessRow = serde_json::from_str(
        r#"{"time":"2026-01-31T12:00:00.000000000Z","pid":7,"comm":"node","service":"web","container":null,"cpu_percent":null,
            "memory_rss_bytes":1024,"threads":3,"leak":"suspected","interval_ms":1000.0,"new_in_a_later_version":{}}"#,
    )
    .unwrap();
    assert_eq!(
        (process.pid, process.cpu_percent, process.leak.as_deref(), process.interval_ms),
        (7, None, Some("suspected"), Some(1_000.0))
    );
    let finding: FindingRow =
        serde_json::from_str(r#"{"severity":"critical","type":"leak","scope":"web","message":"m","evidence":["1"]}"#).unwrap();
    assert_eq!((finding.severity, &*finding.kind, finding.first_seen), (Severity::Critical, "leak", None));
}
