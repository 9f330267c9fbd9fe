//! TCP of the connections to a destination, in windows.
use crate::aggregate::accumulator::{Accumulator, counts};
use crate::aggregate::series::Series;
use crate::record::Tcp;

counts! {
    /// Numbers of a set of connections; times in nanoseconds.
    TcpCounts {
        sums {
            /// Segments sent.
            segments,
            /// Segments sent again.
            retransmits,
            /// Round-trip times that were read.
            round_trips,
            /// Their sum.
            round_trip_sum,
        }
        maxima {
            /// Largest of them.
            round_trip_max,
        }
    }
}

/// A row of TCP figures.
pub type TcpSeries = Series<TcpCounts, 0>;

/// Adds an interval to a slice.
pub fn add(tcp: &Tcp, accumulator: &mut Accumulator<TcpCounts, 0>) {
    let counts = &mut accumulator.counts;
    counts.segments += tcp.segments;
    counts.retransmits += tcp.retransmits;
    counts.round_trips += tcp.round_trips;
    counts.round_trip_sum += tcp.round_trip_ms.map_or(0, |mean| mean.0.saturating_mul(tcp.round_trips));
    counts.round_trip_max = counts.round_trip_max.max(tcp.round_trip_max_ms.map_or(0, |max| max.0));
}
