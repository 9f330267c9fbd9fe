//! The HTTP server: health, metrics, the API and the live stream. In: snapshots, batches of records, and closures that report perfmon's own
//! state; out: the routes of docs/http-api.md, one file for each group. It changes nothing but alerts and never waits for another stage.
//! Specification: RFC 9110.
mod accept;
mod access;
mod alerts;
mod alive;
mod answer;
mod audit;
mod bounded;
mod caller;
mod changes;
mod custom_series;
mod databases;
mod destinations;
mod encoding;
mod endpoints;
mod event_writer;
mod fields;
mod findings;
mod follow;
pub mod health;
mod history;
mod introduction;
mod kind_series;
mod listener;
mod metrics;
mod names;
mod owner;
mod page;
mod params;
mod recent;
mod records;
mod reports;
mod resources;
mod rows;
mod sample_series;
mod self_report;
mod series;
mod server_tls;
mod socket_table;
mod stream;
mod summary;
#[cfg(test)]
pub(crate) mod tests;
mod transport;
mod work;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use tokio::sync::{Semaphore, broadcast, watch};

use crate::aggregate::snapshot::Snapshot;
use crate::alert::AlertService;
use crate::counters::Counters;
use crate::heartbeat::Heartbeat;
use crate::limits;
use crate::record::custom::CustomMetrics;
use crate::record::{DegradedNow, Record, RecordBatch, SpareBatches, WallTime};
use crate::series::SeriesDelta;
use crate::store;

pub use access::Access;
pub use alive::Readiness;
use answer::ApiError;
pub use caller::{AccountFiles, Admitted, Caller};
use custom_series::CustomSeries;
use kind_series::KindSeries;
pub use metrics::document as metrics_document;
#[cfg(feature = "fuzzing")]
pub use params::read_query;
use recent::Recent;
use sample_series::SampleSeries;
pub use self_report::{EventsLost, ExportState, HardeningStatus, ProbeStatus, ProgramStats, SelfReport, StageStatus};
use series::LatencySeries;
pub use server_tls::{CertificateError, ServerCertificate};
pub use transport::ListeningSocket;

/// Time that open answers get to finish at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Longest body of a request.
const BODY_BYTES: usize = 16 * 1024;

/// What the server is made from.
pub struct HttpParts {
    /// Who may ask.
    pub access: Access,
    /// The newest snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// perfmon's counters.
    pub counters: Arc<Counters>,
    /// How perfmon itself is. Reads files and may wait: called on threads that may.
    pub self_report: Box<dyn Fn() -> SelfReport + Send + Sync>,
    /// Whether data flows from every target.
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// Parts of perfmon that do not work as they should.
    pub degraded: DegradedNow,
    /// The server's own heartbeat.
    pub heartbeat: Heartbeat,
    /// Alerts.
    pub alerts: Arc<AlertService>,
    /// The wall clock.
    pub now: fn() -> WallTime,
    /// True, or a closed channel, ends the server.
    pub shutdown: watch::Receiver<bool>,
    /// Where batches go that are no longer shown.
    pub spare: Arc<SpareBatches>,
    /// History on disk, when there is one.
    pub history: Option<store::StoreReader>,
    /// Its audit trail.
    pub audit: Option<store::AuditTrail>,
    /// The configured business metrics.
    pub custom: watch::Receiver<CustomMetrics>,
}

/// What the routes share.
pub struct HttpState {
    parts: HttpParts,
    recent: Recent,
    series: LatencySeries,
    kinds: KindSeries,
    custom: CustomSeries,
    samples: SampleSeries,
    live: broadcast::Sender<Arc<Record>>,
    stream_places: Arc<Semaphore>,
}

impl HttpState {
    /// A server that has seen no record yet.
    pub fn new(parts: HttpParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            recent: Recent::default(),
            series: LatencySeries::default(),
            kinds: KindSeries::default(),
            custom: CustomSeries::default(),
            samples: SampleSeries::default(),
            live: broadcast::channel(limits::STREAM_BACKLOG).0,
            stream_places: Arc::new(Semaphore::new(limits::STREAM_CLIENTS)),
        })
    }

    /// Takes what the series counted, once a second: for the cumulative series of `/metrics`.
    pub fn series(&self, delta: &SeriesDelta) {
        self.series.count(delta, &self.parts.counters);
        self.kinds.count(delta, &self.parts.counters);
        let metrics = self.parts.custom.borrow().clone();
        self.custom.add(delta, &metrics, &self.parts.counters);
    }

    /// Takes finished records: for `/api/v1/records`, samples for `/metrics`, findings and alerts for the stream.
    pub fn push(&self, batch: &RecordBatch) {
        // Most batches are requests alone.
        if batch.iter().any(|record| !matches!(record, Record::Request(_))) {
            self.samples.count(batch);
            for record in batch.iter().filter(|record| matches!(record, Record::Finding(_) | Record::Alert(_))) {
                // Fails without clients, which is fine.
                self.live.send(Arc::new(record.clone())).ok();
            }
        }
        self.recent.push(batch, &self.parts.spare);
    }

    /// How perfmon itself is, from a thread that may wait: who asks for anything else meanwhile is answered.
    async fn own_report(self: &Arc<Self>) -> Result<SelfReport, ApiError> {
        let state = self.clone();
        let read = tokio::task::spawn_blocking(move || (state.parts.self_report)()).await;
        read.map_err(|_| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no_report", "perfmon's report on itself failed; its log says why")
        })
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.parts.snapshot.borrow().clone()
    }
}

/// All routes.
pub fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/healthz", get(alive::healthz))
        .route("/readyz", get(alive::readyz))
        .route("/health/performance", get(health::performance))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/summary", get(summary::summary))
        .route("/api/v1/endpoints", get(endpoints::endpoints))
        .route("/api/v1/destinations", get(destinations::destinations))
        .route("/api/v1/databases", get(databases::databases))
        .route("/api/v1/dns", get(names::names))
        .route("/api/v1/pools", get(resources::pools))
        .route("/api/v1/llm", get(work::llm))
        .route("/api/v1/agents", get(work::agents))
        .route("/api/v1/tools", get(work::tools))
        .route("/api/v1/workflows", get(work::workflows))
        .route("/api/v1/records", get(records::records))
        .route("/api/v1/system", get(resources::system))
        .route("/api/v1/processes", get(resources::processes))
        .route("/api/v1/findings", get(findings::findings))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/alerts/test", post(alerts::test))
        .route("/api/v1/alerts/{id}/ack", post(alerts::acknowledge))
        .route("/api/v1/alerts/{id}/resolve", post(alerts::resolve))
        .route("/api/v1/silences", get(alerts::silences).post(alerts::silence))
        .route("/api/v1/silences/{id}", delete(alerts::unsilence))
        .route("/api/v1/audit", get(audit::audit))
        .route("/api/v1/history", get(history::history))
        .route("/api/v1/metrics", get(custom_series::metrics))
        .route("/api/v1/reports", get(reports::reports))
        .route("/api/v1/reports/{id}", get(reports::report))
        .route("/api/v1/self", get(self_report::self_report))
        .route("/api/v1/stream", get(stream::stream))
        .fallback(answer::unknown_route)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::from_fn(encoding::encode))
        .layer(axum::middleware::from_fn_with_state(state.clone(), access::guard))
        .with_state(state)
}

/// Serves on all sockets until shutdown is requested, then gives open answers a short time to finish.
pub async fn serve(sockets: Vec<ListeningSocket>, state: Arc<HttpState>) -> io::Result<()> {
    let heartbeat = state.parts.heartbeat.clone();
    let _run = heartbeat.run_as_task();
    let late = state.parts.shutdown.clone();
    let places = Arc::default();
    let servers = sockets.into_iter().map(|socket| {
        let listener =
            listener::BoundedListener::new(socket, Arc::clone(&places), state.parts.access.clone(), state.parts.counters.clone());
        let service = router(state.clone()).layer(axum::middleware::map_request(introduced));
        let service = service.into_make_service_with_connect_info::<listener::PeerAddress>();
        axum::serve(listener, service).with_graceful_shutdown(ended(state.parts.shutdown.clone())).into_future()
    });
    tokio::select! {
        result = futures_util::future::try_join_all(servers) => result.map(drop),
        never = heartbeat.beats() => match never {},
        () = async { ended(late).await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Gives a request the peer of its connection.
async fn introduced(ConnectInfo(peer): ConnectInfo<listener::PeerAddress>, mut request: Request) -> Request {
    request.extensions_mut().insert(peer.0);
    request
}

/// Returns when shutdown is requested.
async fn ended(mut shutdown: watch::Receiver<bool>) {
    // A closed channel requests shutdown too.
    shutdown.wait_for(|asked| *asked).await.ok();
}
