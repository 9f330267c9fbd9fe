//! Wires the alert stage: snapshots in, its records into the hub like those of any other producer.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::aggregate::snapshot::Snapshot;
use crate::alert::AlertService;
use crate::clock;
use crate::counters::Counters;
use crate::heartbeat::Heartbeat;
use crate::record::{DegradedNow, Record};

use super::hub::Batch;

/// The stage before the runtime is there.
pub struct AlertStage {
    alert_service: Arc<AlertService>,
    batches: mpsc::Sender<Batch>,
    counters: Arc<Counters>,
}

/// The running stage. It keeps the hub alive until it has ended.
pub struct RunningAlertStage {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl AlertStage {
    /// Alert records go to `batches`.
    pub fn new(alert_service: Arc<AlertService>, batches: mpsc::Sender<Batch>, counters: Arc<Counters>) -> Self {
        Self { alert_service, batches, counters }
    }

    /// For those who ask and decide.
    pub fn alert_service(&self) -> Arc<AlertService> {
        self.alert_service.clone()
    }

    /// Judges from now on.
    pub fn start(self, snapshots: watch::Receiver<Arc<Snapshot>>, heartbeat: Heartbeat, degraded: DegradedNow) -> RunningAlertStage {
        let (stop, stopped) = watch::channel(false);
        let Self { alert_service, batches, counters } = self;
        let publish = move |alerts: Vec<crate::record::Alert>| {
            let records = alerts.into_iter().map(|alert| Record::Alert(Box::new(alert))).collect();
            if batches.try_send(Batch { records, gauges: None, seats: None }).is_err() {
                counters.batches_dropped.inc();
            }
        };
        let judging = alert_service.run(snapshots, stopped, clock::wall_now, publish, heartbeat, degraded);
        RunningAlertStage { task: tokio::spawn(judging), stop }
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
