//! Request targets (RFC 9112, 3.2) and texts of heads → what an exchange keeps of them: no query, bounded length.

use std::borrow::Cow;
use std::sync::Arc;

use crate::proto::Sink;
use crate::redact;

/// Bytes of a path that are kept.
const PATH_BYTES: usize = 2_048;
/// Bytes of a field value that are kept.
const VALUE_BYTES: usize = 512;

/// Path without query of a target, and the authority of one in absolute form.
pub(super) fn split(target: &str) -> (&str, Option<&str>) {
    let without_query = &target[..target.bytes().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len())];
    if without_query.starts_with('/') {
        return (without_query, None);
    }
    let Some((_, rest)) = without_query.split_once("://") else { return (without_query, None) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    (if path.is_empty() { "/" } else { path }, Some(host))
}

/// The part of a path that is kept.
pub(super) fn path(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH_BYTES)]
}

/// The part of a field value that is kept.
pub(super) fn value(value: &[u8]) -> Cow<'_, str> {
    let value = &value[..value.len().min(VALUE_BYTES)];
    match String::from_utf8_lossy(value) {
        Cow::Owned(mut text) => {
            text.truncate(text.floor_char_boundary(VALUE_BYTES));
            Cow::Owned(text)
        }
        borrowed @ Cow::Borrowed(_) => borrowed,
    }
}

/// Texts of a connection's last request: most requests of a connection have the same.
#[derive(Debug, Default)]
pub(super) struct LastTexts {
    method: Option<Arc<str>>,
    host: Option<Arc<str>>,
    user_agent: Option<Arc<str>>,
}

impl LastTexts {
    /// The method's shared copy.
    pub(super) fn method(&mut self, method: &str, sink: &mut dyn Sink) -> Arc<str> {
        Self::same(&mut self.method, method.as_bytes(), sink)
    }

    /// The host's.
    pub(super) fn host(&mut self, host: &[u8], sink: &mut dyn Sink) -> Arc<str> {
        Self::same(&mut self.host, host, sink)
    }

    /// The user agent's, without keys and passwords.
    pub(super) fn user_agent(&mut self, user_agent: &[u8], sink: &mut dyn Sink) -> Arc<str> {
        match &self.user_agent {
            Some(known) if known.as_bytes() == user_agent => known.clone(),
            _ => self.user_agent.insert(sink.text(&redact::text(&value(user_agent)))).clone(),
        }
    }

    fn same(last: &mut Option<Arc<str>>, bytes: &[u8], sink: &mut dyn Sink) -> Arc<str> {
        match last {
            Some(known) if known.as_bytes() == bytes => known.clone(),
            _ => last.insert(sink.text(&value(bytes))).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_every_form() {
        let cases = [
            ("/", "/", None),
            ("/a/b?c=/d#e", "/a/b", None),
            ("*", "*", None),
            ("http://h.example:8080/a?b", "/a", Some("h.example:8080")),
            ("https://user:secret@h.example?b", "/", Some("h.example")),
            ("h.example:443", "h.example:443", None),
            ("/x?next=http://h/y", "/x", None),
        ];
        for (target, path, authority) in cases {
            assert_eq!(split(target), (path, authority), "{target}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_whole_characters() {
        assert_eq!(path(&"é".repeat(2_000)).len(), 2_048);
        assert_eq!(path(&format!("/{}", "é".repeat(2_000))).len(), 2_047);
        assert!(value(&[0xff; 600]).len() <= 512);
    }
}
