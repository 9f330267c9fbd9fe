//! Which socket a TLS object belongs to. In: plaintext calls and sends, in the order of the ring; out: the socket, or "wait".
//!
//! Rule 1: A send or receive within the call names it (socket BIO). Rule 2: otherwise (memory BIO) a write waits on its thread for the next
//! send there that has a record of application data of the right length: that is its socket. Rule 3: reads follow the binding and never
//! make one. Rule 4: it ends when the socket closes, and gives way when a later call or send says otherwise: libraries reuse addresses of
//! objects. What was captured of an object is asked for anew with each socket: the kernel may still act on what the former one needed.
use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::plain::{Plain, TlsObject};
use super::record::{RECORD_PLAINTEXT, RecordType, headers};
use crate::budget::{Budget, Charge};
use crate::counters::Counters;
use crate::decode::{Data, SocketKey, TlsCall};
use crate::limits::{TLS_HELD_BYTES, TLS_OBJECTS, TLS_WRITES_UNSENT, TLS_WRITES_WAITING};
use crate::stream::{Capture, Direction, RequestedCapture};

#[cfg(test)]
mod tests;

/// Time after which an object without a known socket is forgotten.
const HOLD_NS: u64 = 60 * 1_000_000_000;

/// The socket that plaintext belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Placement<'a> {
    /// To this socket, whose operations the call contained.
    Within(SocketKey, Plain<'a>),
    /// To this socket, which carries it before (reads) or after (writes) the call.
    Apart(SocketKey, Plain<'a>),
    /// Not known yet: it is kept until [`Binder::take_held`].
    Held,
}

/// A binding that a send revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The TLS object of the socket.
    pub object: TlsObject,
    /// The socket that the object was bound to before.
    pub former: Option<SocketKey>,
    /// Writes of the object that waited for this send.
    pub writes: usize,
}

/// Objects and their sockets.
#[derive(Debug)]
pub struct Binder {
    objects: FxHashMap<TlsObject, Binding>,
    by_socket: FxHashMap<u64, TlsObject>,
    /// Thread → writes that no send has carried yet, oldest first.
    waiting: FxHashMap<u32, VecDeque<WaitingWrite>>,
    budget: Option<Budget>,
    /// Objects whose socket is gone and whose capture mode in the kernel is not the default (heads).
    stale: Vec<TlsObject>,
    counters: Arc<Counters>,
}

/// The state of an object.
#[derive(Debug, Default)]
struct Binding {
    socket: Option<SocketKey>,
    /// Capture mode requested for that socket.
    requested: RequestedCapture,
    /// Calls contain the socket's operations.
    within: bool,
    held: VecDeque<Plain<'static>>,
    held_bytes: usize,
    charge: Charge,
    last_ns: u64,
}

/// A write that no send has carried yet.
#[derive(Clone, Copy, Debug)]
struct WaitingWrite {
    object: TlsObject,
    len: u32,
}

impl Binder {
    /// An empty binder.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self {
            objects: FxHashMap::default(),
            by_socket: FxHashMap::default(),
            waiting: FxHashMap::default(),
            budget: None,
            stale: Vec::new(),
            counters,
        }
    }

    /// The same, with what it holds charged to the processes' shares of a budget.
    #[must_use]
    pub fn charged_to(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Places the plaintext of a call.
    pub fn call<'a>(&mut self, tls: &TlsCall<'a>) -> Placement<'a> {
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
            waiting.push_back(WaitingWrite { object, len: tls.total_len });
        }
        match bound.socket {
            Some(socket) if bound.within => Placement::Within(socket, Plain::of(tls)),
            Some(socket) => Placement::Apart(socket, Plain::of(tls)),
            None => {
                self.hold(object, Plain::of(tls));
                Placement::Held
            }
        }
    }

    /// A socket sent: tells the object that this shows to be its own, when that is news. `expansion`: how much longer than its plaintext
    /// the content of its records is, when known.
    pub fn sent(&mut self, data: &Data<'_>, expansion: Option<u32>) -> Option<Carried> {
        let waiting = self.waiting.get_mut(&data.stamp.thread)?;
        let owner = self.by_socket.get(&data.key.sock).copied();
        let before = waiting.len();
        if let Some(owner) = owner {
            waiting.retain(|write| write.object != owner);
            if waiting.len() < before {
                return None;
            }
        }
        let object = carried(waiting, &self.objects, data, expansion)?;
        waiting.retain(|write| write.object != object);
        let writes = before - waiting.len();
        let former = self.objects.get(&object).and_then(|bound| bound.socket);
        self.bind(object, data.key, false);
        Some(Carried { object, former, writes })
    }

    /// The connection of `socket` needs `wanted` of its object from now on: tells what to ask of the kernel, when that is a change. An
    /// object that is another socket's by now keeps what that one asked for.
    pub fn demand(&mut self, object: TlsObject, socket: SocketKey, wanted: Capture) -> Option<Capture> {
        let bound = self.objects.get_mut(&object)?;
        bound.socket.is_some_and(|own| is_same(own, socket)).then(|| bound.requested.demand(wanted)).flatten()
    }

    /// Takes the objects whose capture mode must be reset because the next object at their address is a new one.
    pub fn take_stale(&mut self) -> Vec<TlsObject> {
        std::mem::take(&mut self.stale)
    }

    /// Takes the plaintext held for the object, in order.
    pub fn take_held(&mut self, object: TlsObject) -> VecDeque<Plain<'static>> {
        let Some(bound) = self.objects.get_mut(&object) else { return VecDeque::new() };
        (bound.held_bytes, bound.charge) = (0, Charge::default());
        std::mem::take(&mut bound.held)
    }

    /// Writes of the object that no send has carried yet.
    pub fn waiting_writes(&self, object: TlsObject) -> usize {
        self.waiting.values().flatten().filter(|write| write.object == object).count()
    }

    /// Holds writes of the object again until the next send shows their socket.
    pub fn hold_again(&mut self, object: TlsObject, writes: Vec<Plain<'static>>) {
        for plain in writes {
            let bound = self.objects.entry(object).or_default();
            bound.last_ns = plain.stamp.time_ns;
            self.hold(object, plain);
        }
    }

    /// Ends the binding of a socket that sends no more or is gone.
    pub fn closed(&mut self, sock: u64) {
        if let Some(object) = self.by_socket.remove(&sock) {
            self.forget(object);
        }
    }

    /// Forgets objects whose socket was not found in time, and threads without waiting writes.
    pub fn expire(&mut self, now_ns: u64) {
        let old = |bound: &Binding| bound.socket.is_none() && now_ns.saturating_sub(bound.last_ns) > HOLD_NS;
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
        if before.is_some_and(|before| is_same(before, socket)) {
            return;
        }
        if std::mem::take(&mut bound.requested).get() != Capture::Head {
            self.stale.push(object);
        }
        if let Some(before) = before
            && self.by_socket.get(&before.sock) == Some(&object)
        {
            self.by_socket.remove(&before.sock);
        }
        // The socket was bound to another object. If that object still exists, its next call binds it again.
        if let Some(former) = self.by_socket.insert(socket.sock, object)
            && former != object
        {
            self.forget(former);
        }
    }

    fn forget(&mut self, object: TlsObject) {
        let Some(bound) = self.objects.remove(&object) else { return };
        if bound.requested.get() != Capture::Head {
            self.stale.push(object);
        }
        self.counters.tls_bytes_unplaced.add(bound.held.iter().map(Plain::len).sum());
    }

    fn hold(&mut self, object: TlsObject, plain: Plain<'_>) {
        let Some(bound) = self.objects.get_mut(&object) else { return };
        let len = plain.bytes.len();
        let cost = len + size_of::<Plain<'_>>();
        let of = || self.budget.as_ref().map(|budget| budget.of(object.pid)).unwrap_or_default();
        let fits = bound.held_bytes + cost <= TLS_HELD_BYTES;
        if fits && len > 0 && bound.charge.resize(bound.held_bytes + cost, of).is_ok() {
            bound.held_bytes += cost;
            return bound.held.push_back(plain.into_owned());
        }
        self.counters.tls_bytes_cut.add(len as u64);
        let hole = plain.uncaptured();
        if bound.held.back_mut().is_some_and(|last| last.extend_missing(&hole)) {
            return;
        }
        if bound.held.len() < TLS_WRITES_UNSENT {
            bound.held.push_back(hole);
        } else {
            self.counters.tls_bytes_unplaced.add(hole.len());
        }
    }

    /// Evicts from a full table: first all objects without a socket, else all objects.
    fn make_room(&mut self, new_object: TlsObject) {
        if self.objects.len() < TLS_OBJECTS || self.objects.contains_key(&new_object) {
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
fn carried(
    waiting: &VecDeque<WaitingWrite>,
    objects: &FxHashMap<TlsObject, Binding>,
    data: &Data<'_>,
    expansion: Option<u32>,
) -> Option<TlsObject> {
    let is_free = |write: &&WaitingWrite| objects.get(&write.object).is_none_or(|bound| bound.socket.is_none());
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
fn records(bytes: &[u8]) -> impl Iterator<Item = u32> {
    headers(bytes).filter(|header| header.kind == RecordType::ApplicationData).map(|header| header.len.into())
}

/// The same socket; an inode number of 0 is not known yet.
fn is_same(one: SocketKey, other: SocketKey) -> bool {
    one.sock == other.sock && (one.inode == other.inode || one.inode == 0 || other.inode == 0)
}

/// Whether a record can hold the beginning of a write: TLS 1.3 adds 17 bytes, TLS 1.2 24 (GCM) or 16 (ChaCha20).
fn fits(write: u32, record: u32, expansion: Option<u32>) -> bool {
    match (record.checked_sub(write.min(RECORD_PLAINTEXT)), expansion) {
        (Some(added), Some(expansion)) => added == expansion,
        (added, None) => matches!(added, Some(16 | 17 | 24)),
        (None, _) => false,
    }
}
