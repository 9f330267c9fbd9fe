//! The exchange that stands for a series: the slowest one that carries a trace, by the ids under which a backend of traces knows it.
use std::sync::Arc;

use crate::record::{Record, SpanId, WallTime};

/// An exemplar lasts this long; then any other one takes its place.
const LASTS_NS: u64 = 60 * 1_000_000_000;

/// One exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: Arc<str>,
    /// Its span.
    pub span_id: SpanId,
    /// Its latency.
    pub latency_ns: u64,
    /// Its start.
    pub time: WallTime,
}

impl Exemplar {
    /// Offers a record for a place; it is taken when it is the slowest so far.
    pub fn offer(place: &mut Option<Box<Self>>, record: &Record) {
        let Record::Request(request) = record else { return };
        let (Some(trace_id), Some(latency)) = (&request.trace_id, request.latency()) else { return };
        if place.as_ref().is_none_or(|known| known.latency_ns < latency.0) {
            let (trace_id, span_id, time) = (trace_id.clone(), request.span_id, request.time);
            *place = Some(Box::new(Self { trace_id, span_id, latency_ns: latency.0, time }));
        }
    }

    /// Offers the exemplar of a later time for a place: it is taken when it is slower, or when the known one is old.
    pub fn follow(place: &mut Option<Box<Self>>, later: Option<&Self>) {
        let Some(later) = later else { return };
        let stays = |known: &Self| known.latency_ns > later.latency_ns && later.time.0 < known.time.0.saturating_add(LASTS_NS);
        if !place.as_ref().is_some_and(|known| stays(known)) {
            *place = Some(Box::new(later.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::request;

    fn traced(second: u64, us: u64, trace: &str) -> Record {
        let Record::Request(mut record) = request(second, "shop", "/", us, 200) else { unreachable!() };
        record.trace_id = Some(trace.into());
        Record::Request(record)
    }

    fn of(records: &[Record]) -> Option<Box<Exemplar>> {
        let mut place = None;
        records.iter().for_each(|record| Exemplar::offer(&mut place, record));
        place
    }

    #[test]
    fn the_slowest_with_a_trace_stands_for_a_series_for_a_minute() {
        assert_eq!(of(&[request(1, "shop", "/", 9_000, 200)]), None);
        let mut place =
            of(&[traced(100, 5_000, "a"), traced(100, 7_000, "b"), traced(101, 6_000, "c"), request(101, "shop", "/", 9_000, 200)]);
        let shown = |place: &Option<Box<Exemplar>>| place.as_ref().map(|known| (known.trace_id.to_string(), known.latency_ns));
        assert_eq!(shown(&place), Some(("b".into(), 7_000_000)));
        for (second, us, wanted) in
            [(120, 6_000, "b"), (130, 8_000, "d"), (189, 1_000, "d"), (190, 1_000, "d"), (191, 2_000, "d"), (260, 1_000, "d")]
        {
            Exemplar::follow(&mut place, of(&[traced(second, us, "d")]).as_deref());
            assert_eq!(shown(&place).unwrap().0, wanted, "{second}");
        }
        assert_eq!(shown(&place), Some(("d".into(), 1_000_000)));
        Exemplar::follow(&mut place, None);
        assert!(place.is_some());
    }
}
