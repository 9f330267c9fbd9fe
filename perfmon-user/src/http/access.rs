//! Access control. Against DNS rebinding, `Host` and `Origin` must be a known name of this machine. When the server listens on an address
//! that other machines can reach, every route but the page's files, `/healthz` and `/readyz` requires the token (RFC 6750). Adds the security
//! headers for browsers.
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::answer::ApiError;

/// For probes of an orchestrator, which have no token; they carry no figures. The files of the page need none either.
const OPEN_ROUTES: [&str; 2] = ["/healthz", "/readyz"];
const HEADERS: [(header::HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
];

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Access {
    loopback: bool,
    hosts: Vec<String>,
    token: Option<String>,
}

impl Access {
    /// For a server at `listen` that answers to `localhost`, its addresses and `hosts`; with a token, only to those who have it.
    pub fn new(listen: SocketAddr, hosts: &[String], token: Option<String>) -> Self {
        Self { loopback: listen.ip().is_loopback(), hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), token }
    }

    /// Whether `host`, with or without a port, is a name or address of this server. A literal address cannot be rebound, so any is
    /// good where other machines may ask.
    fn knows(&self, host: &str) -> bool {
        let Some(name) = host_of(host) else { return false };
        match name.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || !self.loopback,
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(headers, header::HOST));
        match host {
            Some(host) if self.knows(host) => {}
            None if request.version() < Version::HTTP_11 => {}
            _ => {
                let message = "the Host header does not name this server; add the name to http.hosts in the configuration";
                return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", message));
            }
        }
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or(""));
        if origin.is_some_and(|origin| !origin.split_once("://").is_some_and(|(_, host)| self.knows(host))) {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", "requests from pages of other origins are refused"));
        }
        match &self.token {
            Some(token) if !is_open(request.uri().path()) && !carries(headers, token) => {
                Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "send the configured token as Authorization: Bearer TOKEN"))
            }
            _ => Ok(()),
        }
    }
}

fn is_open(path: &str) -> bool {
    OPEN_ROUTES.contains(&path) || super::page::is_file(path)
}

/// The middleware.
pub(super) async fn guard(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response {
    let mut response = match state.parts.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The name or address of `host[:port]`, in lower case, brackets taken off.
fn host_of(host: &str) -> Option<String> {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(_, port)| port.is_empty() || port.starts_with(':'))?.0,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    (!name.is_empty()).then(|| name.trim_end_matches('.').to_ascii_lowercase())
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    let given = text(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    given.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && same(given.trim().as_bytes(), token.as_bytes()))
}

/// Compares in time that depends on the lengths only.
fn same(given: &[u8], token: &[u8]) -> bool {
    given.len() == token.len() && given.iter().zip(token).fold(0, |difference, (a, b)| std::hint::black_box(difference | (a ^ b))) == 0
}
