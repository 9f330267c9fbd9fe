//! The connection table. In: socket events; out: ordered segments and ends of each [`Connection`]. Sockets that reuse a kernel address are
//! told apart by inode number. Holds the protocol state `S` of the pipeline; knows no protocol itself.
//!
//! The kernel numbers the bytes of each direction ([`Data::offset`]). Missing bytes (not captured, or lost with an event that the full ring
//! refused, or moved past the hooks) are therefore known exactly and reported as gaps.
mod open;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::num::NonZeroU64;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::counters::Counters;
use crate::decode::{Address, Data, Open, SocketKey, SocketStateChange, StateChange};
use crate::limits::{CONNECTION_IDLE_NS, CONNECTIONS, RESET_GRACE_NS};
use crate::stream::{Content, Direction, Ending, Failure, Role, Segment, Stamp};

pub use open::OpenConnections;
use stream::StreamPosition;

/// Room for connections that is kept whatever their number.
const SMALL_TABLE: usize = 4_096;

/// One socket.
#[derive(Debug)]
pub struct Connection<S> {
    /// Its key.
    pub key: SocketKey,
    /// Process that last used it.
    pub pid: u32,
    /// Who began it.
    pub role: Role,
    /// Its first bytes were not seen.
    pub late: bool,
    /// What connect() took, until a record has told it.
    pub connect_ns: Option<NonZeroU64>,
    /// Local address; `None` when the open event was lost.
    pub local: Option<Arc<str>>,
    /// Peer address.
    pub peer: Option<Arc<str>>,
    /// A unix socket: it has no close event and ends with its process.
    pub unix: bool,
    /// Time of the last event.
    pub last_ns: u64,
    /// Protocol state of the pipeline.
    pub state: S,
    incoming: StreamPosition,
    outgoing: StreamPosition,
}

/// What happened on a connection, reported in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent<'a> {
    /// Bytes, or a gap.
    Segment(Segment<'a>),
    /// A direction or the whole connection ended.
    Ended {
        /// How.
        ending: Ending,
        /// When.
        time_ns: u64,
    },
    /// It was never established.
    NotConnected {
        /// Why.
        failure: Failure,
        /// When the attempt began.
        since_ns: u64,
        /// When it failed.
        time_ns: u64,
    },
}

/// All connections. `S` is built when a connection appears.
#[derive(Debug)]
pub struct Tracker<S> {
    /// Each on its own, so that the table's room for more costs little.
    connections: FxHashMap<u64, Box<Connection<S>>>,
    unix_of_process: FxHashMap<u32, FxHashSet<u64>>,
    /// Connections that the peer reset and whose process has not closed them, oldest first.
    resets: VecDeque<SocketStateChange>,
    counters: Arc<Counters>,
    capacity: usize,
}

impl<S: Default> Tracker<S> {
    /// An empty table.
    pub fn new(counters: Arc<Counters>) -> Self {
        let (connections, unix_of_process, resets) = Default::default();
        Self { connections, unix_of_process, resets, counters, capacity: CONNECTIONS }
    }

    /// Inserts a new socket. Calls `visit` with the end of an earlier connection at the same address. The same socket again, under way for
    /// long, is one that the kernel's table had forgotten: what it carried between is not known.
    pub fn open(&mut self, open: Open, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        self.make_room(visit);
        let connection = Connection {
            key: open.key,
            pid: open.pid,
            role: open.role,
            late: open.late,
            connect_ns: open.connect_ns,
            unix: matches!(open.local, Address::Unix(_)),
            local: Some(open.local.to_string().into()),
            peer: Some(open.peer.to_string().into()),
            last_ns: open.time_ns,
            state: S::default(),
            incoming: StreamPosition::default(),
            outgoing: StreamPosition::default(),
        };
        if connection.unix {
            self.unix_of_process.entry(open.pid).or_default().insert(open.key.sock);
        }
        if let Some(mut former) = self.connections.insert(open.key.sock, Box::new(connection)) {
            if open.late && open.key == former.key && open.key.inode != 0 {
                self.counters.sockets_evicted.inc();
            }
            visit(&mut former, ConnectionEvent::Ended { ending: Ending::Forgotten, time_ns: open.time_ns });
        }
    }

    /// Handles a socket operation: calls `visit` with its segments, or with the end of the stream.
    pub fn data(&mut self, data: &Data<'_>, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        if self.connections.len() >= self.capacity && !self.connections.contains_key(&data.key.sock) {
            self.make_room(visit);
        }
        let connection = match self.connections.entry(data.key.sock) {
            Entry::Occupied(entry) => {
                let connection = entry.into_mut();
                if connection.key.inode != data.key.inode {
                    adopt(connection, data, visit);
                }
                connection
            }
            Entry::Vacant(entry) => entry.insert(Box::new(unannounced(data))),
        };
        connection.pid = data.pid;
        connection.last_ns = data.stamp.time_ns;
        if data.eof {
            return visit(connection, ConnectionEvent::Ended { ending: Ending::PeerClosed, time_ns: data.stamp.time_ns });
        }
        let stream = match data.direction {
            Direction::In => &mut connection.incoming,
            Direction::Out => &mut connection.outgoing,
        };
        let placed = stream.place(data);
        self.counters.stream_bytes_lost.add(placed.lost);
        let segment = |content| ConnectionEvent::Segment(Segment { direction: data.direction, stamp: data.stamp, content });
        if let Some(before) = placed.before {
            visit(connection, segment(before));
        }
        if !placed.bytes.is_empty() {
            visit(connection, segment(Content::Bytes(placed.bytes)));
        }
        match placed.not_captured {
            0 => {}
            unseen if data.unseen => {
                self.counters.stream_bytes_unseen.add(unseen);
                visit(connection, segment(Content::Lost(unseen)));
            }
            passed => {
                let stamp = if placed.bytes.is_empty() { data.stamp } else { data.stamp.within() };
                let content = Content::Gap(passed);
                visit(connection, ConnectionEvent::Segment(Segment { direction: data.direction, stamp, content }));
            }
        }
    }

    /// A TCP socket changed its state.
    pub fn state(&mut self, state: &SocketStateChange, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        let (ending, gone) = match state.change {
            StateChange::Listen(_) => return,
            StateChange::PeerClosed => (Ending::PeerClosed, false),
            StateChange::LocalClosed => (Ending::LocalClosed, false),
            StateChange::PeerReset => {
                let oldest = if self.resets.len() >= self.capacity { self.resets.pop_front() } else { None };
                self.resets.push_back(*state);
                return oldest.iter().for_each(|oldest| self.reset(oldest, visit));
            }
            StateChange::Closed { peer_reset: true, .. } => (Ending::PeerReset, true),
            StateChange::Closed { local_reset: true, .. } => (Ending::LocalReset, true),
            StateChange::Closed { .. } => (Ending::Closed, true),
            StateChange::NotConnected(failure) => return self.not_connected(state, failure, visit),
        };
        let Some(connection) = self.connections.get_mut(&state.key.sock) else { return };
        // After close() the inode number is gone: 0 means the connection that is in the table.
        if state.key.inode != 0 && connection.key.inode != 0 && state.key.inode != connection.key.inode {
            return;
        }
        connection.last_ns = state.time_ns;
        // All bytes sent before the close and received before the end should have been reported by events; the rest was lost.
        let incoming = if gone { connection.incoming.skip_to(state.in_bytes) } else { 0 };
        let outgoing = if gone || ending == Ending::LocalClosed { connection.outgoing.skip_to(state.out_bytes) } else { 0 };
        self.counters.stream_bytes_lost.add(incoming + outgoing);
        for (direction, lost) in [(Direction::In, incoming), (Direction::Out, outgoing)] {
            if lost > 0 {
                let stamp = Stamp { time_ns: state.time_ns, ..Stamp::default() };
                let segment = Segment { direction, stamp, content: Content::Lost(lost) };
                visit(connection, ConnectionEvent::Segment(segment));
            }
        }
        visit(connection, ConnectionEvent::Ended { ending, time_ns: state.time_ns });
        if gone {
            self.connections.remove(&state.key.sock);
        }
    }

    /// Ends connections that the peer reset some time ago.
    pub fn expire_resets(&mut self, now_ns: u64, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        while let Some(reset) = self.resets.pop_front_if(|reset| reset.time_ns + RESET_GRACE_NS <= now_ns) {
            self.reset(&reset, visit);
        }
    }

    fn reset(&mut self, reset: &SocketStateChange, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        let change = StateChange::Closed { peer_reset: true, local_reset: false };
        self.state(&SocketStateChange { change, ..*reset }, visit);
    }

    /// A connect() failed.
    fn not_connected(
        &mut self,
        state: &SocketStateChange,
        failure: Failure,
        visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>),
    ) {
        let Some(mut connection) = self.connections.remove(&state.key.sock) else { return };
        let since_ns = std::mem::replace(&mut connection.last_ns, state.time_ns);
        visit(&mut connection, ConnectionEvent::NotConnected { failure, since_ns, time_ns: state.time_ns });
    }

    /// Ends the unix sockets of a process that exited.
    pub fn exit(&mut self, pid: u32, time_ns: u64, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        for sock in self.unix_of_process.remove(&pid).unwrap_or_default() {
            if let Some(mut connection) = self.connections.remove(&sock) {
                if connection.unix && connection.pid == pid {
                    visit(&mut connection, ConnectionEvent::Ended { ending: Ending::LocalClosed, time_ns });
                    visit(&mut connection, ConnectionEvent::Ended { ending: Ending::Closed, time_ns });
                } else {
                    self.connections.insert(sock, connection);
                }
            }
        }
    }

    /// Removes idle connections, except those that `busy` keeps because an exchange is under way.
    pub fn expire(
        &mut self,
        now_ns: u64,
        busy: impl Fn(&Connection<S>) -> bool,
        visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>),
    ) {
        let before = self.connections.len();
        self.connections.retain(|_, connection| {
            let idle = now_ns.saturating_sub(connection.last_ns) > CONNECTION_IDLE_NS && !busy(connection);
            if idle {
                visit(connection, ConnectionEvent::Ended { ending: Ending::Forgotten, time_ns: now_ns });
            }
            !idle
        });
        self.counters.connections_expired.add((before - self.connections.len()) as u64);
        if self.connections.capacity() > SMALL_TABLE && self.connections.len() < self.connections.capacity() / 8 {
            self.connections.shrink_to(self.connections.len() * 2);
        }
        let connections = &self.connections;
        self.unix_of_process.retain(|_, socks| {
            socks.retain(|sock| connections.contains_key(sock));
            !socks.is_empty()
        });
    }

    /// All connections.
    pub fn iter(&self) -> impl Iterator<Item = &Connection<S>> {
        self.connections.values().map(|connection| &**connection)
    }

    /// All connections, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection<S>> {
        self.connections.values_mut().map(|connection| &mut **connection)
    }

    /// A connection by its socket.
    pub fn get_mut(&mut self, key: SocketKey) -> Option<&mut Connection<S>> {
        self.connections
            .get_mut(&key.sock)
            .map(|connection| &mut **connection)
            .filter(|connection| connection.key.inode == key.inode || key.inode == 0)
    }

    /// Ends all connections as forgotten (shutdown, end of a recording).
    pub fn clear(&mut self, time_ns: u64, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        for (_, mut connection) in self.connections.drain() {
            visit(&mut connection, ConnectionEvent::Ended { ending: Ending::Forgotten, time_ns });
        }
        self.unix_of_process.clear();
    }

    /// Removes the longest idle sixteenth of a full table at once, which makes the search for it rare.
    fn make_room(&mut self, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
        if self.connections.len() < self.capacity {
            return;
        }
        let mut ages: Vec<u64> = self.connections.values().map(|connection| connection.last_ns).collect();
        let rank = ages.len() / 16;
        let (_, &mut oldest_kept, _) = ages.select_nth_unstable(rank);
        let before = self.connections.len();
        self.connections.retain(|_, connection| {
            let keep = connection.last_ns > oldest_kept;
            if !keep {
                visit(connection, ConnectionEvent::Ended { ending: Ending::Forgotten, time_ns: connection.last_ns });
            }
            keep
        });
        self.counters.connections_evicted.add((before - self.connections.len()) as u64);
    }
}

/// Data came for an address whose known tenant has another inode number: the file was not known yet (0 before accept), or the close of
/// the former tenant was lost.
fn adopt<S: Default>(connection: &mut Connection<S>, data: &Data<'_>, visit: &mut impl FnMut(&mut Connection<S>, ConnectionEvent<'_>)) {
    if connection.key.inode == 0 {
        connection.key.inode = data.key.inode;
        return;
    }
    visit(connection, ConnectionEvent::Ended { ending: Ending::Forgotten, time_ns: connection.last_ns });
    *connection = unannounced(data);
}

/// A connection whose `Open` was lost: addresses unknown.
fn unannounced<S: Default>(data: &Data<'_>) -> Connection<S> {
    Connection {
        key: data.key,
        pid: data.pid,
        role: Role::Unknown,
        late: true,
        connect_ns: None,
        local: None,
        peer: None,
        unix: false,
        last_ns: data.stamp.time_ns,
        state: S::default(),
        incoming: StreamPosition::default(),
        outgoing: StreamPosition::default(),
    }
}
