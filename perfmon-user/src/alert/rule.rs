//! Rules: a metric, its limit, and for how long. The five standing thresholds are ordinary rules, and so is that on perfmon itself.
use std::sync::Arc;
use std::time::Duration;

use crate::aggregate::snapshot::Window;
use crate::record::Severity;

use super::metric::{AlertMetric, DEGRADED};

/// When a value is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// Larger than this.
    Above(f64),
    /// Smaller than this.
    Below(f64),
}

impl Condition {
    /// Whether a value is bad.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
        }
    }

    /// The limit.
    pub fn limit(self) -> f64 {
        match self {
            Self::Above(limit) | Self::Below(limit) => limit,
        }
    }
}

/// Filter of a rule; every given field must be equal. Each matching row is judged separately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    /// Service name.
    pub service: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// Endpoint template.
    pub endpoint: Option<String>,
    /// External service, seen from the clients.
    pub destination: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// The metric.
    pub metric: AlertMetric,
    /// What it is narrowed to.
    pub filter: RuleFilter,
    /// When a value is bad.
    pub condition: Condition,
    /// Window of metrics of requests.
    pub window: Window,
    /// How long it must be bad before the alert fires.
    pub hold: Duration,
    /// How long it must be well before the alert is over.
    pub keep_firing: Duration,
    /// Requests that a window needs before it is judged.
    pub min_samples: u64,
    /// How bad it is.
    pub severity: Severity,
    /// `performance` `reliability` `resource` `agent` `cost` `business`.
    pub kind: Arc<str>,
    /// Channels to notify; the default ones when empty.
    pub channels: Vec<Arc<str>>,
}

/// Default of the time for which the condition must be true.
pub const HOLD: Duration = Duration::from_secs(10);
/// How long it must be well.
pub const KEEP_FIRING: Duration = Duration::from_secs(60);
/// A busy host is ordinary for some seconds.
const HOLD_RESOURCE: Duration = Duration::from_secs(20);
/// Requests that a window needs.
pub const MIN_SAMPLES: u64 = 10;

/// perfmon itself was well for this long before its alert is over; the supervisor has waited before it calls a part degraded.
const KEEP_FIRING_OWN: Duration = Duration::from_secs(5);

/// The standing rule on perfmon itself, which has no limit to set.
pub fn degraded() -> Rule {
    Rule {
        name: DEGRADED.into(),
        metric: AlertMetric::Degraded,
        filter: RuleFilter::default(),
        condition: Condition::Above(0.0),
        window: Window::FiveMinutes,
        hold: Duration::ZERO,
        keep_firing: KEEP_FIRING_OWN,
        min_samples: 0,
        severity: Severity::Warning,
        kind: "reliability".into(),
        channels: Vec::new(),
    }
}

/// Limits of the standing rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// 95th percentile of response time over five minutes, ms.
    pub response_time_p95_ms: f64,
    /// Failed requests ÷ requests over five minutes, 0..1.
    pub error_rate_5min: f64,
    /// Memory of the host, 0..1.
    pub memory_usage: f64,
    /// CPU of the host, 0..1.
    pub cpu_usage: f64,
    /// Each file system, 0..1.
    pub disk_usage: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { response_time_p95_ms: 1_000.0, error_rate_5min: 0.05, memory_usage: 0.85, cpu_usage: 0.80, disk_usage: 0.90 }
    }
}

/// Names of the standing rules.
pub const STANDING: [&str; 5] = ["response_time_p95", "error_rate_5min", "memory_usage", "cpu_usage", "disk_usage"];

impl Thresholds {
    /// The standing rules, in the order of `STANDING`.
    pub fn rules(&self) -> Vec<Rule> {
        use Severity::{Critical, Warning};
        let rows = [
            ("response_time_p95", self.response_time_p95_ms, Warning, "performance", HOLD),
            ("error_rate", self.error_rate_5min, Critical, "reliability", HOLD),
            ("memory_usage", self.memory_usage, Warning, "resource", HOLD_RESOURCE),
            ("cpu_usage", self.cpu_usage, Warning, "resource", HOLD_RESOURCE),
            ("disk_usage", self.disk_usage, Warning, "resource", HOLD_RESOURCE),
        ];
        let rule = |(name, (metric, limit, severity, kind, hold)): (&'static str, (&str, f64, Severity, &'static str, Duration))| {
            let metric = AlertMetric::named(metric).ok()?;
            Some(Rule {
                name: name.into(),
                metric,
                filter: RuleFilter::default(),
                condition: Condition::Above(limit),
                window: Window::FiveMinutes,
                hold,
                keep_firing: KEEP_FIRING,
                min_samples: MIN_SAMPLES,
                severity,
                kind: kind.into(),
                channels: Vec::new(),
            })
        };
        STANDING.into_iter().zip(rows).filter_map(rule).collect()
    }
}
