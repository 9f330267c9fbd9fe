//! Builders of records, one a message family: what a parser told and what is known of its connection and process → the record.
mod attempt;
mod command;
mod exchange;
mod frame;
mod question;

use std::sync::Arc;

use crate::budget::Budget;
use crate::counters::Counters;
use crate::link::Linker;
use crate::pools::PoolTracker;
use crate::process::ProcessTable;
use crate::proto::dns::QuestionTable;
use crate::proto::exchange::Exchange;
use crate::tls::Binder;
use crate::track::{Connection, OpenConnections};

use super::intern::Interner;
use super::model_calls::ModelCalls;
use super::peer_names::PeerNames;
use super::session::Session;
use super::skips::Skips;

pub(super) use attempt::attempt;
pub(super) use command::command;
pub(super) use exchange::{request, span_id, trace_context};
pub(super) use frame::session;
pub(super) use question::question;

/// Memory of exchanges that ended.
pub(in crate::pipeline) type SpareExchanges = Vec<Box<Exchange>>;

/// What the making of records needs beside the connection.
pub(in crate::pipeline) struct BuildContext<'a> {
    pub(in crate::pipeline) processes: &'a mut ProcessTable,
    pub(in crate::pipeline) names: &'a mut Interner,
    pub(in crate::pipeline) model_calls: &'a mut ModelCalls,
    /// Which request a call serves.
    pub(in crate::pipeline) linker: &'a mut Linker,
    /// Connections of clients.
    pub(in crate::pipeline) pools: &'a mut PoolTracker,
    /// Processes that began to call others in this event: their requests under way are still to be followed.
    pub(in crate::pipeline) new_callers: &'a mut Vec<u32>,
    /// Names of the addresses that processes call.
    pub(in crate::pipeline) peer_names: &'a mut PeerNames,
    /// Names that processes asked for and have no answer yet.
    pub(in crate::pipeline) questions: &'a mut QuestionTable,
    /// Connections that spoke so far.
    pub(in crate::pipeline) connections: &'a mut u64,
    /// Connections that the targets accepted.
    pub(in crate::pipeline) open: &'a mut OpenConnections,
    /// TLS objects and their sockets.
    pub(in crate::pipeline) binder: &'a mut Binder,
    /// Exchanges that ended, to be used again.
    pub(in crate::pipeline) exchanges: &'a mut SpareExchanges,
    /// Memory for unfinished messages.
    pub(in crate::pipeline) budget: &'a Budget,
    pub(in crate::pipeline) counters: &'a Counters,
    pub(in crate::pipeline) skips: Skips,
    /// The exchange that ended last began after programs were last skipped.
    pub(in crate::pipeline) is_fresh: bool,
    pub(in crate::pipeline) wall_at_boot_ns: u64,
    /// Paths are kept as they are.
    pub(in crate::pipeline) raw_paths: bool,
}

/// The name by which the process asked for the peer's address before it first used the connection.
pub(super) fn learned(connection: &mut Connection<Session>, context: &BuildContext<'_>) -> Option<Arc<str>> {
    if !std::mem::replace(&mut connection.state.is_looked_up, true) {
        connection.state.asked_name = connection.peer.as_ref().and_then(|peer| context.peer_names.asked(connection.pid, peer));
    }
    connection.state.asked_name.clone()
}

/// An end of a connection as records name it.
pub(super) fn address(known: Option<&Arc<str>>, names: &mut Interner) -> Arc<str> {
    known.cloned().unwrap_or_else(|| names.get("unknown"))
}
