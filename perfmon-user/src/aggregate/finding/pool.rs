//! `pool_saturated`: all connections of a pool are in use nearly all the time, while its process has more to do than connections. `pool_leak`: a
//! connection is in use without any traffic, so that a transaction is open and nobody goes on with it, or an answer does not come.
use super::{Detection, Detector, Steadiness};
use crate::aggregate::snapshot::Snapshot;
use crate::record::{Pool, Severity};

/// Time without traffic on a connection in use.
const SILENT_MS: f64 = 60_000.0;

/// The detector.
#[derive(Clone, Copy, Debug)]
pub struct PoolTroubles;

impl Detector for PoolTroubles {
    fn judge(&self, snapshot: &Snapshot) -> Vec<Detection> {
        let pools = || snapshot.pools.iter().map(|pool| &**pool);
        pools().filter_map(saturated).chain(pools().filter_map(leak)).collect()
    }
}

fn detection(kind_name: &'static str, pool: &Pool, message: String, cost: f64) -> Detection {
    Detection {
        kind_name,
        scope: format!("{} (pid {}): {} {}", pool.origin.service, pool.origin.pid, pool.system, pool.destination).into(),
        origin: pool.origin.clone(),
        severity: Severity::Warning,
        message,
        evidence: Vec::new(),
        cost,
        steadiness: Steadiness::MEASURED,
    }
}

fn saturated(pool: &Pool) -> Option<Detection> {
    let p95 = pool.use_time_p95_ms.map_or_else(String::new, |time| format!(" (95 % of the uses within {:.1} ms)", time.as_f64()));
    let message = format!(
        "All {} connections of {} (pid {}) to {} {} were in use for nearly all of the last {:.0} s{p95}, while it had more to do: its work waits for a connection.",
        pool.open,
        pool.origin.service,
        pool.origin.pid,
        pool.system,
        pool.destination,
        pool.interval_ms.as_f64() / 1e3,
    );
    pool.saturated.then(|| detection("pool_saturated", pool, message, 60_000.0))
}

fn leak(pool: &Pool) -> Option<Detection> {
    let silent_ms = pool.silent_in_use_ms?.as_f64();
    let message = format!(
        "Of {} connections of {} (pid {}) to {} {}, {} in use and one of them has had no traffic for {:.0} s: a transaction is open and nobody goes on with it, or its answer does not come.",
        pool.open,
        pool.origin.service,
        pool.origin.pid,
        pool.system,
        pool.destination,
        if pool.in_use == 1 { "one is".into() } else { format!("{} are", pool.in_use) },
        silent_ms / 1e3,
    );
    // HTTP has answers that are waited for: long polls, streams.
    (silent_ms >= SILENT_MS && pool.system != "http" && pool.system != "redis").then(|| detection("pool_leak", pool, message, 1_000.0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::Millis;

    fn pool(saturated: bool, silent_s: u64) -> Pool {
        let silent_in_use_ms = Some(Millis(silent_s * 1_000_000_000));
        Pool { saturated, silent_in_use_ms, ..Pool::made_up("postgresql", "10.0.0.2:5432") }
    }

    fn judged(pool: Pool) -> Vec<Detection> {
        PoolTroubles.judge(&Snapshot { pools: vec![Arc::new(pool)], ..Snapshot::default() })
    }

    #[test]
    fn saturation_is_told_with_its_figures() {
        let told = judged(pool(true, 1));
        assert_eq!((told.len(), told[0].kind_name, &*told[0].scope), (1, "pool_saturated", "shop (pid 7): postgresql 10.0.0.2:5432"));
        for part in ["All 5 connections", "9.9 ms", "last 5 s"] {
            assert!(told[0].message.contains(part), "{part} in {}", told[0].message);
        }
    }

    #[test]
    fn a_silent_connection_in_use_is_a_leak() {
        let told = judged(pool(false, 60));
        assert_eq!((told.len(), told[0].kind_name), (1, "pool_leak"));
        assert!(told[0].message.contains("one is in use") && told[0].message.contains("60 s"), "{}", told[0].message);
        assert_eq!(judged(pool(false, 59)), []);
        assert_eq!(judged(Pool { system: "http", ..pool(false, 600) }), [], "an answer may be waited for");
    }
}
