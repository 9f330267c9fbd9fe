//! Which socket a TLS object belongs to. In: plaintext calls and sends, in the order of the ring; out: the socket, or "wait".
//!
//! Rule 1: A send or receive within the call names it (socket BIO). Rule 2: otherwise (memory BIO) a write waits on its thread for the next send there
//! that has a record of application data of the right length: that is its socket. Rule 3: reads follow the binding and never make one.
//! Rule 4: it ends when the socket closes, and gives way when a later call or send says otherwise: libraries reuse addresses of objects.
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::counters::Counters;
use crate::decode::{Data, SocketKey, Tls};
use crate::limits::{TLS_HELD_BYTES, TLS_HELD_BYTES_IN_ALL, TLS_OBJECTS, TLS_WRITES_WAITING};
use crate::stream::{Direction, Stamp};

#[cfg(test)]
mod tests;

/// A record of application data (RFC 8446, section 5.1).
const APPLICATION_DATA: u8 = 23;
/// Plaintext in one record at most.
pub const RECORD_PLAINTEXT: u32 = 1 << 14;
/// An object whose socket is not known is forgotten after so long.
const HOLD_NS: u64 = 60 * 1_000_000_000;

/// A library's connection object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsObject {
    /// Process.
    pub pid: u32,
    /// Address of the `SSL`.
    pub ssl: u64,
}

/// Plaintext of a call, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Which way.
    pub direction: Direction,
    /// When the call ended, and on which thread.
    pub stamp: Stamp,
    /// What was captured.
    pub bytes: Cow<'a, [u8]>,
    /// Bytes behind it that were not.
    pub missing: u64,
    /// Bytes of the whole call; 0 for a piece that continues one.
    pub call_len: u32,
}

impl<'a> Plain<'a> {
    /// The plaintext of an event.
    pub fn of(tls: &Tls<'a>) -> Self {
        let end = u64::from(tls.piece_offset) + tls.payload.len() as u64;
        Self {
            direction: tls.direction,
            stamp: tls.stamp,
            bytes: Cow::Borrowed(tls.payload),
            missing: if tls.last_piece { u64::from(tls.total_len).saturating_sub(end) } else { 0 },
            call_len: if tls.piece_offset == 0 { tls.total_len } else { 0 },
        }
    }

    /// Bytes of plaintext.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.missing
    }

    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same call without its bytes.
    pub fn bare(&self) -> Plain<'static> {
        Plain { direction: self.direction, stamp: self.stamp, bytes: Cow::Borrowed(&[]), missing: 0, call_len: 0 }
    }

    /// To keep.
    pub fn into_owned(self) -> Plain<'static> {
        let (missing, call_len) = (self.missing, self.call_len);
        Plain { missing, call_len, bytes: Cow::Owned(self.bytes.to_vec()), ..self.bare() }
    }
}

/// Where plaintext belongs.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// To this socket, whose operations the call contained.
    Within(SocketKey, Plain<'a>),
    /// To this socket, which carries it before (reads) or after (writes) the call.
    Apart(SocketKey, Plain<'a>),
    /// Not known yet: it is kept until [`Binder::take_held`].
    Held,
}

/// Objects and their sockets.
#[derive(Debug)]
pub struct Binder {
    objects: FxHashMap<TlsObject, Bound>,
    by_socket: FxHashMap<u64, TlsObject>,
    /// Thread → writes that no send has carried yet, oldest first.
    waiting: FxHashMap<u32, VecDeque<Write>>,
    held_bytes: usize,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Bound {
    socket: Option<SocketKey>,
    /// Calls contain the socket's operations.
    within: bool,
    held: VecDeque<Plain<'static>>,
    held_bytes: usize,
    last_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    object: TlsObject,
    len: u32,
}

impl Binder {
    /// Without any object.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { objects: FxHashMap::default(), by_socket: FxHashMap::default(), waiting: FxHashMap::default(), held_bytes: 0, counters }
    }

    /// A call moved plaintext.
    pub fn call<'a>(&mut self, tls: &Tls<'a>) -> Place<'a> {
        let object = TlsObject { pid: tls.pid, ssl: tls.ssl };
        self.make_room(object);
        if let Some(socket) = tls.socket {
            self.bind(object, socket, true);
        }
        let is_new_write = tls.direction == Direction::Out && tls.piece_offset == 0 && tls.socket.is_none();
        let bound = self.objects.entry(object).or_default();
        bound.last_ns = tls.stamp.time_ns;
        if is_new_write {
            bound.within = false;
            let waiting = self.waiting.entry(tls.stamp.thread).or_default();
            if waiting.len() >= TLS_WRITES_WAITING {
                waiting.pop_front();
            }
            waiting.push_back(Write { object, len: tls.total_len });
        }
        match bound.socket {
            Some(socket) if bound.within => Place::Within(socket, Plain::of(tls)),
            Some(socket) => Place::Apart(socket, Plain::of(tls)),
            None => {
                self.hold(object, Plain::of(tls));
                Place::Held
            }
        }
    }

    /// A socket sent: tells the object that this shows to be its own, when that is news. `expansion`: how much longer than its plaintext
    /// the content of its records is, when known.
    pub fn sent(&mut self, data: &Data<'_>, expansion: Option<u32>) -> Option<TlsObject> {
        let waiting = self.waiting.get_mut(&data.stamp.thread)?;
        let owner = self.by_socket.get(&data.key.sock).copied();
        if let Some(owner) = owner {
            let before = waiting.len();
            waiting.retain(|write| write.object != owner);
            if waiting.len() < before {
                return None;
            }
        }
        let object = carried(waiting, &self.objects, data, expansion)?;
        waiting.retain(|write| write.object != object);
        self.bind(object, data.key, false);
        Some(object)
    }

    /// What waited for the object's socket, in order.
    pub fn take_held(&mut self, object: TlsObject) -> VecDeque<Plain<'static>> {
        let Some(bound) = self.objects.get_mut(&object) else { return VecDeque::new() };
        self.held_bytes -= std::mem::take(&mut bound.held_bytes);
        std::mem::take(&mut bound.held)
    }

    /// The socket sends no more, or is gone.
    pub fn closed(&mut self, sock: u64) {
        if let Some(object) = self.by_socket.remove(&sock) {
            self.forget(object);
        }
    }

    /// Forgets what waited in vain, and threads without a write under way.
    pub fn expire(&mut self, now_ns: u64) {
        let old = |bound: &Bound| bound.socket.is_none() && now_ns.saturating_sub(bound.last_ns) > HOLD_NS;
        let gone: Vec<TlsObject> = self.objects.iter().filter(|(_, bound)| old(bound)).map(|(object, _)| *object).collect();
        for object in gone {
            self.forget(object);
        }
        let objects = &self.objects;
        self.waiting.retain(|_, writes| {
            writes.retain(|write| objects.contains_key(&write.object));
            !writes.is_empty()
        });
    }

    fn bind(&mut self, object: TlsObject, socket: SocketKey, within: bool) {
        let bound = self.objects.entry(object).or_default();
        bound.within = within;
        let before = bound.socket.replace(socket);
        if before == Some(socket) {
            return;
        }
        if let Some(before) = before
            && self.by_socket.get(&before.sock) == Some(&object)
        {
            self.by_socket.remove(&before.sock);
        }
        // Another object's socket until now: that object is gone, or it will say so.
        if let Some(former) = self.by_socket.insert(socket.sock, object)
            && former != object
        {
            self.forget(former);
        }
    }

    fn forget(&mut self, object: TlsObject) {
        let Some(bound) = self.objects.remove(&object) else { return };
        self.held_bytes -= bound.held_bytes;
        self.counters.tls_bytes_unplaced.add(bound.held.iter().map(Plain::len).sum());
    }

    fn hold(&mut self, object: TlsObject, plain: Plain<'_>) {
        let Some(bound) = self.objects.get_mut(&object) else { return };
        let len = plain.bytes.len();
        let fits = bound.held_bytes + len <= TLS_HELD_BYTES && self.held_bytes + len <= TLS_HELD_BYTES_IN_ALL;
        if fits && len > 0 {
            bound.held_bytes += len;
            self.held_bytes += len;
            return bound.held.push_back(plain.into_owned());
        }
        let hole = Plain { missing: plain.len(), bytes: Cow::Borrowed(&[][..]), ..plain };
        match bound.held.back_mut() {
            Some(last) if last.direction == hole.direction && last.bytes.is_empty() => {
                last.missing += hole.missing;
                last.call_len = last.call_len.saturating_add(hole.call_len);
            }
            _ => bound.held.push_back(hole.into_owned()),
        }
    }

    /// A full table forgets objects without a socket first.
    fn make_room(&mut self, newcomer: TlsObject) {
        if self.objects.len() < TLS_OBJECTS || self.objects.contains_key(&newcomer) {
            return;
        }
        let mut gone: Vec<TlsObject> = self.objects.iter().filter(|(_, bound)| bound.socket.is_none()).map(|(object, _)| *object).collect();
        if gone.is_empty() {
            gone = self.objects.keys().copied().collect();
            self.by_socket.clear();
        }
        self.counters.tls_objects_evicted.add(gone.len() as u64);
        for object in gone {
            self.forget(object);
        }
    }
}

/// The object whose waiting write this send carries: the oldest of fitting length, one without a socket before one that has another; a
/// length that fits nothing (padding, small fragments) still tells when only one object without a socket is waiting.
fn carried(waiting: &VecDeque<Write>, objects: &FxHashMap<TlsObject, Bound>, data: &Data<'_>, expansion: Option<u32>) -> Option<TlsObject> {
    let is_free = |write: &&Write| objects.get(&write.object).is_none_or(|bound| bound.socket.is_none());
    for record in records(data.payload) {
        let fitting = || waiting.iter().filter(|write| fits(write.len, record, expansion));
        if let Some(write) = fitting().find(is_free).or_else(|| fitting().next()) {
            return Some(write.object);
        }
    }
    let record = records(data.payload).next()?;
    let only = waiting.iter().find(is_free)?.object;
    (waiting.iter().filter(is_free).all(|write| write.object == only) && u64::from(record) < data.total_len.into()).then_some(only)
}

/// Lengths of the records of application data in the bytes, which begin with a record. What ends the handshake may stand before the first
/// write in the same send, and is of that type too in TLS 1.3.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = u32> {
    let next = move || {
        let [kind @ 20..=23, 3, _, high, low, ..] = *bytes else { return None };
        let len = u16::from_be_bytes([high, low]);
        bytes = bytes.get(5 + usize::from(len)..).unwrap_or_default();
        Some((kind == APPLICATION_DATA, u32::from(len)))
    };
    std::iter::from_fn(next).filter_map(|(is_data, len)| is_data.then_some(len))
}

/// Whether a record can hold the beginning of a write: TLS 1.3 adds 17 bytes, TLS 1.2 24 (GCM) or 16 (ChaCha20).
fn fits(write: u32, record: u32, expansion: Option<u32>) -> bool {
    match (record.checked_sub(write.min(RECORD_PLAINTEXT)), expansion) {
        (Some(added), Some(expansion)) => added == expansion,
        (added, None) => matches!(added, Some(16 | 17 | 24)),
        (None, _) => false,
    }
}
