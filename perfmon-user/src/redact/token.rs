//! The rule of what is a token: at least 16 characters of letters, digits, `-`, `_`, `+`, of which most are neither words nor numbers nor
//! a known form of id. Words are told from random letters by the pairs of letters that languages use, and what repeats a few characters
//! (`aaaaaaaa`, `xoxoxo`) holds no secret. In doubt it is no token.

/// Fewest characters of a token.
const SHORTEST: usize = 16;
/// Fewest characters of one that are neither word nor number.
const UNEXPLAINED: usize = 12;
/// Fewest characters of a further part of one (the payload of a JWT).
const SHORTEST_PART: usize = 8;
/// Fewest digits of a hexadecimal token: shorter ones are ids and hashes.
const SHORTEST_HEX: usize = 20;
/// Fewest different characters of a secret; of a short piece, a third of its length.
const DIFFERENT: usize = 6;
/// Beginnings that only keys have.
const KEY_PREFIXES: [&str; 32] = [
    "sk-",
    "sk_",
    "rk_",
    "pk_live_",
    "whsec_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29",
    "eyJ",
    "hf_",
    "gsk_",
    "xai-",
    "pplx-",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "tskey-",
    "lin_api_",
    "pylf_v",
];

/// For each first letter the second ones that occur in words: of all pairs in dictionaries of English, German and French the most
/// frequent 331 of 676, which are 98 % of what is written.
const PAIRS: [u32; 26] = [
    0x37e_bdfe, 0x1e_4913, 0x11a_4d95, 0x16_4959, 0x3ff_fdff, 0x1e_4931, 0x1e_69d1, 0x15e_7911, 0x23f_fc7f, 0x10_4011, 0x1e_6911,
    0x11c_fd7b, 0x1c_d113, 0x27e_6dff, 0x17e_fdff, 0x1e_c9b1, 0x10_0000, 0x37e_fdff, 0x15d_fdf7, 0x35e_49d7, 0x2e_b9ff, 0x4111, 0x10_4191,
    0x8_8110, 0x4_b011, 0x18_4111,
];

/// a, e, i, o, u and y.
const VOWELS: u32 = 1 | 1 << 4 | 1 << 8 | 1 << 14 | 1 << 20 | 1 << 24;

/// What each byte is: 0 separates, 1 is a joint, above are digits, small and capital letters.
const CLASSES: [u8; 256] = classes();
const JOINT: u8 = 1;
const DIGIT: u8 = 2;
const SMALL: u8 = 3;
const CAPITAL: u8 = 4;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'-' | b'_' | b'+' => JOINT,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            _ => 0,
        };
        byte += 1;
    }
    table
}

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Whether a byte may stand in a token. Everything else separates.
pub(super) fn is_token_byte(byte: u8) -> bool {
    class(byte) != 0
}

/// Separates the pieces of a slug, and belongs to the alphabets of Base64.
fn is_joint(byte: u8) -> bool {
    class(byte) == JOINT
}

/// Whether a part without other separators is a token; of a text with some, whether it holds as much that is unexplained.
pub fn is_token(part: &str) -> bool {
    part.len() >= SHORTEST && (has_key_prefix(part) || Unexplained::of(part).is_most_of(UNEXPLAINED))
}

/// Whether what follows a token after a dot belongs to it.
fn continues_token(part: &str) -> bool {
    part.len() >= SHORTEST_PART && Unexplained::of(part).is_most_of(SHORTEST_PART)
}

/// Whether any part of a text is a token.
pub fn has_token(text: &str) -> bool {
    parts(text).any(is_token)
}

/// The parts of a text between separators.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !u8::try_from(c).is_ok_and(is_token_byte))
}

/// Appends a text with its tokens replaced; the parts of one token that dots or `=` join are one.
pub(super) fn replace(text: &str, out: &mut String) {
    let (mut rest, mut after_token) = (text, false);
    loop {
        let length = rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(length);
        let is_joined = after_token && out.ends_with(['.', '=']);
        let is_secret = is_token(part) || (is_joined && continues_token(part));
        match is_secret {
            true if is_joined => out.truncate(out.trim_end_matches(['.', '=']).len()),
            true => out.push_str(super::TOKEN),
            false => out.push_str(part),
        }
        // An empty part stands between two separators: `==` ends Base64.
        after_token = is_secret || (after_token && part.is_empty());
        let Some(separator) = tail.chars().next() else { break };
        out.push(separator);
        after_token &= matches!(separator, '.' | '=');
        rest = &tail[separator.len_utf8()..];
    }
    if after_token {
        out.truncate(out.trim_end_matches('=').len());
    }
}

fn has_key_prefix(part: &str) -> bool {
    let secret = KEY_PREFIXES.iter().find_map(|prefix| part.strip_prefix(prefix));
    secret.is_some_and(|secret| {
        let longest = secret.split(['-', '_']).map(str::len).max().unwrap_or(0);
        longest >= 10 && (secret.bytes().any(|byte| byte.is_ascii_digit()) || secret.bytes().any(|byte| byte.is_ascii_uppercase()))
    })
}

/// How much of a part is neither word nor number nor id.
#[derive(Clone, Copy, Debug, Default)]
struct Unexplained {
    characters: usize,
    all: usize,
    /// A piece between joints is a token by itself.
    by_itself: bool,
}

impl Unexplained {
    fn of(part: &str) -> Self {
        let mut sum = Self::default();
        let mut rest = part.as_bytes();
        while !rest.is_empty() {
            let length = if starts_with_uuid(rest) { 36 } else { rest.iter().take_while(|byte| !is_joint(**byte)).count() };
            let (piece, tail) = rest.split_at(length);
            let unknown = if length == 36 && piece.contains(&b'-') { 0 } else { unexplained(piece) };
            sum.by_itself |= unknown >= UNEXPLAINED && piece.len() >= SHORTEST && unknown * 2 >= piece.len();
            sum.characters += unknown;
            sum.all += piece.len();
            rest = tail.get(1..).unwrap_or_default();
        }
        sum
    }

    fn is_most_of(self, fewest: usize) -> bool {
        self.by_itself || (self.characters >= fewest && self.characters * 2 >= self.all)
    }
}

/// Characters of a piece without joints that no word and no number explains.
fn unexplained(piece: &[u8]) -> usize {
    let digits = piece.iter().filter(|byte| class(**byte) == DIGIT).count();
    if digits == piece.len() || is_repetitive(piece) {
        return 0;
    }
    if digits > 0 && piece.iter().all(u8::is_ascii_hexdigit) {
        return if piece.len() < SHORTEST_HEX || is_object_id(piece) { 0 } else { piece.len() };
    }
    let (mut unknown, mut changes, mut rest) = (0, 0, piece);
    while let Some(first) = rest.first() {
        let is_number = class(*first) == DIGIT;
        let (run, tail) = rest.split_at(if is_number { number_length(rest) } else { word_length(rest) });
        changes += usize::from(tail.first().is_some_and(|next| (class(*next) == DIGIT) != is_number));
        let is_known = if is_number { run.len() >= 3 } else { is_word(run) };
        unknown += if is_known { 0 } else { run.len() };
        rest = tail;
    }
    // Letters and digits that alternate are no words, whatever pairs they have.
    if changes * 3 >= piece.len() { piece.len() } else { unknown }
}

/// Whether few characters repeat. The pieces are ASCII.
fn is_repetitive(piece: &[u8]) -> bool {
    let different = piece.iter().fold(0_u128, |seen, byte| seen | 1 << (byte & 127)).count_ones() as usize;
    different <= (piece.len() / 3).min(DIFFERENT - 1)
}

fn number_length(text: &[u8]) -> usize {
    text.iter().position(|byte| class(*byte) != DIGIT).unwrap_or(text.len())
}

/// Letters up to the next digit or hump: `Name` of `NameOf`, `HTTPServer` of `HTTPServerPool`.
fn word_length(text: &[u8]) -> usize {
    let ends = |pair: &[u8]| matches!((class(pair[0]), class(pair[1])), (_, DIGIT) | (SMALL, CAPITAL));
    text.windows(2).position(ends).map_or(text.len(), |at| at + 1)
}

/// Whether a run is a word; one with other characters than letters is none.
fn is_word(letters: &[u8]) -> bool {
    if !letters.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let position = |byte: u8| u32::from(byte.to_ascii_lowercase() - b'a');
    let is_vowel = |byte: &u8| VOWELS >> position(*byte) & 1 == 1;
    let rare = letters.windows(2).filter(|pair| PAIRS[position(pair[0]) as usize] >> position(pair[1]) & 1 == 0).count();
    letters.len() >= 3 && rare * 5 <= letters.len() && letters.iter().any(is_vowel)
}

fn starts_with_uuid(text: &[u8]) -> bool {
    let is_form = |(at, byte): (usize, &u8)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    let ends = text.len() == 36 || text.get(36).is_some_and(|byte| is_joint(*byte));
    ends && text[8] == b'-' && text[..36].iter().enumerate().all(is_form)
}

/// Ids of MongoDB: 24 digits that begin with the seconds since 1970.
fn is_object_id(digits: &[u8]) -> bool {
    digits.len() == 24 && matches!(digits[0], b'4'..=b'7')
}
