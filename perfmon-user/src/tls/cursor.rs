//! A bounds-checked reader of TLS structures (RFC 8446, section 3): big-endian numbers and vectors behind their length. In: the bytes that
//! are there, and how many more may follow. Three answers: a value, "need more" (it may follow), "malformed" (it never can). It never
//! copies and never panics.

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// The bytes end early; what follows may complete them.
    NeedMore,
    /// They are not what was expected, whatever follows.
    Malformed,
}

/// A value, or why there is none.
pub type Read<T> = Result<T, Shortfall>;

/// A place in a structure that may be cut.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    /// Bytes of the structure behind them that are not there.
    missing: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of something whose length is not known.
    pub fn of_stream(bytes: &'a [u8]) -> Self {
        Self { bytes, missing: usize::MAX }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// `NeedMore` where the structure goes on behind the bytes that are there, `Malformed` where it ends before.
    pub fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        match self.bytes.split_at_checked(len) {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(head)
            }
            None if len <= self.left() => Err(Shortfall::NeedMore),
            None => Err(Shortfall::Malformed),
        }
    }

    /// A number of one byte.
    ///
    /// # Errors
    /// As [`Cursor::take`].
    pub fn u8(&mut self) -> Read<u8> {
        self.number(1).map(|number| number as u8)
    }

    /// A number of two bytes.
    ///
    /// # Errors
    /// As [`Cursor::take`].
    pub fn u16(&mut self) -> Read<u16> {
        self.number(2).map(|number| number as u16)
    }

    /// The content of a vector whose length stands before it in `len_bytes` bytes (1 to 3); cut when it is not all there.
    ///
    /// # Errors
    /// As [`Cursor::take`]; `Malformed` also where the vector is longer than what contains it.
    pub fn vector(&mut self, len_bytes: usize) -> Read<Self> {
        let len = self.number(len_bytes)?;
        if let Some((content, rest)) = self.bytes.split_at_checked(len) {
            self.bytes = rest;
            return Ok(Self { bytes: content, missing: 0 });
        }
        let missing = len - self.bytes.len();
        if missing > self.missing {
            return Err(Shortfall::Malformed);
        }
        if self.missing != usize::MAX {
            self.missing -= missing;
        }
        Ok(Self { bytes: std::mem::take(&mut self.bytes), missing })
    }

    /// All bytes of the structure are there.
    pub fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// The structure ends here.
    pub fn is_at_end(&self) -> bool {
        self.bytes.is_empty() && self.missing == 0
    }

    /// Bytes up to the end of the structure, those that are not there too.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_add(self.missing)
    }

    /// The bytes that are there and not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn number(&mut self, len: usize) -> Read<usize> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_vectors() {
        let mut cursor = Cursor::of_stream(&[1, 2, 3, 0, 0, 2, 7, 8, 9]);
        assert_eq!((cursor.u8(), cursor.u16()), (Ok(1), Ok(0x0203)));
        let mut vector = cursor.vector(3).unwrap();
        assert!(vector.is_whole() && !vector.is_at_end());
        assert_eq!((vector.u16(), vector.u8(), vector.is_at_end()), (Ok(0x0708), Err(Shortfall::Malformed), true));
        assert_eq!((cursor.rest(), cursor.take(2)), (&[9][..], Err(Shortfall::NeedMore)));
    }

    #[test]
    fn a_cut_vector_needs_more_and_one_beyond_its_container_is_malformed() {
        // 10 bytes of which 3 are there.
        let mut outer = Cursor::of_stream(&[10, 4, b'a', b'b']).vector(1).unwrap();
        assert!(!outer.is_whole());
        assert_eq!(outer.left(), 10);
        let mut inner = outer.vector(1).unwrap();
        assert_eq!(inner.take(2), Ok(&b"ab"[..]));
        assert_eq!((inner.u8(), inner.take(3)), (Err(Shortfall::NeedMore), Err(Shortfall::Malformed)));
        // Behind the inner one 5 bytes of the outer one are left, none of them there.
        assert_eq!((outer.take(5), outer.take(6)), (Err(Shortfall::NeedMore), Err(Shortfall::Malformed)));
        let mut outer = Cursor::of_stream(&[3, 9, 1]).vector(1).unwrap();
        assert_eq!(outer.vector(1).unwrap_err(), Shortfall::Malformed);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_is_read_twice(bytes: Vec<u8>, steps in proptest::collection::vec((0_u8..5, 0_usize..40), 0..40)) {
            let mut stack = vec![Cursor::of_stream(&bytes)];
            for (step, len) in steps {
                let Some(cursor) = stack.last_mut() else { break };
                let before = cursor.rest().len();
                let len_bytes = len % 3 + 1;
                let mut inner = None;
                let taken = match step {
                    0 => cursor.u8().map(|_| 1),
                    1 => cursor.u16().map(|_| 2),
                    2 => cursor.take(len).map(<[u8]>::len),
                    3 => cursor.vector(len_bytes).map(|vector| len_bytes + inner.insert(vector).rest().len()),
                    _ => Err(Shortfall::NeedMore),
                };
                if let Ok(taken) = taken {
                    proptest::prop_assert_eq!(cursor.rest().len(), before - taken);
                }
                match inner {
                    Some(inner) => stack.push(inner),
                    None if step == 4 => drop(stack.pop()),
                    None => {}
                }
            }
        }
    }
}
