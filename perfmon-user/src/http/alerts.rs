//! Alert management: `/api/v1/alerts` with `ack`, `resolve` and `test`, and `/api/v1/silences`. Bodies are small JSON objects, parsed
//! strictly. Who acts is the user at the other end; a name given in the body is noted. Each action stands in the audit trail. 409: the alert's state does not allow the action. 404: no alert or silence has this id.
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::HttpState;
use super::answer::{ApiError, List, json, json_with};
use super::audit;
use super::caller::Actor;
use super::params::Params;
use crate::alert::{NewSilence, Refused, Silence, SilenceMatcher};
use crate::limits;
use crate::record::{Alert, AlertState, WallTime};

/// Longest text that a person may leave.
const TEXT_BYTES: usize = 1_000;
const STATES: [(&str, AlertState); 5] = [
    ("pending", AlertState::Pending),
    ("firing", AlertState::Firing),
    ("acknowledged", AlertState::Acknowledged),
    ("resolved", AlertState::Resolved),
    ("silenced", AlertState::Silenced),
];

/// A request's body, or why there is none.
type RequestBody = Result<Bytes, BytesRejection>;

/// Who decides, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Decision {
    by: Option<Arc<str>>,
    note: Option<Arc<str>>,
}

/// Which channel is tried; all without.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Trial {
    channel: Option<String>,
}

/// Body of a request for a silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SilenceRequest {
    rule: Option<Arc<str>>,
    scope: Option<Arc<str>>,
    matchers: Vec<String>,
    duration: Option<String>,
    by: Option<Arc<str>>,
    note: Option<Arc<str>>,
}

/// Something that a person does to an alert.
type Act = fn(&crate::alert::AlertService, WallTime, &str, Option<Arc<str>>, Option<Arc<str>>) -> Result<Alert, Refused>;

pub(super) async fn alerts(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    let params = params.only(&["state", "rule", "limit"])?;
    let wanted = params.choice("state", &STATES)?;
    let limit = params.limit(limits::LIST_ITEMS, limits::LIST_ITEMS)?;
    let mut items = state.parts.alerts.alerts();
    items.retain(|alert| wanted.is_none_or(|wanted| wanted == alert.state) && params.text("rule").is_none_or(|rule| *rule == *alert.rule));
    let total = items.len();
    items.truncate(limit);
    Ok(json(&List { window_s: None, total, items }))
}

pub(super) async fn acknowledge(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
    Extension(actor): Extension<Actor>,
    body: RequestBody,
) -> Result<Response, ApiError> {
    decide(&state, &id, &actor, body, |alert_service, now, id, by, note| alert_service.acknowledge(now, id, by, note))
}

pub(super) async fn resolve(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
    Extension(actor): Extension<Actor>,
    body: RequestBody,
) -> Result<Response, ApiError> {
    decide(&state, &id, &actor, body, |alert_service, now, id, by, note| alert_service.resolve(now, id, by, note))
}

fn decide(state: &HttpState, id: &str, actor: &Actor, body: RequestBody, act: Act) -> Result<Response, ApiError> {
    let Decision { by, note } = read(body)?;
    let note = noted(actor, said("by", by)?, said("note", note)?);
    let by = Some(actor.by.clone());
    let alert = act(&state.parts.alerts, (state.parts.now)(), id, by, note).map_err(|refused| refusal("alert", id, refused))?;
    audit::note(state, actor, alert.state.name(), id, alert.note.as_ref());
    Ok(json(&alert))
}

pub(super) async fn test(
    State(state): State<Arc<HttpState>>,
    Extension(actor): Extension<Actor>,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let Trial { channel } = read(body)?;
    audit::note(&state, &actor, "test", channel.as_deref().unwrap_or("every channel"), None);
    let tried = state.parts.alerts.test((state.parts.now)(), channel.as_deref()).await;
    let items = tried.map_err(|refused| refusal("channel", channel.as_deref().unwrap_or(""), refused))?;
    Ok(json(&List { window_s: None, total: items.len(), items }))
}

pub(super) async fn silences(State(state): State<Arc<HttpState>>, params: Params) -> Result<Response, ApiError> {
    params.only(&[])?;
    let items = state.parts.alerts.silences((state.parts.now)());
    Ok(json(&List { window_s: None, total: items.len(), items }))
}

pub(super) async fn silence(
    State(state): State<Arc<HttpState>>,
    Extension(actor): Extension<Actor>,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let wish: SilenceRequest = read(body)?;
    let (rule, scope) = (said("rule", wish.rule)?, said("scope", wish.scope)?);
    let matchers = matchers(&wish.matchers)?;
    if rule.is_none() && scope.is_none() && matchers.is_empty() {
        return Err(ApiError::parameter("rule", "a silence needs a rule, a scope or matchers"));
    }
    let text = wish.duration.ok_or_else(|| ApiError::parameter("duration", "is required, for example \"2h\""))?;
    let duration = crate::config::parse_duration(&text).map_err(|why| ApiError::parameter("duration", format!("{text:?}: {why}")))?;
    if duration < Duration::from_secs(1) {
        return Err(ApiError::parameter("duration", "must be at least one second"));
    }
    let note = noted(&actor, said("by", wish.by)?, said("note", wish.note)?);
    let new = NewSilence { rule, scope, matchers, duration, by: Some(actor.by.clone()), note };
    let begun = state.parts.alerts.silence((state.parts.now)(), new).map_err(|refused| refusal("silence", "", refused))?;
    audit::note(&state, &actor, "silence", &begun.silence_id, begun.note.as_ref());
    store(&state, &begun);
    Ok(json_with(StatusCode::CREATED, &begun))
}

pub(super) async fn unsilence(
    State(state): State<Arc<HttpState>>,
    Path(id): Path<String>,
    Extension(actor): Extension<Actor>,
) -> Result<Response, ApiError> {
    let ended = state.parts.alerts.unsilence((state.parts.now)(), &id).map_err(|refused| refusal("silence", &id, refused))?;
    audit::note(&state, &actor, "unsilence", &id, None);
    store(&state, &ended);
    Ok(json(&ended))
}

/// Stores a silence at once, at the time of its end: as long as it is in force, it is not too old to be kept.
fn store(state: &HttpState, silence: &Silence) {
    if let Some(trail) = &state.parts.audit {
        trail.keep(Silence::KIND, silence.until, silence);
    }
}

fn matchers(texts: &[String]) -> Result<Vec<SilenceMatcher>, ApiError> {
    if texts.len() > limits::SILENCE_MATCHERS {
        return Err(ApiError::parameter("matchers", format!("has more than {} matchers", limits::SILENCE_MATCHERS)));
    }
    let parsed = texts.iter().map(|text| match text.len() {
        length if length > TEXT_BYTES => Err(format!("is longer than {TEXT_BYTES} bytes")),
        _ => SilenceMatcher::parse(text),
    });
    parsed.collect::<Result<_, _>>().map_err(|why| ApiError::parameter("matchers", why))
}

/// The note, with the name that was given beside the user who acts.
fn noted(actor: &Actor, by: Option<Arc<str>>, note: Option<Arc<str>>) -> Option<Arc<str>> {
    match (by.filter(|by| *by != actor.by), note) {
        (Some(by), Some(note)) => Some(format!("{note} (as {by})").into()),
        (Some(by), None) => Some(format!("as {by}").into()),
        (None, note) => note,
    }
}

/// A JSON object; an empty body is an empty object.
fn read<T: DeserializeOwned + Default>(body: RequestBody) -> Result<T, ApiError> {
    let bytes = body.map_err(|rejection| ApiError::new(rejection.status(), "bad_body", rejection.body_text()))?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "bad_body", error.to_string()))
}

/// Text entered by a user; empty means none.
fn said(name: &str, text: Option<Arc<str>>) -> Result<Option<Arc<str>>, ApiError> {
    match text {
        Some(text) if text.len() > TEXT_BYTES => Err(ApiError::parameter(name, format!("is longer than {TEXT_BYTES} bytes"))),
        Some(text) if text.trim().is_empty() => Ok(None),
        text => Ok(text),
    }
}

fn refusal(what: &str, name: &str, refused: Refused) -> ApiError {
    match refused {
        Refused::Unknown => ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("no {what} has the id {name:?}")),
        Refused::State(state) => {
            let state = STATES.iter().find(|(_, known)| *known == state).map_or("", |(name, _)| name);
            ApiError::new(StatusCode::CONFLICT, "wrong_state", format!("{what} {name:?} is {state}"))
        }
        Refused::TooMany => {
            let message = format!("the limit of {} {what}s is reached; end one first", limits::SILENCES);
            ApiError::new(StatusCode::CONFLICT, "too_many", message)
        }
    }
}
