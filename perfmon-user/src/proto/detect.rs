//! Which protocol a connection speaks: three-way, without allocation, within a byte budget.

/// Most bytes that detection looks at.
pub const BUDGET: usize = 64;

/// Whether bytes are of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// Too few to say.
    NeedMore,
}
