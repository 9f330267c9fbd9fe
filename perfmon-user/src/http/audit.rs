//! The audit trail: notes who changed what, in the log and, where there is a history, on disk; `GET /api/v1/audit` reads it, newest first, with
//! `from`, `to` (RFC 3339) and `limit`. Without a history it stands in the log alone.
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::caller::Actor;
use super::history::{no_store, unreadable};
use super::params::Params;
use crate::limits;
use crate::record::{AuditEntry, WallTime};

const DEFAULT_LIMIT: usize = 100;

/// Notes a change. Text of a request is quoted in the log.
pub(super) fn note(state: &HttpState, actor: &Actor, action: &'static str, id: &str, note: Option<&Arc<str>>) {
    let text = note.map_or("", |note| note);
    tracing::info!(by = &*actor.by, from = &*actor.from, action, id = ?id, note = ?text, "Somebody acted on alerts.");
    if let Some(trail) = &state.parts.audit {
        trail.push(AuditEntry {
            time: (state.parts.now)(),
            by: actor.by.clone(),
            uid: actor.uid,
            from: actor.from.clone(),
            action: action.into(),
            id: id.into(),
            note: note.cloned(),
        });
    }
}

pub(super) async fn audit(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["from", "to", "limit"])?;
    let (from, to) = (params.time("from")?.unwrap_or(WallTime(0)), params.time("to")?.unwrap_or(WallTime(u64::MAX)));
    let limit = params.limit(DEFAULT_LIMIT, limits::LIST_ITEMS)?;
    let reader = state.parts.history.clone().ok_or_else(no_store)?;
    let read = tokio::task::spawn_blocking(move || reader.records(AuditEntry::KIND, from, to, limit)).await;
    let rows = read.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    let items: Vec<AuditEntry> = rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
    Ok(json(&List { window_s: None, total: items.len(), items }))
}
