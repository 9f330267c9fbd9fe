//! What every route answers with: JSON, or an error as `{"error":{"code","message"}}` with the right status.
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A list as the API gives it.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    /// Length of the window, null when the list has none.
    pub window_s: Option<u64>,
    /// Items that match, shown or not.
    pub total: usize,
    /// Items shown.
    pub items: Vec<T>,
}

/// An error answer.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    message: &'a str,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400, naming the parameter.
    pub fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("{name}: {message}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        json_with(self.status, &ErrorBody { error: ErrorText { code: self.code, message: &self.message } })
    }
}

/// 200 with a JSON body.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    json_with(StatusCode::OK, value)
}

/// A status with a JSON body.
pub(super) fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written as JSON.");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// 404 in the API's form.
pub(super) async fn unknown_route(request: Request) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no route {}", request.uri().path()))
}

/// 405 in the API's form; axum adds `Allow`.
pub(super) async fn wrong_method(request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not allow {}", request.uri().path(), request.method()),
    )
}
