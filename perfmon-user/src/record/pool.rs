//! A client's connections to one peer over one interval.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, WallTime};

/// Connections that a process holds to one peer, over one interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pool {
    /// Start of the interval.
    pub time: WallTime,
    /// Whose.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Who is called, by name if one is known.
    pub destination: Arc<str>,
    /// The address: several may have one name.
    pub peer: Arc<str>,
    /// `http`, `postgresql`, `mysql`, `redis`.
    pub system: &'static str,
    /// Open connections that have spoken since perfmon watches.
    pub open: u64,
    /// Of those, with a command under way or within a transaction.
    pub in_use: u64,
    /// The others.
    pub idle: u64,
    /// Most in use at once in the interval.
    pub peak_in_use: u64,
    /// Most open at once since perfmon watches: the pool's size, once it was needed whole.
    pub size: u64,
    /// Connections that came in the interval.
    pub opened: u64,
    /// Connections that went.
    pub closed: u64,
    /// Uses that ended in the interval.
    pub uses: u64,
    /// How long a use lasted: from the command to the last byte of the answer, or to the end of the transaction.
    pub use_time_p95_ms: Option<Millis>,
    /// All were in use for nearly the whole interval, while the process had more to do than connections.
    pub saturated: bool,
    /// Longest time for which a connection in use has had no traffic; null when none is in use.
    pub silent_in_use_ms: Option<Millis>,
    /// Its length.
    pub interval_ms: Millis,
}

#[cfg(test)]
impl Pool {
    /// Five connections, one of them in use.
    pub fn made_up(system: &'static str, destination: &str) -> Self {
        Self {
            time: WallTime(0),
            origin: Arc::new(Origin { service: "shop".into(), ..Origin::unknown(7) }),
            destination: destination.into(),
            peer: "10.0.0.7:5432".into(),
            system,
            open: 5,
            in_use: 1,
            idle: 4,
            peak_in_use: 5,
            size: 5,
            opened: 0,
            closed: 0,
            uses: 100,
            use_time_p95_ms: Some(Millis(9_900_000)),
            saturated: false,
            silent_in_use_ms: None,
            interval_ms: Millis(5_000_000_000),
        }
    }
}
