//! The sixteen bytes before each message of MongoDB: its length, its number, the number that it answers, and what it is.

/// Bytes of a header.
pub(super) const HEADER: usize = 16;
/// Longest message, of which servers allow 48,000,000 bytes.
const LONGEST: u32 = 48_000_000 + (16 << 10);

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MongoOpcode {
    /// `OP_MSG`, whatever its direction.
    #[default]
    Msg,
    /// `OP_COMPRESSED`
    Compressed,
    /// `OP_QUERY`, of which current servers only read the first of a connection.
    Query,
    /// `OP_REPLY`, the answer to `OP_QUERY` and `OP_GET_MORE`.
    Reply,
    /// `OP_UPDATE` `OP_INSERT` `OP_DELETE`: no answer; the command's name. Servers before 5.1.
    Write(&'static str),
    /// `OP_GET_MORE`
    GetMore,
    /// `OP_KILL_CURSORS`: no answer.
    KillCursors,
}

impl MongoOpcode {
    /// The one of a number.
    pub(super) fn of(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Reply,
            2001 => Self::Write("update"),
            2002 => Self::Write("insert"),
            2004 => Self::Query,
            2005 => Self::GetMore,
            2006 => Self::Write("delete"),
            2007 => Self::KillCursors,
            2012 => Self::Compressed,
            2013 => Self::Msg,
            _ => return None,
        })
    }

    /// Least length of such a message.
    fn least(self) -> u32 {
        match self {
            Self::Msg => 26,
            Self::Compressed => 25,
            Self::Query => 34,
            Self::Reply | Self::Write(_) | Self::GetMore | Self::KillCursors => 24,
        }
    }
}

/// A message's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MessageHeader {
    /// Bytes of the message, the header among them.
    pub(super) length: u32,
    /// Its number.
    pub(super) id: u32,
    /// Number of the message that it answers.
    pub(super) answers: u32,
    /// What it is.
    pub(super) opcode: MongoOpcode,
}

impl MessageHeader {
    /// The header that these bytes are, if they are one.
    pub(super) fn of(bytes: &[u8; HEADER]) -> Option<Self> {
        let [length, id, answers, opcode] =
            [0, 4, 8, 12].map(|at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        let opcode = MongoOpcode::of(opcode)?;
        (opcode.least()..=LONGEST).contains(&length).then_some(Self { length, id, answers, opcode })
    }

    /// Whether a client sends it.
    pub(super) fn is_request(&self) -> bool {
        match self.opcode {
            // Old shells answer nothing with minus one.
            MongoOpcode::Msg | MongoOpcode::Compressed => self.answers == 0,
            MongoOpcode::Reply => false,
            _ => self.answers == 0 || self.answers == u32::MAX,
        }
    }
}

/// Whether bytes of which there are less than a header may be the beginning of a connection's first one: none tell nothing, and a greeting is short.
pub(super) fn may_be_header(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|length| (24..1 << 20).contains(&u32::from_le_bytes(*length)))
}
