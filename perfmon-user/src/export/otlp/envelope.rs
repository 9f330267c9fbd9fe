//! OTLP requests ready for delivery: encoded, compressed, never empty, within the size that receivers accept, and split in two when a
//! receiver still rejects the size.
use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use crate::config::Signal;

/// Bytes of a request before compression, at most.
const MOST_BYTES: usize = 4 << 20;

/// A request that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Signal of the content.
    pub signal: Signal,
    /// Spans, points or log records in it.
    pub items: u64,
    /// The encoded request, compressed.
    pub gzipped: Arc<[u8]>,
}

impl Envelope {
    /// The encoded request.
    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        // Compressed by this program, so it decompresses.
        GzDecoder::new(&*self.gzipped).read_to_end(&mut plain).unwrap_or_default();
        plain
    }

    /// The same in two halves; `None` when there is only one item.
    pub fn halves(&self) -> Option<[Self; 2]> {
        match self.signal {
            Signal::Traces => halves::<Traces>(self),
            Signal::Metrics => halves::<Metrics>(self),
            Signal::Logs => halves::<Logs>(self),
        }
    }
}

/// A request of OTLP.
pub trait SignalRequest: Message + Default {
    /// Signal of the content.
    const SIGNAL: Signal;
    /// How many spans, points or log records.
    fn items(&self) -> u64;
    /// Leaves half of itself; gives the other half, `None` when there is only one item.
    fn split(&mut self) -> Option<Self>;
}

/// The envelopes of a request; none when it is empty.
pub fn pack<R: SignalRequest>(request: R) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    let mut left = vec![request];
    while let Some(mut request) = left.pop() {
        if request.encoded_len() > MOST_BYTES
            && let Some(half) = request.split()
        {
            left.extend([half, request]);
        } else if request.items() > 0 {
            envelopes.push(envelope(&request));
        }
    }
    envelopes
}

fn envelope<R: SignalRequest>(request: &R) -> Envelope {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let gzipped = encoder.write_all(&request.encode_to_vec()).and_then(|()| encoder.finish()).unwrap_or_default();
    Envelope { signal: R::SIGNAL, items: request.items(), gzipped: gzipped.into() }
}

fn halves<R: SignalRequest>(whole: &Envelope) -> Option<[Envelope; 2]> {
    let mut request = R::decode(&*whole.plain()).ok()?;
    let half = request.split()?;
    Some([envelope(&request), envelope(&half)])
}

/// Takes the second half of a list.
fn half<T>(list: &mut Vec<T>) -> Option<Vec<T>> {
    (list.len() > 1).then(|| list.split_off(list.len() / 2))
}

/// Every resource that perfmon sends has exactly one scope.
macro_rules! request {
    ($request:ty, $signal:ident, $resources:ident, $scopes:ident, $items:ident, $count:expr, $split_one:expr) => {
        impl SignalRequest for $request {
            const SIGNAL: Signal = Signal::$signal;

            fn items(&self) -> u64 {
                self.$resources.iter().flat_map(|resource| &resource.$scopes).flat_map(|scope| &scope.$items).map($count).sum()
            }

            fn split(&mut self) -> Option<Self> {
                if let Some($resources) = half(&mut self.$resources) {
                    return Some(Self { $resources });
                }
                let resource = self.$resources.first_mut()?;
                let scope = resource.$scopes.first_mut()?;
                let $items = half(&mut scope.$items).or_else(|| scope.$items.first_mut().and_then($split_one).map(|item| vec![item]))?;
                let mut other = resource.clone();
                other.$scopes.first_mut()?.$items = $items;
                Some(Self { $resources: vec![other] })
            }
        }
    };
}

request!(Traces, Traces, resource_spans, scope_spans, spans, |_| 1, |_| None);
request!(Logs, Logs, resource_logs, scope_logs, log_records, |_| 1, |_| None);
request!(Metrics, Metrics, resource_metrics, scope_metrics, metrics, points, split_points);

fn points(metric: &Metric) -> u64 {
    let count = match &metric.data {
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        _ => 0,
    };
    count as u64
}

fn split_points(metric: &mut Metric) -> Option<Metric> {
    let mut other = metric.clone();
    match (&mut metric.data, &mut other.data) {
        (Some(Data::ExponentialHistogram(this)), Some(Data::ExponentialHistogram(that))) => {
            that.data_points = half(&mut this.data_points)?;
        }
        (Some(Data::Sum(this)), Some(Data::Sum(that))) => that.data_points = half(&mut this.data_points)?,
        (Some(Data::Gauge(this)), Some(Data::Gauge(that))) => that.data_points = half(&mut this.data_points)?,
        _ => return None,
    }
    Some(other)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn spans(count: usize, name: &str) -> Traces {
        let spans = (0..count).map(|n| Span { name: format!("{n} {name}"), ..Span::default() }).collect();
        Traces {
            resource_spans: vec![ResourceSpans { scope_spans: vec![ScopeSpans { spans, ..Default::default() }], ..Default::default() }],
        }
    }

    fn names(envelope: &Envelope) -> Vec<String> {
        let request = Traces::decode(&*envelope.plain()).unwrap();
        request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).map(|span| span.name.clone()).collect()
    }

    #[test]
    fn nothing_makes_no_envelope() {
        assert_eq!(pack(Traces::default()), []);
        assert_eq!(pack(spans(0, "")), []);
    }

    #[test]
    fn large_requests_are_cut_and_lose_nothing() {
        let request = spans(3_000, &"x".repeat(4_000));
        let all = request.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.clone()).collect::<Vec<_>>();
        let envelopes = pack(request);
        assert!(envelopes.len() > 1);
        assert!(envelopes.iter().all(|envelope| envelope.plain().len() <= MOST_BYTES));
        assert_eq!(envelopes.iter().map(|envelope| envelope.items).sum::<u64>(), 3_000);
        assert_eq!(envelopes.iter().flat_map(names).collect::<Vec<_>>(), all);
    }

    #[test]
    fn halving_ends_with_single_items() {
        let mut whole = pack(spans(5, ""));
        let (mut single, mut halvings) = (Vec::new(), 0);
        while let Some(envelope) = whole.pop() {
            match envelope.halves() {
                Some(halves) => {
                    halvings += 1;
                    whole.extend(halves);
                }
                None => single.push(envelope),
            }
        }
        assert_eq!((single.len(), halvings), (5, 4));
        assert!(single.iter().all(|envelope| envelope.items == 1));
    }

    #[test]
    fn one_metric_is_cut_between_its_points() {
        let data_points = (0..9).map(|n| NumberDataPoint { time_unix_nano: n, ..Default::default() }).collect();
        let metric = Metric { data: Some(Data::Sum(Sum { data_points, ..Default::default() })), ..Default::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
        let envelope = pack(Metrics { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }).pop().unwrap();
        assert_eq!(envelope.halves().unwrap().map(|half| half.items), [4, 5]);
    }
}
