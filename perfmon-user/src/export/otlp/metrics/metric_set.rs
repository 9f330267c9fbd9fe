//! The metrics of one resource in OTLP's structure: points grouped by instrument.
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint, ScopeMetrics, Sum,
};

use crate::export::otlp::exponential::Distribution;
use crate::export::otlp::instrument::{Instrument, InstrumentKind};
use crate::export::otlp::resource;
use crate::record::WallTime;

/// Time range of the points.
#[derive(Clone, Copy, Debug)]
pub struct TimeSpan {
    /// Start of perfmon.
    pub began: WallTime,
    /// End of the interval before.
    pub since: WallTime,
    /// Now.
    pub until: WallTime,
}

/// Metrics under construction.
#[derive(Debug)]
pub struct MetricSet {
    span: TimeSpan,
    metrics: Vec<(&'static Instrument, Points)>,
}

#[derive(Debug)]
enum Points {
    Histogram(Vec<ExponentialHistogramDataPoint>),
    Number(Vec<NumberDataPoint>),
}

impl MetricSet {
    /// An empty one.
    pub fn new(span: TimeSpan) -> Self {
        Self { span, metrics: Vec::new() }
    }

    /// Adds distributions of one series; those that are empty are left out.
    pub fn distributions<const N: usize>(&mut self, of: [(&'static Instrument, &Distribution); N], mut attributes: Vec<KeyValue>) {
        let mut filled = of.into_iter().filter(|(_, values)| !values.is_empty()).peekable();
        while let Some((instrument, values)) = filled.next() {
            let own = if filled.peek().is_some() { attributes.clone() } else { std::mem::take(&mut attributes) };
            self.distribution(instrument, values, own);
        }
    }

    /// Adds a distribution, unless it is empty.
    pub fn distribution(&mut self, instrument: &'static Instrument, values: &Distribution, attributes: Vec<KeyValue>) {
        if values.is_empty() {
            return;
        }
        let point = ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: self.span.since.0,
            time_unix_nano: self.span.until.0,
            ..values.point(instrument.scale)
        };
        if let Points::Histogram(points) = self.points(instrument) {
            points.push(point);
        }
    }

    /// Adds a whole number.
    pub fn count(&mut self, instrument: &'static Instrument, value: u64, attributes: Vec<KeyValue>) {
        self.number(instrument, Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX)), attributes);
    }

    /// Adds a number.
    pub fn value(&mut self, instrument: &'static Instrument, value: f64, attributes: Vec<KeyValue>) {
        self.number(instrument, Value::AsDouble(value), attributes);
    }

    fn number(&mut self, instrument: &'static Instrument, value: Value, attributes: Vec<KeyValue>) {
        let start = match instrument.kind {
            InstrumentKind::Counter | InstrumentKind::Histogram => self.span.since.0,
            InstrumentKind::UpDown => self.span.began.0,
            InstrumentKind::Gauge => 0,
        };
        let time_unix_nano = self.span.until.0;
        let point =
            NumberDataPoint { attributes, start_time_unix_nano: start, time_unix_nano, value: Some(value), ..NumberDataPoint::default() };
        if let Points::Number(points) = self.points(instrument) {
            points.push(point);
        }
    }

    fn points(&mut self, instrument: &'static Instrument) -> &mut Points {
        let at = self.metrics.iter().position(|(known, _)| known.name == instrument.name).unwrap_or_else(|| {
            let empty =
                if instrument.kind == InstrumentKind::Histogram { Points::Histogram(Vec::new()) } else { Points::Number(Vec::new()) };
            self.metrics.push((instrument, empty));
            self.metrics.len() - 1
        });
        &mut self.metrics[at].1
    }

    /// The metrics; `None` without points.
    pub fn finish(self) -> Option<ScopeMetrics> {
        let metrics: Vec<Metric> = self.metrics.into_iter().map(|(instrument, points)| metric(instrument, points)).collect();
        (!metrics.is_empty()).then(|| ScopeMetrics { scope: Some(resource::scope("perfmon")), metrics, ..ScopeMetrics::default() })
    }
}

fn metric(instrument: &Instrument, points: Points) -> Metric {
    let delta = AggregationTemporality::Delta as i32;
    let data = match (points, instrument.kind) {
        (Points::Histogram(data_points), _) => {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: delta })
        }
        (Points::Number(data_points), InstrumentKind::Gauge) => Data::Gauge(Gauge { data_points }),
        (Points::Number(data_points), InstrumentKind::UpDown) => {
            Data::Sum(Sum { data_points, aggregation_temporality: AggregationTemporality::Cumulative as i32, is_monotonic: false })
        }
        (Points::Number(data_points), _) => Data::Sum(Sum { data_points, aggregation_temporality: delta, is_monotonic: true }),
    };
    Metric {
        name: instrument.name.into(),
        description: instrument.text.into(),
        unit: instrument.unit.into(),
        data: Some(data),
        ..Metric::default()
    }
}
