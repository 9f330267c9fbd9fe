//! The check of a Logfire write token: `GET /v1/info` at the start, so that a wrong token is reported before data is lost.
use serde::Deserialize;
use ureq::http::StatusCode;

use super::otlp::post::Poster;

/// The project of a token.
#[derive(Deserialize)]
struct Info {
    project_name: Option<String>,
    project_url: Option<String>,
}

/// Checks the token once and logs the result.
pub fn check(poster: &Poster, url: &str) {
    let target = poster.target().name.as_str();
    match poster.ask(url) {
        Ok((StatusCode::OK, text)) => {
            let info = serde_json::from_str(&text).unwrap_or(Info { project_name: None, project_url: None });
            tracing::info!(target, project = info.project_name, url = info.project_url, "Telemetry goes to Logfire.");
        }
        Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
            tracing::error!(target, "Logfire does not know the token; check LOGFIRE_TOKEN.");
        }
        Ok((status, _)) => tracing::warn!(target, %status, "Logfire could not check the token."),
        Err(error) => tracing::warn!(target, error, "Logfire could not be reached; telemetry is queued until it can."),
    }
}
