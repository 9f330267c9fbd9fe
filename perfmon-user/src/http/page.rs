//! The dashboard's built files, embedded, plain and packed. Built from `dashboard/` by `cargo xtask build-dashboard`. No inline script or
//! style and nothing from another host, so the strictest Content-Security-Policy applies.
use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;

use super::encoding;

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

/// A file, packed once as small as gzip can, and its validator.
struct Packed {
    bytes: Bytes,
    tag: Option<HeaderValue>,
}

static PACKED: LazyLock<[Packed; FILES.len()]> = LazyLock::new(|| {
    FILES.map(|(_, _, content)| Packed {
        bytes: encoding::pack(content.as_bytes(), Compression::best()).into(),
        tag: encoding::validator(content.as_bytes()),
    })
});

/// Whether `path` is one of the page's files: they carry no data.
pub(super) fn is_file(path: &str) -> bool {
    FILES.iter().any(|(name, ..)| *name == path)
}

/// A route for each file.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    (0..FILES.len())
        .fold(Router::new(), |router, index| router.route(FILES[index].0, get(async move |headers: HeaderMap| answer(index, &headers))))
}

fn answer(index: usize, headers: &HeaderMap) -> Response {
    let ((_, media_type, content), packed) = (FILES[index], &PACKED[index]);
    let fixed = [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    let mut response = if encoding::accepts_gzip(headers) {
        (fixed, [(CONTENT_ENCODING, "gzip")], packed.bytes.clone()).into_response()
    } else {
        (fixed, content).into_response()
    };
    if let Some(tag) = &packed.tag {
        response.headers_mut().insert(ETAG, tag.clone());
    }
    response
}
