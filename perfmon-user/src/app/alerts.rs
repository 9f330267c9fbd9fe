//! Wires the alert stage: deltas of the series in, its records into the hub like those of any other producer.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::alert::{AlertService, AlertSettings, RuleFeed, RuleFigures, Sender, shares};
use crate::clock;
use crate::config::{Config, ListenAddress};
use crate::counters::Counters;
use crate::heartbeat::Heartbeat;
use crate::record::kind::RecordKind;
use crate::record::{Alert, AlertState, AuditEntry, DegradedNow, Record, RecordBatch, WallTime};
use crate::series::SeriesDelta;
use crate::store::{AuditTrail, StoreReader};

use super::hub::{Batch, Consumer};

/// Rules, channels and steps, with the words that notifications have for this host.
pub fn settings(config: &Config) -> AlertSettings {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let scheme = if config.http.tls_cert.is_some() { "https" } else { "http" };
    let reached = config.listen.iter().find_map(|address| match address {
        ListenAddress::Tcp(address) if address.ip().is_unspecified() => Some(format!("{scheme}://{}:{}", host.trim(), address.port())),
        ListenAddress::Tcp(address) => Some(format!("{scheme}://{address}")),
        ListenAddress::Unix(_) => None,
    });
    let page = config.alerts.page_url.clone().or(reached).map(Into::into);
    AlertSettings { sender: Arc::new(Sender { host: host.trim().into(), page }), ..config.alerts.settings() }
}

/// The stage before the runtime is there.
pub struct AlertStage {
    alert_service: Arc<AlertService>,
    batches: mpsc::Sender<Batch>,
    counters: Arc<Counters>,
    deltas: mpsc::Receiver<Arc<SeriesDelta>>,
}

/// Deltas that wait for the rules, one a second.
const DELTAS: usize = 64;

/// Passes deltas of the series to the stage.
pub struct DeltaSender {
    queue: mpsc::Sender<Arc<SeriesDelta>>,
    counters: Arc<Counters>,
}

impl Consumer for DeltaSender {
    fn take(&mut self, _: &RecordBatch) {}

    fn series(&mut self, delta: &Arc<SeriesDelta>) {
        if self.queue.try_send(delta.clone()).is_err() {
            self.counters.alert_records_lost.add(delta.records);
        }
    }
}

/// The windows of rules with what an earlier run counted of them: a budget of a day outlives a restart.
pub fn figures(service: &AlertService, history: Option<&StoreReader>, now: WallTime) -> RuleFigures {
    let rules = service.rules();
    let mut figures = RuleFigures::default();
    figures.keep(&rules, now);
    let Some(history) = history else { return figures };
    let now_s = now.0 / 1_000_000_000;
    let mut lengths: BTreeMap<RecordKind, u64> = BTreeMap::new();
    for share in rules.iter().flat_map(shares) {
        let longest = lengths.entry(share.kind).or_default();
        *longest = share.length_s.max(*longest);
    }
    for (kind, length_s) in lengths.into_iter().filter(|(kind, _)| !kind.is_sample()) {
        match history.cells(kind, now_s.saturating_sub(length_s), now_s) {
            Ok(cells) => {
                let first = cells.iter().map(|cell| cell.start_s).min();
                figures.begin_with(kind, first.unwrap_or(now_s), &cells);
            }
            Err(error) => tracing::debug!(%error, "Alert rules begin without history."),
        }
    }
    figures
}

/// The running stage. It keeps the hub alive until it has ended.
pub struct RunningAlertStage {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl AlertStage {
    /// Alert records go to `batches`.
    pub fn new(alert_service: Arc<AlertService>, batches: mpsc::Sender<Batch>, counters: Arc<Counters>) -> (Self, DeltaSender) {
        let (queue, deltas) = mpsc::channel(DELTAS);
        let sender = DeltaSender { queue, counters: counters.clone() };
        (Self { alert_service, batches, counters, deltas }, sender)
    }

    /// For those who ask and decide.
    pub fn alert_service(&self) -> Arc<AlertService> {
        self.alert_service.clone()
    }

    /// Judges from now on.
    pub fn start(self, figures: RuleFigures, audit: Option<AuditTrail>, heartbeat: Heartbeat, degraded: DegradedNow) -> RunningAlertStage {
        let (stop, stopped) = watch::channel(false);
        let Self { alert_service, batches, counters, deltas } = self;
        let mut levels = EscalationLevels::of(&alert_service.alerts());
        let publish = move |alerts: Vec<Alert>| {
            for alert in alerts.iter().filter(|alert| levels.rises(alert)) {
                note_escalation(alert, audit.as_ref());
            }
            let records = alerts.into_iter().map(|alert| Record::Alert(Box::new(alert))).collect();
            if batches.try_send(Batch { records, gauges: None, seats: None }).is_err() {
                counters.batches_dropped.inc();
            }
        };
        let judging = alert_service.run(RuleFeed { deltas, figures }, stopped, clock::wall_now, publish, heartbeat, degraded);
        RunningAlertStage { task: tokio::spawn(judging), stop }
    }
}

/// How far each open alert was escalated.
struct EscalationLevels(HashMap<Arc<str>, u32>);

impl EscalationLevels {
    fn of(alerts: &[Alert]) -> Self {
        let open = alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
        Self(open.map(|alert| (alert.alert_id.clone(), alert.escalation_level)).collect())
    }

    /// Whether this state of the alert is a further step.
    fn rises(&mut self, alert: &Alert) -> bool {
        let before = match alert.state {
            AlertState::Resolved => self.0.remove(&alert.alert_id),
            _ => self.0.insert(alert.alert_id.clone(), alert.escalation_level),
        };
        alert.escalation_level > before.unwrap_or(0)
    }
}

fn note_escalation(alert: &Alert, audit: Option<&AuditTrail>) {
    let note = format!("{}: level {}", alert.rule, alert.escalation_level);
    tracing::info!(id = &*alert.alert_id, note, "An alert was escalated.");
    if let Some(trail) = audit {
        let (by, from) = (AuditEntry::PERFMON.into(), AuditEntry::PERFMON.into());
        let (time, action) = (clock::wall_now(), "escalate".into());
        trail.push(AuditEntry { time, by, uid: None, from, action, id: alert.alert_id.clone(), note: Some(note.into()) });
    }
}

impl RunningAlertStage {
    /// Ends it; deliveries under way get this much time.
    pub async fn end(mut self, grace: Duration) -> Result<(), JoinError> {
        self.stop.send_replace(true);
        match tokio::time::timeout(grace, &mut self.task).await {
            Ok(ended) => ended,
            Err(_) => {
                self.task.abort();
                tracing::warn!("Some alert notifications were still being delivered at the end and are lost.");
                // Its channel to the hub is closed with it.
                self.task.await.ok();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_an_escalation_is_noted_once() {
        let begun = serde_json::json!({"time": "2026-11-22T09:59:59.000000000Z", "pid": 0, "comm": "", "service": "host", "container": null, "alert_id": "a",
            "rule": "cpu_usage", "type": "resource", "severity": "warning", "state": "firing", "message": "", "metric": "cpu_usage", "scope": "",
            "value": 1, "threshold": 0.8, "escalation_level": 0, "notified": [], "started_at": "2026-11-22T09:59:59.000000000Z", "fired_at": null,
            "acknowledged_by": null, "resolved_by": null, "note": null});
        let alert = |level, state| Alert { escalation_level: level, state, ..serde_json::from_value(begun.clone()).unwrap() };
        let mut levels = EscalationLevels::of(&[alert(1, AlertState::Firing)]);
        assert!(!levels.rises(&alert(1, AlertState::Firing)), "an earlier run did that");
        assert!(levels.rises(&alert(2, AlertState::Firing)));
        assert!(!levels.rises(&alert(2, AlertState::Acknowledged)));
        assert!(!levels.rises(&alert(2, AlertState::Resolved)));
        assert!(levels.0.is_empty());
    }
}
