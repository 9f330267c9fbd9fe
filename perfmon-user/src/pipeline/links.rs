//! Joins calls to the requests for which they are made (`link`). In: heads and ends of exchanges, ends of commands; out: what their records
//! say of the other.
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::link::{Attempt, CallKind, LinkVerdict, OutgoingCall, ServedRequest};
use crate::proto::command::Command;
use crate::proto::exchange::{Exchange, RequestHead};
use crate::proto::headers::Headers;
use crate::record::{Db, Llm, Request};
use crate::stream::Direction;
use crate::track::Connection;

use super::build::{self, BuildContext};
use super::session::Session;

/// A process calls somebody: its requests are followed from now on.
pub(super) fn calls_out(pid: u32, now_ns: u64, context: &mut BuildContext<'_>) {
    if context.linker.follow(pid, now_ns) {
        context.new_callers.push(pid);
    }
}

/// A request's head was read or written.
pub(super) fn asked(connection: &Connection<Session>, head: &RequestHead<'_>, context: &mut BuildContext<'_>) {
    if head.direction == Direction::Out {
        return calls_out(connection.pid, head.time_ns, context);
    }
    if !context.linker.follows(connection.pid) {
        return;
    }
    let request = ServedRequest {
        key: (connection.state.id, head.exchange),
        span_id: build::span_id(connection, head.exchange, head.start_ns, context.wall_at_boot_ns),
        trace_id: trace_id(&head.headers),
        thread: head.thread,
        read_ns: head.time_ns,
    };
    context.linker.begin(connection.pid, request);
}

fn trace_id(headers: &Headers<'_>) -> Option<Arc<str>> {
    build::trace_context(headers.text("traceparent")?).map(|(trace_id, _)| trace_id.into())
}

/// The requests under way of a process that is followed from now on.
pub(super) fn under_way(connection: &Connection<Session>, wall_at_boot_ns: u64) -> Vec<ServedRequest> {
    let mut served = Vec::new();
    connection.state.pending(&mut |pending| {
        if pending.server {
            served.push(ServedRequest {
                key: (connection.state.id, pending.exchange),
                span_id: build::span_id(connection, pending.exchange, pending.start_ns, wall_at_boot_ns),
                trace_id: None,
                thread: pending.thread,
                read_ns: pending.read_ns,
            });
        }
    });
    served
}

/// A served request was answered: its record tells what was called for it.
pub(super) fn answered(connection: &Connection<Session>, exchange: &Exchange, record: &mut Request, context: &mut BuildContext<'_>) {
    if exchange.server && context.linker.follows(connection.pid) {
        let end_ns = exchange.end_ns.unwrap_or(exchange.start_ns);
        record.downstream = context.linker.end(connection.pid, (connection.state.id, exchange.id), end_ns).map(Box::new);
    }
}

/// An HTTP call ended: its record tells for which request it was made.
pub(super) fn exchange(
    connection: &Connection<Session>,
    exchange: &Exchange,
    model_call: Option<&Llm>,
    record: &mut Request,
    context: &mut BuildContext<'_>,
) {
    if exchange.server {
        return;
    }
    let call = OutgoingCall {
        kind: if model_call.is_some() { CallKind::Llm } else { CallKind::Http },
        thread: exchange.thread,
        start_ns: exchange.start_ns,
        end_ns: exchange.end_ns,
        trace_id: record.trace_id.as_deref(),
        query: None,
        attempt: Some(attempt(record)),
    };
    match context.linker.call(connection.pid, &call) {
        LinkVerdict::Linked(link) => {
            context.counters.calls_linked.inc();
            record.link = Some(link.quality);
            record.resend_count = (link.resend_count > 0).then_some(link.resend_count);
            // What the call carries is the caller's own word; and the parent of an agent's call is its run.
            if record.trace_id.is_none() && model_call.is_none_or(|call| call.agent_run_id.is_none()) {
                record.trace_id = link.trace_id;
                record.parent_span_id = Some(link.parent.to_string().into());
            }
        }
        LinkVerdict::Unsure => context.counters.calls_unlinked.inc(),
        LinkVerdict::Own => {}
    }
}

/// What a call tried. An answer that asks to come again later, 429, is a failed attempt, though no error of the destination.
fn attempt(record: &Request) -> Attempt {
    let mut hasher = rustc_hash::FxHasher::default();
    (record.destination.as_ref().unwrap_or(&record.peer), &record.method, &record.path).hash(&mut hasher);
    Attempt { what: hasher.finish(), failed: record.is_error() || record.status_code == Some(429) }
}

/// A database command ended.
pub(super) fn command(connection: &Connection<Session>, command: &Command, record: &mut Db, context: &mut BuildContext<'_>) {
    if command.server {
        return;
    }
    calls_out(connection.pid, command.end_ns.unwrap_or(command.start_ns), context); // of a connection that was joined midway
    let call = OutgoingCall {
        kind: CallKind::Db,
        thread: command.thread,
        start_ns: command.start_ns,
        end_ns: command.end_ns,
        trace_id: None,
        query: record.query_id.as_ref().zip(record.query.as_ref()),
        attempt: None,
    };
    match context.linker.call(connection.pid, &call) {
        LinkVerdict::Linked(link) => {
            context.counters.calls_linked.inc();
            (record.link, record.parent_span_id, record.trace_id) = (Some(link.quality), Some(link.parent), link.trace_id);
        }
        LinkVerdict::Unsure => context.counters.calls_unlinked.inc(),
        LinkVerdict::Own => {}
    }
}
