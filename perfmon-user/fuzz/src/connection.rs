//! Bytes from the fuzzer → segments and ends of a connection. Operations of one byte (kind and direction), one byte of length, then as many
//! bytes as that says.
use perfmon_user::stream::{Content, Direction, Ending, Segment, Stamp};

const ENDS: [Ending; 6] =
    [Ending::PeerClosed, Ending::LocalClosed, Ending::Closed, Ending::PeerReset, Ending::LocalReset, Ending::Forgotten];

/// What happens on a connection.
pub enum Operation<'a> {
    /// The next segment.
    Segment(Segment<'a>),
    /// An end, and its time.
    End(Ending, u64),
}

/// The operations that the bytes say.
pub fn operations(data: &[u8]) -> impl Iterator<Item = Operation<'_>> {
    let (mut rest, mut time_ns) = (data, 0);
    std::iter::from_fn(move || {
        let [kind, length, tail @ ..] = rest else { return None };
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        time_ns += 1_000 * u64::from(kind >> 4);
        let direction = if kind & 1 == 0 { Direction::In } else { Direction::Out };
        let content = match kind >> 1 & 7 {
            0 => Content::Gap(u64::from(*length)),
            1 => Content::Unknown,
            2 => return Some(Operation::End(ENDS[usize::from(*length) % ENDS.len()], time_ns)),
            3 => Content::Lost(u64::from(*length)),
            _ => Content::Bytes(bytes),
        };
        let stamp = Stamp { time_ns, arrival_ns: None, thread: 1, run: None };
        Some(Operation::Segment(Segment { direction, stamp, content }))
    })
}
