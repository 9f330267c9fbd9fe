//! Scheduled reports. In: the times of the configuration, the wall clock and the history; out: a stored report for each due time, and its
//! summary in the configured channels. A time that passed while perfmon did not run is made up for at the next start, as long as no later one
//! has passed. The history is read on a thread that may wait; a channel that fails is tried again with growing pauses.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alert::{AlertService, ReportNotice};
use crate::clock;
use crate::config::Config;
use crate::heartbeat::Heartbeat;
use crate::record::WallTime;
use crate::record::custom::CustomMetrics;
use crate::report::{self, KeptReport, ReportHeading, ReportId, ReportPeriod, ReportTime};
use crate::store::{DocumentKeeper, Store, StoreReader};

/// Pause between looks at the clock.
const LOOK: Duration = Duration::from_secs(5);
/// A report is made this long after its period has ended: by then the last minutes and hours are summed up.
const SETTLED_S: u64 = 60;
/// Pause before a failed delivery is tried again, doubled each time.
const RETRY: Duration = Duration::from_secs(30);
/// Attempts of a delivery: the last is eight hours after the first.
const ATTEMPTS: u32 = 11;
const NS: u64 = 1_000_000_000;

/// Makes reports when they are due.
pub struct ReportStage {
    times: Vec<ReportTime>,
    zone: TimeZone,
    host: String,
    channels: Vec<Arc<str>>,
    reader: StoreReader,
    keeper: DocumentKeeper,
    alerts: Arc<AlertService>,
    /// The configured business metrics, as they change.
    custom: watch::Receiver<CustomMetrics>,
    /// Made, or found to be about nothing.
    done: BTreeSet<ReportId>,
    /// Looks in a row at which one could not be made.
    failed_looks: u32,
}

impl ReportStage {
    /// As configured; `None` when no report is wanted.
    pub fn new(config: &Config, store: &Store, alerts: Arc<AlertService>, custom: watch::Receiver<CustomMetrics>) -> Option<Self> {
        let times: Vec<_> = config.reports.times().collect();
        (!times.is_empty()).then(|| Self {
            times,
            zone: config.reports.zone(),
            host: super::report::host(),
            channels: config.reports.channels.iter().map(|name| name.as_str().into()).collect(),
            reader: store.reader(),
            keeper: store.keeper(),
            alerts,
            custom,
            done: BTreeSet::new(),
            failed_looks: 0,
        })
    }

    /// Runs until it is aborted. A report under way may finish.
    pub fn start(self, heartbeat: Heartbeat) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _run = heartbeat.run_as_task();
            tokio::select! {
                never = heartbeat.beats() => match never {},
                () = self.run(clock::wall_now) => {}
            }
        })
    }

    async fn run(mut self, now: fn() -> WallTime) {
        loop {
            let mut failed = Vec::new();
            for (id, period) in self.due(now().0 / NS) {
                match self.make(id, period, now()).await {
                    Ok(Some(made)) => self.spread(made),
                    Ok(None) => {}
                    Err(error) => failed.push((id, error)),
                }
            }
            self.after_look(&failed);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What failed is tried again at the next look, and told then: at the first one the history may not be there yet, or be of an earlier
    /// version that its writer has not upgraded.
    fn after_look(&mut self, failed: &[(ReportId, anyhow::Error)]) {
        self.done.retain(|done| failed.iter().all(|(id, _)| id != done));
        let Some((id, error)) = failed.first() else {
            self.failed_looks = 0;
            return;
        };
        self.failed_looks = self.failed_looks.saturating_add(1);
        if self.failed_looks == 2 {
            tracing::warn!(%id, %error, "A report could not be made and is tried again.");
        }
    }

    /// Reports whose time has passed and that this run has not looked at yet.
    fn due(&mut self, now_s: u64) -> Vec<(ReportId, ReportPeriod)> {
        let last = |time: &ReportTime| {
            let (date, period) = time.last(now_s.saturating_sub(SETTLED_S), &self.zone)?;
            Some((ReportId { rhythm: time.rhythm(), date }, period))
        };
        let due: Vec<_> = self.times.iter().filter_map(last).filter(|(id, _)| !self.done.contains(id)).collect();
        // Only the last of each rhythm can come again.
        if !due.is_empty() {
            self.done.retain(|done| !due.iter().any(|(id, _)| id.rhythm == done.rhythm));
            self.done.extend(due.iter().map(|(id, _)| *id));
        }
        due
    }

    /// Makes and stores a report, unless an earlier run did, or there is nothing to tell.
    async fn make(&self, id: ReportId, period: ReportPeriod, now: WallTime) -> anyhow::Result<Option<KeptReport>> {
        let (reader, zone, host) = (self.reader.clone(), self.zone.clone(), self.host.clone());
        let custom = self.custom.borrow().clone();
        let made = tokio::task::spawn_blocking(move || kept(&reader, id, &period, &custom, &zone, &host, now)).await?;
        let Some(made) = made? else { return Ok(None) };
        anyhow::ensure!(self.keeper.keep(KeptReport::BODY_KIND, made.heading.to, made.body()?), "the history cannot take it now");
        keep_heading(&self.keeper, &made.heading);
        tracing::info!(%id, verdict = made.heading.verdict.words(), "A report was made.");
        Ok(Some(made))
    }

    /// Sends a report; the task outlives this stage's next looks.
    fn spread(&self, made: KeptReport) {
        if self.channels.is_empty() {
            return;
        }
        let heading = &made.heading;
        let notice = ReportNotice {
            id: heading.id.as_str().into(),
            title: heading.title(),
            text: made.report.plain_text(),
            page: made.report.html(&self.zone).into(),
        };
        tokio::spawn(send(self.alerts.clone(), self.keeper.clone(), notice, self.channels.clone(), made.heading));
    }
}

/// The report of a period, as it is stored.
fn kept(
    reader: &StoreReader,
    id: ReportId,
    period: &ReportPeriod,
    custom: &CustomMetrics,
    zone: &TimeZone,
    host: &str,
    now: WallTime,
) -> anyhow::Result<Option<KeptReport>> {
    let name = id.to_string();
    let known = report::headings(reader).context("the history cannot be read")?;
    if known.iter().any(|heading| heading.id == name) {
        return Ok(None);
    }
    let made = report::collect(reader, period, now.0 / NS).context("the history cannot be read")?;
    let made = made.with_custom(report::custom(reader, period, now.0 / NS, custom).context("the history cannot be read")?);
    Ok((!made.is_empty()).then(|| KeptReport::new(id, made.on_host(host), zone, now)))
}

fn keep_heading(keeper: &DocumentKeeper, heading: &ReportHeading) {
    if let Ok(json) = serde_json::to_string(heading) {
        keeper.keep(ReportHeading::KIND, heading.to, json);
    }
}

/// Sends a report to channels, and again to those that failed; the heading is stored with what came of it after each round.
async fn send(
    alerts: Arc<AlertService>,
    keeper: DocumentKeeper,
    notice: ReportNotice,
    mut channels: Vec<Arc<str>>,
    mut heading: ReportHeading,
) {
    for attempt in 0..ATTEMPTS {
        let results = alerts.report(&notice, &channels).await;
        channels = results.iter().filter(|result| !result.ok).map(|result| result.channel.clone()).collect();
        for result in results {
            heading.notified.retain(|earlier| earlier.channel != result.channel);
            if let Some(error) = &result.error {
                tracing::warn!(channel = &*result.channel, id = &*notice.id, error, "A report could not be sent.");
            }
            heading.notified.push(result);
        }
        keep_heading(&keeper, &heading);
        if channels.is_empty() {
            return;
        }
        tokio::time::sleep(RETRY * 2_u32.saturating_pow(attempt)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertSettings, Channel, RetryPolicy};
    use crate::counters::Counters;
    use crate::record::{Millis, Origin, Record, System};
    use crate::store::{Retention, StoreOptions};

    /// 2026-11-27T06:01:00Z: a minute after 07:00 in Berlin.
    const NOW: u64 = 1_795_759_260;

    fn sample(second: u64) -> Record {
        Record::System(Box::new(System {
            time: WallTime(second * NS),
            origin: Arc::new(Origin { pid: 0, comm: "".into(), service: "host".into(), container: None }),
            cpu_percent: Some(10.0),
            memory_percent: 50.0,
            memory_available_bytes: 1,
            swap_percent: None,
            load_1m: 0.5,
            disks: vec![],
            network: vec![],
            psi: None,
            interval_ms: Millis(NS),
        }))
    }

    fn store(folder: &std::path::Path) -> Store {
        let options = StoreOptions {
            path: folder.join("perfmon.db"),
            max_bytes: 1 << 30,
            retention: Retention::default(),
            now: || WallTime(NOW * NS),
        };
        Store::start(options, Arc::new(Counters::default()), Heartbeat::unwatched()).unwrap()
    }

    fn stage(store: &Store, channels: &[Channel]) -> ReportStage {
        let mut config = Config::default();
        config.reports.timezone = Some("Europe/Berlin".into());
        config.reports.channels = channels.iter().map(|channel| channel.name.to_string()).collect();
        let settings = AlertSettings { channels: channels.to_vec(), ..AlertSettings::default() };
        let alerts = AlertService::new(&settings, vec![], RetryPolicy::default(), Arc::default());
        ReportStage::new(&config, store, alerts, watch::channel(CustomMetrics::default()).1).unwrap()
    }

    /// Waits until the writer has written.
    async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
        for _ in 0..500 {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("it never came")
    }

    #[tokio::test]
    async fn a_due_report_is_made_once_and_never_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        crate::store::tests::offer(&store, (0..60).map(|minute| sample(NOW - 7_200 + minute * 60)).collect());
        let mut first = stage(&store, &[]);
        let reader = store.reader();
        eventually(|| reader.records("report", WallTime(0), WallTime(u64::MAX), 1).ok()).await;
        let due = first.due(NOW);
        assert_eq!(due.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["daily-2026-11-27", "weekly-2026-11-23"]);
        assert!(first.due(NOW).is_empty(), "looked at already");
        first.after_look(&[(due[0].0, anyhow::anyhow!("the history cannot be read"))]);
        assert_eq!(first.due(NOW), due[..1], "what failed is tried again");
        // The samples may not be written yet.
        let mut made = None;
        for _ in 0..500 {
            made = first.make(due[0].0, due[0].1, WallTime(NOW * NS)).await.unwrap();
            if made.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let made = made.expect("a report");
        assert_eq!((made.heading.from.0 / NS, made.heading.to.0 / NS), (NOW - 60 - 86_400, NOW - 60));
        // No data of that week.
        assert_eq!(first.make(due[1].0, due[1].1, WallTime(NOW * NS)).await.unwrap(), None);
        let listed = eventually(|| report::headings(&reader).ok().filter(|list| !list.is_empty())).await;
        assert_eq!((listed.len(), listed[0].id.as_str()), (1, "daily-2026-11-27"));
        let read = KeptReport::read(&reader, "daily-2026-11-27").unwrap().unwrap();
        assert_eq!(read, made);
        assert!(read.report.html(&read.heading.zone()).contains("2026-11-27 07:00:00 CET"));
        // The next run finds it.
        let mut second = stage(&store, &[]);
        let due = second.due(NOW + 600);
        assert_eq!(second.make(due[0].0, due[0].1, WallTime(NOW * NS)).await.unwrap(), None);
        // One a day.
        assert_eq!(second.due(NOW + 86_400).len(), 1);
        store.finish();
    }

    #[tokio::test]
    async fn channels_get_the_summary_and_a_failed_one_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let reader = store.reader();
        let stage = stage(&store, &[Channel::log(), Channel::webhook("hook", "http://127.0.0.1:1/")]);
        let period = ReportPeriod::between(NOW - 3_660, NOW - 60);
        let empty = eventually(|| report::collect(&reader, &period, NOW).ok()).await;
        let id = "daily-2026-11-27".parse().unwrap();
        let kept = KeptReport::new(id, empty, &TimeZone::UTC, WallTime(NOW * NS));
        stage.spread(kept);
        let found = eventually(|| {
            let listed = report::headings(&reader).ok()?;
            listed.into_iter().next().filter(|heading| heading.notified.len() == 2)
        })
        .await;
        let told: Vec<_> = found.notified.iter().map(|told| (&*told.channel, told.ok)).collect();
        assert_eq!(told, [("log", true), ("hook", false)]);
        store.finish();
    }
}
