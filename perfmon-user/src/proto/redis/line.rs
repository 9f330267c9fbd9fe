//! The first bytes of a line of RESP, collected from pieces. A line ends with CRLF; a bare LF ends one too, as in Redis itself.

/// Bytes of a line that are kept. Numbers and error codes are shorter.
pub(super) const LINE_BYTES: usize = 64;

/// A line so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct RespLine {
    bytes: [u8; LINE_BYTES],
    kept: u8,
    /// Bytes so far, the kept ones among them.
    len: u64,
}

impl Default for RespLine {
    fn default() -> Self {
        Self { bytes: [0; LINE_BYTES], kept: 0, len: 0 }
    }
}

impl RespLine {
    /// Takes bytes up to the line's end; whether that has come.
    pub(super) fn take(&mut self, rest: &mut &[u8]) -> bool {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (taken, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        let kept = usize::from(self.kept);
        let room = taken.len().min(LINE_BYTES - kept);
        self.bytes[kept..kept + room].copy_from_slice(&taken[..room]);
        self.kept += room as u8;
        self.len += taken.len() as u64;
        *rest = after;
        end.is_some()
    }

    /// Nothing of it has come.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Its first bytes, without the end.
    pub(super) fn text(&self) -> &[u8] {
        let kept = &self.bytes[..usize::from(self.kept)];
        let kept = kept.strip_suffix(b"\n").unwrap_or(kept);
        kept.strip_suffix(b"\r").unwrap_or(kept)
    }

    /// Text was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.len > LINE_BYTES as u64
    }

    /// The number behind the type: `*3`, `$-1`.
    pub(super) fn number(&self) -> Option<i64> {
        let digits = self.text().get(1..).filter(|digits| !self.is_cut() && (1..=20).contains(&digits.len()))?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}
