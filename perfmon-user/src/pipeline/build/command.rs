//! The command family's builder: a command and what is known of its connection and process → the `db` record.
use crate::proto::command::Command;
use crate::record::{Db, Millis, Quality, Side, WallTime};
use crate::track::Connection;

use super::super::session::Session;
use super::super::{skips, tls};
use super::exchange::span_id;
use super::{BuildContext, address, learned};

/// Makes the record.
pub(in crate::pipeline) fn command(connection: &mut Connection<Session>, command: &Command, context: &mut BuildContext<'_>) -> Db {
    let missing_bytes = command.missing_bytes + tls::take_cut(connection);
    let inferred = command.inferred || skips::may_lack_bytes(connection, command.start_ns, context);
    let complete = !inferred && missing_bytes == 0;
    let origin = context.processes.on_exchange(connection.pid, complete, missing_bytes);
    let (local, peer) = (address(connection.local.as_ref(), context.names), address(connection.peer.as_ref(), context.names));
    let since_start = |time_ns: u64| Millis(time_ns.saturating_sub(command.start_ns));
    let (request_bytes, response_bytes) = tls::wire_sizes(connection, command.server, command.request_wire, command.response_wire);
    let destination =
        (!command.server).then(|| tls::server_name(connection).or_else(|| learned(connection, context)).unwrap_or_else(|| peer.clone()));
    Db {
        time: WallTime(context.wall_at_boot_ns + command.start_ns),
        origin,
        side: if command.server { Side::Server } else { Side::Client },
        system: command.system,
        operation: command.operation.clone(),
        target: command.target.clone(),
        query: command.query.clone(),
        query_id: command.query.as_deref().map(|query| context.names.get(&query_id(query))),
        statement: command.statement.clone(),
        database: command.database.clone(),
        error: command.error.clone(),
        rows: command.rows,
        response_time_ms: command.end_ns.map(since_start),
        time_to_first_byte_ms: command.first_byte_ns.map(since_start),
        request_bytes,
        response_bytes,
        tls: connection.state.cipher.is_some(),
        local,
        peer,
        destination,
        span_id: span_id(connection, command.id, command.start_ns, context.wall_at_boot_ns),
        trace_id: None,
        parent_span_id: None,
        link: None,
        quality: if inferred { Quality::Inferred } else { Quality::Exact },
        missing_bytes,
    }
}

/// FNV-1a of the normalised text: the same in every process and on every host.
fn query_id(query: &str) -> String {
    let hash = query.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::query_id;

    #[test]
    fn an_id_is_stable() {
        assert_eq!(query_id(""), "cbf29ce484222325");
        assert_eq!(query_id("SELECT ?"), query_id("SELECT ?"));
        assert_ne!(query_id("SELECT ?"), query_id("SELECT ?, ?"));
    }
}
