//! Representations on the wire (RFC 9110, 8.4 and 8.8): answers that are complete in memory get a validator (`ETag`), 304 for a client that
//! has them already, and gzip for a client that accepts it. The live stream is packed by `event_writer.rs`, event by event.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter answers are sent as they are: the gain is less than a network packet.
const SMALLEST_BYTES: u64 = 512;

/// The middleware.
pub(super) async fn encode(request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET;
    let gzip = accepts_gzip(request.headers());
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    // A body without a known size is the stream.
    let Some(size) = response.body().size_hint().exact().filter(|_| reads && response.status() == StatusCode::OK) else { return response };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let (mut parts, body) = response.into_parts();
    // Cannot fail: the body is in memory.
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let tag = parts.headers.get(header::ETAG).cloned().or_else(|| validator(&bytes));
    if let Some(tag) = tag {
        if known.is_some_and(|known| names(&known, &tag)) {
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.remove(header::CONTENT_ENCODING);
            bytes = Bytes::new();
        }
        parts.headers.insert(header::ETAG, tag);
    }
    if gzip && size >= SMALLEST_BYTES && parts.status == StatusCode::OK && !parts.headers.contains_key(header::CONTENT_ENCODING) {
        bytes = pack(&bytes, Compression::fast()).into();
        parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Whether the client takes gzip: it is named, or `*`, without a quality of 0.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut accepted = false;
    for coding in codings {
        let (name, quality) = coding.split_once(';').map_or((coding, ""), |(name, rest)| (name, rest.trim()));
        let refused = quality.strip_prefix("q=").is_some_and(|value| value.trim().parse::<f32>().is_ok_and(|value| value == 0.0));
        match name.trim() {
            "gzip" => return !refused,
            "*" => accepted = !refused,
            _ => {}
        }
    }
    accepted
}

/// The same bytes, packed.
pub(super) fn pack(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), level);
    // Writing to memory does not fail.
    packer.write_all(bytes).ok();
    packer.finish().unwrap_or_default()
}

/// A weak validator: the same for all codings of a content.
pub(super) fn validator(content: &[u8]) -> Option<HeaderValue> {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    HeaderValue::from_str(&format!("W/\"{:016x}\"", hasher.finish())).ok()
}

/// Whether an `If-None-Match` names this validator (weak comparison, RFC 9110, 8.8.3.2).
fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let opaque = |text: &str| text.trim().trim_start_matches("W/").to_string();
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.trim() == "*" || known.split(',').any(|one| opaque(one) == opaque(tag))
}
