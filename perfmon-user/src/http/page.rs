//! The dashboard's built files, embedded. Built from `dashboard/` by `cargo xtask build-dashboard`. No inline script or style and nothing
//! from another host, so the strictest Content-Security-Policy applies.
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

/// What the page may do: its own script, style and picture, and questions to this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("../../../dashboard/dist/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("../../../dashboard/dist/app.js")),
    ("/app.css", "text/css; charset=utf-8", include_str!("../../../dashboard/dist/app.css")),
    ("/icon.svg", "image/svg+xml", include_str!("../../../dashboard/dist/icon.svg")),
];

/// Whether `path` is one of the page's files: they carry no data.
pub(super) fn is_file(path: &str) -> bool {
    FILES.iter().any(|(name, ..)| *name == path)
}

/// A route for each file.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, content)| {
        let headers = [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
        router.route(path, get(async move || (headers, content).into_response()))
    })
}
