//! perfmon's own log as a channel: one line for each notification, at the level of its severity. Never fails.
use std::sync::Arc;

use crate::record::{Alert, AlertState, Severity};

use super::{ChannelTransport, ChannelType, DeliveryError, Notification, ReportNotice, Sender, no_fault};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "log",
    needs: &[],
    takes: &[],
    takes_acknowledgements: false,
    sums_up: false,
    check: no_fault,
    open: |_, _| Arc::new(LogLine),
};

struct LogLine;

impl ChannelTransport for LogLine {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        let Alert { alert_id, rule, state, message, scope, .. } = &notification.alert;
        match (notification.alert.severity, state) {
            (_, AlertState::Resolved) => tracing::info!(%alert_id, %rule, %scope, "Alert resolved. {message}"),
            (Severity::Info, _) => tracing::info!(%alert_id, %rule, %scope, "Alert firing. {message}"),
            (Severity::Warning, _) => tracing::warn!(%alert_id, %rule, %scope, "Alert firing. {message}"),
            (Severity::Critical, _) => tracing::error!(%alert_id, %rule, %scope, "Alert firing. {message}"),
        }
        Ok(())
    }

    fn send_report(&self, report: &ReportNotice, _: &Sender) -> Result<(), DeliveryError> {
        tracing::info!(id = &*report.id, "{}. {}", report.title, report.text);
        Ok(())
    }

    fn is_immediate(&self) -> bool {
        true
    }
}
