//! Decides by form whether a text is a value (an id, a date, an address, a token) or a literal segment. A literal taken for a value loses
//! its name for good; a value taken for a literal is still found by learning (`learn`). In doubt the answer is literal.

/// Longer texts are values.
const WORD_BYTES: usize = 64;

/// Whether the whole (percent-decoded) text is a value.
pub fn is_value(text: &str) -> bool {
    if text.len() > WORD_BYTES {
        return true;
    }
    if is_version(text) {
        return false;
    }
    let bare = unwrapped(text);
    is_numeric(bare) || is_uuid(bare) || is_hex(bare) || is_hex_groups(bare) || is_email(bare) || is_token(bare) || bare.contains('/')
}

/// Whether a piece of a segment, between separators, is a value on its own: stricter than [`is_value`], since `page-2` is a page.
pub fn is_value_piece(piece: &str) -> bool {
    let bytes = piece.as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) {
        return bytes.len() >= 4;
    }
    is_hex(piece) || is_token(piece)
}

/// Bytes at the beginning of `text` that are a UUID or a date, with a time or without.
pub fn composite_prefix(text: &str) -> Option<usize> {
    let ends = |at: usize| text.as_bytes().get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    if text.get(..36).is_some_and(is_uuid) && ends(36) {
        return Some(36);
    }
    text.get(..10).filter(|head| is_date(head))?;
    let time = text[10..].strip_prefix('T').map_or("", |time| {
        let end = time.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '-' | '.' | 'Z')).unwrap_or(time.len());
        time[..end].trim_end_matches([':', '-', '.'])
    });
    let length = if time.is_empty() { 10 } else { 11 + time.len() };
    ends(length).then_some(length)
}

/// Letters followed by a long number, `INV00012345`: the length of the letters.
pub fn numbered(piece: &str) -> Option<usize> {
    let letters = piece.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = &piece.as_bytes()[letters..];
    (letters > 0 && digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit)).then_some(letters)
}

/// `v1`, `v2.1`, `v1beta1`, `1.0`, `3.6.0`: stays.
pub fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['v', 'V']) else {
        let mut groups = text.split('.');
        return (2..=3).contains(&groups.clone().count()) && groups.all(is_short_number);
    };
    let mut words = rest.split(|c: char| c.is_ascii_digit() || c == '.');
    rest.starts_with(|c: char| c.is_ascii_digit())
        && words.all(|word| matches!(word, "" | "p" | "rc" | "alpha" | "beta" | "dev" | "pre" | "preview"))
        && rest.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() <= 3)
}

fn is_short_number(group: &str) -> bool {
    (1..=3).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without the brackets that ids are written in: `{…}`, `[…]`, `(…)`, `'…'`, and `urn:uuid:`.
fn unwrapped(text: &str) -> &str {
    let inner = text.trim_matches(['{', '}', '[', ']', '(', ')', '\'', '"']);
    inner.strip_prefix("urn:uuid:").unwrap_or(inner)
}

/// Numbers, lists of numbers, dates and times, IPv4 addresses, coordinates: digits and their separators.
fn is_numeric(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(|byte| matches!(byte, b'T' | b'Z' | b'W')).count();
    let begins = text.strip_prefix(['-', '+']).unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    let allowed =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.' | b':' | b',' | b'+' | b'~' | b' ' | b'T' | b'Z' | b'W');
    begins && text.bytes().all(allowed) && (letters == 0 || digits >= 4)
}

/// `2024-01-31`, also with `_` or `.` between.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => matches!(byte, b'-' | b'_' | b'.'),
            _ => byte.is_ascii_digit(),
        })
}

fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Hashes and hexadecimal ids: at least seven digits, numbers and letters mixed (not `ed25519`), or sixteen of any kind, or `0x…`.
fn is_hex(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let numbers = text.bytes().filter(u8::is_ascii_digit).count();
    let mixed = || text.len() >= 7 && numbers >= 2 && CharacterRuns::of(text).runs >= 3;
    text.bytes().all(|byte| byte.is_ascii_hexdigit()) && (text.len() >= 16 || mixed())
}

/// MAC and IPv6 addresses and the like: groups of hexadecimal digits.
fn is_hex_groups(text: &str) -> bool {
    let colons = text.bytes().filter(|&byte| byte == b':').count();
    let ipv6 = colons >= 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let pair = |group: &str| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    ipv6 || (text.len() >= 17 && text.split('-').all(pair))
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.') && !domain.contains('@'))
}

/// Random tokens: base64url, base62, base32, ULIDs and so on. They change the kind of character more often than words.
fn is_token(text: &str) -> bool {
    if text.len() < 8 {
        return false;
    }
    let mut separated = false;
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'=' | b'+' => separated = true,
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
    }
    if !separated {
        return CharacterRuns::of(text).is_random();
    }
    let pieces = || text.split(['-', '_', '=', '+']).filter(|piece| !piece.is_empty());
    let random: usize = pieces().filter(|piece| CharacterRuns::of(piece).is_irregular()).map(str::len).sum();
    text.len() >= 16 && random * 3 >= pieces().map(str::len).sum::<usize>() * 2
}

/// Runs of the same kind of character in ASCII letters and digits; a capitalised word is one run.
struct CharacterRuns {
    length: usize,
    digits: usize,
    letters: usize,
    runs: usize,
    mixed_case: bool,
}

impl CharacterRuns {
    fn of(text: &str) -> Self {
        let (mut digits, mut upper, mut lower, mut runs) = (0, 0, 0, 0);
        let mut previous = b' ';
        for byte in text.bytes() {
            let kind = match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    b'0'
                }
                b'A'..=b'Z' => {
                    upper += 1;
                    b'A'
                }
                _ => {
                    lower += 1;
                    b'a'
                }
            };
            runs += usize::from(kind != previous && !(kind == b'a' && previous == b'A'));
            previous = kind;
        }
        Self { length: text.len(), digits, letters: upper + lower, runs, mixed_case: upper > 0 && lower > 0 }
    }

    /// True when the whole text is a token: a short one must change often, a long one less.
    fn is_random(&self) -> bool {
        let changes = |characters: usize, times: usize| self.runs * characters >= self.length * times;
        match (self.digits > 0 && self.letters > 0, self.length) {
            (true, 32..) => self.digits >= 2,
            (true, 20..) => changes(3, 1) || (self.digits >= 3 && changes(4, 1)),
            (true, 10..) => changes(5, 2),
            (true, 8..) => self.digits >= 2 && changes(2, 1),
            (false, 40..) => true,
            (false, 16..) => self.mixed_case && changes(5, 2),
            _ => false,
        }
    }

    /// True when the text can be a piece of a token whose alphabet contains separators.
    fn is_irregular(&self) -> bool {
        self.length >= 3 && ((self.digits > 0 && self.letters > 0) || (self.runs >= 3 && self.runs * 5 >= self.length * 2))
    }
}

#[cfg(test)]
mod tests;
