//! Log records: alerts (scope `perfmon.alerts`) and findings (`perfmon.findings`). One record for each change of state, not for each
//! notification or new figure.
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use rustc_hash::FxHashMap;

use super::attribute::{AttributeValue, Attributes};
use super::resource::{self, Resources};
use super::spans::{SeverityNumber, cut};
use crate::limits;
use crate::record::{Alert, AlertState, Finding, Origin, Record, Severity, WallTime};

/// Log records that wait for the next delivery.
#[derive(Debug, Default)]
pub struct Logs {
    waiting: FxHashMap<(Arc<Origin>, &'static str), Vec<LogRecord>>,
    /// Last exported state of each open alert and finding.
    told: FxHashMap<Arc<str>, &'static str>,
}

impl Logs {
    /// Takes records.
    pub fn add(&mut self, records: &[Record], now: WallTime) {
        for record in records {
            match record {
                Record::Alert(alert) => self.alert(alert, now),
                Record::Finding(finding) => self.finding(finding, now),
                _ => {}
            }
        }
    }

    fn alert(&mut self, alert: &Alert, now: WallTime) {
        if self.is_news(&alert.alert_id, alert.state.name(), alert.state == AlertState::Resolved) {
            self.waiting.entry((alert.origin.clone(), "perfmon.alerts")).or_default().push(alert_record(alert, now));
        }
    }

    fn finding(&mut self, finding: &Finding, now: WallTime) {
        if self.is_news(&finding.finding_id, if finding.open { "open" } else { "closed" }, !finding.open) {
            self.waiting.entry((finding.origin.clone(), "perfmon.findings")).or_default().push(finding_record(finding, now));
        }
    }

    fn is_news(&mut self, id: &Arc<str>, state: &'static str, over: bool) -> bool {
        if over {
            self.told.remove(id);
            return true;
        }
        if self.told.len() >= limits::EXPORT_TOLD {
            self.told.clear();
        }
        self.told.insert(id.clone(), state) != Some(state)
    }

    /// The log records by resource; none wait after it.
    pub fn take(&mut self, resources: &mut Resources) -> Vec<ResourceLogs> {
        let host = resources.host();
        let of_resource = |((origin, scope), log_records): ((Arc<Origin>, &'static str), Vec<LogRecord>)| ResourceLogs {
            resource: Some(resources.resource(if origin.pid == 0 { &host } else { &origin })),
            scope_logs: vec![ScopeLogs { scope: Some(resource::scope(scope)), log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        };
        self.waiting.drain().map(of_resource).collect()
    }
}

fn alert_record(alert: &Alert, now: WallTime) -> LogRecord {
    let severity = match (alert.state, alert.severity) {
        (AlertState::Resolved, _) | (_, Severity::Info) => SeverityNumber::Info,
        (_, Severity::Warning) => SeverityNumber::Warn,
        (_, Severity::Critical) => SeverityNumber::Error,
    };
    let mut attributes = Attributes::default();
    attributes
        .add("perfmon.alert.id", &*alert.alert_id)
        .add("perfmon.alert.rule", &*alert.rule)
        .add("perfmon.alert.type", &*alert.kind_name)
        .add("perfmon.alert.severity", severity_name(alert.severity))
        .add("perfmon.alert.state", alert.state.name())
        .add("perfmon.alert.metric", &*alert.metric)
        .add("perfmon.alert.scope", &*alert.scope)
        .maybe("perfmon.alert.value", alert.value)
        .add("perfmon.alert.threshold", alert.threshold)
        .add("perfmon.alert.escalation_level", u64::from(alert.escalation_level));
    log_record("perfmon.alert", alert.time, now, severity, &alert.message, attributes)
}

fn finding_record(finding: &Finding, now: WallTime) -> LogRecord {
    let severity = match (finding.open, finding.severity) {
        (false, _) | (_, Severity::Info) => SeverityNumber::Info,
        (_, Severity::Warning) => SeverityNumber::Warn,
        (_, Severity::Critical) => SeverityNumber::Error,
    };
    let evidence: Vec<&str> = finding.evidence.iter().map(|id| &**id).collect();
    let mut attributes = Attributes::default();
    attributes
        .add("perfmon.finding.id", &*finding.finding_id)
        .add("perfmon.finding.type", finding.kind_name)
        .add("perfmon.finding.severity", severity_name(finding.severity))
        .add("perfmon.finding.state", if finding.open { "open" } else { "closed" })
        .add("perfmon.finding.scope", &*finding.scope)
        .add("perfmon.finding.evidence", &evidence[..]);
    log_record("perfmon.finding", finding.time, now, severity, &finding.message, attributes)
}

fn log_record(
    event: &str,
    time: WallTime,
    now: WallTime,
    severity: SeverityNumber,
    message: &str,
    mut attributes: Attributes,
) -> LogRecord {
    let message = cut(message.to_string());
    attributes.add("logfire.msg", message.as_str()).add("logfire.level_num", severity as u64).add("logfire.span_type", "log");
    let attributes: Vec<KeyValue> = attributes.take();
    LogRecord {
        time_unix_nano: time.0,
        observed_time_unix_nano: now.0,
        severity_number: severity as i32,
        severity_text: match severity {
            SeverityNumber::Info => "INFO".into(),
            SeverityNumber::Warn => "WARN".into(),
            SeverityNumber::Error => "ERROR".into(),
        },
        body: Some(AttributeValue::from(message).any()),
        attributes,
        event_name: event.into(),
        ..LogRecord::default()
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}
