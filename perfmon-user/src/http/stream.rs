//! `GET /api/v1/stream`: server-sent events (WHATWG HTML, 9.2). A `summary` for each published snapshot, `finding` and `alert` at once, and
//! `change` for each followed route (`follow.rs`). Nothing is queued for slow clients: they skip snapshots, and a client that falls behind on
//! findings and alerts is disconnected.
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::HttpState;
use super::answer::ApiError;
use super::encoding;
use super::event_writer::EventWriter;
use super::follow::{FollowedState, Follower};
use super::params::Params;
use super::summary::Summary;
use crate::aggregate::snapshot::{Snapshot, Window};
use crate::record::Record;

/// One client.
struct StreamClient {
    state: Arc<HttpState>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    records: broadcast::Receiver<Arc<Record>>,
    shutdown: watch::Receiver<bool>,
    window: Window,
    follower: Follower,
    writer: EventWriter,
    /// Counts towards the limit of clients until it is dropped.
    _place: OwnedSemaphorePermit,
}

pub(super) async fn stream(State(state): State<Arc<HttpState>>, headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let (window, follower) = Follower::new(params)?;
    let Ok(place) = state.stream_places.clone().try_acquire_owned() else {
        let message = "all places for stream clients are taken; try again later";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_clients", message));
    };
    let gzip = encoding::accepts_gzip(&headers);
    let mut snapshot = state.parts.snapshot.clone();
    snapshot.mark_changed();
    let client = StreamClient {
        snapshot,
        records: state.live.subscribe(),
        shutdown: state.parts.shutdown.clone(),
        window,
        follower,
        writer: EventWriter::new(gzip),
        _place: place,
        state,
    };
    let events = futures_util::stream::unfold(client, |mut client| async move {
        match client.next().await {
            StreamStep::Events(bytes) => Some((Ok::<_, Infallible>(bytes), client)),
            StreamStep::Behind => {
                client.state.parts.counters.stream_clients_dropped.inc();
                None
            }
            StreamStep::End => None,
        }
    });
    let fixed = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store"), (header::VARY, "accept-encoding")];
    let mut response = (fixed, Body::from_stream(events)).into_response();
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

enum StreamStep {
    Events(Bytes),
    Behind,
    End,
}

impl StreamClient {
    async fn next(&mut self) -> StreamStep {
        let news = tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|asked| *asked) => return StreamStep::End,
            record = self.records.recv() => match record {
                Ok(record) => Some(record),
                Err(broadcast::error::RecvError::Lagged(_)) => return StreamStep::Behind,
                Err(broadcast::error::RecvError::Closed) => return StreamStep::End,
            },
            changed = self.snapshot.changed() => match changed {
                Ok(()) => None,
                Err(_) => return StreamStep::End,
            },
        };
        match news {
            Some(record) => self.tell_record(&record),
            None => self.tell_snapshot().await,
        }
    }

    fn tell_record(&mut self, record: &Record) -> StreamStep {
        if !self.writer.event(record.kind(), record) {
            return StreamStep::End;
        }
        let snapshot = self.state.snapshot();
        let now = FollowedState { state: &self.state, snapshot: &snapshot, report: None };
        for data in self.follower.urgent_changes(&now) {
            self.writer.text("change", &data);
        }
        StreamStep::Events(self.writer.take())
    }

    async fn tell_snapshot(&mut self) -> StreamStep {
        let snapshot = self.snapshot.borrow_and_update().clone();
        if !self.writer.event("summary", &Summary::of(&snapshot, self.window, self.state.parts.alerts.firing())) {
            return StreamStep::End;
        }
        let report = if self.follower.wants_report() { self.state.own_report().await.ok() } else { None };
        let now = FollowedState { state: &self.state, snapshot: &snapshot, report };
        for data in self.follower.changes(&now) {
            self.writer.text("change", &data);
        }
        StreamStep::Events(self.writer.take())
    }
}
