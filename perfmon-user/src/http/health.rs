//! `GET /health/performance`: the state of the observed services. Figures of the last five minutes, an indicator for each aspect, an
//! overall status, and recommendations with fixed wording. Pure, apart from the route itself.
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, json_with};
use super::params::Params;
use crate::aggregate::snapshot::{Snapshot, Window};
use crate::record::{Degradation, WallTime};

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthReport {
    /// The verdict.
    pub status: Status,
    /// When it was given, RFC 3339 with milliseconds.
    pub timestamp: String,
    /// The figures judged.
    pub performance_metrics: HealthFigures,
    /// Indicator of each aspect.
    pub health_indicators: Indicators,
    /// What to do.
    pub recommendations: Vec<&'static str>,
    /// How perfmon itself is; the status above is about the observed services.
    pub perfmon: OwnHealth,
}

/// State of perfmon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnHealth {
    /// `ok` | `degraded`: figures may be old or incomplete.
    pub status: &'static str,
    /// Parts that do not work as they should.
    pub degraded: Vec<Degradation>,
}

impl OwnHealth {
    fn of(degraded: &[Degradation]) -> Self {
        Self { status: if degraded.is_empty() { "ok" } else { "degraded" }, degraded: degraded.to_vec() }
    }
}

/// The verdict: the worst indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All green.
    Healthy,
    /// Something is yellow.
    Degraded,
    /// Something is red.
    Unhealthy,
}

/// Figures of the last five minutes; null is "nothing measured".
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HealthFigures {
    /// Mean latency of requests to the targets, ms.
    pub avg_response_time: Option<f64>,
    /// 5xx and failed exchanges ÷ requests, 0..1.
    pub error_rate: Option<f64>,
    /// Of the host, 0..100.
    pub memory_percent: Option<f64>,
    /// Of the host, over all cores, 0..100.
    pub cpu_percent: Option<f64>,
    /// Mean duration of agent runs, ms.
    pub avg_agent_time: Option<f64>,
    /// Open connections that the targets accepted.
    pub active_connections: Option<u64>,
    /// Requests to the targets.
    pub requests_per_minute: f64,
}

/// State of one aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Indicator {
    /// Well, or nothing measured.
    Green,
    /// Worth a look.
    Yellow,
    /// Bad.
    Red,
}

/// One indicator a concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Indicators {
    /// On `avg_response_time`.
    pub response_time: Indicator,
    /// On `error_rate`.
    pub error_rate: Indicator,
    /// On `memory_percent`.
    pub resource_usage: Indicator,
    /// On `avg_agent_time`.
    pub agent_performance: Indicator,
}

/// The report on a snapshot.
pub fn health(snapshot: &Snapshot, now: WallTime, degraded: &[Degradation]) -> HealthReport {
    HealthReport { perfmon: OwnHealth::of(degraded), ..judge(figures(snapshot), now) }
}

fn figures(snapshot: &Snapshot) -> HealthFigures {
    let view = snapshot.window(Window::FiveMinutes);
    let totals = view.map(|view| view.totals.clone()).unwrap_or_default();
    HealthFigures {
        avg_response_time: totals.latency.mean_ms.map(thousandths),
        error_rate: totals.error_rate,
        memory_percent: snapshot.system.as_ref().map(|system| thousandths(system.memory_percent)),
        cpu_percent: snapshot.system.as_ref().and_then(|system| system.cpu_percent).map(thousandths),
        avg_agent_time: view.and_then(|view| view.work.avg_agent_time_ms).map(thousandths),
        active_connections: snapshot.gauges.active_connections,
        requests_per_minute: thousandths(totals.requests_per_minute),
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn judge(metrics: HealthFigures, now: WallTime) -> HealthReport {
    let indicators = Indicators {
        response_time: indicator(metrics.avg_response_time, 500.0, 1_000.0),
        error_rate: indicator(metrics.error_rate, 0.01, 0.05),
        resource_usage: indicator(metrics.memory_percent, 70.0, 85.0),
        agent_performance: indicator(metrics.avg_agent_time, 5_000.0, 10_000.0),
    };
    let all = [indicators.response_time, indicators.error_rate, indicators.resource_usage, indicators.agent_performance];
    let status = match all.into_iter().max() {
        Some(Indicator::Red) => Status::Unhealthy,
        Some(Indicator::Yellow) => Status::Degraded,
        _ => Status::Healthy,
    };
    HealthReport {
        status,
        timestamp: milliseconds(now),
        performance_metrics: metrics,
        health_indicators: indicators,
        recommendations: recommend(&metrics),
        perfmon: OwnHealth::of(&[]),
    }
}

/// Green below `yellow`, yellow below `red`, else red; green without a measurement.
fn indicator(value: Option<f64>, yellow: f64, red: f64) -> Indicator {
    match value {
        Some(value) if value >= red => Indicator::Red,
        Some(value) if value >= yellow => Indicator::Yellow,
        _ => Indicator::Green,
    }
}

fn recommend(metrics: &HealthFigures) -> Vec<&'static str> {
    let over = |value: Option<f64>, limit: f64| value.is_some_and(|value| value > limit);
    let rules = [
        (over(metrics.avg_response_time, 1_000.0), "Consider response time optimization"),
        (over(metrics.memory_percent, 85.0), "Monitor memory usage - approaching limits"),
        (over(metrics.error_rate, 0.05), "Investigate error patterns"),
    ];
    rules.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text).collect()
}

/// RFC 3339 with milliseconds instead of nanoseconds.
fn milliseconds(time: WallTime) -> String {
    let text = time.to_string();
    format!("{}Z", &text[..text.len().saturating_sub("123456Z".len())])
}

pub(super) async fn performance(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let strict = params.only(&["strict"])?.switch("strict")?;
    let report = health(&state.snapshot(), (state.parts.now)(), &(state.parts.degraded)());
    let status = if strict && report.status == Status::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok(json_with(status, &report))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Field = fn(&mut HealthFigures) -> &mut Option<f64>;
    type Judged = fn(&Indicators) -> Indicator;

    #[test]
    fn indicators_change_exactly_at_their_thresholds() {
        use Indicator::{Green, Red, Yellow};
        let fields: [(Field, Judged, f64, f64); 4] = [
            (|m| &mut m.avg_response_time, |i| i.response_time, 500.0, 1_000.0),
            (|m| &mut m.error_rate, |i| i.error_rate, 0.01, 0.05),
            (|m| &mut m.memory_percent, |i| i.resource_usage, 70.0, 85.0),
            (|m| &mut m.avg_agent_time, |i| i.agent_performance, 5_000.0, 10_000.0),
        ];
        for (field, indicator, yellow, red) in fields {
            for (value, want, status) in [
                (None, Green, Status::Healthy),
                (Some(0.0), Green, Status::Healthy),
                (Some(yellow - 0.001), Green, Status::Healthy),
                (Some(yellow), Yellow, Status::Degraded),
                (Some(red - 0.001), Yellow, Status::Degraded),
                (Some(red), Red, Status::Unhealthy),
                (Some(red * 10.0), Red, Status::Unhealthy),
            ] {
                let mut metrics = HealthFigures::default();
                *field(&mut metrics) = value;
                let report = judge(metrics, WallTime(0));
                assert_eq!((indicator(&report.health_indicators), report.status), (want, status), "{value:?}");
            }
        }
    }

    #[test]
    fn one_red_outweighs_any_yellow() {
        let metrics = HealthFigures { avg_response_time: Some(600.0), error_rate: Some(0.2), ..HealthFigures::default() };
        assert_eq!(judge(metrics, WallTime(0)).status, Status::Unhealthy);
    }

    #[test]
    fn recommendations_need_more_than_the_limit() {
        let at = HealthFigures {
            avg_response_time: Some(1_000.0),
            memory_percent: Some(85.0),
            error_rate: Some(0.05),
            ..HealthFigures::default()
        };
        assert!(judge(at, WallTime(0)).recommendations.is_empty());
        let over = HealthFigures {
            avg_response_time: Some(1_000.1),
            memory_percent: Some(85.1),
            error_rate: Some(0.051),
            ..HealthFigures::default()
        };
        let texts = ["Consider response time optimization", "Monitor memory usage - approaching limits", "Investigate error patterns"];
        assert_eq!(judge(over, WallTime(0)).recommendations, texts);
    }

    #[test]
    fn with_nothing_measured_it_is_healthy_and_says_null() {
        let report = health(&Snapshot::default(), WallTime(1_795_341_599_123_456_789), &[]);
        let json = serde_json::to_string(&report).unwrap();
        let want = concat!(
            r#"{"status":"healthy","timestamp":"2026-11-22T09:59:59.123Z","performance_metrics":{"avg_response_time":null,"error_rate":null,"#,
            r#""memory_percent":null,"cpu_percent":null,"avg_agent_time":null,"active_connections":null,"requests_per_minute":0.0},"#,
            r#""health_indicators":{"response_time":"green","error_rate":"green","resource_usage":"green","agent_performance":"green"},"#,
            r#""recommendations":[],"perfmon":{"status":"ok","degraded":[]}}"#
        );
        assert_eq!(json, want);
    }
}
