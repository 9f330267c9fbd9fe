//! The protocol session of a connection. In: its segments; out: records and capture commands. The opening is kept until detection knows
//! the protocol, then a parser reads the segments. A parser that is done hands the connection over to the next one.
use std::sync::Arc;

use crate::agent::{self, Inbound};
use crate::llm::Calls;
use crate::proto::detect::{BUDGET, Detected, Opening, Protocol, Verdict, detect};
use crate::proto::kept::Kept;
use crate::proto::websocket::WebSocket;
use crate::proto::{Demand, HandOver, Parser, PendingExchange, Sink, Stats, Successor};
use crate::record::Record;
use crate::stream::{Content, Direction, Ending, RequestedCapture, Role, Segment};
use crate::tls::EncryptedSide;
use crate::track::{Connection, ConnectionEvent};

use super::build::{self, BuildContext};
use super::pooled::{self, PoolPlace};
use super::record_sink::RecordSink;
use super::skips::Belief;
use super::{Capture, Out, PipelineCommand, links, skips, tls};

/// Segments without a known protocol after which a connection that was joined midway is given up.
const LATE_PATIENCE: u32 = 64;
/// Most segments that an undecided opening keeps.
const OPENING_SEGMENTS: usize = 16;
/// A connection that was silent for so long gives memory back: at one tick at least, at a few at most.
const REST_NS: std::ops::Range<u64> = 1_000_000_000..4_000_000_000;
/// Most hand-overs between parsers within one segment.
const HAND_OVERS: u32 = 4;

/// A connection's protocol state.
#[derive(Default)]
pub(super) struct Session {
    phase: Phase,
    requested: RequestedCapture,
    pub(super) calls: Calls,
    /// The encrypted side of a TLS connection.
    pub(super) cipher: Option<Box<EncryptedSide>>,
    /// Unique among the connections.
    pub(super) id: u64,
    /// It is among the open connections that the process accepted.
    is_counted: bool,
    /// Whether bytes may be missing of which no event tells.
    pub(super) belief: Belief,
    /// Once it is known; its pool is called by it.
    pub(super) protocol: Option<Protocol>,
    /// Its place among the connections of its process to this peer.
    pub(super) pool: PoolPlace,
    /// Segments sent and sent again that its pool knows of.
    pub(super) sent: [u32; 2],
    /// The name by which the process asked for its peer's address, if there is one.
    pub(super) asked_name: Option<Arc<str>>,
    /// That name was looked up.
    pub(super) is_looked_up: bool,
    /// The name of its peer was noted.
    pub(super) is_named: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("phase", &self.phase).field("requested", &self.requested).finish_non_exhaustive()
    }
}

enum Phase {
    /// The protocol is not detected yet.
    Opening(Undecided),
    /// A parser reads it.
    Parsed(Box<dyn Parser>),
    /// A detected protocol without a parser.
    Unread,
    /// An unknown protocol.
    Opaque,
}

/// An opening that detection has not decided on.
#[derive(Debug, Default)]
struct Undecided {
    /// The segments so far, which the parser will read first.
    kept: Kept,
    /// The first bytes of both streams.
    heads: [Vec<u8>; 2],
    first: Option<Direction>,
    /// Segments in which no protocol was detected.
    misses: u32,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Opening(Undecided::default())
    }
}

impl std::fmt::Debug for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "Opening",
            Self::Parsed(_) => "Parsed",
            Self::Unread => "Unread",
            Self::Opaque => "Opaque",
        })
    }
}

impl Session {
    /// Sets the parser without detection.
    #[cfg(test)]
    pub(super) fn be_parsed_by(&mut self, parser: Box<dyn Parser>) {
        self.phase = Phase::Parsed(parser);
    }

    /// Starts detection again: the bytes so far were ciphertext.
    pub(super) fn begin_anew(&mut self) {
        self.phase = Phase::default();
    }

    /// Whether an exchange is under way or a session of messages open.
    pub(super) fn is_busy(&self) -> bool {
        let mut busy = matches!(&self.phase, Phase::Parsed(parser) if parser.is_open());
        self.pending(&mut |_| busy = true);
        busy
    }

    /// Whether a client needs the connection, though nothing passes.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.pool, PoolPlace::In(_, Some(_)))
    }

    /// Whether the process answers requests on this connection.
    pub(super) fn serves(&self) -> bool {
        match &self.phase {
            Phase::Parsed(parser) => parser.serves() == Some(true),
            _ => false,
        }
    }

    /// Adds the requests under way that the process serves, in the form that agent runs use.
    pub(super) fn inbound(&self, into: &mut Vec<Inbound>) {
        self.pending(&mut |pending| {
            if pending.server {
                into.push(Inbound {
                    key: (self.id, pending.exchange),
                    thread: pending.thread,
                    start_ns: pending.start_ns,
                    read_ns: pending.read_ns,
                    kind: agent::kind(pending.method, pending.path),
                });
            }
        });
    }

    /// Exchanges under way.
    pub(super) fn pending(&self, visit: &mut dyn FnMut(PendingExchange<'_>)) {
        if let Phase::Parsed(parser) = &self.phase {
            parser.pending(visit);
        }
    }
}

/// Ends an exchange that nothing but silence can end; gives memory back on a connection that fell silent. Called about once a second.
pub(super) fn settle(connection: &mut Connection<Session>, now_ns: u64, context: &mut BuildContext<'_>, out: &mut Out) {
    if matches!(&connection.state.phase, Phase::Parsed(parser) if parser.is_unsettled()) {
        with_parser(connection, context, out, |parser, sink| parser.settle(now_ns, sink));
    }
    let silent_ns = now_ns.saturating_sub(connection.last_ns);
    if REST_NS.contains(&silent_ns)
        && let Phase::Parsed(parser) = &mut connection.state.phase
    {
        parser.rest();
    }
}

/// Handles the next event of a connection.
pub(super) fn advance(connection: &mut Connection<Session>, step: ConnectionEvent<'_>, context: &mut BuildContext<'_>, out: &mut Out) {
    match step {
        ConnectionEvent::Segment(segment) => {
            let time_ns = segment.stamp.time_ns;
            skips::pass(connection, segment.content, time_ns, context);
            if connection.state.cipher.is_some() {
                tls::ciphertext(connection, &segment, context, out);
            } else {
                let demand = read(connection, segment, context, out);
                request_capture(connection, demand, out);
            }
            if !connection.state.is_counted {
                connection.state.is_counted = context.used(connection, time_ns);
            }
        }
        ConnectionEvent::Ended { ending, time_ns } => end(connection, ending, time_ns, context, out),
        // A request went out with the SYN (RFC 7413): it failed with the connection.
        ConnectionEvent::NotConnected { time_ns, .. } if connection.state.is_busy() => {
            end(connection, Ending::PeerReset, time_ns, context, out);
        }
        ConnectionEvent::NotConnected { failure, since_ns, time_ns } => {
            let record = build::attempt(connection, failure, since_ns, time_ns, context);
            out.records.push(Record::Request(record));
        }
    }
}

/// Reads the next segment of cleartext; returns the capture mode that is needed for what follows.
pub(super) fn read(connection: &mut Connection<Session>, segment: Segment<'_>, context: &mut BuildContext<'_>, out: &mut Out) -> Capture {
    match &mut connection.state.phase {
        Phase::Parsed(_) => parse(connection, segment, 0, context, out),
        Phase::Opening(_) => open(connection, segment, 0, context, out),
        Phase::Unread | Phase::Opaque => Capture::Off,
    }
}

/// Passes a segment to the parser.
fn parse(connection: &mut Connection<Session>, segment: Segment<'_>, depth: u32, context: &mut BuildContext<'_>, out: &mut Out) -> Capture {
    let result = with_parser(connection, context, out, |parser, sink| parser.push(segment, sink));
    if pooled::is_followed(connection)
        && let Phase::Parsed(parser) = &connection.state.phase
    {
        let in_use = parser.in_use();
        pooled::follow(connection, in_use, segment.stamp, context);
    }
    let Some((demand, records)) = result else { return Capture::Off };
    if records > 0 {
        skips::settle(connection, segment.stamp.time_ns, context);
    }
    match demand {
        Demand::HandOver => hand_over(connection, depth, context, out),
        Demand::Count if records == 0 && !connection.state.is_busy() => {
            connection.state.phase = Phase::Opaque;
            context.counters.connections_unparsed.inc();
            Capture::Off
        }
        _ if connection.state.calls.need_all() => Capture::Full,
        Demand::Full => Capture::Full,
        Demand::Head => Capture::Head,
        Demand::Count => Capture::Count,
    }
}

/// Runs `work` on the connection's parser, whose messages become records. Returns its result and the number of records, `None` without a
/// parser.
fn with_parser<R>(
    connection: &mut Connection<Session>,
    context: &mut BuildContext<'_>,
    out: &mut Out,
    work: impl FnOnce(&mut dyn Parser, &mut dyn Sink) -> R,
) -> Option<(R, usize)> {
    if connection.state.id == 0 {
        *context.connections += 1;
        connection.state.id = *context.connections;
    }
    // The sink borrows the connection, so the parser is moved out of it.
    let Phase::Parsed(mut parser) = std::mem::replace(&mut connection.state.phase, Phase::Opaque) else { return None };
    let mut sink = RecordSink { connection, context, out, records: 0 };
    let answer = work(&mut *parser, &mut sink);
    let records = sink.records;
    count(parser.take_stats(), context);
    connection.state.phase = Phase::Parsed(parser);
    Some((answer, records))
}

/// Hands the connection over to its next protocol, whose parser first reads what the former one left unread.
fn hand_over(connection: &mut Connection<Session>, depth: u32, context: &mut BuildContext<'_>, out: &mut Out) -> Capture {
    let Phase::Parsed(parser) = &mut connection.state.phase else { return Capture::Off };
    let Some(HandOver { successor, unread }) = parser.hand_over().filter(|_| depth < HAND_OVERS) else {
        connection.state.phase = Phase::Opaque;
        context.counters.connections_unparsed.inc();
        return Capture::Off;
    };
    let (phase, demand) = match successor {
        Successor::Detected => (Phase::default(), Capture::Head),
        Successor::WebSocket(handshake) => (Phase::Parsed(Box::new(WebSocket::new(handshake))), Capture::Full),
    };
    connection.state.phase = phase;
    reread(connection, unread, depth + 1, context, out).unwrap_or(demand)
}

/// Reads the kept segments; returns the capture mode after the last one.
fn reread(connection: &mut Connection<Session>, kept: Kept, depth: u32, context: &mut BuildContext<'_>, out: &mut Out) -> Option<Capture> {
    let mut demand = None;
    kept.release(|segment| {
        demand = Some(match &connection.state.phase {
            Phase::Parsed(_) => parse(connection, segment, depth, context, out),
            Phase::Opening(_) => open(connection, segment, depth, context, out),
            Phase::Unread | Phase::Opaque => Capture::Off,
        });
    });
    demand
}

/// Handles a segment of a connection whose protocol is not detected yet.
fn open(connection: &mut Connection<Session>, segment: Segment<'_>, depth: u32, context: &mut BuildContext<'_>, out: &mut Out) -> Capture {
    let Content::Bytes(bytes) = segment.content else {
        connection.late = true;
        if let Phase::Opening(Undecided { kept, .. }) = &mut connection.state.phase
            && !kept.is_empty()
        {
            kept.push(segment, || context.budget.of(connection.pid));
        }
        return Capture::Head;
    };
    let detected = match decide(connection, segment.direction, bytes) {
        OpeningVerdict::Encrypted => return encrypted(connection, &segment, context, out),
        OpeningVerdict::Protocol(detected) => detected,
    };
    match detected {
        Detected::Is(protocol) => begin(connection, protocol, segment, depth, context, out),
        Detected::NeedMore => {
            if let Phase::Opening(opening) = &mut connection.state.phase {
                opening.kept.push(segment, || context.budget.of(connection.pid));
            }
            Capture::Head
        }
        Detected::Unknown => unknown(connection, context),
    }
}

/// The result of inspecting an opening.
enum OpeningVerdict {
    /// TLS: detection will run on its plaintext.
    Encrypted,
    /// The result of protocol detection.
    Protocol(Detected),
}

/// The connection is TLS: what was kept of it is its ciphertext.
fn encrypted(connection: &mut Connection<Session>, segment: &Segment<'_>, context: &mut BuildContext<'_>, out: &mut Out) -> Capture {
    let Phase::Opening(opening) = std::mem::take(&mut connection.state.phase) else { return Capture::Off };
    opening.kept.release(|earlier| tls::ciphertext(connection, &earlier, context, out));
    tls::ciphertext(connection, segment, context, out);
    Capture::Head
}

/// Inspects the opening together with these bytes.
fn decide(connection: &mut Connection<Session>, direction: Direction, bytes: &[u8]) -> OpeningVerdict {
    let may_be_tls = connection.state.cipher.is_none();
    let (role, late) = (connection.role, connection.late);
    let ports = [&connection.local, &connection.peer].map(|address| address.as_deref().and_then(port));
    let Phase::Opening(opening) = &mut connection.state.phase else { return OpeningVerdict::Protocol(Detected::Unknown) };
    let first = *opening.first.get_or_insert(direction);
    let is_first = opening.heads.iter().all(Vec::is_empty);
    let mut streams: [&[u8]; 2] = [&[]; 2];
    if is_first {
        streams[direction.index()] = bytes;
    } else {
        let head = &mut opening.heads[direction.index()];
        head.extend_from_slice(&bytes[..bytes.len().min(BUDGET - head.len())]);
        streams = [&opening.heads[0], &opening.heads[1]];
    }
    let seen = Opening { streams, first, role, local_port: ports[0], peer_port: ports[1], late };
    let detected = match if may_be_tls { seen.any(tls::verdict) } else { Verdict::No } {
        Verdict::Yes => return OpeningVerdict::Encrypted,
        Verdict::NeedMore => Detected::NeedMore,
        Verdict::No => detect(&seen),
    };
    if detected == Detected::NeedMore && is_first {
        opening.heads[direction.index()].extend_from_slice(&bytes[..bytes.len().min(BUDGET)]);
    }
    let is_full = opening.kept.len() >= OPENING_SEGMENTS;
    OpeningVerdict::Protocol(if detected == Detected::NeedMore && is_full { Detected::Unknown } else { detected })
}

/// The port of `ip:port`.
fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

/// Starts reading with the detected protocol.
fn begin(
    connection: &mut Connection<Session>,
    protocol: Protocol,
    segment: Segment<'_>,
    depth: u32,
    context: &mut BuildContext<'_>,
    out: &mut Out,
) -> Capture {
    let kept = match &mut connection.state.phase {
        Phase::Opening(opening) => std::mem::take(&mut opening.kept),
        _ => Kept::default(),
    };
    if connection.role == Role::Client {
        links::calls_out(connection.pid, segment.stamp.time_ns, context);
    }
    let Some(parser) = protocol.parser() else {
        connection.state.phase = Phase::Unread;
        context.counters.connections_unread.inc();
        context.processes.on_unread(connection.pid, protocol.name());
        return Capture::Off;
    };
    connection.state.protocol = Some(protocol);
    connection.state.phase = Phase::Parsed(parser);
    reread(connection, kept, depth, context, out);
    parse(connection, segment, depth, context, out)
}

/// Handles an opening of unknown protocol. A connection that was joined midway is tried again with later segments.
fn unknown(connection: &mut Connection<Session>, context: &mut BuildContext<'_>) -> Capture {
    let misses = match &connection.state.phase {
        Phase::Opening(opening) => opening.misses,
        _ => LATE_PATIENCE,
    };
    if connection.late && misses < LATE_PATIENCE {
        connection.state.phase = Phase::Opening(Undecided { misses: misses + 1, ..Undecided::default() });
        return Capture::Head;
    }
    connection.state.phase = Phase::Opaque;
    context.counters.connections_unparsed.inc();
    Capture::Off
}

fn end(connection: &mut Connection<Session>, ending: Ending, time_ns: u64, context: &mut BuildContext<'_>, out: &mut Out) {
    tls::ends(connection, ending, context, out);
    if !matches!(ending, Ending::PeerClosed) {
        pooled::left(connection, time_ns, context);
    }
    if matches!(ending, Ending::Closed | Ending::PeerReset | Ending::LocalReset) {
        context.open.ended(connection.key.inode, time_ns);
    }
    if matches!(connection.state.phase, Phase::Parsed(_)) {
        with_parser(connection, context, out, |parser, sink| parser.end(ending, time_ns, sink));
    }
}

fn count(stats: Stats, context: &BuildContext<'_>) {
    if stats == Stats::default() {
        return;
    }
    context.counters.parser_desyncs.add(stats.desyncs);
    context.counters.heads_too_long.add(stats.heads_too_long);
    context.counters.exchanges_evicted.add(stats.evicted);
    context.counters.orphan_responses.add(stats.orphans);
}

/// Commands another capture mode when the connection needs one.
pub(super) fn request_capture(connection: &mut Connection<Session>, wanted: Capture, out: &mut Out) {
    let change = connection.state.requested.demand(wanted);
    out.commands.extend(change.map(|capture| PipelineCommand::Capture(connection.key, capture)));
}
