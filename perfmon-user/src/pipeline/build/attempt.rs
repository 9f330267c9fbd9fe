//! The record of a failed connect(): nothing passed, so it is an attempt of the destination and no exchange. A `request` record of protocol
//! `tcp` with an error and the time that the attempt took; no latency, so that it counts and enters no percentile.
use crate::proto::exchange::Exchange;
use crate::record::{Millis, Request};
use crate::stream::Failure;
use crate::track::Connection;

use super::super::session::Session;
use super::BuildContext;
use super::exchange::request;

/// Makes the record.
pub(in crate::pipeline) fn attempt(
    connection: &mut Connection<Session>,
    failure: Failure,
    since_ns: u64,
    time_ns: u64,
    context: &mut BuildContext<'_>,
) -> Request {
    let host = connection.peer.as_ref().and_then(|peer| context.peer_names.name(connection.pid, peer));
    let mut exchange = Exchange { protocol: Request::TCP, failure: Some(failure), start_ns: since_ns, host, ..Exchange::default() };
    let record = request(connection, &mut exchange, context);
    Request { host: None, connect_time_ms: Some(Millis(time_ns.saturating_sub(since_ns))), ..record }
}
