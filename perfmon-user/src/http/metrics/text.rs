//! The two text formats. In: families and their samples; out: escaped text. Prometheus text 0.0.4 and OpenMetrics 1.0 differ in the names
//! of counters, in units and in the end mark.
use std::fmt::{Display, Write};

use super::family::{FamilyKind, MetricFamily};
use crate::series::Exemplar;

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The format that the client prefers; Prometheus text by default.
    pub fn accepted(accept: &str) -> Self {
        let quality = |name: &str| {
            let range = accept.split(',').map(str::trim).find(|range| range.split(';').next().is_some_and(|kind| kind.trim() == name))?;
            let weight = range.split(';').find_map(|part| part.trim().strip_prefix("q=")?.parse::<f64>().ok());
            Some(weight.unwrap_or(1.0))
        };
        match quality("application/openmetrics-text") {
            Some(weight) if weight > 0.0 && weight >= quality("text/plain").unwrap_or(0.0) => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Which lines of a histogram are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buckets {
    /// All.
    All,
    /// The last one, with the sum and the count: for means and rates, in a sixth of the lines.
    None,
}

/// The values of a histogram.
pub(super) struct HistogramValues<'a> {
    /// Upper bounds of all buckets but the last.
    pub bounds: &'a [f64; 14],
    /// In each bucket, not cumulative.
    pub buckets: &'a [u64; 15],
    /// Of all values.
    pub sum: f64,
    /// One of the values; written in OpenMetrics, Prometheus text has no exemplars.
    pub exemplar: Option<&'a Exemplar>,
}

/// The text being written.
pub(super) struct Exposition {
    format: Format,
    buckets: Buckets,
    out: String,
}

/// Name and value of a label; empty values are left out.
pub(super) type Label<'a> = (&'a str, &'a dyn Display);

impl Exposition {
    pub fn new(format: Format, buckets: Buckets) -> Self {
        Self { format, buckets, out: String::with_capacity(16 * 1024) }
    }

    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Starts a family; its samples follow.
    pub fn family(&mut self, family: &MetricFamily) {
        let (open, name) = (self.format == Format::OpenMetrics, family.name.as_ref());
        let described = if open { name } else { &sample_name(family) };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let help = if open { help.replace('"', "\\\"") } else { help };
        self.line(format_args!("# HELP {described} {help}\n# TYPE {described} {}\n", family.kind.name()));
        if open && let Some(unit) = family.unit {
            self.line(format_args!("# UNIT {described} {unit}\n"));
        }
    }

    /// A sample of a counter or gauge.
    pub fn sample(&mut self, family: &MetricFamily, labels: &[Label<'_>], value: impl Display) {
        self.raw(&sample_name(family), labels, value);
    }

    /// The samples of a histogram.
    pub fn histogram(&mut self, family: &MetricFamily, labels: &[Label<'_>], histogram: &HistogramValues<'_>) {
        let name = family.name.as_ref();
        let count: u64 = histogram.buckets.iter().sum();
        let exemplar = histogram.exemplar.filter(|_| self.format == Format::OpenMetrics);
        let value = exemplar.map(|exemplar| exemplar.latency_ns as f64 / 1e9);
        let mut below = 0;
        let mut from = f64::NEG_INFINITY;
        let shown = if self.buckets == Buckets::All { histogram.bounds.as_slice() } else { &[] };
        let infinity = (&f64::INFINITY, count - histogram.buckets[..shown.len()].iter().sum::<u64>());
        for (bound, counted) in shown.iter().zip(histogram.buckets.iter().copied()).chain([infinity]) {
            below += counted;
            let le = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".into() };
            let is_in = value.is_some_and(|value| from < value && value <= *bound);
            from = *bound;
            let shown = exemplar.filter(|_| is_in).map(written).unwrap_or_default();
            self.raw(&format!("{name}_bucket"), &with_bound(labels, &le), format_args!("{below}{shown}"));
        }
        self.raw(&format!("{name}_sum"), labels, histogram.sum);
        self.raw(&format!("{name}_count"), labels, count);
    }

    fn raw(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.out.push_str(name);
        let mut open = '{';
        for (label, text) in labels {
            let text = text.to_string();
            if !text.is_empty() {
                self.line(format_args!("{open}{label}=\"{}\"", escape(&text)));
                open = ',';
            }
        }
        if open == ',' {
            self.out.push('}');
        }
        self.line(format_args!(" {value}\n"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a String does not fail.
        self.out.write_fmt(text).ok();
    }
}

/// An exemplar behind the number of its bucket: ids, value and time in seconds.
fn written(exemplar: &Exemplar) -> String {
    let Exemplar { trace_id, span_id, latency_ns, time } = exemplar;
    let ended_ms = (time.0 + latency_ns) / 1_000_000;
    let (trace_id, value) = (escape(trace_id), *latency_ns as f64 / 1e9);
    format!(" # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {}.{:03}", ended_ms / 1_000, ended_ms % 1_000)
}

fn with_bound<'a>(labels: &[Label<'a>], bound: &'a dyn Display) -> Vec<Label<'a>> {
    labels.iter().copied().chain([("le", bound)]).collect()
}

/// Samples of counters end in `_total` in both formats.
fn sample_name(family: &MetricFamily) -> String {
    match family.kind {
        FamilyKind::Counter => format!("{}_total", family.name),
        _ => family.name.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::series::BOUNDS_S;
    use crate::record::{SpanId, WallTime};

    const COUNTER: MetricFamily = MetricFamily::new("a_things", FamilyKind::Counter, None, "Things \\ seen.", "");
    const SECONDS: MetricFamily = MetricFamily::new("b_seconds", FamilyKind::Histogram, Some("seconds"), "A \"time\".", "");

    fn write(format: Format, buckets: Buckets) -> String {
        let mut text = Exposition::new(format, buckets);
        text.family(&COUNTER);
        text.sample(&COUNTER, &[("name", &"a\"b\\c\nd"), ("none", &"")], 3);
        text.family(&SECONDS);
        let mut counts = [0; 15];
        (counts[0], counts[14]) = (2, 1);
        let exemplar =
            Exemplar { trace_id: "4bf9".into(), span_id: SpanId(7), latency_ns: 11_500_000_000, time: WallTime(1_700_000_000_250_000_000) };
        let values = HistogramValues { bounds: &BOUNDS_S, buckets: &counts, sum: 12.5, exemplar: Some(&exemplar) };
        text.histogram(&SECONDS, &[("x", &"y")], &values);
        text.finish()
    }

    #[test]
    fn prometheus_text() {
        let text = write(Format::Prometheus, Buckets::All);
        assert!(
            text.starts_with(
                "# HELP a_things_total Things \\\\ seen.\n# TYPE a_things_total counter\na_things_total{name=\"a\\\"b\\\\c\\nd\"} 3\n"
            ),
            "{text}"
        );
        assert!(text.contains("# TYPE b_seconds histogram\nb_seconds_bucket{x=\"y\",le=\"0.005\"} 2\n"), "{text}");
        assert!(text.ends_with("b_seconds_bucket{x=\"y\",le=\"10.0\"} 2\nb_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\nb_seconds_sum{x=\"y\"} 12.5\nb_seconds_count{x=\"y\"} 3\n"), "{text}");
    }

    #[test]
    fn without_buckets_means_and_rates_are_left() {
        let text = write(Format::Prometheus, Buckets::None);
        let shown = text.lines().filter(|line| line.starts_with("b_seconds_")).collect::<Vec<_>>();
        assert_eq!(shown, ["b_seconds_bucket{x=\"y\",le=\"+Inf\"} 3", "b_seconds_sum{x=\"y\"} 12.5", "b_seconds_count{x=\"y\"} 3"]);
    }

    #[test]
    fn openmetrics_text() {
        let text = write(Format::OpenMetrics, Buckets::All);
        assert!(text.contains("# TYPE a_things counter\na_things_total{"), "{text}");
        assert!(text.contains("# HELP b_seconds A \\\"time\\\".\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n"), "{text}");
        let exemplar = "# {trace_id=\"4bf9\",span_id=\"0000000000000007\"} 11.5 1700000011.750";
        assert!(text.contains(&format!("b_seconds_bucket{{x=\"y\",le=\"+Inf\"}} 3 {exemplar}\n")), "{text}");
        assert_eq!(text.matches(" # {").count(), 1, "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn the_format_is_negotiated() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.1", Format::Prometheus),
            (prometheus, Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
