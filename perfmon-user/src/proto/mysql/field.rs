//! What stands inside packets: numbers of varying length, texts, the end of an answer, a greeting's and a login's capabilities, a statement's
//! attributes. Everything that is not there is `None`.

/// Capabilities that change what follows.
pub(super) const COMPRESS: u32 = 1 << 5;
pub(super) const SSL: u32 = 1 << 11;
pub(super) const ZSTD: u32 = 1 << 26;
const CONNECT_WITH_DB: u32 = 1 << 3;
const LENGTH_ENCODED_AUTH: u32 = 1 << 21;

/// More results follow.
pub(super) const MORE_RESULTS: u16 = 1 << 3;
/// A transaction is open.
pub(super) const IN_TRANSACTION: u16 = 1;
/// Rows are fetched later.
pub(super) const CURSOR: u16 = 1 << 6;

/// Takes a little-endian number.
pub(super) fn number(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Takes a number whose first byte tells its length.
pub(super) fn encoded(rest: &mut &[u8]) -> Option<u64> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    match first {
        0..=0xfa => Some(u64::from(*first)),
        0xfc => number(rest, 2),
        0xfd => number(rest, 3),
        0xfe => number(rest, 8),
        _ => None,
    }
}

/// Takes a text up to its zero.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (text, after) = rest.split_at(end);
    *rest = &after[1..];
    Some(text)
}

fn skip(rest: &mut &[u8], bytes: u64) -> Option<()> {
    *rest = rest.get(usize::try_from(bytes).ok()?..)?;
    Some(())
}

/// A name of a database.
pub(super) fn database(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name).ok().filter(|name| (1..=256).contains(&name.len()) && !name.chars().any(char::is_control))
}

/// Rows that an OK packet counts, and the server's status.
pub(super) fn ok(payload: &[u8]) -> Option<(u64, u16)> {
    let mut rest = payload.get(1..)?;
    let rows = encoded(&mut rest)?;
    encoded(&mut rest)?;
    Some((rows, number(&mut rest, 2)? as u16))
}

/// The status of an EOF packet.
pub(super) fn eof(payload: &[u8]) -> Option<u16> {
    number(&mut payload.get(3..)?, 2).map(|status| status as u16)
}

/// The capabilities of a greeting.
pub(super) fn greeting(payload: &[u8]) -> Option<u32> {
    let mut rest = payload.get(1..)?;
    text(&mut rest)?;
    skip(&mut rest, 4 + 8 + 1)?;
    let low = number(&mut rest, 2)?;
    skip(&mut rest, 1 + 2)?;
    Some((low | number(&mut rest, 2)? << 16) as u32)
}

/// The capabilities of a login or a request for encryption.
pub(super) fn capabilities(payload: &[u8]) -> Option<u32> {
    number(&mut &*payload, 4).map(|capabilities| capabilities as u32)
}

/// The database of a login.
pub(super) fn login_database(payload: &[u8]) -> Option<&str> {
    let capabilities = capabilities(payload)?;
    let mut rest = payload.get(32..)?;
    text(&mut rest)?;
    let auth = if capabilities & LENGTH_ENCODED_AUTH != 0 { encoded(&mut rest)? } else { number(&mut rest, 1)? };
    skip(&mut rest, auth)?;
    let name = text(&mut rest).filter(|_| capabilities & CONNECT_WITH_DB != 0)?;
    database(name)
}

/// The database of a change of user.
pub(super) fn change_database(payload: &[u8]) -> Option<&str> {
    let mut rest = payload.get(1..)?;
    text(&mut rest)?;
    let auth = number(&mut rest, 1)?;
    skip(&mut rest, auth)?;
    text(&mut rest).and_then(database)
}

/// The text of a query, behind its attributes when it has some; `None` when their end is not found.
pub(super) fn query(payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload.get(1..)?;
    let has_attributes = matches!(rest, [count, 1, ..] if *count < b'\t' || (0x0e..b' ').contains(count));
    if !has_attributes {
        return Some(rest);
    }
    let count = encoded(&mut rest)?;
    skip(&mut rest, 1)?;
    if count == 0 {
        return Some(rest);
    }
    let nulls = rest.get(..(count as usize).div_ceil(8))?;
    rest = &rest[nulls.len()..];
    if number(&mut rest, 1)? != 1 {
        return None;
    }
    let mut kinds = Vec::new();
    for _ in 0..count {
        kinds.push(number(&mut rest, 2)? as u8);
        let name = encoded(&mut rest)?;
        skip(&mut rest, name)?;
    }
    for (at, kind) in kinds.into_iter().enumerate() {
        if nulls[at / 8] >> (at % 8) & 1 == 0 {
            value(&mut rest, kind)?;
        }
    }
    Some(rest)
}

/// Passes a value of a type.
fn value(rest: &mut &[u8], kind: u8) -> Option<()> {
    let length = match kind {
        1 => 1,
        2 | 13 => 2,
        3 | 4 | 9 => 4,
        5 | 8 => 8,
        6 => 0,
        7 | 10..=12 => number(rest, 1)?,
        _ => encoded(rest)?,
    };
    skip(rest, length)
}
