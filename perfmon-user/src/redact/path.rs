//! Paths of request targets as records keep them: `;parameters` cut, tokens and passwords replaced. Most paths have none and are returned
//! as they are after one look at each byte.
use std::borrow::Cow;

use super::TOKEN;
use super::token::{self, is_token_byte};

/// What stands before a `:` that an address, not a password, follows.
const NAMES_FOLLOW: [&str; 5] = ["acct", "mailto", "sip", "sips", "xmpp"];

/// The path without parameters, tokens and passwords. A target that is no path (`*`, an authority) loses its password.
pub fn path(path: &str) -> Cow<'_, str> {
    if !path.starts_with('/') {
        let rest = super::host(path);
        return if rest.starts_with('/') { self::path(rest) } else { super::text(rest) };
    }
    if !is_suspicious(path) {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for segment in path[1..].split('/') {
        out.push('/');
        push_segment(segment.split(';').next().unwrap_or_default(), &mut out);
    }
    Cow::Owned(out)
}

/// A segment with its tokens and password replaced; `None` when it has none.
pub fn segment(segment: &str) -> Option<String> {
    is_suspicious(segment)
        .then(|| {
            let mut out = String::with_capacity(segment.len());
            push_segment(segment, &mut out);
            out
        })
        .filter(|clean| clean != segment)
}

/// Whether a path may have to change.
fn is_suspicious(path: &str) -> bool {
    let mut start = 0;
    for (at, byte) in path.bytes().enumerate() {
        if is_token_byte(byte) {
            continue;
        }
        if matches!(byte, b';' | b'@' | b'%') || (at > start && token::is_token(&path[start..at])) {
            return true;
        }
        start = at + 1;
    }
    path.get(start..).is_some_and(token::is_token)
}

fn push_segment(segment: &str, out: &mut String) {
    if segment.contains('%') {
        // Escapes hide separators, so what a token is in is replaced as a whole.
        let decoded = decode(segment.as_bytes());
        let decoded = decoded.split(';').next().unwrap_or_default();
        let is_secret = token::has_token(decoded) || decoded.split('/').any(|part| password_end(part).is_some());
        return out.push_str(if is_secret { TOKEN } else { cut_escaped_parameters(segment) });
    }
    let clear = match password_end(segment) {
        Some(at) => {
            out.push_str(TOKEN);
            &segment[at..]
        }
        None => segment,
    };
    token::replace(clear, out);
}

/// Where the `@` stands that ends `user:password`.
fn password_end(segment: &str) -> Option<usize> {
    let at = segment.rfind('@')?;
    let (user, password) = segment[..at].split_once(':')?;
    (!password.is_empty() && !NAMES_FOLLOW.contains(&user)).then_some(at)
}

fn cut_escaped_parameters(segment: &str) -> &str {
    let end = segment.as_bytes().windows(3).position(|escape| escape.eq_ignore_ascii_case(b"%3b"));
    end.map_or(segment, |end| &segment[..end])
}

/// Percent-decoded, what is not UTF-8 replaced.
fn decode(segment: &[u8]) -> String {
    let digit = |at: usize| segment.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::with_capacity(segment.len()), 0);
    while let Some(&byte) = segment.get(at) {
        let escaped = (byte == b'%').then(|| Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)).flatten();
        bytes.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
