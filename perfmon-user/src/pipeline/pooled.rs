//! Follows the use of a client's connection for its pool (`pools`). In: the state of the parser after each segment, and what TCP tells of the
//! connection; out: begins and ends of uses, and once an interval the `pool` and `tcp` records.
use std::num::NonZeroU64;

use crate::limits;
use crate::pools::{PoolId, PoolKey};
use crate::record::{Millis, Pool, Record, Tcp, WallTime};
use crate::stream::{Role, Stamp, TcpFigures};
use crate::track::Connection;

use super::Pipeline;
use super::build::BuildContext;
use super::session::Session;

/// A connection's place in its pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum PoolPlace {
    /// It has not spoken as a client.
    #[default]
    Unknown,
    /// There are too many pools.
    Nowhere,
    /// It ended and was in this one.
    Left(PoolId),
    /// In this one, in use since a time.
    In(PoolId, Option<NonZeroU64>),
}

/// A segment was read: the connection is in use now, or not.
pub(super) fn follow(connection: &mut Connection<Session>, in_use: bool, stamp: Stamp, context: &mut BuildContext<'_>) {
    if let PoolPlace::Unknown = connection.state.pool {
        connection.state.pool = join(connection, stamp.time_ns, context).map_or(PoolPlace::Nowhere, |id| PoolPlace::In(id, None));
    }
    if let PoolPlace::In(id, since) = &mut connection.state.pool {
        match (*since, in_use) {
            (None, true) => {
                *since = NonZeroU64::new(stamp.time_ns);
                context.pools.taken(*id, stamp.thread, stamp.time_ns);
            }
            (Some(since_ns), false) => {
                *since = None;
                context.pools.given_back(*id, since_ns.get(), stamp.time_ns);
            }
            _ => {}
        }
    }
}

fn join(connection: &Connection<Session>, now_ns: u64, context: &mut BuildContext<'_>) -> Option<PoolId> {
    let key = PoolKey { pid: connection.pid, peer: connection.peer.clone()?, system: connection.state.protocol?.system() };
    context.pools.joined(&key, now_ns)
}

/// What TCP tells of the connection, now or at its end.
pub(super) fn measure(connection: &mut Connection<Session>, figures: &TcpFigures, context: &mut BuildContext<'_>) {
    if let PoolPlace::In(id, _) | PoolPlace::Left(id) = connection.state.pool {
        let now = [figures.segments, figures.retransmits];
        let before = match std::mem::replace(&mut connection.state.sent, now) {
            // The first reading: what was sent before perfmon saw it is not told.
            [0, _] if connection.late => now,
            before => before,
        };
        let [segments, retransmits] = [0, 1].map(|index: usize| u64::from(now[index].wrapping_sub(before[index])));
        context.pools.sent(id, segments, retransmits, figures.round_trip_us);
    }
}

/// The connection ended.
pub(super) fn left(connection: &mut Connection<Session>, time_ns: u64, context: &mut BuildContext<'_>) {
    if let PoolPlace::In(id, since) = connection.state.pool {
        connection.state.pool = PoolPlace::Left(id);
        let BuildContext { pools, peer_names, .. } = context;
        pools.left(id, since.map(NonZeroU64::get), time_ns, || {
            connection.peer.as_ref().and_then(|peer| peer_names.name(connection.pid, peer))
        });
    }
}

/// Whether a connection's uses are followed: it is a client's, as far as is known.
pub(super) fn is_followed(connection: &Connection<Session>) -> bool {
    connection.role == Role::Client
}

impl Pipeline {
    /// What the kernel's table of sockets tells of connections.
    pub(super) fn measured(&mut self, connected: &[(u32, TcpFigures)]) {
        let connected: rustc_hash::FxHashMap<u32, &TcpFigures> = connected.iter().map(|(inode, figures)| (*inode, figures)).collect();
        let (tracker, context) = &mut self.parts();
        for connection in tracker.iter_mut() {
            if let Some(figures) = connected.get(&connection.key.inode) {
                measure(connection, figures, context);
            }
        }
    }

    /// Once a second: how much processes have to do; once an interval: the records of all pools.
    pub(super) fn tell_pools(&mut self, now_ns: u64, records: &mut Vec<Record>) {
        let Self { linker, pools, .. } = self;
        if now_ns.saturating_sub(self.pools_told_ns) < limits::POOL_INTERVAL_NS {
            return pools.observe(|pid| linker.under_way(pid));
        }
        self.pools_told_ns = now_ns;
        let told = pools.interval(now_ns, |pid| linker.under_way(pid));
        self.counters.pools_refused.add(pools.take_refused());
        if told.is_empty() {
            return;
        }
        let mut silent: rustc_hash::FxHashMap<PoolId, u64> = rustc_hash::FxHashMap::default();
        for connection in self.tracker.iter() {
            if let PoolPlace::In(id, Some(_)) = connection.state.pool {
                let longest = silent.entry(id).or_default();
                *longest = (*longest).max(now_ns.saturating_sub(connection.last_ns));
            }
        }
        for (id, key, figures) in told {
            let name = figures.name.clone().or_else(|| self.peer_names.name(key.pid, &key.peer));
            let destination = name.unwrap_or_else(|| key.peer.clone());
            let time = WallTime(self.wall_at_boot_ns + figures.since_ns);
            let origin = self.processes.guessed_origin(key.pid);
            let interval_ms = Millis(now_ns.saturating_sub(figures.since_ns));
            if let Some(tcp) = &figures.tcp {
                records.push(Record::Tcp(Box::new(Tcp {
                    time,
                    origin: origin.clone(),
                    destination: destination.clone(),
                    peer: key.peer.clone(),
                    system: key.system,
                    segments: tcp.segments,
                    retransmits: tcp.retransmits,
                    round_trips: tcp.round_trips,
                    round_trip_ms: tcp.round_trip_ns().map(Millis),
                    round_trip_max_ms: (tcp.round_trips > 0).then_some(Millis(u64::from(tcp.round_trip_max_us) * 1_000)),
                    interval_ms,
                })));
            }
            if !figures.is_pool {
                continue;
            }
            records.push(Record::Pool(Box::new(Pool {
                time,
                origin,
                destination,
                peer: key.peer.clone(),
                system: key.system,
                open: figures.open,
                in_use: figures.in_use,
                idle: figures.open.saturating_sub(figures.in_use),
                peak_in_use: figures.peak_in_use,
                size: figures.size,
                opened: figures.opened,
                closed: figures.closed,
                uses: figures.uses,
                use_time_p95_ms: figures.use_time_p95_ns.map(Millis),
                saturated: figures.saturated,
                silent_in_use_ms: silent.get(&id).map(|ns| Millis(*ns)),
                interval_ms,
            })));
        }
    }
}
