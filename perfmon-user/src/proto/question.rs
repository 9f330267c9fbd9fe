//! The question family: a name is asked for and answered, repeated until an answer comes (DNS). Messages of a process, whichever
//! socket they pass, are joined to questions, each told once with its retries counted (`dns::QuestionTable`); one builder makes `dns` records of them.
use std::net::SocketAddr;
use std::sync::Arc;

/// A question and its answer: what a `dns` record needs and stands on the wire. Times are as the segments'.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The name asked for.
    pub name: Arc<str>,
    /// `A`, `AAAA`, …
    pub qtype: Arc<str>,
    /// `NOERROR`, `NXDOMAIN`, …; `TIMEOUT` when none came.
    pub rcode: Arc<str>,
    /// Who was asked, where the socket is not connected to it.
    pub server: Option<SocketAddr>,
    /// Times it was asked.
    pub attempts: u32,
    /// First sent (client) or arrived (server).
    pub start_ns: u64,
    /// Answered; `None` when no answer came.
    pub end_ns: Option<u64>,
    /// A part was not seen and the figures follow from the rest.
    pub inferred: bool,
}
