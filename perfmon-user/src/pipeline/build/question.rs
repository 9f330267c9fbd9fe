//! The question family's builder: a question and what is known of the process that asked it → the `dns` record.
use crate::proto::question::Question;
use crate::record::{Dns, Millis, Quality, Record, WallTime};
use crate::redact;

use super::BuildContext;

/// Makes the record.
pub(in crate::pipeline) fn question(pid: u32, question: &Question, context: &mut BuildContext<'_>) -> Record {
    Record::Dns(Box::new(Dns {
        time: WallTime(context.wall_at_boot_ns + question.start_ns),
        origin: context.processes.origin(pid),
        name: context.names.get(&redact::text(&question.name)),
        qtype: question.qtype.clone(),
        rcode: question.rcode.clone(),
        server: match question.server {
            Some(server) => context.names.get(&server.to_string()),
            None => context.names.get("unknown"),
        },
        attempts: question.attempts,
        response_time_ms: question.end_ns.map(|end_ns| Millis(end_ns.saturating_sub(question.start_ns))),
        quality: if question.inferred { Quality::Inferred } else { Quality::Exact },
    }))
}
