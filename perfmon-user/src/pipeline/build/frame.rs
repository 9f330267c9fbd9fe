//! The frame family's builder: a session of messages and what is known of its connection and process → the record of its end, a
//! `request` record that totals do not count. Sizes: `request_size` and `response_size` are the payload of messages as transferred,
//! `request_bytes` and `response_bytes` everything after the handshake.
use crate::proto::frame::FrameSession;
use crate::record::{Quality, Request};
use crate::track::Connection;

use super::super::session::Session;
use super::BuildContext;
use super::exchange::{request, span_id};

/// Makes the record of a session's end.
pub(in crate::pipeline) fn session(
    connection: &mut Connection<Session>,
    session: &FrameSession,
    context: &mut BuildContext<'_>,
) -> Request {
    let mut opening = session.opening.clone();
    let (requests, answers) = if opening.server { (session.received, session.sent) } else { (session.sent, session.received) };
    opening.protocol = session.protocol;
    opening.failure = session.failure;
    opening.end_ns = Some(session.end_ns);
    opening.streaming = true;
    (opening.request_body, opening.response_body) = (Some(requests.payload_bytes), Some(answers.payload_bytes));
    (opening.request_wire, opening.response_wire) = (requests.wire_bytes, answers.wire_bytes);
    opening.inferred |= session.inferred;
    opening.missing_bytes = session.missing_bytes;
    let record = request(connection, &mut opening, context);
    Request {
        quality: if opening.inferred { Quality::Inferred } else { Quality::Exact },
        // The handshake's own record has the id of the exchange; this one's parent is that.
        span_id: span_id(connection, u64::MAX, session.end_ns, context.wall_at_boot_ns),
        parent_span_id: Some(record.span_id.to_string().into()),
        messages_sent: Some(session.sent.messages),
        messages_received: Some(session.received.messages),
        close_code: session.close_code,
        // What does not count as a request has no latency to judge.
        performance_category: None,
        ..record
    }
}
