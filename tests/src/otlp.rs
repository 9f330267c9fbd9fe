//! A strict receiver of OTLP over HTTP: accepts gzipped protobuf only and reports every deviation from the conventions. The table of
//! metrics is copied from the conventions, independent of perfmon's own table, so that an error there shows.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::TcpListener;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::receiver::{Receiver, Reply, Seen};

/// Name, type and unit: H histogram, C counter (both deltas), U up-down counter, G gauge.
const METRICS: [(&str, char, &str); 28] = [
    ("http.server.request.duration", 'H', "s"),
    ("http.server.active_requests", 'U', "{request}"),
    ("http.server.request.body.size", 'H', "By"),
    ("http.server.response.body.size", 'H', "By"),
    ("http.client.request.duration", 'H', "s"),
    ("http.client.request.body.size", 'H', "By"),
    ("http.client.response.body.size", 'H', "By"),
    ("gen_ai.client.operation.duration", 'H', "s"),
    ("gen_ai.client.token.usage", 'H', "{token}"),
    ("gen_ai.client.operation.time_to_first_chunk", 'H', "s"),
    ("operation.cost", 'H', "{USD}"),
    ("process.cpu.utilization", 'G', "1"),
    ("process.cpu.time", 'C', "s"),
    ("process.memory.usage", 'U', "By"),
    ("process.thread.count", 'U', "{thread}"),
    ("process.unix.file_descriptor.count", 'U', "{file_descriptor}"),
    ("process.context_switches", 'C', "{context_switch}"),
    ("process.disk.io", 'C', "By"),
    ("process.uptime", 'G', "s"),
    ("system.cpu.utilization", 'G', "1"),
    ("system.cpu.simple_utilization", 'G', "1"),
    ("system.memory.utilization", 'G', "1"),
    ("system.cpu.load_average.1m", 'G', "{thread}"),
    ("system.process.count", 'U', "{process}"),
    ("system.disk.io", 'C', "By"),
    ("system.network.io", 'C', "By"),
    ("system.filesystem.utilization", 'G', "1"),
    ("system.swap.utilization", 'G', "1"),
];
/// What only some hosts have: swap.
const OPTIONAL: [&str; 1] = ["system.swap.utilization"];
/// perfmon's own, which no convention names.
const OWN: &str = "perfmon.";

/// What belongs to a service.
pub struct Of<T> {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// The scope's name.
    pub scope: String,
    /// It.
    pub item: T,
}

/// The receiver.
pub struct Otlp(Receiver);

impl Otlp {
    /// Answers each delivery with `answer`.
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Receiver::start(answer).map(Self)
    }

    /// Takes everything, on a listening socket.
    pub fn on(listener: TcpListener) -> Result<Self> {
        Receiver::on(listener, |_| Reply::status(200)).map(Self)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.0.url("")
    }

    /// Everything that came, taken or not.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen()
    }

    fn taken<R: Message + Default>(&self, path: &str) -> Result<Vec<R>> {
        self.seen().iter().filter(|seen| seen.taken && seen.path == path).map(decoded).collect()
    }

    /// Accepted metrics in the order of arrival.
    pub fn metrics(&self) -> Result<Vec<Of<Metric>>> {
        let envelopes: Vec<ExportMetricsServiceRequest> = self.taken("/v1/metrics")?;
        let resources = envelopes.into_iter().flat_map(|envelope| envelope.resource_metrics);
        let of = resources.map(|of| (of.resource, of.scope_metrics.into_iter().map(|s| (s.scope, s.metrics)).collect()));
        of.map(|(resource, scopes): (_, Vec<_>)| belonging(resource, scopes))
            .collect::<Result<Vec<_>>>()
            .map(|all| all.into_iter().flatten().collect())
    }

    /// Spans that were taken.
    pub fn spans(&self) -> Result<Vec<Of<Span>>> {
        let envelopes: Vec<ExportTraceServiceRequest> = self.taken("/v1/traces")?;
        let resources = envelopes.into_iter().flat_map(|envelope| envelope.resource_spans);
        let of = resources.map(|of| (of.resource, of.scope_spans.into_iter().map(|s| (s.scope, s.spans)).collect()));
        of.map(|(resource, scopes): (_, Vec<_>)| belonging(resource, scopes))
            .collect::<Result<Vec<_>>>()
            .map(|all| all.into_iter().flatten().collect())
    }

    /// Log records that were taken.
    pub fn logs(&self) -> Result<Vec<Of<LogRecord>>> {
        let envelopes: Vec<ExportLogsServiceRequest> = self.taken("/v1/logs")?;
        let resources = envelopes.into_iter().flat_map(|envelope| envelope.resource_logs);
        let of = resources.map(|of| (of.resource, of.scope_logs.into_iter().map(|s| (s.scope, s.log_records)).collect()));
        of.map(|(resource, scopes): (_, Vec<_>)| belonging(resource, scopes))
            .collect::<Result<Vec<_>>>()
            .map(|all| all.into_iter().flatten().collect())
    }

    /// How many values the histograms of a name have in all deliveries, by service; requests without a duration are counted with them.
    pub fn counted(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        let mut counted = BTreeMap::new();
        for Of { service, item, .. } in self.metrics()? {
            let count: u64 = match &item.data {
                Some(Data::ExponentialHistogram(histogram)) if item.name == name => {
                    histogram.data_points.iter().map(|point| point.count).sum()
                }
                _ => continue,
            };
            *counted.entry(service).or_default() += count;
        }
        Ok(counted)
    }

    /// Names of the metrics of the table that did not come.
    pub fn lacking(&self) -> Result<Vec<&'static str>> {
        let came: BTreeSet<String> = self.metrics()?.into_iter().map(|metric| metric.item.name).collect();
        Ok(METRICS.iter().map(|row| row.0).filter(|name| !came.contains(*name) && !OPTIONAL.contains(name)).collect())
    }

    /// Fails when anything that was taken is not as it has to be.
    pub fn assert_strict(&self) -> Result<()> {
        let mut ends: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for Of { service, instance, item, scope } in self.metrics()? {
            ensure!(scope == "perfmon", "{}: scope {scope}", item.name);
            for (series, start, end) in points(&item).with_context(|| format!("{service}: {}", item.name))? {
                // Deltas of a series follow one another without an overlap.
                let last = ends.insert((instance.clone(), item.name.clone(), series.clone()), end).unwrap_or(0);
                ensure!(start < end && last <= start, "{service}: {} {series}: {start} to {end} after {last}", item.name);
            }
        }
        let mut ids = BTreeSet::new();
        for Of { item, .. } in self.spans()? {
            ensure!(item.trace_id.len() == 16 && item.span_id.len() == 8, "ids of {}", item.name);
            ensure!(ids.insert(item.span_id.clone()), "the span {} came twice", item.name);
            ensure!(item.start_time_unix_nano > 0 && item.start_time_unix_nano <= item.end_time_unix_nano, "times of {}", item.name);
        }
        for Of { item, .. } in self.logs()? {
            ensure!(item.body.is_some() && item.time_unix_nano > 0 && (1..=24).contains(&item.severity_number), "{item:?}");
        }
        Ok(())
    }
}

/// Decodes a body by the rules of the protocol.
fn decoded<R: Message + Default>(seen: &Seen) -> Result<R> {
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    ensure!(header("content-type") == Some("application/x-protobuf"), "content-type {:?}", header("content-type"));
    ensure!(header("content-encoding") == Some("gzip"), "content-encoding {:?}", header("content-encoding"));
    let mut plain = Vec::new();
    GzDecoder::new(&*seen.body).read_to_end(&mut plain).context("gzip")?;
    R::decode(&*plain).context("protobuf")
}

type Scope = Option<opentelemetry_proto::tonic::common::v1::InstrumentationScope>;

fn belonging<T>(resource: Option<Resource>, scopes: Vec<(Scope, Vec<T>)>) -> Result<Vec<Of<T>>> {
    let resource = resource.context("no resource")?;
    let named = |key: &str| text(&resource.attributes, key).with_context(|| format!("a resource without {key}"));
    let (service, instance) = (named("service.name")?, named("service.instance.id")?);
    named("host.name")?;
    let mut all = Vec::new();
    for (scope, items) in scopes {
        let scope = scope.context("no scope")?.name;
        ensure!(!items.is_empty(), "nothing in scope {scope} of {service}");
        all.extend(items.into_iter().map(|item| Of { service: service.clone(), instance: instance.clone(), scope: scope.clone(), item }));
    }
    Ok(all)
}

/// Text of an attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Series, start and end of each delta; an error describes the fault of the metric.
fn points(metric: &Metric) -> Result<Vec<(String, u64, u64)>> {
    let row = METRICS.iter().find(|row| row.0 == metric.name);
    ensure!(row.is_some() || metric.name.starts_with(OWN), "is no metric of the conventions");
    ensure!(row.is_none_or(|row| row.2 == metric.unit), "has the unit {}", metric.unit);
    let (kind, points) = match metric.data.as_ref().context("no data")? {
        Data::ExponentialHistogram(histogram) => {
            ensure!(histogram.aggregation_temporality == 1, "is no delta");
            for point in &histogram.data_points {
                let buckets = point.positive.as_ref().map_or(0, |buckets| buckets.bucket_counts.iter().sum());
                ensure!(point.count > 0 && point.count == buckets + point.zero_count, "{} values, {buckets} in buckets", point.count);
            }
            ('H', histogram.data_points.iter().map(|p| (&p.attributes, p.start_time_unix_nano, p.time_unix_nano)).collect::<Vec<_>>())
        }
        Data::Sum(sum) if sum.is_monotonic => {
            ensure!(sum.aggregation_temporality == 1, "is no delta");
            ('C', sum.data_points.iter().map(|p| (&p.attributes, p.start_time_unix_nano, p.time_unix_nano)).collect())
        }
        Data::Sum(sum) => {
            ensure!(sum.aggregation_temporality == 2, "is not cumulative");
            ('U', Vec::new())
        }
        Data::Gauge(_) => ('G', Vec::new()),
        other => bail!("has the type {other:?}"),
    };
    ensure!(row.is_none_or(|row| row.1 == kind), "has the type {kind}");
    Ok(points.into_iter().map(|(attributes, start, end)| (format!("{attributes:?}"), start, end)).collect())
}
