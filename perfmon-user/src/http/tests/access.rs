//! Who may see and do what: user × route × method.
use axum::http::Method;

use super::*;

const REMOTE: Caller = Caller::Remote(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)));
const CALLERS: [Caller; 5] = [Caller::User(0), Caller::User(1001), Caller::User(1002), Caller::Unknown, REMOTE];
/// A route, and the status for each caller; 404: let in, there is no such alert.
type Row = (Method, &'static str, [u16; 5]);

async fn status(server: &Server, caller: Caller, method: &Method, path: &str, header: (&str, &str)) -> u16 {
    let request = HttpRequest::builder().method(method.clone()).uri(path).header("host", "localhost").header(header.0, header.1);
    ask_as(server, caller, request.body(Body::from("")).unwrap()).await.status().as_u16()
}

fn everything_else(let_in: u16) -> [u16; 5] {
    [let_in, let_in, 403, 403, 401]
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = vec![
        (Method::GET, "/healthz", [200; 5]),
        (Method::GET, "/readyz", [200; 5]),
        (Method::GET, "/", [200; 5]),
        (Method::GET, "/health/performance", [200, 200, 200, 200, 401]),
        (Method::POST, "/health/performance", everything_else(405)),
        (Method::GET, "/api/v1/nothing", everything_else(404)),
        (Method::GET, "/api/v1/history?metric=error_rate", everything_else(503)),
        (Method::GET, "/api/v1/audit", everything_else(503)),
        (Method::POST, "/api/v1/alerts/x/ack", everything_else(404)),
        (Method::POST, "/api/v1/alerts/x/resolve", everything_else(404)),
        (Method::POST, "/api/v1/alerts/test", everything_else(200)),
        (Method::POST, "/api/v1/silences", everything_else(400)),
        (Method::DELETE, "/api/v1/silences/x", everything_else(404)),
    ];
    let lists = [
        "/metrics",
        "/api/v1/summary",
        "/api/v1/endpoints",
        "/api/v1/destinations",
        "/api/v1/databases",
        "/api/v1/dns",
        "/api/v1/llm",
        "/api/v1/agents",
        "/api/v1/tools",
        "/api/v1/workflows",
        "/api/v1/records",
        "/api/v1/system",
        "/api/v1/processes",
        "/api/v1/findings",
        "/api/v1/alerts",
        "/api/v1/silences",
        "/api/v1/self",
        "/api/v1/stream",
    ];
    rows.extend(lists.into_iter().flat_map(|path| [Method::GET, Method::HEAD].map(|method| (method, path, everything_else(200)))));
    rows
}

#[tokio::test]
async fn every_caller_gets_what_it_may() {
    let server = server();
    for (method, path, wanted) in rows() {
        for (caller, wanted) in CALLERS.into_iter().zip(wanted) {
            assert_eq!(status(&server, caller, &method, path, ("accept", "*/*")).await, wanted, "{caller:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn open_loopback_is_for_reading() {
    let mut state = Arc::into_inner(server().state).unwrap();
    state.parts.access = Access::new(true, &[], None).admitting(admitted(), true);
    let server = Server { state: Arc::new(state), ..server() };
    for (method, path, wanted) in rows() {
        for (caller, wanted) in CALLERS.into_iter().zip(wanted) {
            let reads = matches!(method, Method::GET | Method::HEAD);
            let of_root = rows().into_iter().find(|row| (&row.0, row.1) == (&method, path)).unwrap().2[0];
            let wanted = if reads && caller != REMOTE { of_root } else { wanted };
            assert_eq!(status(&server, caller, &method, path, ("accept", "*/*")).await, wanted, "{caller:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn the_token_lets_everybody_in_and_without_it_users_still_count() {
    let server = server_with(snapshot(), "127.0.0.1:9911", Some(TOKEN), true);
    let bearer = format!("Bearer {TOKEN}");
    for caller in CALLERS {
        assert_eq!(status(&server, caller, &Method::GET, "/api/v1/records", ("authorization", &bearer)).await, 200, "{caller:?}");
        let without = if server.state.parts.access.admits(caller) { 200 } else { 401 };
        assert_eq!(status(&server, caller, &Method::GET, "/api/v1/records", ("accept", "*/*")).await, without, "{caller:?}");
    }
}

#[tokio::test]
async fn what_a_proxy_passes_on_is_not_of_the_proxys_user() {
    let server = server();
    for name in ["x-forwarded-for", "Forwarded", "via", "X-Real-IP"] {
        assert_eq!(status(&server, Caller::User(0), &Method::GET, "/api/v1/records", (name, "10.0.0.9")).await, 403, "{name}");
    }
}

#[tokio::test]
async fn the_refusal_says_who_was_refused_and_how_to_be_let_in() {
    let request = HttpRequest::get("/api/v1/records").header("host", "localhost").body(Body::empty()).unwrap();
    let body = text(ask_as(&server(), Caller::User(1002), request).await).await;
    assert!(body.contains("user bob") && body.contains("http.allow_users") && body.contains("not_admitted"), "{body}");
}

#[tokio::test]
async fn a_reserved_place_serves_health_and_metrics() {
    let server = server();
    for (path, wanted) in [("/healthz", 200), ("/readyz", 200), ("/health/performance", 200), ("/metrics", 200), ("/api/v1/records", 503)] {
        let mut request = HttpRequest::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        request.extensions_mut().insert(caller::Peer { reserved: true, ..peer(Caller::User(0)) });
        assert_eq!(router(server.state.clone()).oneshot(request).await.unwrap().status(), wanted, "{path}");
    }
}
