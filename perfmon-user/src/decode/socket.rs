//! Events of sockets that are no data: seen first, changed their state. Formats: `OpenHeader`, `StateHeader`.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;

use perfmon_common::event::*;

use super::{Address, DecodeError, Event, MOST_BYTES, Open, SocketKey, SocketStateChange, StateChange, below, header, header_of, time};
use crate::stream::{Failure, Role, TcpFigures};

/// Bytes of a `StateHeader` in older recordings, which end before what TCP tells.
const OLD_STATE_HEADER: usize = 56;

/// An address of IPv4 or IPv6; `None` for other families.
pub(super) fn ip(family: u16, addr: &[u8; 16], port: u16) -> Option<SocketAddr> {
    match family {
        2 => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(addr[0], addr[1], addr[2], addr[3])), port)),
        10 => Some(SocketAddr::new(Ipv6Addr::from(*addr).to_canonical(), port)),
        _ => None,
    }
}

pub(super) fn open(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: OpenHeader = header(bytes)?;
    let (local, peer) = match (h.family, ip(h.family, &h.local_addr, h.local_port), ip(h.family, &h.peer_addr, h.peer_port)) {
        (1, ..) => {
            let name = unix_name(
                h.unix_path
                    .get(..h.unix_path_len.into())
                    .ok_or(DecodeError::Value { field: "unix_path_len", value: h.unix_path_len.into() })?,
            );
            (Address::Unix(name.clone()), Address::Unix(name))
        }
        (_, Some(local), Some(peer)) => (Address::Ip(local), Address::Ip(peer)),
        (family, ..) => return Err(DecodeError::Value { field: "family", value: family.into() }),
    };
    let role = match h.role {
        ROLE_UNKNOWN => Role::Unknown,
        ROLE_CLIENT => Role::Client,
        ROLE_SERVER => Role::Server,
        other => return Err(DecodeError::Value { field: "role", value: other.into() }),
    };
    let key = SocketKey { sock: h.sock, inode: h.inode };
    let connect_ns = NonZeroU64::new(u64::from(h.connect_us) * 1_000);
    Ok(Event::Open(Open { key, time_ns: time(h.time_ns)?, pid: h.tgid, role, late: h.flags & OPEN_LATE != 0, connect_ns, local, peer }))
}

fn unix_name(path: &[u8]) -> Box<str> {
    match path {
        [] => "".into(),
        [0, name @ ..] => format!("@{}", String::from_utf8_lossy(name)).into(),
        name => String::from_utf8_lossy(name.split(|b| *b == 0).next().unwrap_or_default()).into(),
    }
}

pub(super) fn state(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let h: StateHeader = header_of(bytes, OLD_STATE_HEADER)?;
    // include/net/tcp_states.h
    let change = match h.new_state {
        10 => StateChange::Listen(h.local_port),
        8 => StateChange::PeerClosed,
        4 | 9 | 11 => StateChange::LocalClosed,
        7 if h.flags & STATE_NOT_CONNECTED != 0 => StateChange::NotConnected(connect_failure(h.error)),
        7 if h.flags & STATE_STILL_OPEN != 0 => StateChange::PeerReset,
        7 => StateChange::Closed { peer_reset: h.flags & STATE_PEER_RESET != 0, local_reset: h.flags & STATE_LOCAL_RESET != 0 },
        other => return Err(DecodeError::Value { field: "new_state", value: other.into() }),
    };
    let key = SocketKey { sock: h.sock, inode: h.inode };
    let (in_bytes, out_bytes) = (below(MOST_BYTES, "in_bytes", h.in_bytes)?, below(MOST_BYTES, "out_bytes", h.out_bytes)?);
    let StateHeader { round_trip_us, segments, retransmits, .. } = h;
    let tcp = (segments > 0).then_some(TcpFigures { round_trip_us, segments, retransmits });
    Ok(Event::State(SocketStateChange { key, time_ns: time(h.time_ns)?, pid: h.tgid, change, in_bytes, out_bytes, tcp }))
}

/// The failure of a connect() with this errno (include/uapi/asm-generic/errno.h).
fn connect_failure(errno: u16) -> Failure {
    const CONNECTION_REFUSED: u16 = 111;
    const TIMED_OUT: u16 = 110;
    match errno {
        CONNECTION_REFUSED => Failure::ConnectRefused,
        TIMED_OUT | ERROR_GIVEN_UP => Failure::ConnectTimeout,
        _ => Failure::ConnectUnreachable,
    }
}
