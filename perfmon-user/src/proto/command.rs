//! The command family: a client sends commands, a server answers each (databases, caches). Parsers tell each command at its end, with the
//! text normalised by the rules of its language; one builder makes `db` records of them.
use std::sync::Arc;

/// A command and its answer: what a `db` record needs and stands on the wire. Times are as the segments'.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Command {
    /// Number on the connection.
    pub id: u64,
    /// The process answers.
    pub server: bool,
    /// `postgresql` `mysql` `redis` `mongodb` `memcached` …
    pub system: &'static str,
    /// `SELECT`, `GET`, …; `None` when the command was not seen.
    pub operation: Option<Arc<str>>,
    /// Table, collection or key prefix.
    pub target: Option<Arc<str>>,
    /// The command's text with literals replaced by `?`; `None` when it was not seen.
    pub query: Option<Arc<str>>,
    /// Name of the prepared statement, of which the text may be unknown.
    pub statement: Option<Arc<str>>,
    /// Database that the connection uses.
    pub database: Option<Arc<str>>,
    /// The server's error code.
    pub error: Option<Arc<str>>,
    /// Rows or items of the answer.
    pub rows: Option<u64>,
    /// Bytes of the command on the wire.
    pub request_wire: u64,
    /// Bytes of the answer on the wire.
    pub response_wire: u64,
    /// Thread that read (server) or wrote (client) its first byte.
    pub thread: u32,
    /// First byte arrived (server) or was sent (client).
    pub start_ns: u64,
    /// First byte of the answer.
    pub first_byte_ns: Option<u64>,
    /// Last byte of the answer.
    pub end_ns: Option<u64>,
    /// A part was not seen and the figures follow from the rest.
    pub inferred: bool,
    /// Needed and not captured.
    pub missing_bytes: u64,
}

impl Command {
    /// The answer's last byte passed at `end_ns`. Events of both directions may be swapped by little.
    pub fn end_at(&mut self, end_ns: u64) {
        self.end_ns = Some(end_ns.max(self.start_ns));
    }
}
