//! What both directions share: commands that wait for their answers. Each answer has the number of its request, so that nothing is joined that
//! does not belong together, whatever was lost. An answer may announce another one, which then has the number of the answer before it.
use super::answer::MongoAnswer;
use super::header::MongoOpcode;
use super::message::MongoMessage;
use super::request::MongoRequest;
use crate::proto::command::Command;
use crate::proto::frame_pair::FrameTalk;
use crate::proto::framed::FrameSpan;
use crate::proto::pending::{Answered, PendingCommand, PendingCommands};
use crate::proto::{Message, Sink, Stats};

/// What is kept of a command under way.
#[derive(Debug)]
struct MongoAsked {
    /// Number of the message that is answered next.
    id: u32,
    /// It waits for something to happen.
    waits: bool,
    /// The number of its answer is a value, not a number of documents.
    is_count: bool,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct MongoTalk {
    /// The process is the server.
    pub(super) server: bool,
    waiting: PendingCommands<MongoAsked>,
    /// Number of the last answer to a `hello` that others follow, with nothing asked.
    news: Option<u32>,
    query: String,
    next_id: u64,
    missing_bytes: u64,
    stats: Stats,
}

impl FrameTalk<MongoMessage<MongoRequest>, MongoMessage<MongoAnswer>> for MongoTalk {
    fn request(&mut self, frame: &MongoMessage<MongoRequest>, span: FrameSpan, sink: &mut dyn Sink) {
        let text = &frame.text;
        text.write(&mut self.query);
        let operation = match (frame.header.opcode, frame.compressor) {
            (MongoOpcode::Write(name), _) => name,
            (MongoOpcode::GetMore, _) => "getMore",
            (MongoOpcode::KillCursors, _) => "killCursors",
            (_, Some(compressor)) => compressed(compressor),
            _ => &text.operation,
        };
        let shared = |text: &str, sink: &mut dyn Sink| (!text.is_empty()).then(|| sink.text(text));
        let command = Command {
            id: self.next_id,
            server: self.server,
            system: "mongodb",
            operation: shared(operation, sink),
            target: shared(&text.target, sink),
            query: shared(&self.query, sink).filter(|_| operation == text.operation),
            database: shared(&text.database, sink),
            request_wire: span.wire,
            thread: span.first.thread,
            start_ns: span.first.arrival_ns.filter(|_| self.server).unwrap_or(span.first.time_ns),
            missing_bytes: std::mem::take(&mut self.missing_bytes) + frame.missing,
            ..Command::default()
        };
        self.next_id += 1;
        let is_unanswered = matches!(frame.header.opcode, MongoOpcode::Write(_) | MongoOpcode::KillCursors) || frame.has_more_to_come();
        if is_unanswered {
            return sink.message(Message::Command(&command));
        }
        let tag = MongoAsked { id: frame.header.id, waits: text.waits, is_count: operation == "count" };
        self.waiting.push(PendingCommand { command, tag }, sink);
    }

    fn answer(&mut self, frame: &MongoMessage<MongoAnswer>, span: FrameSpan, sink: &mut dyn Sink) {
        let (text, header) = (&frame.text, frame.header);
        let Some(place) = self.waiting.iter().position(|pending| pending.tag.id == header.answers) else {
            return self.unwaited(frame);
        };
        for _ in 0..place {
            self.passed(sink);
        }
        let Some(PendingCommand { command, tag }) = self.waiting.front() else { return };
        command.first_byte_ns.get_or_insert(span.first.time_ns.max(command.start_ns));
        command.response_wire += span.wire;
        command.missing_bytes += frame.missing;
        let rows = match header.opcode {
            MongoOpcode::Reply if command.operation.as_deref().is_some_and(|operation| matches!(operation, "find" | "getMore")) => {
                Some(u64::from(frame.returned))
            }
            _ => text.rows().filter(|_| !tag.is_count),
        };
        if let Some(rows) = rows {
            *command.rows.get_or_insert(0) += rows;
        }
        if let Some(error) = text.error() {
            command.error = Some(sink.text(&error));
        }
        if frame.has_more_to_come() && !tag.waits {
            tag.id = header.id;
            return;
        }
        if frame.has_more_to_come() {
            self.news = Some(header.id);
        }
        let Answered::Known(PendingCommand { mut command, .. }) = self.waiting.take() else { return };
        command.end_at(span.end_ns);
        command.missing_bytes += std::mem::take(&mut self.missing_bytes);
        sink.message(Message::Command(&command));
    }

    /// Requests may be lost: their answers will be nobody's.
    fn lose_requests(&mut self, missing: u64, _sink: &mut dyn Sink) {
        self.stats.desyncs += 1;
        self.missing_bytes += missing;
    }

    /// Answers may be lost: which ones is not known.
    fn lose_answers(&mut self, missing: u64, sink: &mut dyn Sink) {
        self.lose_requests(missing, sink);
        self.give_up(sink);
    }
}

impl MongoTalk {
    /// An answer that no command waits for.
    fn unwaited(&mut self, frame: &MongoMessage<MongoAnswer>) {
        if self.news == Some(frame.header.answers) {
            self.news = frame.has_more_to_come().then_some(frame.header.id);
        } else if self.waiting.iter().len() > 0 || matches!(self.waiting.take(), Answered::Orphan) {
            self.stats.orphans += 1;
        }
    }

    /// The answer to the oldest command was not seen: a later one is answered.
    fn passed(&mut self, sink: &mut dyn Sink) {
        if let Answered::Known(PendingCommand { mut command, .. }) = self.waiting.take() {
            command.inferred = true;
            sink.message(Message::Command(&command));
        }
    }

    /// Tells the commands that wait as far as they are known.
    pub(super) fn give_up(&mut self, sink: &mut dyn Sink) {
        self.waiting.tell(true, &mut self.missing_bytes, |_| true, sink);
    }

    /// The connection ended; `is_unknown`: what became of the commands that wait is not known.
    pub(super) fn end(&mut self, is_unknown: bool, sink: &mut dyn Sink) {
        self.waiting.tell(is_unknown, &mut 0, |_| true, sink);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A command is under way that does not wait by design.
    pub(super) fn in_use(&self) -> bool {
        self.waiting.iter().any(|pending| !pending.tag.waits)
    }

    pub(super) fn rest(&mut self) {
        self.waiting.rest();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.heap_bytes() + self.query.capacity()
    }

    pub(super) fn take_stats(&mut self) -> Stats {
        let stats = std::mem::take(&mut self.stats);
        self.waiting.count(stats)
    }
}

/// What a compressed message is called, by the number of its compressor.
fn compressed(compressor: u8) -> &'static str {
    match compressor {
        1 => "compressed (snappy)",
        2 => "compressed (zlib)",
        3 => "compressed (zstd)",
        _ => "compressed",
    }
}
