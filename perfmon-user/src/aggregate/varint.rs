//! Unsigned integers as LEB128 bytes, the encoding of closed slices and of stored histograms. A reader returns `None` at the end of its
//! bytes and on an integer over 64 bits; it never panics.

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what [`put`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct VarintReader<'a>(&'a [u8]);

impl<'a> VarintReader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Next integer.
    #[expect(clippy::should_implement_trait, reason = "bytes that are over and bytes that are broken are no end of an iterator")]
    pub fn next(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The unread bytes.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_and_garbage_is_refused() {
        let values = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        values.iter().for_each(|&value| put(&mut bytes, value));
        let mut reader = VarintReader::new(&bytes);
        assert_eq!(values.map(|_| reader.next().unwrap()), values);
        assert_eq!(reader.next(), None);
        assert_eq!(VarintReader::new(&[0xff; 11]).next(), None);
        assert_eq!(VarintReader::new(&[0x80]).next(), None);
    }
}
