//! Which protocol a connection speaks: the first bytes of one stream in, three-way out. No allocation, and never more than
//! [`BUDGET`] bytes are looked at. A new protocol adds a variant of [`Protocol`] and an arm in its two methods.
use super::{Flow, Parser, http1};

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

/// A protocol that has a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
}

impl Protocol {
    /// All of them, the most probable first.
    pub const ALL: [Self; 1] = [Self::Http1];

    /// Whether `bytes`, the first of a stream or of a message in it, are of this protocol.
    pub fn verdict(self, _flow: Flow, bytes: &[u8]) -> Verdict {
        match self {
            Self::Http1 => http1::detect(bytes),
        }
    }

    /// A parser for a new connection.
    pub fn parser(self) -> Box<dyn Parser> {
        match self {
            Self::Http1 => Box::new(http1::Http1::new()),
        }
    }
}

/// What is known of a connection's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// It is this one.
    Is(Protocol),
    /// It is none that anybody here understands.
    Unknown,
    /// Too few bytes to say.
    NeedMore,
}

/// Which protocol the first bytes of a stream are of.
pub fn detect(flow: Flow, bytes: &[u8]) -> Detected {
    let mut answer = Detected::Unknown;
    for protocol in Protocol::ALL {
        match protocol.verdict(flow, bytes) {
            Verdict::Yes => return Detected::Is(protocol),
            Verdict::NeedMore => answer = Detected::NeedMore,
            Verdict::No => {}
        }
    }
    answer
}
