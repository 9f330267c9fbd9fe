//! The first line of a message (RFC 9112, 3 and 4): a line without its end in, its words out. More than one space between words is
//! accepted, as servers do; a target is any visible text.
use super::super::MessageSide;
use super::super::line::METHOD_BYTES;
use crate::proto::headers::{is_text, is_token};

/// A head's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto::http1) enum FirstLine<'h> {
    /// Of a request.
    Request {
        /// Method.
        method: &'h str,
        /// Target.
        target: &'h str,
    },
    /// Of an answer.
    Response {
        /// Status.
        status: u16,
    },
}

/// Bytes of `HTTP/1.x`.
const VERSION_BYTES: usize = 8;

impl<'h> FirstLine<'h> {
    /// Of a line, with its HTTP/1 minor version.
    #[inline]
    pub(super) fn of(side: MessageSide, line: &'h [u8]) -> Option<(Self, u8)> {
        match side {
            MessageSide::Request => request(line),
            MessageSide::Response => response(line),
        }
    }
}

fn request(line: &[u8]) -> Option<(FirstLine<'_>, u8)> {
    let (rest, version) = line.split_at_checked(line.len().checked_sub(VERSION_BYTES)?)?;
    let minor = minor(version)?;
    let space = rest.iter().take(METHOD_BYTES + 1).position(|byte| *byte == b' ')?;
    let (method, target) = rest.split_at(space);
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return None;
    }
    let target = spaces_off_front(target);
    let spaces = target.iter().rev().take_while(|byte| **byte == b' ').count();
    let target = &target[..target.len() - spaces];
    if spaces == 0 || target.is_empty() || target.contains(&b' ') || target.contains(&b'\t') || !is_text(target) {
        return None;
    }
    let (method, target) = (std::str::from_utf8(method).ok()?, std::str::from_utf8(target).ok()?);
    Some((FirstLine::Request { method, target }, minor))
}

fn response(line: &[u8]) -> Option<(FirstLine<'_>, u8)> {
    let (version, rest) = line.split_at_checked(VERSION_BYTES)?;
    let minor = minor(version)?;
    let digits = spaces_off_front(rest);
    let (status, reason) = digits.split_first_chunk::<3>()?;
    if digits.len() == rest.len() || !status.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = status.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let sound = status >= 100 && (reason.is_empty() || reason.starts_with(b" ")) && is_text(reason);
    sound.then_some((FirstLine::Response { status }, minor))
}

/// The minor version of `HTTP/1.0` and `HTTP/1.1`.
fn minor(version: &[u8]) -> Option<u8> {
    match version {
        b"HTTP/1.1" => Some(1),
        b"HTTP/1.0" => Some(0),
        _ => None,
    }
}

fn spaces_off_front(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == b' ').count()..]
}
