//! A frame's header (RFC 6455, section 5.2): its first bytes in, three-way out. What one header alone shows is judged here; the order of
//! frames is judged by `stream`.
use crate::proto::frame::FrameKind;

/// Longest header: two bytes, 64 bits of length, four of mask.
pub(super) const HEADER_BYTES: usize = 14;
/// Longest payload of a control frame.
const CONTROL_BYTES: u64 = 125;

/// What the handshake settled for a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameRules {
    /// Frames carry a mask: they come from the client.
    pub(super) masked: bool,
    /// RSV1 may stand on a message's first frame.
    pub(super) deflate: bool,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// The first frame of a message.
    Start(FrameKind),
    /// Another frame of the message under way.
    Continuation,
    /// Close.
    Close,
    /// Ping or pong.
    Ping,
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// The message's last frame.
    pub(super) fin: bool,
    /// What it is.
    pub(super) opcode: Opcode,
    /// Key of a masked payload.
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes of payload.
    pub(super) length: u64,
    /// Bytes of the header itself.
    pub(super) size: usize,
    /// The length is written in as few bytes as it can be.
    pub(super) minimal: bool,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderVerdict {
    /// A header.
    Header(FrameHeader),
    /// The beginning of one.
    NeedMore,
    /// No header that may stand in this direction.
    Malformed,
}

/// What `bytes` are. A length in more bytes than it needs breaks the RFC, yet common peers read it: it is marked, not refused.
pub(super) fn parse(bytes: &[u8], rules: FrameRules) -> HeaderVerdict {
    let Some(&first) = bytes.first() else { return HeaderVerdict::NeedMore };
    let Some(opcode) = opcode(first, rules) else { return HeaderVerdict::Malformed };
    let Some(&second) = bytes.get(1) else { return HeaderVerdict::NeedMore };
    let fin = first & 0x80 != 0;
    let is_control = matches!(opcode, Opcode::Close | Opcode::Ping);
    let short = u64::from(second & 0x7f);
    if (second & 0x80 != 0) != rules.masked || (is_control && (!fin || short > CONTROL_BYTES)) || (opcode == Opcode::Close && short == 1) {
        return HeaderVerdict::Malformed;
    }
    let (length, least, after) = match short {
        126 => (number::<2>(bytes), 126, 4),
        127 => (number::<8>(bytes), 1 << 16, 10),
        length => (Some(length), 0, 2),
    };
    let Some(length) = length else { return HeaderVerdict::NeedMore };
    if length >> 63 != 0 {
        return HeaderVerdict::Malformed;
    }
    let mask = bytes.get(after..).and_then(|rest| rest.first_chunk::<4>()).copied();
    if rules.masked && mask.is_none() {
        return HeaderVerdict::NeedMore;
    }
    let (mask, size) = if rules.masked { (mask, after + 4) } else { (None, after) };
    HeaderVerdict::Header(FrameHeader { fin, opcode, mask, length, size, minimal: length >= least })
}

/// What a header's first byte says; `None` for reserved bits and codes.
fn opcode(first: u8, rules: FrameRules) -> Option<Opcode> {
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Start(FrameKind::Text),
        2 => Opcode::Start(FrameKind::Binary),
        8 => Opcode::Close,
        9 | 10 => Opcode::Ping,
        _ => return None,
    };
    // RFC 7692, section 6: only on the first frame of a message.
    let is_compressible = rules.deflate && matches!(opcode, Opcode::Start(_));
    let is_allowed = match first & 0x70 {
        0 => true,
        0x40 => is_compressible,
        _ => false,
    };
    is_allowed.then_some(opcode)
}

/// The number in the `N` bytes behind the first two, in network order.
fn number<const N: usize>(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.get(2..)?.first_chunk::<N>()?;
    Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: FrameRules = FrameRules { masked: false, deflate: false };
    const CLIENT: FrameRules = FrameRules { masked: true, deflate: true };

    fn header(bytes: &[u8], rules: FrameRules) -> FrameHeader {
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut], rules), HeaderVerdict::NeedMore, "{cut} of {}", bytes.escape_ascii());
        }
        match parse(bytes, rules) {
            HeaderVerdict::Header(header) => header,
            other => panic!("{other:?}: {}", bytes.escape_ascii()),
        }
    }

    #[test]
    fn lengths_and_masks_of_the_rfc_are_read() {
        let text = Opcode::Start(FrameKind::Text);
        let hello = header(b"\x81\x05", SERVER);
        assert_eq!((hello.fin, hello.opcode, hello.mask, hello.length, hello.size), (true, text, None, 5, 2));
        let masked = header(b"\x81\x85\x37\xfa\x21\x3d", CLIENT);
        assert_eq!((masked.mask, masked.length, masked.size), (Some([0x37, 0xfa, 0x21, 0x3d]), 5, 6));
        let medium = header(b"\x82\x7e\x01\x00", SERVER);
        assert_eq!((medium.opcode, medium.length, medium.size), (Opcode::Start(FrameKind::Binary), 256, 4));
        let long = header(b"\x82\xff\0\0\0\0\0\x01\0\0abcd", CLIENT);
        assert_eq!((long.length, long.size, long.minimal), (65_536, HEADER_BYTES, true));
        assert_eq!((header(b"\x88\x00", SERVER).opcode, header(b"\x8a\x00", SERVER).opcode), (Opcode::Close, Opcode::Ping));
        assert!(!header(b"\x00\x01", SERVER).fin);
        assert_eq!(header(b"\xc1\x80abcd", CLIENT).opcode, text);
    }

    #[test]
    fn a_longer_length_than_needed_is_marked() {
        assert!(!header(b"\x81\x7e\x00\x7d", SERVER).minimal);
        assert!(!header(b"\x81\x7f\0\0\0\0\0\0\xff\xff", SERVER).minimal);
    }

    #[test]
    fn what_no_direction_may_send_is_malformed() {
        let malformed: [(&[u8], FrameRules); 12] = [
            (b"\x83", SERVER),     // Reserved opcodes.
            (b"\x8b", SERVER),     //
            (b"\xc1", SERVER),     // RSV1 without permessage-deflate.
            (b"\xa1", CLIENT),     // RSV2.
            (b"\xc0", CLIENT),     // RSV1 on a continuation,
            (b"\xc9", CLIENT),     // on a control frame.
            (b"\x81\x85", SERVER), // A mask from the server,
            (b"\x81\x05", CLIENT), // none from the client.
            (b"\x09\x00", SERVER), // A fragment of a ping.
            (b"\x89\x7e", SERVER), // A long ping.
            (b"\x88\x01", SERVER), // Half a close code.
            (b"\x82\x7f\x80\0\0\0\0\0\0\0", SERVER),
        ];
        for (bytes, rules) in malformed {
            assert_eq!(parse(bytes, rules), HeaderVerdict::Malformed, "{}", bytes.escape_ascii());
        }
    }
}
