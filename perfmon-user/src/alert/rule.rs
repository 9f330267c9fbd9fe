//! Rules: a metric, its limit, and for how long. The five standing thresholds are ordinary rules, and so is that on perfmon itself.
use std::sync::Arc;
use std::time::Duration;

use crate::record::Severity;
use crate::series::CELL_S;

use super::filter::RuleFilter;
use super::metric::{AlertMetric, DEGRADED};

/// When a value is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// Larger than this.
    Above(f64),
    /// Smaller than this.
    Below(f64),
    /// Larger than so many times what is usual, and out of its noise.
    Spike(f64),
    /// Nothing came in the window.
    Absent,
    /// The error budget of an objective (0..1) is spent so many times faster than it may be, over the window and over a twelfth of it.
    Burn {
        /// Times the rate that spends the budget in the objective's own time.
        rate: f64,
        /// Share of good ones.
        objective: f64,
    },
}

/// A short window shows that a budget is spent now, and ends the alert soon after: a twelfth, as the SRE workbook advises.
const SHORT_WINDOW: u64 = 12;

impl Condition {
    /// Whether a value is bad, as far as the value alone tells.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
            Self::Burn { .. } => value > self.limit(),
            Self::Spike(_) | Self::Absent => false,
        }
    }

    /// The limit, as far as it is known without the past.
    pub fn limit(self) -> f64 {
        match self {
            Self::Above(limit) | Self::Below(limit) | Self::Spike(limit) => limit,
            Self::Absent => 0.0,
            Self::Burn { rate, objective } => rate * (1.0 - objective),
        }
    }

    /// The second window that it looks at.
    pub fn short_window_s(self, window_s: u64) -> Option<u64> {
        matches!(self, Self::Burn { .. }).then(|| (window_s / SHORT_WINDOW).max(CELL_S))
    }
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
    /// Window.
    pub window: Duration,
    /// The value is judged that it has after this time when it goes on as now.
    pub forecast: Option<Duration>,
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

impl Rule {
    /// Its window in whole seconds.
    pub fn window_s(&self) -> u64 {
        self.window.as_secs().max(CELL_S)
    }
}

/// Default of the window.
pub const WINDOW: Duration = Duration::from_secs(300);
/// The same for samples: the newest ones.
pub const WINDOW_OF_SAMPLES: Duration = Duration::from_secs(CELL_S);
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
        window: WINDOW,
        forecast: None,
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
                window: metric.default_window(),
                forecast: None,
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
