//! Connection pools of real clients: one of five connections that twenty threads use is saturated, one that five threads use is not, nor one
//! that rests; sizes are those of the clients. Contract: `pool` of docs/records.md.
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, missing, python};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::process::Running;
use perfmon_tests::{free_port, wait_until, wire, workspace};
use serde_json::Value;

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("redis-server")];
const CONNECTIONS: u64 = 5;

/// The latest interval of a process' pool.
fn pool(perfmon: &Perfmon, pid: u32) -> Result<Option<Value>> {
    let pools = perfmon.api("/api/v1/pools?system=redis")?;
    Ok(pools["items"].as_array().into_iter().flatten().find(|pool| pool["pid"] == pid).cloned())
}

/// `/metrics` tells the connections of a process by state, all of them, and that they are saturated.
fn in_metrics(perfmon: &Perfmon, pid: u32) -> Result<()> {
    let text = String::from_utf8(wire::get(perfmon.port(), "/metrics")?.body)?;
    let of = format!("process_pid=\"{pid}\"");
    let values = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(&of) && line.contains("\"redis\""));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).collect::<Vec<_>>()
    };
    let counts = values("db_client_connection_count{");
    assert_eq!((counts.len(), counts.iter().sum::<u64>(), values("perfmon_pool_saturated{")), (2, CONNECTIONS, vec![1]), "{text}");
    Ok(())
}

#[test]
fn a_pool_with_too_much_to_do_is_saturated() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&own_children().each_ref().map(String::as_str))?;
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--dir"]).arg(folder.path());
    let mut redis = Running::start(&mut command, &folder.path().join("redis.log"))?;
    redis.listens(port)?;
    let client = |threads: u64| {
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/pool_client.py"));
        command.args([u64::from(port), CONNECTIONS, threads, 40].map(|number| number.to_string())).stdout(Stdio::null());
        Running::start(&mut command, &folder.path().join(format!("client-{threads}.log")))
    };
    let (crowded, busy, resting) = (client(4 * CONNECTIONS)?, client(CONNECTIONS)?, client(0)?);
    let saturated = wait_until(30, || Ok(pool(&perfmon, crowded.pid())?.filter(|pool| pool["saturated"] == true)))?;
    let saturated = saturated.with_context(|| format!("never saturated: {:?}", pool(&perfmon, crowded.pid())))?;
    assert_eq!((saturated["open"].as_u64(), saturated["size"].as_u64()), (Some(CONNECTIONS), Some(CONNECTIONS)), "{saturated}");
    assert_eq!((saturated["peak_in_use"].as_u64(), saturated["opened"].as_u64()), (Some(CONNECTIONS), Some(0)), "{saturated}");
    assert!(saturated["use_time_p95_ms"].as_f64().is_some_and(|ms| ms >= 20.0), "{saturated}");
    in_metrics(&perfmon, crowded.pid())?;
    let told = wait_until(15, || {
        let findings = perfmon.api("/api/v1/findings")?;
        let of_kind = |finding: &&Value| finding["type"] == "pool_saturated";
        let found: Vec<Value> = findings["items"].as_array().into_iter().flatten().filter(of_kind).cloned().collect();
        Ok(Some(found).filter(|found| !found.is_empty()))
    })?;
    let told = told.context("no finding")?;
    assert_eq!(told.iter().map(|finding| &finding["pid"]).collect::<Vec<_>>(), [crowded.pid()], "{told:?}");
    let busy = pool(&perfmon, busy.pid())?.context("no pool of the busy client")?;
    assert_eq!((busy["size"].as_u64(), &busy["saturated"]), (Some(CONNECTIONS), &Value::Bool(false)), "{busy}");
    let resting = pool(&perfmon, resting.pid())?.context("no pool of the resting client")?;
    assert_eq!((resting["idle"].as_u64(), resting["in_use"].as_u64()), (Some(CONNECTIONS), Some(0)), "{resting}");
    assert_eq!((resting["uses"].as_u64(), &resting["saturated"]), (Some(0), &Value::Bool(false)), "{resting}");
    Ok(())
}
