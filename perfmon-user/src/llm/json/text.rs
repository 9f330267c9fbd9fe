//! Undoes the escapes of a raw JSON string (RFC 8259, section 7) that may have been cut short.
use std::borrow::Cow;

/// The text of `raw`; what cannot be read becomes U+FFFD, an escape that was cut off at the end is left out.
pub fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (decoded, used) = escape(&rest[at..]);
        let mut utf8 = [0; 4];
        text.extend_from_slice(decoded.map_or(&[], |c| c.encode_utf8(&mut utf8).as_bytes()));
        rest = &rest[at + used..];
    }
    text.extend_from_slice(rest);
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// The character of the escape at the beginning of `raw` and its length.
fn escape(raw: &[u8]) -> (Option<char>, usize) {
    let simple = match raw.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode(raw),
        Some(&other) => char::from(other),
        None => return (None, raw.len()),
    };
    (Some(simple), 2)
}

/// `\uXXXX`, or a surrogate pair of them.
fn unicode(raw: &[u8]) -> (Option<char>, usize) {
    let Some(first) = raw.get(2..6) else { return (None, raw.len()) };
    let Some(high) = hex(first) else { return (Some(char::REPLACEMENT_CHARACTER), 2) };
    if !(0xd800..0xdc00).contains(&high) {
        return (Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)), 6);
    }
    let low = raw.get(6..12).and_then(|next| next.strip_prefix(b"\\u")).and_then(hex);
    match low {
        Some(low @ 0xdc00..0xe000) => (char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12),
        _ => (Some(char::REPLACEMENT_CHARACTER), 6),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}
