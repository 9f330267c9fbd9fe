//! The template of a path by form alone: `/users/42/orders/2024-01-31.json` → `/users/{id}/orders/{id}.json`. Every kind of value becomes
//! `{id}`, so that a user by number and one by UUID are one endpoint, and learned parameters look the same.
//!
//! - Query, fragment, the host of an absolute URL and `;params` of a segment are dropped; `//` is `/`; an empty path is `/`.
//! - A trailing slash stays: frameworks answer `/users` and `/users/` differently.
//! - A segment that holds a token is as in records that keep none: `{token}`.
//! - A segment that is a value is `{id}`; one with a file extension keeps the extension. Otherwise each piece between `-`, `_`, `.` and the
//!   like is judged by itself: `main.8f3a2b1c.js` → `main.{id}.js`, `order-12345` → `order-{id}`.
//! - Values are judged percent-decoded; a literal segment keeps its encoding, normalised (RFC 3986, 6.2.2).
//! - `*` stays; the authority of a CONNECT is `{authority}`; the rest after 16 segments is `{rest}`.
use std::borrow::Cow;

use super::segment;
use crate::limits;
use crate::redact;

/// The parameter of a template.
pub const PARAMETER: &str = "{id}";
/// Template of an authority (`example.com:443`).
pub const AUTHORITY: &str = "{authority}";

/// Replaces the content of `out` by the template of `path`.
pub fn template(path: &str, out: &mut String) {
    out.clear();
    let Some(path) = origin_form(path) else {
        out.push_str(if path == "*" { "*" } else { AUTHORITY });
        return;
    };
    let (mut count, mut ends_with_slash) = (0, true);
    for segment in path.split('/').map(without_parameters) {
        ends_with_slash = segment.is_empty();
        if ends_with_slash {
            continue;
        }
        let start = out.len();
        out.push('/');
        push_segment(segment, out);
        if out.len() == start + 1 {
            // It was escaped parameters alone.
            out.truncate(start);
            ends_with_slash = true;
            continue;
        }
        if count == limits::ENDPOINT_SEGMENTS {
            out.truncate(start + 1);
            out.push_str("{rest}");
            return;
        }
        count += 1;
    }
    if count == 0 || ends_with_slash {
        out.push('/');
    }
}

/// The segments of a path in origin form, without parameters and without empty ones.
pub fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').map(without_parameters).filter(|segment| !segment.is_empty())
}

fn without_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// The path of a request target, starting with `/`; `None` for `*` and for an authority.
pub fn origin_form(target: &str) -> Option<&str> {
    let path = match target.find(['?', '#']) {
        Some(at) => &target[..at],
        None => target,
    };
    if path.is_empty() {
        return Some("/");
    }
    if path.starts_with('/') {
        return Some(path);
    }
    let (_, after_scheme) = path.split_once("://")?;
    Some(after_scheme.find('/').map_or("/", |at| &after_scheme[at..]))
}

/// Most times that a segment is judged.
const ROUNDS: usize = 8;

fn push_segment(segment: &str, out: &mut String) {
    let plain = segment.len() < 16 && segment.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'));
    if plain {
        return out.push_str(segment);
    }
    let start = out.len();
    push_judged(segment, out);
    if &out[start..] == segment {
        return;
    }
    // Beside a value that was taken out the rest may be a value or a token: it is judged until nothing changes.
    for _round in 1..ROUNDS {
        if &out[start..] == PARAMETER {
            return;
        }
        let before = out.split_off(start);
        push_judged(&before, out);
        if out[start..] == before {
            return;
        }
    }
}

fn push_judged(segment: &str, out: &mut String) {
    // A record's path went through it before: the rest of such a segment is judged like any other.
    let clean = redact::segment(segment);
    let segment = &*normalised(clean.as_deref().unwrap_or(segment));
    let decoded = decode(segment);
    if segment::is_value(&decoded) {
        out.push_str(PARAMETER);
    } else if let Some((stem, extension)) = file_name(&decoded)
        && segment::is_value(stem)
    {
        out.push_str(PARAMETER);
        out.push('.');
        out.push_str(extension);
    } else if !segment.contains('%') && (segment.len() >= 16 || segment.bytes().any(|byte| byte.is_ascii_digit())) {
        push_pieces(segment, out);
    } else {
        out.push_str(segment);
    }
}

/// Stem and extension of a file name.
pub fn file_name(segment: &str) -> Option<(&str, &str)> {
    let (stem, extension) = segment.rsplit_once('.')?;
    let known = (1..=5).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.starts_with(|c: char| c.is_ascii_alphabetic());
    (known && !stem.is_empty()).then_some((stem, extension))
}

/// Judges the pieces of a segment one by one; values that follow one another are one parameter.
fn push_pieces(segment: &str, out: &mut String) {
    let is_separator = |c: char| c.is_ascii_punctuation();
    let (mut rest, mut after_value) = (segment, false);
    while !rest.is_empty() {
        let separator = rest.len() - rest.trim_start_matches(is_separator).len();
        let (between, from_piece) = rest.split_at(separator);
        let length = segment::composite_prefix(from_piece).unwrap_or_else(|| from_piece.find(is_separator).unwrap_or(from_piece.len()));
        let (piece, next) = from_piece.split_at(length);
        let composite = segment::composite_prefix(piece).is_some();
        let is_value = !piece.is_empty() && (composite || segment::is_value_piece(piece));
        if !(is_value && after_value) {
            out.push_str(between);
        }
        match segment::numbered(piece) {
            _ if is_value && after_value => {}
            _ if is_value => out.push_str(PARAMETER),
            Some(letters) => {
                out.push_str(&piece[..letters]);
                out.push_str(PARAMETER);
            }
            None => out.push_str(piece),
        }
        (rest, after_value) = (next, is_value);
    }
}

/// Percent-decoded text, if that is UTF-8.
fn decode(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = if first == b'%' { escape(tail) } else { None };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}

/// The byte of the two hexadecimal digits that follow a `%`.
fn escape(after: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

/// Unreserved characters decoded, escapes in upper case.
fn normalised(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let (mut out, mut rest) = (String::with_capacity(segment.len()), segment);
    while let Some((before, tail)) = rest.split_once('%') {
        out.push_str(before);
        rest = match escape(tail.as_bytes()) {
            Some(byte) if (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')) && !is_within_escape(&out, byte) => {
                out.push(char::from(byte));
                &tail[2..]
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                &tail[2..]
            }
            None => {
                out.push('%');
                tail
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a digit would make an escape of a `%` that is none: `%%34A` is not `%4A`.
fn is_within_escape(out: &str, byte: u8) -> bool {
    let is_open = |out: &[u8]| matches!(out, [.., b'%'] | [.., b'%', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F']);
    byte.is_ascii_hexdigit() && is_open(out.as_bytes())
}

#[cfg(test)]
mod tests;
