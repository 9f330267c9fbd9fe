//! The head of a zstd frame (RFC 8878, 3.1.1.1): the window in, and a head with a smaller one out.
use super::Undecodable;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Magic number and descriptor.
const FIXED: usize = 5;
/// Largest window that a body may ask for: all that RFC 8878 lets encoders use for content codings.
const DECLARED_WINDOW: u64 = 8 * 1024 * 1024;
/// Smallest window that a head can name.
pub(super) const LEAST_WINDOW: usize = 1024;

const SINGLE_SEGMENT: u8 = 1 << 5;
const RESERVED: u8 = 1 << 3;

/// What matters of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the window.
    pub(super) window: usize,
}

/// Length of the head that `bytes` begin, as far as it is known.
pub(super) fn length(bytes: &[u8]) -> usize {
    let Some(&descriptor) = bytes.get(FIXED - 1) else { return FIXED };
    let window = usize::from(descriptor & SINGLE_SEGMENT == 0);
    FIXED + window + dictionary_bytes(descriptor) + size_bytes(descriptor)
}

fn dictionary_bytes(descriptor: u8) -> usize {
    [0, 1, 2, 4][usize::from(descriptor & 3)]
}

fn size_bytes(descriptor: u8) -> usize {
    match descriptor >> 6 {
        0 => usize::from(descriptor & SINGLE_SEGMENT != 0),
        flag => 1 << flag,
    }
}

impl FrameHead {
    /// Of a whole head. A frame with a dictionary, which perfmon does not have, is undecodable.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Undecodable> {
        let Some((&descriptor, rest)) = bytes.strip_prefix(&MAGIC).and_then(<[u8]>::split_first) else { return Err(Undecodable) };
        if descriptor & RESERVED != 0 || bytes.len() != length(bytes) {
            return Err(Undecodable);
        }
        let is_single = descriptor & SINGLE_SEGMENT != 0;
        let dictionary = &rest[usize::from(!is_single)..][..dictionary_bytes(descriptor)];
        if dictionary.iter().any(|byte| *byte != 0) {
            return Err(Undecodable);
        }
        let window = if is_single { content_size(descriptor, &rest[dictionary.len()..]) } else { window(rest[0]) };
        // A single segment is its own window.
        let most = if is_single { u64::MAX } else { DECLARED_WINDOW };
        if window > most {
            return Err(Undecodable);
        }
        Ok(Self { window: usize::try_from(window).unwrap_or(usize::MAX) })
    }

    /// A head that says this window, or the frame's own if that is smaller, and nothing else.
    pub(super) fn with_window(self, most: usize) -> [u8; FIXED + 1] {
        let window = self.window.clamp(LEAST_WINDOW, most).next_power_of_two();
        let exponent = (window.ilog2() - LEAST_WINDOW.ilog2()) as u8;
        let [a, b, c, d] = MAGIC;
        [a, b, c, d, 0, exponent << 3]
    }
}

/// The window that its descriptor says.
fn window(descriptor: u8) -> u64 {
    let base = (LEAST_WINDOW as u64) << (descriptor >> 3);
    base + base / 8 * u64::from(descriptor & 7)
}

fn content_size(descriptor: u8, bytes: &[u8]) -> u64 {
    let mut size = [0; 8];
    let len = size_bytes(descriptor);
    size[..len].copy_from_slice(&bytes[..len]);
    let offset = if len == 2 { 256 } else { 0 };
    u64::from_le_bytes(size).saturating_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_made_smaller() {
        let of = |rest: &[u8]| FrameHead::of(&[&MAGIC, rest].concat()).map(|head| head.window);
        assert_eq!(of(&[0, 0x58]), Ok(2 << 20), "what the level 3 of the zstd library says of a stream");
        assert_eq!(of(&[0, 0x5a]), Ok((2 << 20) + (2 << 20) / 4));
        assert_eq!(of(&[0x20, 77]), Ok(77));
        assert_eq!(of(&[0x60, 1, 1]), Ok(257 + 256));
        assert_eq!(of(&[0xa0, 0, 0, 0, 1]), Ok(1 << 24));
        assert_eq!(of(&[0, 0x70]), Err(Undecodable), "16 MiB");
        assert_eq!(of(&[1, 0x58, 9]), Err(Undecodable), "a dictionary");
        assert_eq!(FrameHead::of(b"\x28\xb5\x2f\xfc\0\0"), Err(Undecodable));
        for (rest, len) in [(&[0, 0][..], 6), (&[0x20, 0], 6), (&[0x60, 0, 0], 7), (&[0xc3, 0], 4 + 1 + 1 + 4 + 8)] {
            assert_eq!(length(&[&MAGIC, rest].concat()), len);
        }
        let small = |window| FrameHead { window }.with_window(256 << 10)[5];
        assert_eq!([small(77), small(1024), small(3_000), small(256 << 10), small(8 << 20)], [0, 0, 2 << 3, 8 << 3, 8 << 3]);
    }
}
