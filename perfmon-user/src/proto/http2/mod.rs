//! HTTP/2 (RFC 9113): only its connection preface (section 3.4) is recognised, so that such a connection is said to be unread instead of
//! being silent. Frames are not read.
use super::detect::{Opening, Verdict};

/// What a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Three-way detection: a client's preface, in whichever direction requests go.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    opening.any(|bytes| match () {
        () if bytes.starts_with(PREFACE) => Verdict::Yes,
        () if PREFACE.starts_with(bytes) => Verdict::NeedMore,
        () => Verdict::No,
    })
}
