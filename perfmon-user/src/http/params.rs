//! Strict query parameters: an unknown or repeated name or a bad value is a 400 that names it and lists what is allowed.
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;

use super::HttpState;
use super::answer::ApiError;
use crate::aggregate::snapshot::Window;
use crate::record::WallTime;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl FromRequestParts<Arc<HttpState>> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<HttpState>) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(ApiError::parameter("query", error.body_text())),
        }
    }
}

impl Params {
    /// Refuses names that the route does not take.
    pub fn only(self, allowed: &[&str]) -> Result<Self, ApiError> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                let known = if allowed.is_empty() {
                    "this route takes none".to_string()
                } else {
                    format!("this route takes {}", allowed.join(", "))
                };
                return Err(ApiError::parameter(name, format!("unknown parameter; {known}")));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(ApiError::parameter(name, "is given more than once"));
            }
        }
        Ok(self)
    }

    /// The text of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// `window`: one of those that are kept, 5 minutes when absent.
    pub fn window(&self) -> Result<Window, ApiError> {
        self.text("window").map_or(Ok(Window::FiveMinutes), |given| Self::window_of("window", given))
    }

    /// A window by its name, given in the parameter `name`.
    pub fn window_of(name: &str, given: &str) -> Result<Window, ApiError> {
        match given {
            "1m" => Ok(Window::Minute),
            "5m" => Ok(Window::FiveMinutes),
            "1h" => Ok(Window::Hour),
            other => Err(ApiError::parameter(name, format!("{other:?} is not a window; use 1m, 5m or 1h"))),
        }
    }

    /// `limit`: from 1 to `most`.
    pub fn limit(&self, default: usize, most: usize) -> Result<usize, ApiError> {
        match self.text("limit").map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(ApiError::parameter("limit", format!("must be an integer from 1 to {most}"))),
        }
    }

    /// A switch: `1`, `true`, `0`, `false`; off when absent.
    pub fn switch(&self, name: &str) -> Result<bool, ApiError> {
        match self.text(name) {
            Some("1" | "true") => Ok(true),
            None | Some("0" | "false") => Ok(false),
            Some(_) => Err(ApiError::parameter(name, "must be 1 or 0")),
        }
    }

    /// One of a list of words.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        let Some(given) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(choice, _)| *choice == given) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let known: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                Err(ApiError::parameter(name, format!("{given:?} is not one of {}", known.join(", "))))
            }
        }
    }

    /// A whole number of seconds, like `10s`.
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.strip_suffix('s').unwrap_or(text).parse::<u64>() {
            Ok(seconds @ 1..=3_600) => Ok(Some(seconds)),
            _ => Err(ApiError::parameter(name, format!("{text:?} must be from 1s to 3600s"))),
        }
    }

    /// A time, as RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<WallTime>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // A plus sign in a query means a space, so an offset may arrive with one.
        match text.replace(' ', "+").parse::<jiff::Timestamp>().map(|time| u64::try_from(time.as_nanosecond())) {
            Ok(Ok(nanoseconds)) => Ok(Some(WallTime(nanoseconds))),
            Ok(Err(_)) => Err(ApiError::parameter(name, format!("{text:?} is out of range; perfmon knows times from 1970 to 2554"))),
            Err(_) => Err(ApiError::parameter(name, format!("{text:?} is not an RFC 3339 time, like 2026-01-31T12:00:00Z"))),
        }
    }
}

/// Reads a query in every way that a route may, for the fuzz program.
#[cfg(feature = "fuzzing")]
pub fn read_query(query: &str) {
    let Ok(uri) = axum::http::Uri::builder().path_and_query(format!("/?{query}")).build() else { return };
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else { return };
    let params = Params(pairs);
    let _read = (params.window().is_ok(), params.limit(10, 100).is_ok(), params.choice("kind", &[("request", 1)]).is_ok());
    for name in ["since", "until", "step", "missing", "hide"] {
        let _read = (params.switch(name).is_ok(), params.seconds(name).is_ok(), params.time(name).is_ok());
    }
    let _known = params.only(&["limit", "window", "since"]).is_ok();
}
