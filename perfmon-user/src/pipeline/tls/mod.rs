//! TLS connections. In: plaintext calls of TLS libraries, and segments of encrypted connections; out: plaintext segments for the session of
//! the right connection, and capture commands. Wire bytes are only measured; plaintext goes through the same parsers as any connection.
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::decode::{Data, TlsCall};
use crate::proto::detect::{Detected, Opening, Verdict, detect};
use crate::stream::{Capture, Content, Direction, Ending, Role, Segment, Stamp};
use crate::tls::cursor::Shortfall;
use crate::tls::record::RecordHeader;
use crate::tls::{EncryptedSide, Placement, Plain, TlsObject};
use crate::track::{Connection, Tracker};

use super::build::BuildContext;
use super::session::{self, Session};
use super::{Out, PipelineCommand, skips};

/// Segments without a known TLS object after which capture stops: the library of such a connection is not probed.
const PATIENCE: u32 = 1_000;

/// Handles a plaintext call of a TLS library.
pub(super) fn call(tls: &TlsCall<'_>, tracker: &mut Tracker<Session>, context: &mut BuildContext<'_>, out: &mut Out) {
    let object = TlsObject { pid: tls.pid, ssl: tls.ssl };
    let placement = context.binder.call(tls);
    forget_stale(context, out);
    let (key, plain, is_within) = match placement {
        Placement::Within(key, plain) => (key, plain, true),
        Placement::Apart(key, plain) => (key, plain, false),
        Placement::Held => return,
    };
    let Some(connection) = tracker.get_mut(key) else {
        context.counters.tls_bytes_unplaced.add(plain.len());
        return;
    };
    let held = context.binder.take_held(object);
    adopt(connection, object, held.into(), context, out);
    match &mut connection.state.cipher {
        Some(cipher) if !is_within && plain.direction == Direction::Out => {
            let cut = cipher.will_send(plain, || context.budget.of(tls.pid));
            context.counters.tls_bytes_cut.add(cut);
        }
        _ => deliver(connection, &plain, context, out),
    }
}

/// Handles a send, after `tracker` did: its records may show which TLS object the socket belongs to.
pub(super) fn sent(data: &Data<'_>, tracker: &mut Tracker<Session>, context: &mut BuildContext<'_>, out: &mut Out) {
    if data.direction != Direction::Out {
        return;
    }
    let Some(connection) = tracker.get_mut(data.key) else { return };
    let expansion = connection.state.cipher.as_ref().and_then(|cipher| cipher.expansion());
    let Some(carried) = context.binder.sent(data, expansion) else { return };
    forget_stale(context, out);
    let mut held: Vec<_> = context.binder.take_held(carried.object).into();
    // The object was bound to another connection whose end was not seen. Its unsent writes belong to this connection.
    if let Some(former) = carried.former.filter(|former| *former != data.key).and_then(|former| tracker.get_mut(former))
        && !former.state.is_busy()
        && let Some(cipher) = &mut former.state.cipher
    {
        let (own, of_the_next) = until_an_opening(cipher.take_back(carried.writes));
        for plain in own {
            context.counters.tls_bytes_cut.add(cipher.will_send(plain, || context.budget.of(carried.object.pid)));
        }
        held.extend(of_the_next);
        cipher.object = None;
    }
    if let Some(connection) = tracker.get_mut(data.key) {
        adopt(connection, carried.object, held, context, out);
    }
}

/// Binds the object to the connection and delivers the plaintext held for it. Held writes have been sent by now.
fn adopt(
    connection: &mut Connection<Session>,
    object: TlsObject,
    held: Vec<Plain<'static>>,
    context: &mut BuildContext<'_>,
    out: &mut Out,
) {
    let cipher = begin(connection, context, out);
    if cipher.object != Some(object) {
        cipher.object = Some(object);
        // Capture may have been stopped before.
        session::request_capture(connection, Capture::Head, out);
    }
    if held.is_empty() {
        return;
    }
    if let Some(cipher) = &mut connection.state.cipher {
        for direction in Direction::BOTH {
            if held.iter().any(|plain| plain.direction == direction) {
                cipher.begin(direction, held.iter().filter(|plain| plain.direction == direction).map(|plain| plain.call_len));
            }
        }
    }
    for plain in &held {
        deliver(connection, plain, context, out);
    }
}

/// Marks the connection as encrypted and discards an earlier detection result.
fn begin<'a>(connection: &'a mut Connection<Session>, context: &BuildContext<'_>, out: &mut Out) -> &'a mut EncryptedSide {
    if connection.state.cipher.is_none() {
        connection.state.begin_anew();
        context.counters.tls_connections.inc();
        out.commands.push(PipelineCommand::WatchTls(connection.pid));
    }
    connection.state.cipher.get_or_insert_default()
}

/// Whether a stream is TLS: TLS streams begin with a record header.
pub(super) fn verdict(bytes: &[u8]) -> Verdict {
    match RecordHeader::of(bytes) {
        Ok(_) => Verdict::Yes,
        Err(Shortfall::NeedMore) => Verdict::NeedMore,
        Err(Shortfall::Malformed) => Verdict::No,
    }
}

/// Handles a segment of an encrypted connection.
pub(super) fn ciphertext(connection: &mut Connection<Session>, segment: &Segment<'_>, context: &mut BuildContext<'_>, out: &mut Out) {
    let cipher = begin(connection, context, out);
    let moves = cipher.moved(segment);
    let is_hopeless = cipher.object.is_none() && moves > PATIENCE;
    let len = segment.content.len();
    if segment.direction == Direction::Out {
        for plain in cipher.sent(len) {
            deliver(connection, &plain, context, out);
        }
    }
    if is_hopeless {
        session::request_capture(connection, Capture::Off, out);
    }
}

/// Handles the end of a direction or of the connection. Writes that were not seen sent are delivered first. A socket that sends no more
/// loses its object: the library may have reused the address, and a waiting write may be the first of the next connection.
pub(super) fn ends(connection: &mut Connection<Session>, ending: Ending, context: &mut BuildContext<'_>, out: &mut Out) {
    let is_busy = connection.state.is_busy();
    let Some(cipher) = &mut connection.state.cipher else { return };
    let object = cipher.object;
    let (mut own, mut of_the_next) = (Vec::new(), Vec::new());
    if let Some(object) = object
        && !is_busy
        && !matches!(ending, Ending::PeerClosed | Ending::Forgotten)
    {
        (own, of_the_next) = until_an_opening(cipher.take_back(context.binder.waiting_writes(object)));
    }
    for plain in cipher.all_unsent().into_iter().chain(own) {
        deliver(connection, &plain, context, out);
    }
    demand(connection, Capture::Head, context, out);
    if ending != Ending::PeerClosed {
        context.binder.closed(connection.key.sock);
        forget_stale(context, out);
    }
    if let Some(object) = object {
        context.binder.hold_again(object, of_the_next);
    }
}

/// Splits writes before the first one that looks like the opening of a connection. Without such a write all belong to the former connection.
fn until_an_opening(mut writes: Vec<Plain<'static>>) -> (Vec<Plain<'static>>, Vec<Plain<'static>>) {
    let is_opening =
        |plain: &Plain<'_>| plain.call_len > 0 && matches!(detect(&Opening::of_stream(Direction::Out, &plain.bytes)), Detected::Is(_));
    let begin = writes.iter().position(is_opening).unwrap_or(writes.len());
    let next = writes.split_off(begin);
    (writes, next)
}

/// Resets the capture mode of objects whose socket is gone, before a mode is set for the next object at the same address.
fn forget_stale(context: &mut BuildContext<'_>, out: &mut Out) {
    out.commands.extend(context.binder.take_stale().into_iter().map(|object| PipelineCommand::CaptureTls(object, Capture::Head)));
}

/// Delivers plaintext to the session.
fn deliver(connection: &mut Connection<Session>, plain: &Plain<'_>, context: &mut BuildContext<'_>, out: &mut Out) {
    let Some(cipher) = &mut connection.state.cipher else { return };
    cipher.begin(plain.direction, std::iter::once(plain.call_len));
    let (time_ns, arrival_ns) = cipher.times(plain);
    if plain.is_cut {
        cipher.cut += plain.missing;
    }
    if cipher.is_settled() {
        session::request_capture(connection, Capture::Count, out);
    }
    let stamp = Stamp { time_ns, arrival_ns, thread: plain.stamp.thread, run: None };
    skips::pass(connection, Content::Bytes(&plain.bytes), time_ns, context);
    let segment = |content| Segment { direction: plain.direction, stamp, content };
    let mut wanted = None;
    if !plain.bytes.is_empty() {
        wanted = Some(session::read(connection, segment(Content::Bytes(&plain.bytes)), context, out));
    }
    if plain.missing > 0 {
        wanted = Some(session::read(connection, segment(Content::Gap(plain.missing)), context, out));
    }
    match wanted {
        // Never switch an object off: the next object at the same address would be off too.
        Some(Capture::Off) => demand(connection, Capture::Count, context, out),
        Some(wanted) => demand(connection, wanted, context, out),
        None => {}
    }
}

/// Commands another capture mode when the connection's object needs one.
fn demand(connection: &Connection<Session>, wanted: Capture, context: &mut BuildContext<'_>, out: &mut Out) {
    let Some(object) = connection.state.cipher.as_ref().and_then(|cipher| cipher.object) else { return };
    let change = context.binder.demand(object, connection.key, wanted);
    out.commands.extend(change.map(|capture| PipelineCommand::CaptureTls(object, capture)));
}

/// Wire bytes of a request and its answer, encrypted ones on an encrypted connection.
pub(super) fn wire_sizes(connection: &mut Connection<Session>, server: bool, request_plain: u64, response_plain: u64) -> (u64, u64) {
    let Some(cipher) = &mut connection.state.cipher else { return (request_plain, response_plain) };
    let (request, response) = if server { (Direction::In, Direction::Out) } else { (Direction::Out, Direction::In) };
    (cipher.tell(request, request_plain), cipher.tell(response, response_plain))
}

/// Takes the number of plaintext bytes that were needed and cut since the last record.
pub(super) fn take_cut(connection: &mut Connection<Session>) -> u64 {
    connection.state.cipher.as_mut().map_or(0, |cipher| std::mem::take(&mut cipher.cut))
}

/// What this client's handshake took, on the first record that asks.
pub(super) fn take_handshake(connection: &mut Connection<Session>) -> Option<NonZeroU64> {
    connection.state.cipher.as_mut()?.take_handshake()
}

/// The server name in the ClientHello, on the client side.
pub(super) fn server_name(connection: &Connection<Session>) -> Option<Arc<str>> {
    let name = connection.state.cipher.as_ref()?.server_name.clone()?;
    (connection.role != Role::Server).then_some(name)
}

#[cfg(test)]
mod tests;
