//! TLS connections: their sockets' bytes are only counted, their plaintext goes through the same parsers as that of other connections.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::decode::{Data, Tls};
use crate::stream::{Content, Direction, Role, Segment, Stamp};
use crate::track::tls::{Binder, Place, Plain, TlsObject};
use crate::track::{Connection, Tracker};

use super::build::Context;
use super::cipher::Cipher;
use super::session::{self, Session};
use super::{Capture, Out, Wish};

/// Segments of a connection whose object does not show before it is given up: its library is none that is probed.
const PATIENCE: u32 = 1_000;

/// A library moved plaintext.
pub(super) fn call(binder: &mut Binder, tls: &Tls<'_>, tracker: &mut Tracker<Session>, context: &mut Context<'_>, out: &mut Out) {
    let object = TlsObject { pid: tls.pid, ssl: tls.ssl };
    let (key, plain, is_within) = match binder.call(tls) {
        Place::Within(key, plain) => (key, plain, true),
        Place::Apart(key, plain) => (key, plain, false),
        Place::Held => return,
    };
    let Some(connection) = tracker.get_mut(key) else {
        context.counters.tls_bytes_unplaced.add(plain.len());
        return;
    };
    adopt(connection, object, binder.take_held(object), context, out);
    match &mut connection.state.cipher {
        Some(cipher) if !is_within && plain.direction == Direction::Out => cipher.will_send(plain.into_owned()),
        _ => deliver(connection, &plain, context, out),
    }
}

/// A socket moved bytes, which `tracker` was told: they may show whose it is.
pub(super) fn sent(binder: &mut Binder, data: &Data<'_>, tracker: &mut Tracker<Session>, context: &mut Context<'_>, out: &mut Out) {
    if data.direction != Direction::Out {
        return;
    }
    let Some(connection) = tracker.get_mut(data.key) else { return };
    let expansion = connection.state.cipher.as_ref().and_then(|cipher| cipher.expansion());
    if let Some(object) = binder.sent(data, expansion) {
        adopt(connection, object, binder.take_held(object), context, out);
    }
}

/// The object is this connection's; what was held for it belongs here, writes having been sent by now.
fn adopt(
    connection: &mut Connection<Session>,
    object: TlsObject,
    held: VecDeque<Plain<'static>>,
    context: &mut Context<'_>,
    out: &mut Out,
) {
    let cipher = begin(connection, context, out);
    if cipher.object != Some(object) {
        cipher.object = Some(object);
        cipher.wished = None;
        // It may have been given up before.
        session::wish(connection, Capture::Head, out);
    }
    if held.is_empty() {
        return;
    }
    if let Some(cipher) = &mut connection.state.cipher {
        for direction in [Direction::In, Direction::Out] {
            if held.iter().any(|plain| plain.direction == direction) {
                cipher.begin(direction, held.iter().filter(|plain| plain.direction == direction).map(|plain| plain.call_len));
            }
        }
    }
    for plain in &held {
        deliver(connection, plain, context, out);
    }
}

/// The connection is encrypted: whatever its bytes were taken for before.
fn begin<'a>(connection: &'a mut Connection<Session>, context: &Context<'_>, out: &mut Out) -> &'a mut Cipher {
    if connection.state.cipher.is_none() {
        connection.state.begin_anew();
        context.counters.tls_connections.inc();
        out.wishes.push(Wish::WatchTls(connection.pid));
    }
    connection.state.cipher.get_or_insert_with(|| Box::new(Cipher::new()))
}

/// Takes a segment of an encrypted connection, or of one that begins like one. False when it is none.
pub(super) fn ciphertext(connection: &mut Connection<Session>, segment: &Segment<'_>, context: &mut Context<'_>, out: &mut Out) -> bool {
    if connection.state.cipher.is_none() {
        let Content::Bytes(bytes) = segment.content else { return false };
        if !connection.state.is_undecided() || connection.datagram || !Cipher::begins(bytes) {
            return false;
        }
    }
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
        session::wish(connection, Capture::Off, out);
    }
    true
}

/// The connection ends: what was written and not seen sent is told before that, and the object's address may be another's next.
pub(super) fn ends(connection: &mut Connection<Session>, context: &mut Context<'_>, out: &mut Out) {
    let Some(cipher) = &mut connection.state.cipher else { return };
    for plain in cipher.all_unsent() {
        deliver(connection, &plain, context, out);
    }
    wish(connection, Capture::Head, out);
}

/// Hands plaintext to the parser.
fn deliver(connection: &mut Connection<Session>, plain: &Plain<'_>, context: &mut Context<'_>, out: &mut Out) {
    let Some(cipher) = &mut connection.state.cipher else { return };
    cipher.begin(plain.direction, std::iter::once(plain.call_len));
    let (time_ns, arrival_ns) = cipher.times(plain);
    if cipher.is_settled() {
        session::wish(connection, Capture::Count, out);
    }
    let stamp = Stamp { time_ns, arrival_ns, thread: plain.stamp.thread };
    let segment = |content| Segment { direction: plain.direction, stamp, content };
    let mut demand = None;
    if !plain.bytes.is_empty() {
        demand = Some(session::read(connection, segment(Content::Bytes(&plain.bytes)), context, out));
    }
    if plain.missing > 0 {
        demand = Some(session::read(connection, segment(Content::Gap(plain.missing)), context, out));
    }
    match demand {
        // An object that is not looked at any more would hide the next one at its address.
        Some(Capture::Off) => wish(connection, Capture::Count, out),
        Some(demand) => wish(connection, demand, out),
        None => {}
    }
}

/// Tells the kernel once when the object needs another capture mode than it has.
fn wish(connection: &mut Connection<Session>, wanted: Capture, out: &mut Out) {
    let Some(cipher) = &mut connection.state.cipher else { return };
    let Some(object) = cipher.object else { return };
    if cipher.wished.unwrap_or(Capture::Head) != wanted {
        cipher.wished = Some(wanted);
        out.wishes.push(Wish::CaptureTls(object, wanted));
    }
}

/// Bytes of a request and its answer on the connection: the encrypted ones where it is encrypted.
pub(super) fn wire_sizes(connection: &mut Connection<Session>, server: bool, request_plain: u64, response_plain: u64) -> (u64, u64) {
    let Some(cipher) = &mut connection.state.cipher else { return (request_plain, response_plain) };
    let (request, response) = if server { (Direction::In, Direction::Out) } else { (Direction::Out, Direction::In) };
    (cipher.tell(request, request_plain), cipher.tell(response, response_plain))
}

/// The name that a client asked for.
pub(super) fn server_name(connection: &Connection<Session>) -> Option<Arc<str>> {
    let name = connection.state.cipher.as_ref()?.server_name.clone()?;
    (connection.role != Role::Server).then_some(name)
}

#[cfg(test)]
mod tests;
