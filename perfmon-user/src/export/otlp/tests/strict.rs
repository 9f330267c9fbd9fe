//! The checks of a strict receiver. The table of names, units and kinds is copied from the conventions, independent of perfmon's own table,
//! so that an error there shows.
use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

/// A row of the table.
type Row = (&'static str, &'static str, char, &'static [&'static str], &'static [&'static str]);

/// Name, unit, kind: H histogram, C counter, U up-down, G gauge; attributes that every point has, and those that it may have.
pub const TABLE: &[Row] = &[
    ("http.server.request.duration", "s", 'H', &["http.request.method", "url.scheme"], SERVER),
    ("http.server.request.body.size", "By", 'H', &["http.request.method", "url.scheme"], SERVER),
    ("http.server.response.body.size", "By", 'H', &["http.request.method", "url.scheme"], SERVER),
    ("http.server.active_requests", "{request}", 'U', &["http.request.method"], &[]),
    ("http.client.request.duration", "s", 'H', &["http.request.method", "server.address"], CLIENT),
    ("http.client.request.body.size", "By", 'H', &["http.request.method", "server.address"], CLIENT),
    ("http.client.response.body.size", "By", 'H', &["http.request.method", "server.address"], CLIENT),
    ("perfmon.http.unmeasured_requests", "{request}", 'C', &["perfmon.side"], UNMEASURED),
    ("perfmon.connect.failures", "{connection}", 'C', &["error.type", "server.address"], &["server.port"]),
    ("gen_ai.client.operation.duration", "s", 'H', MODEL, MODEL_MORE),
    (
        "gen_ai.client.token.usage",
        "{token}",
        'H',
        &["gen_ai.token.type", "gen_ai.provider.name", "gen_ai.system", "gen_ai.operation.name"],
        MODEL_MORE,
    ),
    ("gen_ai.client.operation.time_to_first_chunk", "s", 'H', MODEL, MODEL_MORE),
    ("operation.cost", "{USD}", 'H', MODEL, MODEL_MORE),
    ("gen_ai.server.request.duration", "s", 'H', MODEL, MODEL_MORE),
    ("gen_ai.server.time_to_first_token", "s", 'H', MODEL, MODEL_MORE),
    ("mcp.client.operation.duration", "s", 'H', &["mcp.method.name", "gen_ai.tool.name"], &["network.transport", "error.type"]),
    (
        "db.client.operation.duration",
        "s",
        'H',
        &["db.system.name"],
        &[
            "db.operation.name",
            "db.collection.name",
            "db.namespace",
            "db.response.status_code",
            "error.type",
            "server.address",
            "server.port",
        ],
    ),
    ("dns.lookup.duration", "s", 'H', &["dns.question.name"], &["error.type"]),
    ("perfmon.dns.unanswered_lookups", "{lookup}", 'C', &["dns.question.name", "error.type"], &[]),
    (
        "db.client.connection.count",
        "{connection}",
        'U',
        &["db.client.connection.state", "db.client.connection.pool.name", "db.system.name", "server.address"],
        &["server.port"],
    ),
    ("http.client.open_connections", "{connection}", 'U', &["http.connection.state", "server.address"], &["server.port"]),
    ("process.cpu.utilization", "1", 'G', &[], &[]),
    ("process.cpu.time", "s", 'C', &[], &[]),
    ("process.memory.usage", "By", 'U', &[], &[]),
    ("process.thread.count", "{thread}", 'U', &[], &[]),
    ("process.unix.file_descriptor.count", "{file_descriptor}", 'U', &[], &[]),
    ("process.context_switches", "{context_switch}", 'C', &[], &[]),
    ("process.disk.io", "By", 'C', &["disk.io.direction"], &[]),
    ("process.uptime", "s", 'G', &[], &[]),
    ("perfmon.degraded", "{part}", 'G', &[], &[]),
    ("system.cpu.utilization", "1", 'G', &[], &[]),
    ("system.cpu.simple_utilization", "1", 'G', &[], &[]),
    ("system.memory.utilization", "1", 'G', &["state"], &[]),
    ("system.swap.utilization", "1", 'G', &["state"], &[]),
    ("system.cpu.load_average.1m", "{thread}", 'G', &[], &[]),
    ("system.process.count", "{process}", 'U', &[], &[]),
    ("system.disk.io", "By", 'C', &["system.filesystem.mountpoint", "disk.io.direction"], &[]),
    ("system.network.io", "By", 'C', &["network.interface.name", "network.io.direction"], &[]),
    ("system.filesystem.utilization", "1", 'G', &["system.filesystem.mountpoint"], &[]),
];

const SERVER: &[&str] = &["http.route", "http.response.status_code", "error.type", "network.protocol.version"];
const CLIENT: &[&str] = &["url.scheme", "server.port", "http.response.status_code", "error.type", "network.protocol.version"];
const UNMEASURED: &[&str] = &[
    "http.request.method",
    "url.scheme",
    "http.route",
    "server.address",
    "server.port",
    "http.response.status_code",
    "error.type",
    "network.protocol.version",
];
const MODEL: &[&str] = &["gen_ai.provider.name", "gen_ai.system", "gen_ai.operation.name"];
const MODEL_MORE: &[&str] = &["gen_ai.request.model", "gen_ai.response.model", "server.address", "server.port", "error.type"];

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// Violations in metrics.
pub fn metrics(request: &ExportMetricsServiceRequest) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |is_wrong: bool, what: String| wrong.extend(is_wrong.then_some(what));
    note(request.resource_metrics.is_empty(), "an empty envelope".into());
    for of_resource in &request.resource_metrics {
        resource(of_resource.resource.as_ref()).into_iter().for_each(|what| note(true, what));
        note(of_resource.scope_metrics.len() != 1, "not one scope".into());
        for scope in &of_resource.scope_metrics {
            note(scope.scope.as_ref().is_none_or(|scope| scope.name != "perfmon"), "scope".into());
            note(scope.metrics.is_empty(), "a scope without metrics".into());
            let names: BTreeSet<&str> = scope.metrics.iter().map(|metric| metric.name.as_str()).collect();
            note(names.len() != scope.metrics.len(), format!("a name twice in one scope: {names:?}"));
            scope.metrics.iter().flat_map(metric).for_each(|what| note(true, what));
        }
    }
    wrong
}

fn metric(metric: &Metric) -> Vec<String> {
    let name = metric.name.as_str();
    let Some((_, unit, kind, needed, allowed)) = TABLE.iter().find(|row| row.0 == name) else {
        return vec![format!("unknown metric {name}")];
    };
    let mut wrong = Vec::new();
    let mut note = |is_wrong: bool, what: &str| wrong.extend(is_wrong.then(|| format!("{name}: {what}")));
    note(metric.unit != *unit, &format!("unit {}", metric.unit));
    note(metric.description.is_empty(), "no description");
    let mut identities = Vec::new();
    match &metric.data {
        Some(Data::ExponentialHistogram(histogram)) => {
            note(*kind != 'H' || histogram.aggregation_temporality != DELTA, "kind");
            histogram.data_points.iter().flat_map(histogram_point).for_each(|what| note(true, &what));
            identities.extend(histogram.data_points.iter().map(|point| &point.attributes));
        }
        Some(Data::Sum(sum)) => {
            let right = match kind {
                'C' => sum.is_monotonic && sum.aggregation_temporality == DELTA,
                'U' => !sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE,
                _ => false,
            };
            note(!right, "kind");
            note(sum.data_points.iter().any(|point| point.start_time_unix_nano == 0), "a sum without start");
            note(sum.data_points.iter().any(number_is_wrong), "a point");
            identities.extend(sum.data_points.iter().map(|point| &point.attributes));
        }
        Some(Data::Gauge(gauge)) => {
            note(*kind != 'G', "kind");
            note(gauge.data_points.iter().any(number_is_wrong), "a point");
            identities.extend(gauge.data_points.iter().map(|point| &point.attributes));
        }
        _ => note(true, "kind of data"),
    }
    note(identities.is_empty(), "no points");
    let distinct: BTreeSet<String> = identities.iter().map(|attributes| format!("{attributes:?}")).collect();
    note(distinct.len() != identities.len(), "two points with the same attributes");
    for attributes in identities {
        self::attributes(attributes).iter().for_each(|what| note(true, what));
        let keys: Vec<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        if keys != ["otel.metric.overflow"] {
            note(!needed.iter().all(|key| keys.contains(key)), &format!("lacks one of {needed:?}: {keys:?}"));
            let known = |key: &&str| needed.contains(key) || allowed.contains(key);
            note(!keys.iter().all(known), &format!("has more than {allowed:?}: {keys:?}"));
        }
    }
    wrong
}

fn number_is_wrong(point: &NumberDataPoint) -> bool {
    point.value.is_none() || point.time_unix_nano == 0 || point.start_time_unix_nano > point.time_unix_nano
}

fn histogram_point(point: &ExponentialHistogramDataPoint) -> Vec<String> {
    let sum_of = |buckets: &Option<Buckets>| buckets.as_ref().map_or(0, |buckets| buckets.bucket_counts.iter().sum::<u64>());
    let mut wrong = Vec::new();
    let mut note = |is_wrong: bool, what: &str| wrong.extend(is_wrong.then(|| what.to_string()));
    note(point.count == 0, "an empty histogram");
    note(sum_of(&point.positive) + sum_of(&point.negative) + point.zero_count != point.count, "buckets do not add up");
    note(point.start_time_unix_nano == 0 || point.start_time_unix_nano >= point.time_unix_nano, "times");
    note(!(-10..=20).contains(&point.scale), "scale");
    let (min, max, sum) = (point.min.unwrap_or(f64::NAN), point.max.unwrap_or(f64::NAN), point.sum.unwrap_or(f64::NAN));
    let count = point.count as f64;
    note(!(min <= max && sum >= min * count * 0.999_999 && sum <= max * count * 1.000_001), "min, max and sum do not fit");
    if let Some(buckets) = &point.positive {
        let base = 2_f64.powf(2_f64.powi(-point.scale));
        let (first, last) = (base.powi(buckets.offset), base.powi(buckets.offset + buckets.bucket_counts.len() as i32));
        note(max > last * 1.05 || (point.zero_count == 0 && min < first / 1.05), "values outside the buckets");
    }
    wrong
}

fn resource(resource: Option<&Resource>) -> Vec<String> {
    let Some(resource) = resource else { return vec!["no resource".into()] };
    let mut wrong = attributes(&resource.attributes);
    for key in ["service.name", "service.instance.id", "host.name"] {
        if !resource.attributes.iter().any(|attribute| attribute.key == key) {
            wrong.push(format!("a resource without {key}"));
        }
    }
    wrong
}

fn attributes(attributes: &[KeyValue]) -> Vec<String> {
    let keys: BTreeSet<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    let mut wrong = Vec::new();
    if keys.len() != attributes.len() || keys.contains("") {
        wrong.push(format!("attributes that are empty or stand twice: {keys:?}"));
    }
    if attributes.iter().any(|attribute| attribute.value.as_ref().is_none_or(|value| value.value.is_none())) {
        wrong.push("an attribute without value".into());
    }
    wrong
}

/// Violations in spans.
pub fn traces(request: &ExportTraceServiceRequest) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(request.resource_spans.is_empty().then(|| "an empty envelope".to_string()));
    for of_resource in &request.resource_spans {
        wrong.extend(resource(of_resource.resource.as_ref()));
        for scope in &of_resource.scope_spans {
            wrong.extend(scope.spans.is_empty().then(|| "a scope without spans".to_string()));
            wrong.extend(scope.spans.iter().flat_map(span));
        }
    }
    wrong
}

fn span(span: &Span) -> Vec<String> {
    let id = |bytes: &[u8], length: usize| bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
    let mut wrong = attributes(&span.attributes);
    let mut note = |is_wrong: bool, what: &str| wrong.extend(is_wrong.then(|| format!("span {}: {what}", span.name)));
    note(!id(&span.trace_id, 16), "trace id");
    note(!id(&span.span_id, 8), "span id");
    note(!span.parent_span_id.is_empty() && !id(&span.parent_span_id, 8), "parent id");
    note(span.parent_span_id == span.span_id, "its own parent");
    note(span.name.is_empty() || span.name.len() > 512, "name");
    note(!(1..=5).contains(&span.kind), "kind");
    note(span.start_time_unix_nano == 0 || span.end_time_unix_nano < span.start_time_unix_nano, "times");
    for key in ["logfire.msg", "logfire.level_num", "logfire.span_type"] {
        note(!span.attributes.iter().any(|attribute| attribute.key == key), &format!("lacks {key}"));
    }
    wrong
}

/// Violations in log records.
pub fn logs(request: &ExportLogsServiceRequest) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(request.resource_logs.is_empty().then(|| "an empty envelope".to_string()));
    for of_resource in &request.resource_logs {
        wrong.extend(resource(of_resource.resource.as_ref()));
        for scope in &of_resource.scope_logs {
            wrong.extend(scope.log_records.is_empty().then(|| "a scope without records".to_string()));
            for record in &scope.log_records {
                wrong.extend(attributes(&record.attributes));
                let is_wrong = record.time_unix_nano == 0 || record.body.is_none() || !(1..=24).contains(&record.severity_number);
                wrong.extend(is_wrong.then(|| format!("log record {record:?}")));
            }
        }
    }
    wrong
}
