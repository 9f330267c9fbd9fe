//! What a connection speaks: detection on its first bytes, then the parser's messages turned into records and wishes.
use std::sync::Arc;

use crate::decode::{Direction, Role};
use crate::llm::Calls;
use crate::proto::detect::{Detected, Protocol, detect};
use crate::proto::{Chunk, Content as ChunkContent, Demand, End, Exchange, Flow, Message, Parser, Pending, Sink, Stats};
use crate::record::{Origin, Record};
use crate::track::{Connection, Content, Ending, Segment, Step};

use super::cipher::Cipher;
use super::exchange::{Context, address, request};
use super::minds::{Minds, Wire};
use super::{Capture, Out, Wish, tls};

/// Segments of a connection, seen from its middle on, that may look like nothing known before it is given up.
const LATE_PATIENCE: u32 = 64;

/// A connection's protocol state.
#[derive(Default)]
pub(super) struct Speech {
    spoken: Spoken,
    wished: Option<Capture>,
    calls: Calls,
    /// The encrypted side of a TLS connection.
    pub(super) cipher: Option<Box<Cipher>>,
    /// Unique among the connections.
    id: u64,
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech").field("spoken", &self.spoken).field("wished", &self.wished).finish_non_exhaustive()
    }
}

#[derive(Default)]
enum Spoken {
    /// Nothing recognised yet after so many segments.
    #[default]
    Silent,
    /// Looking; so many segments were not understood.
    Listening(u32),
    Known(Box<dyn Parser>),
    /// Nothing that perfmon understands.
    Opaque,
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Silent => "Silent",
            Self::Listening(_) => "Listening",
            Self::Known(_) => "Known",
            Self::Opaque => "Opaque",
        })
    }
}

impl Speech {
    /// Nothing is recognised yet.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.spoken, Spoken::Silent | Spoken::Listening(_))
    }

    /// What was heard so far was ciphertext.
    pub(super) fn become_silent(&mut self) {
        self.spoken = Spoken::Silent;
    }

    /// Whether an exchange is under way.
    pub(super) fn is_busy(&self) -> bool {
        let mut busy = false;
        self.pending(&mut |_| busy = true);
        busy
    }

    /// Whether the process was seen to answer on it.
    pub(super) fn serves(&self) -> bool {
        match &self.spoken {
            Spoken::Known(parser) => parser.serves() == Some(true),
            _ => false,
        }
    }

    /// Exchanges under way.
    pub(super) fn pending(&self, visit: &mut dyn FnMut(Pending<'_>)) {
        if let Spoken::Known(parser) = &self.spoken {
            parser.pending(visit);
        }
    }
}

/// Takes a connection's next step.
pub(super) fn advance(connection: &mut Connection<Speech>, step: Step<'_>, context: &mut Context<'_>, out: &mut Out) {
    match step {
        Step::Segment(segment) => {
            if tls::ciphertext(connection, &segment, context, out) {
                return;
            }
            let demand = hear(connection, segment, context, out);
            wish(connection, demand, out);
        }
        Step::Ended { ending, time_ns } => end(connection, ending, time_ns, context, out),
    }
}

/// Takes the next bytes that mean something; says how much of what follows is needed.
pub(super) fn hear(connection: &mut Connection<Speech>, segment: Segment<'_>, context: &mut Context<'_>, out: &mut Out) -> Capture {
    recognise(connection, segment, context);
    let wire_parts = WireParts::of(connection, context);
    let Speech { spoken, calls, .. } = &mut connection.state;
    let Spoken::Known(parser) = spoken else {
        return if matches!(spoken, Spoken::Opaque) { Capture::Off } else { Capture::Head };
    };
    let mut heard = Heard { minds: context.minds, calls, wire: wire_parts.wire(), done: Vec::new() };
    let demand = parser.push(flow(segment.direction), chunk(segment), &mut heard);
    let done = heard.done;
    let needs_all = calls.need_all();
    count(parser.take_stats(), context);
    if demand == Demand::Count && !connection.state.is_busy() && done.is_empty() {
        connection.state.spoken = Spoken::Opaque;
        context.counters.connections_unparsed.inc();
        return Capture::Off;
    }
    publish(connection, done, &wire_parts, context, out);
    if needs_all { Capture::Full } else { demand.into() }
}

fn recognise(connection: &mut Connection<Speech>, segment: Segment<'_>, context: &mut Context<'_>) {
    let misses = match connection.state.spoken {
        Spoken::Silent => 0,
        Spoken::Listening(misses) => misses,
        Spoken::Known(_) | Spoken::Opaque => return,
    };
    let Content::Bytes(bytes) = segment.content else {
        connection.late = true;
        return;
    };
    connection.state.spoken = match detect(flow(segment.direction), bytes) {
        Detected::Is(protocol) => Spoken::Known(protocol.parser()),
        // Its parser keeps a beginning that is too short to say, and gives up when it goes on differently.
        Detected::NeedMore => Spoken::Known(Protocol::Http1.parser()),
        Detected::Unknown if connection.late && misses < LATE_PATIENCE => Spoken::Listening(misses + 1),
        Detected::Unknown => {
            context.counters.connections_unparsed.inc();
            Spoken::Opaque
        }
    };
}

fn end(connection: &mut Connection<Speech>, ending: Ending, time_ns: u64, context: &mut Context<'_>, out: &mut Out) {
    tls::ends(connection, context, out);
    let wire_parts = WireParts::of(connection, context);
    let Speech { spoken, calls, .. } = &mut connection.state;
    let Spoken::Known(parser) = spoken else { return };
    let mut heard = Heard { minds: context.minds, calls, wire: wire_parts.wire(), done: Vec::new() };
    parser.end(end_of(ending), time_ns, &mut heard);
    let done = heard.done;
    count(parser.take_stats(), context);
    publish(connection, done, &wire_parts, context, out);
}

/// What is known of a connection whose messages are told.
struct WireParts {
    origin: Arc<Origin>,
    peer: Arc<str>,
    tls: bool,
    id: u64,
}

impl WireParts {
    fn of(connection: &mut Connection<Speech>, context: &mut Context<'_>) -> Self {
        if connection.state.id == 0 {
            *context.connections += 1;
            connection.state.id = *context.connections;
        }
        let peer = address(connection.peer.as_ref(), context.names);
        Self { origin: context.people.origin(connection.pid), peer, tls: connection.state.cipher.is_some(), id: connection.state.id }
    }

    fn wire(&self) -> Wire<'_> {
        Wire { origin: &self.origin, tls: self.tls, peer: &self.peer, destination: None, id: self.id }
    }
}

/// Takes a parser's messages.
struct Heard<'a> {
    minds: &'a mut Minds,
    calls: &'a mut Calls,
    wire: Wire<'a>,
    done: Vec<Exchange>,
}

impl Sink for Heard<'_> {
    fn message(&mut self, message: Message<'_>) {
        match message {
            Message::Done(exchange) => self.done.push(*exchange),
            message => self.minds.message(self.calls, &message, &self.wire),
        }
    }
}

fn count(stats: Stats, context: &Context<'_>) {
    context.counters.parser_desyncs.add(stats.desyncs);
    context.counters.heads_too_long.add(stats.heads_too_long);
    context.counters.exchanges_evicted.add(stats.evicted);
    context.counters.orphan_responses.add(stats.orphans);
}

fn publish(connection: &mut Connection<Speech>, done: Vec<Exchange>, wire_parts: &WireParts, context: &mut Context<'_>, out: &mut Out) {
    for mut exchange in done {
        tls::encrypted_sizes(connection, &mut exchange);
        if connection.role == Role::Unknown {
            connection.role = if exchange.server { Role::Server } else { Role::Client };
        }
        let record = request(connection, &exchange, &wire_parts.origin, context);
        let more = context.minds.done(&mut connection.state.calls, &exchange, &record, &wire_parts.wire(), context.wall_at_boot_ns);
        out.records.push(Record::Request(record));
        out.records.extend(more);
    }
}

/// Tells the kernel once when a connection needs another capture mode than it has.
pub(super) fn wish(connection: &mut Connection<Speech>, wanted: Capture, out: &mut Out) {
    let has = connection.state.wished.unwrap_or(Capture::Head);
    if wanted != has {
        connection.state.wished = Some(wanted);
        out.wishes.push(Wish::Capture(connection.key, wanted));
    }
}

fn flow(direction: Direction) -> Flow {
    match direction {
        Direction::In => Flow::In,
        Direction::Out => Flow::Out,
    }
}

fn chunk(segment: Segment<'_>) -> Chunk<'_> {
    let content = match segment.content {
        Content::Bytes(bytes) => ChunkContent::Bytes(bytes),
        Content::Gap(missing) => ChunkContent::Gap(missing),
        Content::Lost(missing) => ChunkContent::Lost(missing),
        Content::Unknown => ChunkContent::Unknown,
    };
    Chunk { time_ns: segment.time_ns, arrival_ns: segment.arrival_ns, thread: segment.thread, content }
}

fn end_of(ending: Ending) -> End {
    match ending {
        Ending::PeerClosed => End::PeerClosed,
        Ending::LocalClosed => End::LocalClosed,
        Ending::Closed => End::Closed,
        Ending::PeerReset => End::PeerReset,
        Ending::LocalReset => End::LocalReset,
        Ending::Forgotten => End::Forgotten,
    }
}
