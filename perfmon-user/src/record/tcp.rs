//! What TCP did for a client's connections to one peer over one interval.
use std::sync::Arc;

use serde::Serialize;

use super::{Millis, Origin, WallTime};

/// TCP of the connections of a process to one peer, over one interval: `struct tcp_sock` of each, read now and then and at its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tcp {
    /// Start of the interval.
    pub time: WallTime,
    /// Whose.
    #[serde(flatten)]
    pub origin: Arc<Origin>,
    /// Who is called, by name if one is known.
    pub destination: Arc<str>,
    /// The address: several may have one name.
    pub peer: Arc<str>,
    /// `http`, `postgresql`, `mysql`, `redis`, …
    pub system: &'static str,
    /// Segments sent, those that were sent again among them.
    pub segments: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Times that a round-trip time was read.
    pub round_trips: u64,
    /// Mean of what was read: the smoothed round-trip time of a connection at that moment.
    pub round_trip_ms: Option<Millis>,
    /// Largest of them.
    pub round_trip_max_ms: Option<Millis>,
    /// Its length.
    pub interval_ms: Millis,
}

#[cfg(test)]
impl Tcp {
    /// A hundred segments, two of them sent again.
    pub fn made_up(destination: &str) -> Self {
        Self {
            time: WallTime(0),
            origin: Arc::new(Origin { service: "shop".into(), ..Origin::unknown(7) }),
            destination: destination.into(),
            peer: "10.0.0.7:443".into(),
            system: "http",
            segments: 100,
            retransmits: 2,
            round_trips: 4,
            round_trip_ms: Some(Millis(12_000_000)),
            round_trip_max_ms: Some(Millis(20_000_000)),
            interval_ms: Millis(5_000_000_000),
        }
    }
}
