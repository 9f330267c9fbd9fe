//! `perfmon top` against the HTTP server of this crate: the names that one writes are the names that the other reads.
#![expect(clippy::unwrap_used, reason = "a test may fail where it likes")]
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use perfmon_user::aggregate::snapshot::{EndpointRow, Latency, Snapshot, Totals, Window, WindowView};
use perfmon_user::alert::{AlertService, RetryPolicy};
use perfmon_user::config::Config;
use perfmon_user::counters::Counters;
use perfmon_user::http::{Access, HttpParts, HttpState, ListeningSocket, Readiness, SelfReport, serve};
use perfmon_user::outbound::TrustedRoots;
use perfmon_user::record::{Gauges, TargetCoverage, WallTime};
use perfmon_user::ui::{RemoteError, RemoteSource, ScreenSource};
use tokio::sync::watch;

const TOKEN: &str = "0123456789abcdef";

fn snapshot() -> Snapshot {
    let latency = Latency { p50_ms: Some(2.5), p95_ms: Some(40.0), p99_ms: Some(77.0), ..Latency::default() };
    let totals = Totals {
        requests: 4_321,
        error_rate: Some(0.25),
        latency,
        rate_peak_per_second: 12.5,
        completeness: Some(0.5),
        ..Totals::default()
    };
    let row = EndpointRow {
        service: "shop".into(),
        method: "GET".into(),
        endpoint: "/items/{id}".into(),
        count: 4_321,
        requests_per_minute: 600.0,
        error_rate: Some(0.25),
        latency,
        queue_p95_ms: Some(3.25),
        share_of_time: 0.75,
        in_flight: 6,
        ..EndpointRow::default()
    };
    let target = TargetCoverage { events_lost: 8, ..TargetCoverage::named("shop", 1) };
    let minute = WindowView { window_s: 60, totals: Arc::new(totals), endpoints: vec![Arc::new(row)], ..WindowView::default() };
    Snapshot {
        uptime_s: 33.0,
        windows: vec![minute],
        gauges: Arc::new(Gauges { targets: vec![target], ..Gauges::default() }),
        ..Snapshot::default()
    }
}

async fn start(snapshot: Snapshot) -> (String, watch::Sender<bool>, watch::Sender<Arc<Snapshot>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, asked) = watch::channel(false);
    let (sender, snapshots) = watch::channel(Arc::new(snapshot));
    let state = HttpState::new(HttpParts {
        custom: tokio::sync::watch::channel(perfmon_user::record::custom::CustomMetrics::default()).1,
        access: Access::new(true, &[], Some(TOKEN.into())),
        snapshot: snapshots,
        counters: Arc::new(Counters::default()),
        self_report: Box::new(SelfReport::default),
        readiness: Box::new(Readiness::default),
        degraded: Arc::new(|| Arc::from([])),
        heartbeat: perfmon_user::heartbeat::Heartbeat::unwatched(),
        now: || WallTime(0),
        spare: Arc::default(),
        history: None,
        audit: None,
        alerts: AlertService::new(&Config::default().alerts.settings(), Vec::new(), RetryPolicy::default(), Arc::default()),
        shutdown: asked,
    });
    tokio::spawn(serve(vec![ListeningSocket::tcp(listener, None).unwrap()], state));
    (format!("http://{address}"), shutdown, sender)
}

async fn connect(url: &str, token: Option<&'static str>) -> Result<RemoteSource, RemoteError> {
    let url = url.to_string();
    tokio::task::spawn_blocking(move || RemoteSource::connect(&url, &TrustedRoots::HostAnd(None), token)).await.unwrap()
}

#[tokio::test]
async fn another_perfmon_is_shown_with_its_figures() {
    let (url, _shutdown, _snapshots) = start(snapshot()).await;
    let mut remote = connect(&url, Some(TOKEN)).await.unwrap();
    let shown = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match remote.poll(Window::Minute) {
                Some(shown) => break shown,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let text = shown.await.expect("nothing was shown").plain(120).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "4321 requests in 33s, 25 % errors, p50 2.50 p95 40.0 p99 77.0 ms, peak 12.5/s, 50 % fully seen, 8 events lost");
    let cells: Vec<_> = lines[2].split_whitespace().collect();
    assert_eq!(cells, ["shop", "GET", "/items/{id}", "4321", "10.0", "25", "2.50", "40.0", "77.0", "3.25", "75", "6"]);
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_the_mend() {
    let (url, _shutdown, _snapshots) = start(snapshot()).await;
    let refused = connect(&url, None).await.err().unwrap();
    assert!(refused.to_string().contains("PERFMON_HTTP__TOKEN"), "{refused}");
    let nobody = connect("http://127.0.0.1:1", None).await.err().unwrap();
    assert!(nobody.to_string().contains("perfmon run"), "{nobody}");
}
