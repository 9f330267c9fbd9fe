//! The fields of a head as the lines that they are on the wire, split only when somebody asks: of most heads nobody does. In: lines; out:
//! names and trimmed values in order. A line that is no field (RFC 9110, 5) is passed over. HTTP/2 writes its decoded fields as such lines.
use memchr::{memchr, memchr_iter};

/// Fields in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'h>(&'h [u8]);

/// A field: its value is trimmed and not necessarily UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'h> {
    /// Name as it was sent.
    pub name: &'h str,
    /// Value.
    pub value: &'h [u8],
}

impl<'h> Headers<'h> {
    /// Of lines, each with its end; an empty line is none.
    pub const fn new(lines: &'h [u8]) -> Self {
        Self(lines)
    }

    /// The lines.
    pub const fn lines(self) -> &'h [u8] {
        self.0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Header<'h>> {
        let mut from = 0;
        memchr_iter(b'\n', self.0).filter_map(move |end| {
            let line = &self.0[from..end];
            from = end + 1;
            Header::of(line)
        })
    }

    /// The value of the first field of that name.
    pub fn get(self, name: &str) -> Option<&'h [u8]> {
        self.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The same, if it is UTF-8.
    pub fn text(self, name: &str) -> Option<&'h str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl<'h> Header<'h> {
    /// Of a line without its LF.
    fn of(line: &'h [u8]) -> Option<Self> {
        let (name, value) = line.split_at(memchr(b':', line)?);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return None;
        }
        Some(Self { name: std::str::from_utf8(name).ok()?, value: value_of(&value[1..])? })
    }
}

/// The value of a field, of what follows the colon up to the LF. `None` when the grammar forbids a byte of it (RFC 9110, 5.5).
pub fn value_of(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let rest = &rest[rest.iter().take_while(|byte| is_blank(**byte)).count()..];
    let value = &rest[..rest.len() - rest.iter().rev().take_while(|byte| is_blank(**byte)).count()];
    is_text(value).then_some(value)
}

/// Whether the bytes may stand in a value or in a reason phrase.
pub fn is_text(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let sound = |&byte: &u8| (byte >= b' ' || byte == b'\t') && byte != 0x7f;
    words.iter().all(|word| !has_control(*word) || word.iter().all(sound)) && rest.iter().all(sound)
}

/// Whether one of eight bytes is a control character: below a blank, or 0x7f.
fn has_control(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_ne_bytes(word);
    let delete = word ^ (ONES * 0x7f);
    // A borrow into a byte's high bit that was clear before: the byte was less than what was taken off.
    ((word.wrapping_sub(ONES * 0x20) & !word) | (delete.wrapping_sub(ONES) & !delete)) & (ONES * 0x80) != 0
}

/// Whether a byte may stand in a name or method (RFC 9110, 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_when_asked_for() {
        let headers =
            Headers::new(b"Host: a\r\nX-Empty:\r\nbad name: 1\r\nno colon\r\n:none\r\nctl: a\x01b\r\nX-Tab:\t b c \t\nhost: second\r\n");
        let all: Vec<_> = headers.iter().map(|header| (header.name, header.value)).collect();
        let expected: [(&str, &[u8]); 4] = [("Host", b"a"), ("X-Empty", b""), ("X-Tab", b"b c"), ("host", b"second")];
        assert_eq!(all, expected);
        assert_eq!((headers.text("HOST"), headers.get("ctl")), (Some("a"), None));
        assert_eq!(Headers::new(b"x: \xff\r\n").text("x"), None);
        assert_eq!(Headers::default().iter().count(), 0);
    }
}
