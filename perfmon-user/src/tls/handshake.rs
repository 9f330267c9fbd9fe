//! How long a client's handshake took: from its ClientHello to the flight with which it, or in a full handshake of TLS 1.2 the server, ends it (RFC
//! 8446, section 2; RFC 5246, section 7.3). In: the first bytes of each turn of the connection, as they are on the wire; out: the time. What a turn is
//! shows in its first record: after the server's answer a client goes on with another ClientHello (HelloRetryRequest), with a key exchange in the
//! clear (1.2), or with what is encrypted. Not known: where perfmon joined later, or the beginning of a turn was not seen.
use std::num::NonZeroU64;

use super::hello::CLIENT_HELLO;
use super::record::{HEADER, RecordHeader, RecordType};
use crate::stream::{Content, Direction, Segment};

/// Where the handshake stands; times are those at which its ClientHello was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HandshakeClock {
    #[default]
    NotBegun,
    HelloSent(u64),
    Answered(u64),
    /// The client's key exchange went out: the server's flight ends it.
    KeysSent(u64),
    Took(NonZeroU64),
    Unknown,
}

impl HandshakeClock {
    /// The next bytes on the wire.
    pub fn push(&mut self, segment: &Segment<'_>) {
        if matches!(self, Self::Took(_) | Self::Unknown) || segment.content.is_empty() {
            return;
        }
        let time_ns = segment.stamp.time_ns;
        let is_sent = segment.direction == Direction::Out;
        *self = match (*self, is_sent) {
            (Self::NotBegun, true) if flight(segment) == FlightKind::Hello => Self::HelloSent(time_ns),
            (Self::HelloSent(_), true) | (Self::Answered(_), false) | (Self::KeysSent(_), true) => return,
            (Self::HelloSent(since), false) => Self::Answered(since),
            (Self::Answered(since), true) => match flight(segment) {
                FlightKind::Hello => Self::HelloSent(since),
                FlightKind::Keys => Self::KeysSent(since),
                FlightKind::Encrypted => Self::took(since, time_ns),
                FlightKind::Other => Self::Unknown,
            },
            (Self::KeysSent(since), false) if flight(segment) != FlightKind::Other => Self::took(since, time_ns),
            _ => Self::Unknown,
        };
    }

    fn took(since_ns: u64, time_ns: u64) -> Self {
        NonZeroU64::new(time_ns.saturating_sub(since_ns)).map_or(Self::Unknown, Self::Took)
    }

    /// What it took, once.
    pub fn take(&mut self) -> Option<NonZeroU64> {
        let Self::Took(time) = *self else { return None };
        *self = Self::Unknown;
        Some(time)
    }
}

/// What a turn begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlightKind {
    /// A ClientHello.
    Hello,
    /// Another message in the clear.
    Keys,
    /// The change to encryption, or something encrypted.
    Encrypted,
    /// An alert, or not known.
    Other,
}

fn flight(segment: &Segment<'_>) -> FlightKind {
    let Content::Bytes(bytes) = segment.content else { return FlightKind::Other };
    match RecordHeader::of(bytes).map(|header| header.kind) {
        Ok(RecordType::Handshake) if bytes.get(HEADER) == Some(&CLIENT_HELLO) => FlightKind::Hello,
        Ok(RecordType::Handshake) => FlightKind::Keys,
        Ok(RecordType::ChangeCipherSpec | RecordType::ApplicationData) => FlightKind::Encrypted,
        Ok(RecordType::Alert) | Err(_) => FlightKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stamp;

    const HELLO: &[u8] = &[22, 3, 1, 0, 4, 1, 0, 0, 0];
    const SERVER: &[u8] = &[22, 3, 3, 0, 4, 2, 0, 0, 0];
    const KEYS: &[u8] = &[22, 3, 3, 0, 4, 16, 0, 0, 0];
    const CHANGE: &[u8] = &[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 1, 9];
    const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
    const DATA: &[u8] = &[23, 3, 3, 0, 1, 9];

    /// What a handshake of these turns took; each is 10 ns after the one before. `>` is sent.
    fn took(turns: &[(char, &[u8])]) -> Option<u64> {
        let mut clock = HandshakeClock::default();
        for (number, (way, bytes)) in turns.iter().enumerate() {
            let direction = if *way == '>' { Direction::Out } else { Direction::In };
            let stamp = Stamp { time_ns: 100 + 10 * number as u64, ..Stamp::default() };
            clock.push(&Segment { direction, stamp, content: Content::Bytes(bytes) });
        }
        let time = clock.take().map(NonZeroU64::get);
        assert_eq!(clock.take(), None, "told once");
        time
    }

    #[test]
    fn each_kind_of_handshake_ends_with_its_last_flight() {
        // TLS 1.3; what follows counts no more.
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('<', DATA), ('>', CHANGE), ('<', DATA), ('>', DATA)]), Some(30));
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', DATA)]), Some(20));
        // HelloRetryRequest.
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', HELLO), ('<', SERVER), ('>', CHANGE)]), Some(40));
        // TLS 1.2, whole and resumed.
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', KEYS), ('>', CHANGE), ('<', CHANGE), ('>', DATA)]), Some(40));
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', CHANGE), ('>', DATA)]), Some(20));
        // Early data goes out with the hello.
        assert_eq!(took(&[('>', HELLO), ('>', DATA), ('<', SERVER), ('>', DATA)]), Some(30));
    }

    #[test]
    fn what_is_no_whole_handshake_of_a_client_has_no_time() {
        assert_eq!(took(&[('>', HELLO), ('<', SERVER)]), None);
        assert_eq!(took(&[('<', HELLO), ('>', SERVER), ('<', CHANGE)]), None, "a server's");
        assert_eq!(took(&[('>', DATA), ('<', DATA), ('>', DATA)]), None, "joined later");
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', ALERT)]), None, "refused");
        assert_eq!(took(&[('>', HELLO), ('<', SERVER), ('>', KEYS), ('<', ALERT)]), None, "refused by the server");
        let mut clock = HandshakeClock::HelloSent(1);
        for direction in [Direction::In, Direction::Out] {
            clock.push(&Segment { direction, stamp: Stamp::default(), content: Content::Gap(5) });
        }
        assert_eq!(clock, HandshakeClock::Unknown, "a turn that was not seen");
    }
}
