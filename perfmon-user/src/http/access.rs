//! Access control. Against DNS rebinding, `Host` and `Origin` must be a known name of this machine. On loopback the user at the other end
//! decides: admitted users read and act, others get health. From elsewhere every route but the page's files, `/healthz` and `/readyz`
//! requires the token (RFC 6750). A request that a proxy passes on is nobody's. Adds the security headers for browsers.
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::answer::ApiError;
use super::caller::{Actor, Admitted, Caller, Peer};

/// For probes of an orchestrator, which have no token; they carry no figures. The files of the page need none either.
const OPEN_ROUTES: [&str; 2] = ["/healthz", "/readyz"];
/// What every user of this host may see besides.
const LOCAL_ROUTE: &str = "/health/performance";
/// What a caller is served that has all its connections.
const RESERVED_ROUTES: [&str; 4] = ["/healthz", "/readyz", LOCAL_ROUTE, "/metrics"];
/// Headers with which a proxy says that the request is somebody else's: RFC 7239, RFC 9110 7.6.3, and usage.
const PROXY_HEADERS: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
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
    admitted: Admitted,
    /// Every user of this host may read.
    open: bool,
}

impl Access {
    /// For a server that answers to `localhost`, its addresses and `hosts`: to those who have the token. `loopback`: no other host reaches it.
    pub fn new(loopback: bool, hosts: &[String], token: Option<String>) -> Self {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { loopback, hosts, token, admitted: Admitted::default(), open: false }
    }

    /// Also to these users of this host; `open`: every user of this host may read.
    pub fn admitting(self, admitted: Admitted, open: bool) -> Self {
        Self { admitted, open, ..self }
    }

    /// Whether the users of this host that own the other end may read and act.
    pub(super) fn admits(&self, caller: Caller) -> bool {
        self.admitted.has(caller)
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

    /// Who acts, when it is known; or why the request is refused.
    fn check(&self, request: &Request) -> Result<Option<Actor>, ApiError> {
        let peer = request.extensions().get::<Peer>();
        if peer.is_some_and(|peer| peer.clear_text.load(Ordering::Relaxed)) {
            let message = "this port speaks HTTPS: use https:// in the URL; a token that came with this request has travelled in the clear";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "https_required", message));
        }
        self.check_names(request)?;
        let path = request.uri().path();
        if peer.is_some_and(|peer| peer.reserved) && !RESERVED_ROUTES.contains(&path) {
            let message = "you have too many connections to this server; close some of them";
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message));
        }
        let caller = match peer.map_or(Caller::Unknown, |peer| peer.caller) {
            Caller::User(_) if PROXY_HEADERS.iter().any(|name| request.headers().contains_key(*name)) => Caller::Unknown,
            caller => caller,
        };
        let has_token = self.token.as_ref().is_some_and(|token| carries(request.headers(), token));
        if has_token || self.admitted.has(caller) {
            let by = self.admitted.name(caller).unwrap_or_else(|| "token".into());
            let uid = match caller {
                Caller::User(uid) => Some(uid),
                Caller::Unknown | Caller::Remote(_) => None,
            };
            return Ok(Some(Actor { by, uid, from: peer.map_or_else(|| "unknown".into(), |peer| peer.from.clone()) }));
        }
        let is_local = !matches!(caller, Caller::Remote(_));
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_open(path) || (is_local && reads && (self.open || path == LOCAL_ROUTE)) {
            return Ok(None);
        }
        Err(self.refusal(caller, is_local))
    }

    fn check_names(&self, request: &Request) -> Result<(), ApiError> {
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
        Ok(())
    }

    fn refusal(&self, caller: Caller, is_local: bool) -> ApiError {
        let send_token = "send the configured token as Authorization: Bearer TOKEN";
        if !is_local {
            return ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", send_token);
        }
        let who = self.admitted.name(caller).map_or("an unknown user".to_owned(), |name| format!("user {name}"));
        let ways = "ask as root, or have the operator list you in http.allow_users or http.allow_groups";
        match self.token {
            Some(_) => ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", format!("{who} needs the token: {send_token}; or {ways}")),
            None => ApiError::new(StatusCode::FORBIDDEN, "not_admitted", format!("{who} may only see health here; {ways}")),
        }
    }
}

fn is_open(path: &str) -> bool {
    OPEN_ROUTES.contains(&path) || super::page::is_file(path)
}

/// The middleware.
pub(super) async fn guard(State(state): State<Arc<HttpState>>, mut request: Request, next: Next) -> Response {
    let clock = request.extensions().get::<Peer>().map(|peer| peer.clock.clone());
    if let Some(clock) = &clock {
        clock.tick();
    }
    let mut response = match state.parts.access.check(&request) {
        Ok(actor) => {
            if let Some(actor) = actor {
                request.extensions_mut().insert(actor);
            }
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    if let Some(clock) = &clock {
        clock.tick();
    }
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
