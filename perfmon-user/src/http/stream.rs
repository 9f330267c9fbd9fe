//! `GET /api/v1/stream`: server-sent events (WHATWG HTML, 9.2). A `summary` for each published snapshot, `finding` and `alert` at once.
//! Nothing is queued for slow clients: they skip summaries, and a client that falls behind on findings and alerts is disconnected.
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use super::HttpState;
use super::answer::ApiError;
use super::params::Params;
use super::summary::Summary;
use crate::aggregate::snapshot::{Snapshot, Window};
use crate::alert::AlertService;
use crate::record::Record;

/// One client.
struct StreamClient {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    records: broadcast::Receiver<Arc<Record>>,
    shutdown: watch::Receiver<bool>,
    alerts: Arc<AlertService>,
    window: Window,
    /// Counts towards the limit of clients until it is dropped.
    _place: OwnedSemaphorePermit,
}

pub(super) async fn stream(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let window = params.only(&["window"])?.window()?;
    let Ok(place) = state.stream_places.clone().try_acquire_owned() else {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_clients",
            "all places of the stream are taken; try again later",
        ));
    };
    let mut snapshot = state.parts.snapshot.clone();
    snapshot.mark_changed();
    let client = StreamClient {
        snapshot,
        records: state.live.subscribe(),
        shutdown: state.parts.shutdown.clone(),
        alerts: state.parts.alerts.clone(),
        window,
        _place: place,
    };
    let counters = state.parts.counters.clone();
    let events = futures_util::stream::unfold(client, move |mut client| {
        let counters = counters.clone();
        async move {
            match client.next().await {
                StreamStep::Event(event) => Some((Ok::<_, Infallible>(event), client)),
                StreamStep::Behind => {
                    counters.stream_clients_dropped.inc();
                    None
                }
                StreamStep::End => None,
            }
        }
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Sse::new(events)).into_response())
}

enum StreamStep {
    Event(Event),
    Behind,
    End,
}

impl StreamClient {
    async fn next(&mut self) -> StreamStep {
        tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|asked| *asked) => StreamStep::End,
            record = self.records.recv() => match record {
                Ok(record) => event(record.kind(), &*record),
                Err(broadcast::error::RecvError::Lagged(_)) => StreamStep::Behind,
                Err(broadcast::error::RecvError::Closed) => StreamStep::End,
            },
            changed = self.snapshot.changed() => match changed {
                Ok(()) => {
                    let summary = Summary::of(&self.snapshot.borrow_and_update(), self.window, self.alerts.firing());
                    event("summary", &summary)
                }
                Err(_) => StreamStep::End,
            },
        }
    }
}

fn event<T: serde::Serialize>(name: &str, data: &T) -> StreamStep {
    match serde_json::to_string(data) {
        Ok(json) => StreamStep::Event(Event::default().event(name).data(json)),
        Err(error) => {
            tracing::error!(%error, "An event could not be written as JSON.");
            StreamStep::End
        }
    }
}
