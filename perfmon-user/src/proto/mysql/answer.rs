//! The course of one answer: packets of the server in, how the answer ended out. Whether an EOF packet follows the columns is seen from its
//! length, so that the capabilities of a connection need not be known; what a packet cannot be in its place is said to be wrong.
use super::field;

/// What a command is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerKind {
    /// OK, or columns and rows.
    Result,
    /// A statement's number, its parameters and columns.
    Prepared,
    /// Definitions of columns.
    Fields,
    /// Rows without columns.
    Fetched,
    /// A text.
    Text,
    /// A dialogue of passwords.
    Login,
}

/// Where in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AnswerPlace {
    /// Before its first packet, or that of the next result.
    #[default]
    First,
    /// This number of definitions are to come, then maybe an EOF, then as many of the second number; rows follow or not.
    Definitions { left: u64, then: u64, has_rows: bool },
    /// Rows, or an EOF before them.
    BeforeRows,
    /// Rows.
    Rows,
}

/// What a packet came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerStep {
    /// More is to come.
    More,
    /// The client sends a file.
    File,
    /// It ended, or one of several results did.
    Done(AnswerEnd),
    /// This packet cannot stand here.
    Wrong,
}

/// How a result ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerEnd {
    /// The server's number of the error.
    pub(super) error: Option<u16>,
    /// Rows that were changed, by an OK without rows.
    pub(super) changed: Option<u64>,
    /// Rows that came.
    pub(super) rows: Option<u64>,
    /// Number of the statement that was prepared.
    pub(super) prepared: Option<u32>,
    /// Another result follows.
    pub(super) has_more: bool,
    /// Whether a transaction is open, where the answer says so.
    pub(super) in_transaction: Option<bool>,
}

impl AnswerEnd {
    /// With what the server's status says.
    fn of_status(status: Option<u16>) -> Self {
        let has = |flag: u16| status.map(|status| status & flag != 0);
        Self { has_more: has(field::MORE_RESULTS) == Some(true), in_transaction: has(field::IN_TRANSACTION), ..Self::default() }
    }
}

/// The state of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AnswerCourse {
    place: AnswerPlace,
    rows: u64,
    prepared: Option<u32>,
}

impl AnswerCourse {
    /// Takes a packet: the first bytes of its payload, and its length.
    pub(super) fn step(&mut self, kind: AnswerKind, head: &[u8], len: u64) -> AnswerStep {
        match (head, kind) {
            ([0xff, rest @ ..], _) => return self.error(rest, len),
            (_, AnswerKind::Text) => return self.done(None, None),
            _ => {}
        }
        let is_eof = head.first() == Some(&0xfe) && len == 5;
        match self.place {
            AnswerPlace::First => self.first(kind, head, len, is_eof),
            AnswerPlace::Definitions { left, .. } if is_eof && left > 0 && kind == AnswerKind::Prepared => AnswerStep::More,
            AnswerPlace::Definitions { left, then, has_rows } => self.definition(left, then, has_rows, head),
            AnswerPlace::BeforeRows if is_eof => {
                let status = field::eof(head).unwrap_or(0);
                if status & field::CURSOR != 0 {
                    return self.rows_ended(status);
                }
                self.place = AnswerPlace::Rows;
                AnswerStep::More
            }
            AnswerPlace::BeforeRows | AnswerPlace::Rows => self.row(kind, head, len, is_eof),
        }
    }

    fn first(&mut self, kind: AnswerKind, head: &[u8], len: u64, is_eof: bool) -> AnswerStep {
        match (kind, head) {
            (AnswerKind::Login, [0, ..]) => self.done(None, None),
            (AnswerKind::Login, _) => AnswerStep::More,
            (AnswerKind::Prepared, [0, rest @ ..]) if len >= 12 => self.prepared(rest),
            (AnswerKind::Fetched, _) => {
                self.place = AnswerPlace::Rows;
                self.row(kind, head, len, is_eof)
            }
            (AnswerKind::Fields, [3, b'd', b'e', b'f', ..]) => AnswerStep::More,
            (_, [0xfe, ..]) if is_eof => self.done(None, field::eof(head)),
            (_, [0 | 0xfe, ..]) if len >= 7 => match field::ok(head) {
                Some((changed, status)) => self.done(Some(changed), Some(status)),
                None => AnswerStep::Wrong,
            },
            (AnswerKind::Result, [0xfb, _, ..]) => AnswerStep::File,
            (AnswerKind::Result, _) => self.columns(head, len),
            _ => AnswerStep::Wrong,
        }
    }

    /// Number of columns; a byte behind it says whether they are told.
    fn columns(&mut self, head: &[u8], len: u64) -> AnswerStep {
        let mut rest = head;
        let Some(count) = field::encoded(&mut rest).filter(|count| (1..=4_096).contains(count)) else { return AnswerStep::Wrong };
        let size = (head.len() - rest.len()) as u64;
        self.place = match rest {
            [] if len == size => AnswerPlace::Definitions { left: count, then: 0, has_rows: true },
            [1] if len == size + 1 => AnswerPlace::Definitions { left: count, then: 0, has_rows: true },
            [0] if len == size + 1 => AnswerPlace::BeforeRows,
            _ => return AnswerStep::Wrong,
        };
        AnswerStep::More
    }

    fn prepared(&mut self, mut rest: &[u8]) -> AnswerStep {
        let mut take = |bytes| field::number(&mut rest, bytes).unwrap_or(0);
        self.prepared = Some(take(4) as u32);
        let (columns, parameters) = (take(2), take(2));
        let [left, then] = if parameters > 0 { [parameters, columns] } else { [columns, 0] };
        if left == 0 {
            return self.done(None, None);
        }
        self.place = AnswerPlace::Definitions { left, then, has_rows: false };
        AnswerStep::More
    }

    fn definition(&mut self, left: u64, then: u64, has_rows: bool, head: &[u8]) -> AnswerStep {
        if !matches!(head, [3, b'd', b'e', b'f', ..]) {
            return AnswerStep::Wrong;
        }
        self.place = match (left - 1, then) {
            (0, 0) if has_rows => AnswerPlace::BeforeRows,
            (0, 0) => return self.done(None, None),
            (0, then) => AnswerPlace::Definitions { left: then, then: 0, has_rows },
            (left, then) => AnswerPlace::Definitions { left, then, has_rows },
        };
        AnswerStep::More
    }

    fn row(&mut self, kind: AnswerKind, head: &[u8], len: u64, is_eof: bool) -> AnswerStep {
        self.place = AnswerPlace::Rows;
        match head {
            [0xfe, ..] if is_eof => self.rows_ended(field::eof(head).unwrap_or(0)),
            // A text of that length would be longer than a packet.
            [0xfe, ..] if len < 0xff_ffff => match field::ok(head) {
                Some((_, status)) => self.rows_ended(status),
                None => AnswerStep::Wrong,
            },
            [0, ..] => self.counted(),
            [_, ..] if kind == AnswerKind::Result => self.counted(),
            _ => AnswerStep::Wrong,
        }
    }

    fn counted(&mut self) -> AnswerStep {
        self.rows += 1;
        AnswerStep::More
    }

    fn error(&mut self, mut rest: &[u8], len: u64) -> AnswerStep {
        match field::number(&mut rest, 2) {
            // How far it is.
            Some(0xffff) => AnswerStep::More,
            Some(code) if code >= 1_000 && len >= 4 => {
                *self = Self::default();
                AnswerStep::Done(AnswerEnd { error: Some(code as u16), ..AnswerEnd::default() })
            }
            _ => AnswerStep::Wrong,
        }
    }

    fn rows_ended(&mut self, status: u16) -> AnswerStep {
        let rows = Some(self.rows);
        *self = Self::default();
        AnswerStep::Done(AnswerEnd { rows, ..AnswerEnd::of_status(Some(status)) })
    }

    fn done(&mut self, changed: Option<u64>, status: Option<u16>) -> AnswerStep {
        let prepared = self.prepared;
        *self = Self::default();
        AnswerStep::Done(AnswerEnd { changed, prepared, ..AnswerEnd::of_status(status) })
    }
}
