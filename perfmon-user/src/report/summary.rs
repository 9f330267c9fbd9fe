//! The first page for people who know no percentiles: a verdict and three sentences, on requests and failures, on speed with the cause of a
//! change, and on the host, money and alerts. Made from the figures of the report alone.
use serde::{Deserialize, Serialize};

use super::changes::{ChangeScope, FigureChange};
use super::text::{count, days, dollars, percent, plain_share, span, time};
use super::{Report, Traffic};

/// Error rate from which a period was bad.
const BAD_ERRORS: f64 = 0.05;
/// Error rate that needs attention.
const SOME_ERRORS: f64 = 0.01;
/// P95 in milliseconds that needs attention.
const SLOW_MS: f64 = 1_000.0;
/// Days until something is full that need attention, and that are bad.
const FULL_SOON_DAYS: f64 = 14.0;
const FULL_NOW_DAYS: f64 = 3.0;
/// Share of the period that has to be watched for a judgement.
const COVERED: f64 = 0.5;
/// Lost requests beyond this share are told first: the other figures are those of the requests that were seen.
const LOST: f64 = 0.01;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;

/// How the period was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodVerdict {
    /// Nothing to judge.
    #[default]
    Unknown,
    /// Nothing that needs attention.
    Good,
    /// Something to look at.
    Attention,
    /// Users were affected, or soon will be.
    Bad,
}

impl PeriodVerdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "Not enough data",
            Self::Good => "Good",
            Self::Attention => "Needs attention",
            Self::Bad => "Bad",
        }
    }

    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "good",
            Self::Attention => "attention",
            Self::Bad => "bad",
        }
    }
}

/// The verdict and the reasons for it, the gravest first.
pub fn verdict(report: &Report) -> (PeriodVerdict, Vec<String>) {
    let mut reasons: Vec<(PeriodVerdict, String)> = Vec::new();
    let mut because = |verdict, reason: String| reasons.push((verdict, reason));
    if let Some(traffic) = &report.traffic {
        let rate = traffic.error_rate.unwrap_or(0.0);
        if rate >= SOME_ERRORS {
            let verdict = if rate >= BAD_ERRORS { PeriodVerdict::Bad } else { PeriodVerdict::Attention };
            because(verdict, format!("{} of the requests failed", plain_share(rate)));
        }
        if let Some(p95) = traffic.latency.p95_ms.filter(|p95| *p95 > SLOW_MS) {
            because(PeriodVerdict::Attention, format!("one request in twenty took more than {}", time(Some(p95))));
        }
    }
    for change in report.changes.iter().filter(|change| change.worse && change.scope == ChangeScope::Requests) {
        because(PeriodVerdict::Attention, moved(change, report));
    }
    if report.alerts_total.critical > 0 {
        because(PeriodVerdict::Bad, format!("{} fired", counted(report.alerts_total.critical, "critical alert")));
    } else if report.alerts_total.fired > 0 {
        because(PeriodVerdict::Attention, format!("{} fired", counted(report.alerts_total.fired, "alert")));
    }
    let full = [("a disk", report.capacity.disk_full_days), ("the memory", report.capacity.memory_full_days)];
    for (what, left) in full.into_iter().filter_map(|(what, left)| Some((what, left?))).filter(|(_, left)| *left <= FULL_SOON_DAYS) {
        let verdict = if left <= FULL_NOW_DAYS { PeriodVerdict::Bad } else { PeriodVerdict::Attention };
        because(verdict, format!("{what} is full in about {} if it goes on like this", days(left)));
    }
    let unseen = report.resources.is_some() && report.coverage.watched_share < COVERED;
    if report.is_empty() {
        return (PeriodVerdict::Unknown, vec!["perfmon has no data of this period".into()]);
    }
    if unseen {
        because(PeriodVerdict::Attention, format!("perfmon watched only {} of the period", plain_share(report.coverage.watched_share)));
    }
    let lost = report.coverage.lost_share(report.traffic.as_ref().map_or(0, |traffic| traffic.count));
    if lost > LOST {
        because(PeriodVerdict::Attention, format!("perfmon did not see {} of the requests", plain_share(lost)));
    }
    reasons.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    let worst = reasons.first().map_or(PeriodVerdict::Good, |(verdict, _)| *verdict);
    (worst, reasons.into_iter().map(|(_, reason)| reason).collect())
}

/// Three sentences.
pub fn sentences(report: &Report) -> Vec<String> {
    if report.is_empty() {
        return vec![];
    }
    let mut sentences = vec![requests(report)];
    sentences.extend(report.traffic.as_ref().and_then(|traffic| speed(report, traffic)));
    sentences.push(host(report));
    sentences
}

/// Name of the period before.
pub fn before_words(report: &Report) -> &'static str {
    let seconds = (report.to.0 - report.from.0) / 1_000_000_000;
    if seconds.abs_diff(DAY_S) <= HOUR_S {
        "the day before"
    } else if seconds.abs_diff(7 * DAY_S) <= HOUR_S {
        "the week before"
    } else {
        "the period before"
    }
}

fn requests(report: &Report) -> String {
    let Some(traffic) = &report.traffic else { return "No requests were answered.".into() };
    let services: std::collections::BTreeSet<_> = report.endpoints.iter().map(|row| row.service.as_str()).collect();
    let who = match services.len() {
        1 => services.first().copied().unwrap_or_default().to_string(),
        n => format!("{n} services"),
    };
    let trend = report.traffic_before.as_ref().map(|before| compared(traffic.per_minute, before.per_minute, "more", "fewer"));
    let trend = trend.map(|trend| format!(", {trend} {} {}", than(&trend), before_words(report))).unwrap_or_default();
    let failed = match (traffic.errors, traffic.error_rate.unwrap_or(0.0)) {
        (0, _) => "none of them failed".into(),
        (errors, rate) => format!("{} of them failed ({})", count(errors), plain_share(rate)),
    };
    let error_change = report.changes.iter().find(|change| change.scope == ChangeScope::Requests && change.figure == "error_rate");
    let cause = error_change.map(|change| {
        let moved = if change.worse { "more" } else { "fewer" };
        format!(", {moved} than the {} before{}", plain_share(change.before), because(report, "error_rate", change.worse))
    });
    let them = if traffic.count == 1 { "request" } else { "requests" };
    format!("{who} answered {} {them}{trend}; {failed}{}.", count(traffic.count), cause.unwrap_or_default())
}

fn speed(report: &Report, traffic: &Traffic) -> Option<String> {
    let (p50, p95) = (traffic.latency.p50_ms?, traffic.latency.p95_ms?);
    let change = report.changes.iter().find(|change| change.scope == ChangeScope::Requests && change.figure == "p95_ms");
    let compared = match (change, &report.traffic_before) {
        (Some(change), _) => {
            let cause = because(report, "p95_ms", change.worse);
            format!(", {} ({}){cause}", moved(change, report), time(Some(change.before)))
        }
        (None, Some(_)) => format!(", about as fast as {}", before_words(report)),
        (None, None) => String::new(),
    };
    Some(format!("Half of them took at most {}, and 19 of 20 at most {}{compared}.", time(Some(p50)), time(Some(p95))))
}

/// `30 % slower than the day before`.
pub fn moved(change: &FigureChange, report: &Report) -> String {
    let before = before_words(report);
    match (change.figure.as_str(), change.worse, change.ratio()) {
        ("p95_ms", true, Some(ratio)) if ratio >= 1.0 => format!("{:.1} times as slow as {before}", ratio + 1.0),
        ("p95_ms", worse, ratio) => {
            let much = ratio.map_or("much".into(), |ratio| format!("{:.0} %", ratio.abs() * 100.0));
            format!("{much} {} than {before}", if worse { "slower" } else { "faster" })
        }
        (_, worse, _) => {
            let rates = format!("{} of requests instead of {}", plain_share(change.now), plain_share(change.before));
            format!("{} failed than {before} ({rates})", if worse { "more" } else { "fewer" })
        }
    }
}

/// The endpoint that moved most in the same direction.
fn because(report: &Report, figure: &str, worse: bool) -> String {
    let of_endpoint = |change: &&FigureChange| change.scope == ChangeScope::Endpoint && change.figure == figure && change.worse == worse;
    report.changes.iter().find(of_endpoint).map(|change| format!(", mostly because of {}", change.name)).unwrap_or_default()
}

fn host(report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(resources) = &report.resources {
        let cpu = percent(resources.cpu_percent_mean);
        parts.push(match report.capacity.headroom {
            Some(headroom) if headroom >= 1.2 => {
                format!("the host was {cpu} busy and could take about {headroom:.1} times its busiest load")
            }
            Some(_) => format!("the host was {cpu} busy and has no room for more than its busiest load"),
            None => format!("the host was {cpu} busy"),
        });
    }
    if let Some(left) = report.capacity.disk_full_days {
        parts.push(format!("a disk is full in about {}", days(left)));
    }
    let cost: f64 = report.models.iter().filter_map(|model| model.cost_usd).sum();
    if cost > 0.0 {
        let before = report.model_cost_before.filter(|before| *before > 0.0);
        let trend = before.map(|before| compared(cost, before, "more", "less"));
        let trend = trend.map(|trend| format!(", {trend} {} {}", than(&trend), before_words(report)));
        parts.push(format!("model calls cost {}{}", dollars(Some(cost)), trend.unwrap_or_default()));
    }
    let alerts = &report.alerts_total;
    parts.push(match (alerts.fired, alerts.mean_resolved_s) {
        (0, _) => "no alert fired".into(),
        (fired, Some(mean)) => format!("{} fired and lasted {} on average", counted(fired, "alert"), span(mean)),
        (fired, None) => format!("{} fired", counted(fired, "alert")),
    });
    let text = match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    };
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

/// `12 % more`, or `about as many`.
fn compared(now: f64, before: f64, more: &str, less: &str) -> String {
    match now / before - 1.0 {
        ratio if !ratio.is_finite() => "more".into(),
        ratio if ratio.abs() < 0.01 => "about as much".into(),
        ratio if ratio >= 1.0 => format!("{:.1} times as much", ratio + 1.0),
        ratio => format!("{:.0} % {}", ratio.abs() * 100.0, if ratio > 0.0 { more } else { less }),
    }
}

/// The word after a comparison.
fn than(compared: &str) -> &'static str {
    if compared.ends_with("as much") { "as" } else { "than" }
}

fn counted(number: u64, thing: &str) -> String {
    if number == 1 { format!("one {thing}") } else { format!("{} {thing}s", count(number)) }
}
