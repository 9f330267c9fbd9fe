//! Recognises the first line of a message by its first bytes: request line, status line, too few, or neither. Looks at no more than
//! `BUDGET` bytes and allocates nothing; whether the whole head is valid is `head`'s to say. RFC 9112, 3 and 4.
use crate::proto::detect::{BUDGET, Opening, Verdict};
use crate::proto::headers::is_token;

/// Longest method that is taken for one.
pub(super) const METHOD_BYTES: usize = 32;

/// Methods by which a request line is told from the middle of a body. None ends with another one, so a method that was cut in two is
/// not mistaken for the start of a message.
const KNOWN_METHODS: [&[u8]; 13] = [
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"REPORT",
];

/// What bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A request.
    Request,
    /// An answer.
    Response,
    /// One of both, perhaps.
    NeedMore,
    /// Neither.
    No,
}

/// Three-way detection of HTTP/1: a message's first line in either stream.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    opening.any(begins)
}

/// Whether bytes are those of a message.
fn begins(bytes: &[u8]) -> Verdict {
    match classify(&bytes[blank(bytes)..]) {
        Line::Request | Line::Response => Verdict::Yes,
        Line::NeedMore => Verdict::NeedMore,
        Line::No => Verdict::No,
    }
}

/// Bytes of empty lines before a message (RFC 9112, 2.2).
pub(super) fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// What `bytes` begin.
pub(super) fn classify(bytes: &[u8]) -> Line {
    match status_line(bytes) {
        Verdict::Yes => Line::Response,
        Verdict::NeedMore => Line::NeedMore,
        Verdict::No => match request_line(bytes) {
            Verdict::Yes => Line::Request,
            Verdict::NeedMore => Line::NeedMore,
            Verdict::No => Line::No,
        },
    }
}

/// Whether `bytes`, of which nothing before is understood, are certainly enough the start of a message.
pub(super) fn is_start(bytes: &[u8]) -> Option<Line> {
    if status_line(bytes) == Verdict::Yes {
        return Some(Line::Response);
    }
    let method = bytes.iter().take(METHOD_BYTES).position(|byte| *byte == b' ')?;
    let known = KNOWN_METHODS.contains(&&bytes[..method]) && bytes.len() > method + 1;
    (known && request_line(bytes) != Verdict::No).then_some(Line::Request)
}

/// Whether a connection of which nothing was understood yet speaks TLS or HTTP/2, by the first bytes of a segment.
pub(super) fn is_foreign(bytes: &[u8]) -> bool {
    let tls = matches!(bytes, [0x14..=0x17, 3, 0..=4, high, _, ..] if *high <= 0x48);
    tls || bytes.starts_with(b"PRI * HTTP/2.0\r\n")
}

/// `HTTP/1.x NNN`.
fn status_line(bytes: &[u8]) -> Verdict {
    let cut = bytes.len() > BUDGET;
    let (verdict, rest) = version(&bytes[..bytes.len().min(BUDGET)]);
    if verdict != Verdict::Yes {
        return verdict;
    }
    let Some(status) = delimiter(rest) else { return Verdict::No };
    let digits = status.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, status.get(digits)) {
        (3, Some(b' ' | b'\r' | b'\n')) => Verdict::Yes,
        (0..=3, None) if !cut => Verdict::NeedMore,
        _ => Verdict::No,
    }
}

/// `HTTP/1.0` or `HTTP/1.1`, and what follows it.
fn version(bytes: &[u8]) -> (Verdict, &[u8]) {
    const VERSION: &[u8] = b"HTTP/1.";
    match bytes.strip_prefix(VERSION) {
        Some([b'0' | b'1', rest @ ..]) => (Verdict::Yes, rest),
        Some([]) => (Verdict::NeedMore, &[]),
        None if VERSION.starts_with(bytes) => (Verdict::NeedMore, &[]),
        _ => (Verdict::No, &[]),
    }
}

/// `token SP target SP HTTP/1.x`; a line longer than the budget is one if nothing speaks against it so far.
fn request_line(bytes: &[u8]) -> Verdict {
    let cut = bytes.len() >= BUDGET;
    let bytes = &bytes[..bytes.len().min(BUDGET)];
    let open = if cut { Verdict::Yes } else { Verdict::NeedMore };
    let method = bytes.iter().take_while(|byte| is_token(**byte)).count();
    if method > METHOD_BYTES || (method == 0 && !bytes.is_empty()) {
        return Verdict::No;
    }
    let Some(rest) = delimiter(&bytes[method..]) else { return Verdict::No };
    let target = rest.iter().take_while(|byte| **byte > b' ' && **byte != 0x7f).count();
    if target == 0 && !rest.is_empty() {
        return Verdict::No;
    }
    // Other protocols have lines of words too.
    let open = if cut && !is_target(&bytes[..method], &rest[..target]) { Verdict::No } else { open };
    match delimiter(&rest[target..]) {
        None => Verdict::No,
        Some([]) => open,
        Some(rest) => match version(rest).0 {
            Verdict::NeedMore => open,
            other => other,
        },
    }
}

/// Whether a line without an end may be a request by its target: a path, `*`, or a URI; of a known method anything.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let is_uri = || {
        let scheme = target.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')).count();
        scheme > 0 && target[scheme..].starts_with(b"://")
    };
    matches!(target.first(), None | Some(b'/' | b'*')) || KNOWN_METHODS.contains(&method) || is_uri()
}

/// What follows one or more spaces; `None` when something else stands there.
fn delimiter(bytes: &[u8]) -> Option<&[u8]> {
    let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
    (spaces > 0 || bytes.is_empty()).then(|| &bytes[spaces..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_told_apart() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(200));
        let yes: [&[u8]; 9] = [
            b"GET / HTTP/1.1\r\n",
            b"\r\n\nPURGE /x HTTP/1.0\n",
            b"OPTIONS * HTTP/1.1",
            b"GET http://h/p?q HTTP/1.1",
            b"CONNECT h:443 HTTP/1.1",
            b"M-SEARCH *  HTTP/1.1",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 404\r\n",
            long.as_bytes(),
        ];
        for bytes in yes {
            assert_eq!(begins(bytes), Verdict::Yes, "{}", bytes.escape_ascii());
            let whole = bytes.len().min(BUDGET);
            for cut in 0..whole {
                assert_ne!(begins(&bytes[..cut]), Verdict::No, "{} of {}", cut, bytes.escape_ascii());
            }
        }
        // Of an unknown method only with a path or a URI, until the version has come.
        let begun = |text: &str| begins([text, &"k".repeat(BUDGET)].concat().as_bytes());
        for text in ["PURGE /", "SEARCH http://h/", "GET ", "FOO *"] {
            assert_eq!(begun(text), Verdict::Yes, "{text}");
        }
        for text in ["set ", "set user:1:", "get http:", "mg ://"] {
            assert_eq!(begun(text), Verdict::No, "{text}");
        }
        assert_eq!(begins(b"FOO bar HTTP/1.1"), Verdict::Yes);
        let no: [&[u8]; 11] = [
            b"PRI * HTTP/2.0\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"GET /\r\n",
            b"the quick brown fox",
            b"HTTP/1.1200 OK",
            b"HTTP/1.1 2000",
            b"HTTP/2 200",
            b" GET / HTTP/1.1",
            b"{\"a\":1}",
        ];
        for bytes in no {
            assert_eq!(begins(bytes), Verdict::No, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_start_of_a_message_is_found_with_confidence_only() {
        assert_eq!(is_start(b"GET /a"), Some(Line::Request));
        assert_eq!(is_start(b"HTTP/1.1 204 No Content\r\n"), Some(Line::Response));
        for bytes in [&b"GET "[..], b"ET / HTTP/1.1\r\n", b"HTTP/1.1 2", b"GET of the day", b""] {
            assert_eq!(is_start(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn tls_and_http2_are_foreign() {
        assert!(is_foreign(b"\x16\x03\x01\x02\x00\x01\x00"));
        assert!(is_foreign(b"\x17\x03\x03\x40\x11"));
        assert!(is_foreign(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert!(!is_foreign(b"\x16\x03\x01\xff\x00"));
        assert!(!is_foreign(b"GET / HTTP/1.1"));
    }
}
