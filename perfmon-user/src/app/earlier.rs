//! What earlier runs left in the history for the alert stage: alerts and silences. Out: records; an unreadable history has none.
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::alert::Silence;
use crate::clock;
use crate::config::Config;
use crate::limits::{ALERTS_OPEN, ALERTS_RESOLVED, SILENCES_STORED};
use crate::record::{Alert, WallTime};
use crate::store::StoreReader;

use super::options::retention;

/// Alerts that began longer ago are not taken up again.
const EARLIER_ALERTS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What earlier runs left of alerts, so that nothing is told twice; an unreadable history leaves none.
pub(super) fn alerts(config: &Config) -> Vec<Alert> {
    if config.no_store || !config.db.exists() {
        return Vec::new();
    }
    let now = clock::wall_now();
    let from = WallTime(now.0.saturating_sub(EARLIER_ALERTS.as_nanos() as u64));
    records(config, "alert", from, now, ALERTS_OPEN + ALERTS_RESOLVED)
}

/// Silences of earlier runs that end in the future. They are stored at the time of their end.
pub(super) fn silences(config: &Config) -> Vec<Silence> {
    if config.no_store || !config.db.exists() {
        return Vec::new();
    }
    records(config, Silence::KIND, clock::wall_now(), WallTime(u64::MAX), SILENCES_STORED)
}

/// Records of a kind that earlier runs stored, newest first.
fn records<T: DeserializeOwned>(config: &Config, kind: &str, from: WallTime, to: WallTime, limit: usize) -> Vec<T> {
    let lines = StoreReader::of_file(config.db.clone(), retention(config)).records(kind, from, to, limit);
    lines.unwrap_or_default().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
