//! The families of connection pools: open connections by state under the names of the conventions of databases and HTTP clients, and whether a
//! pool is saturated. In: the latest interval of each pool. Pools that have all labels in common (addresses under one name) are added up.
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use super::family::{MetricFamily, POOL, POOL_HTTP, POOL_SATURATED};
use super::text::{Exposition, Label};
use crate::record::{Pool, address};

/// Connections of the pools of a process to a destination.
#[derive(Clone, Copy, Default)]
struct Connections {
    idle: u64,
    in_use: u64,
    saturated: bool,
}

/// Service, process, system and destination.
type PoolLabels<'a> = (&'a str, u32, &'static str, &'a str);

/// Writes the families.
pub(super) fn write(out: &mut Exposition, pools: &[Arc<Pool>]) {
    let mut sums: BTreeMap<PoolLabels<'_>, Connections> = BTreeMap::new();
    for pool in pools {
        let sum = sums.entry((&pool.origin.service, pool.origin.pid, pool.system, &pool.destination)).or_default();
        sum.idle += pool.idle;
        sum.in_use += pool.in_use;
        sum.saturated |= pool.saturated;
    }
    by_state(out, &POOL, &sums, ("db_client_connection_state", "used"), |system| system != "http");
    by_state(out, &POOL_HTTP, &sums, ("http_connection_state", "active"), |system| system == "http");
    out.family(&POOL_SATURATED);
    for (labels, sum) in &sums {
        sample(out, &POOL_SATURATED, labels, Some("system"), &[], u8::from(sum.saturated));
    }
}

fn by_state(
    out: &mut Exposition,
    family: &MetricFamily,
    sums: &BTreeMap<PoolLabels<'_>, Connections>,
    (state, used): (&str, &str),
    is_meant: fn(&str) -> bool,
) {
    let system = (family.name == POOL.name).then_some("db_system_name");
    out.family(family);
    for (labels, sum) in sums.iter().filter(|((.., system, _), _)| is_meant(system)) {
        sample(out, family, labels, system, &[(state, &"idle")], sum.idle);
        sample(out, family, labels, system, &[(state, &used)], sum.in_use);
    }
}

fn sample(
    out: &mut Exposition,
    family: &MetricFamily,
    (service, pid, system, destination): &PoolLabels<'_>,
    system_label: Option<&str>,
    state: &[Label<'_>],
    value: impl Display,
) {
    let (host, port) = address(destination);
    let port = port.map_or(String::new(), |port| port.to_string());
    let mut labels: Vec<Label<'_>> = vec![("service_name", service), ("process_pid", pid)];
    labels.extend(system_label.map(|name| (name, system as &dyn Display)));
    labels.extend([("server_address", &host as &dyn Display), ("server_port", &port)]);
    labels.extend_from_slice(state);
    out.sample(family, &labels, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::metrics::text::{Buckets, Format};

    #[test]
    fn pools_under_one_name_are_one() {
        let postgres = Arc::new(Pool { idle: 2, in_use: 3, saturated: true, ..Pool::made_up("postgresql", "db:5432") });
        let http = Arc::new(Pool { idle: 1, in_use: 0, ..Pool::made_up("http", "api.example") });
        let mut out = Exposition::new(Format::Prometheus, Buckets::All);
        write(&mut out, &[postgres.clone(), postgres, http]);
        let text = out.finish();
        let of = "service_name=\"shop\",process_pid=\"7\"";
        let place = "server_address=\"db\",server_port=\"5432\"";
        for line in [
            format!("db_client_connection_count{{{of},db_system_name=\"postgresql\",{place},db_client_connection_state=\"idle\"}} 4"),
            format!("db_client_connection_count{{{of},db_system_name=\"postgresql\",{place},db_client_connection_state=\"used\"}} 6"),
            format!("http_client_open_connections{{{of},server_address=\"api.example\",http_connection_state=\"idle\"}} 1"),
            format!("perfmon_pool_saturated{{{of},system=\"postgresql\",{place}}} 1"),
            format!("perfmon_pool_saturated{{{of},system=\"http\",server_address=\"api.example\"}} 0"),
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("perfmon_pool_saturated{").count(), 2, "{text}");
    }
}
