//! The exchange family's builder: an exchange and what is known of its connection and process → the `request` record.
use crate::proto::exchange::Exchange;
use crate::record::{Category, Millis, Quality, Request, Side, SpanId, WallTime, mixed};
use crate::track::Connection;

use super::super::session::Session;
use super::super::{skips, tls};
use super::{BuildContext, address, learned};

/// Makes the record. The texts of the exchange move into it.
pub(in crate::pipeline) fn request(
    connection: &mut Connection<Session>,
    exchange: &mut Exchange,
    context: &mut BuildContext<'_>,
) -> Request {
    let (request_bytes, response_bytes) = tls::wire_sizes(connection, exchange.server, exchange.request_wire, exchange.response_wire);
    let missing_bytes = exchange.missing_bytes + tls::take_cut(connection);
    exchange.inferred |= skips::may_lack_bytes(connection, exchange.start_ns, context);
    let complete = !exchange.inferred && missing_bytes == 0;
    let origin = context.processes.on_exchange(connection.pid, complete, missing_bytes);
    let (local, peer) = (address(connection.local.as_ref(), context.names), address(connection.peer.as_ref(), context.names));
    let destination = (!exchange.server).then(|| {
        let said = exchange.host.clone().or_else(|| tls::server_name(connection));
        said.or_else(|| learned(connection, context)).unwrap_or_else(|| peer.clone())
    });
    let since_start = |time_ns: u64| Millis(time_ns.saturating_sub(exchange.start_ns));
    let seen_to_end = exchange.status.is_some() || exchange.failure.is_some();
    let mut record = Request {
        time: WallTime(context.wall_at_boot_ns + exchange.start_ns),
        origin,
        side: if exchange.server { Side::Server } else { Side::Client },
        protocol: exchange.protocol,
        tls: connection.state.cipher.is_some(),
        destination,
        local,
        peer,
        host: exchange.host.take(),
        method: exchange.method.take(),
        path: exchange.path.take(),
        endpoint: None,
        user_agent: exchange.user_agent.take(),
        status_code: exchange.status,
        error: exchange.failure,
        request_size: exchange.request_body,
        response_size: exchange.response_body,
        request_bytes,
        response_bytes,
        response_time_ms: exchange.end_ns.filter(|_| seen_to_end).map(since_start),
        streaming: exchange.streaming,
        grpc_status: exchange.grpc_status,
        queue_time_ms: exchange.first_read_ns.filter(|_| exchange.server && exchange.arrival_known).map(since_start),
        connect_time_ms: connection.connect_ns.take().filter(|_| !exchange.server).map(|ns| Millis(ns.get())),
        resend_count: None,
        tls_time_ms: tls::take_handshake(connection).map(|ns| Millis(ns.get())),
        time_to_first_byte_ms: exchange.first_byte_ns.map(since_start),
        performance_category: None,
        trace_id: None,
        span_id: span_id(connection, exchange.id, exchange.start_ns, context.wall_at_boot_ns),
        parent_span_id: None,
        link: None,
        downstream: None,
        quality: if exchange.inferred { Quality::Inferred } else { Quality::Exact },
        missing_bytes,
        messages_sent: None,
        messages_received: None,
        close_code: None,
    };
    record.performance_category = record.latency().map(Category::of);
    if let Some((trace_id, parent)) = exchange.traceparent.as_deref().and_then(trace_context) {
        (record.trace_id, record.parent_span_id) = (Some(trace_id.into()), Some(parent.into()));
    }
    record
}

/// Trace id and parent id of a `traceparent` header (W3C Trace Context, version 00 and later ones that begin alike).
pub(in crate::pipeline) fn trace_context(header: &str) -> Option<(&str, &str)> {
    let mut parts = header.trim().split('-');
    let (version, trace_id, parent) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let nonzero = |text: &str| text.bytes().any(|b| b != b'0');
    (hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(parent, 16) && nonzero(trace_id) && nonzero(parent))
        .then_some((trace_id, parent))
}

/// Ids follow from what they name, so that a replay gives the same ones.
pub(in crate::pipeline) fn span_id(connection: &Connection<Session>, id: u64, start_ns: u64, wall_at_boot_ns: u64) -> SpanId {
    let mut span = wall_at_boot_ns;
    for part in [connection.key.sock, u64::from(connection.key.inode), id, start_ns] {
        span = mixed(span ^ part);
    }
    SpanId(span)
}

#[cfg(test)]
mod tests {
    use super::trace_context;

    #[test]
    fn only_valid_trace_contexts_are_taken() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace_context(good), Some(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")));
        for bad in [
            "",
            "00",
            "00-0af7-b7ad-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_context(bad), None, "{bad}");
        }
    }
}
