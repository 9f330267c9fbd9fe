//! The question family's builder: a question and what is known of its socket and process → the `dns` record.
use crate::proto::question::Question;
use crate::record::{Dns, Millis, Quality, WallTime};
use crate::track::Connection;

use super::super::session::Session;
use super::{BuildContext, address};

/// Makes the record.
pub(in crate::pipeline) fn question(connection: &mut Connection<Session>, question: &Question, context: &mut BuildContext<'_>) -> Dns {
    let origin = context.processes.on_exchange(connection.pid, !question.inferred, 0);
    let server = match question.server {
        Some(server) => context.names.get(&server.to_string()),
        None => address(connection.peer.as_ref(), context.names),
    };
    Dns {
        time: WallTime(context.wall_at_boot_ns + question.start_ns),
        origin,
        name: question.name.clone(),
        qtype: question.qtype.clone(),
        rcode: question.rcode.clone(),
        server,
        attempts: question.attempts,
        response_time_ms: question.end_ns.map(|end_ns| Millis(end_ns.saturating_sub(question.start_ns))),
        quality: if question.inferred { Quality::Inferred } else { Quality::Exact },
    }
}
