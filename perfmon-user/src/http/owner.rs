//! Which user owns the other end of a loopback connection. In: both addresses of an accepted socket; out: a user id, or none. One exact
//! lookup in the kernel's socket table, however many sockets there are. A socket that its program has closed has no owner: the kernel
//! reports user 0 and inode 0 for it, and it is none here. Protocol: sock_diag(7), `inet_diag_req_v2` without `NLM_F_DUMP`. A kernel without
//! it (CONFIG_INET_DIAG is a module that may be absent) is asked for its whole table instead.
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::socket_table;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_sockid` in `struct inet_diag_req_v2` after the header.
const REQUEST_ID: usize = HEADER + 8;
/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;
/// The kernel answers at once.
const DEADLINE: Duration = Duration::from_millis(500);
/// `TCP_ESTABLISHED`, `TCP_FIN_WAIT1`, `TCP_FIN_WAIT2`, `TCP_CLOSE_WAIT`: a connection that was accepted here. `TCP_TIME_WAIT` has no
/// owner, and a listening socket or a new attempt from the same port is another socket.
pub(super) const CONNECTED: [u8; 4] = [1, 4, 5, 8];
/// `/proc/self/uid_map` of the first user namespace, where every user id has a meaning.
const EVERY_ID: [&str; 3] = ["0", "0", "4294967295"];
/// What the kernel reports for a user that this namespace does not know, see `/proc/sys/kernel/overflowuid`.
const OVERFLOW_UID: u32 = 65_534;

/// Looks up users in this network and user namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnerLookup {
    /// Ids beyond those of this user namespace appear as one.
    partial_ids: bool,
    /// sock_diag does not answer here.
    by_table: bool,
}

impl OwnerLookup {
    pub fn new() -> Self {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let by_table = !knows_itself().unwrap_or(false);
        if by_table {
            tracing::debug!("The kernel does not answer sock_diag; owners of connections are read from its table.");
        }
        Self { partial_ids: !map.split_whitespace().eq(EVERY_ID), by_table }
    }

    /// The user who owns the socket with the local address `peer` that is connected to `local`; none when it has no owner, is not of this
    /// host, or the kernel does not tell.
    pub fn user_of(self, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
        let (peer, local) = (canonical(peer), canonical(local));
        let answer = if self.by_table { socket_table::owner(peer, local) } else { ask(peer, local) };
        let uid = match answer {
            Ok(uid) => uid?,
            Err(error) => {
                tracing::debug!(%error, "The owner of a connection is unknown.");
                return None;
            }
        };
        self.known(uid)
    }

    /// The user, unless the number stands for all that this namespace does not know.
    pub fn known(self, uid: u32) -> Option<u32> {
        (!self.partial_ids || uid != OVERFLOW_UID).then_some(uid)
    }
}

/// Whether the kernel tells the owner of a connection of this process.
fn knows_itself() -> io::Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, peer) = listener.accept()?;
    let owner = ask(peer, server.local_addr()?)?;
    drop(client);
    Ok(owner.is_some())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn ask(from: SocketAddr, to: SocketAddr) -> io::Result<Option<u32>> {
    let netlink = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    set_socket_timeout(&netlink, Timeout::Recv, Some(DEADLINE))?;
    rustix::net::sendto(netlink.as_fd(), &request(from, to), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 1_024];
    let (len, _) = rustix::net::recv(netlink.as_fd(), &mut answer[..], RecvFlags::empty())?;
    Ok(owner(answer.get(..len).unwrap_or_default(), from, to))
}

fn request(from: SocketAddr, to: SocketAddr) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    request[HEADER] = if from.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 };
    request[HEADER + 1] = IPPROTO_TCP;
    request[HEADER + 4..HEADER + 8].fill(0xff); // every state
    let id = &mut request[REQUEST_ID..];
    id[0..2].copy_from_slice(&from.port().to_be_bytes());
    id[2..4].copy_from_slice(&to.port().to_be_bytes());
    write_ip(&mut id[4..20], from.ip());
    write_ip(&mut id[20..36], to.ip());
    id[40..48].fill(0xff); // INET_DIAG_NOCOOKIE
    request
}

fn write_ip(place: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => place[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => place[..16].copy_from_slice(&ip.octets()),
    }
}

/// The user in an answer, if it is about exactly this connection. Without a match the kernel may answer with a listening socket.
fn owner(answer: &[u8], from: SocketAddr, to: SocketAddr) -> Option<u32> {
    if answer.get(4..6)? != SOCK_DIAG_BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let message: &[u8; MESSAGE] = answer.get(HEADER..)?.first_chunk()?;
    let word = |at: usize| message.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let end = |port: usize, ip: usize| {
        let port = u16::from_be_bytes([message[port], message[port + 1]]);
        read_ip(message[0], message.get(ip..ip + 16)?).map(|ip| SocketAddr::new(ip, port))
    };
    let (uid, inode) = (word(64)?, word(68)?);
    let is_it = end(4, 8) == Some(from) && end(6, 24) == Some(to) && CONNECTED.contains(&message[1]);
    (is_it && inode != 0).then_some(uid)
}

fn read_ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    let ip = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn the_owner_of_a_connection_is_this_user_until_it_is_closed() {
        for (listen, connect) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")] {
            let listener = TcpListener::bind(listen).unwrap();
            let client = TcpStream::connect((connect, listener.local_addr().unwrap().port())).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let local = server.local_addr().unwrap();
            let lookups = [false, true].map(|by_table| OwnerLookup { partial_ids: false, by_table });
            let told = || lookups.map(|lookup| lookup.user_of(peer, local));
            assert_eq!(told(), [Some(own_uid()); 2], "{listen}");
            drop(client);
            assert_eq!(told(), [None; 2], "{listen}: closed, FIN_WAIT2");
            drop(server);
            assert_eq!(told(), [None; 2], "{listen}: TIME_WAIT");
        }
    }

    #[test]
    fn a_listening_socket_at_the_peers_address_is_no_owner() {
        let (one, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let lookup = OwnerLookup::new();
        assert!(!lookup.by_table, "this kernel answers sock_diag");
        assert_eq!(lookup.user_of(one.local_addr().unwrap(), other.local_addr().unwrap()), None);
    }

    #[test]
    fn the_answer_must_be_of_a_connected_owned_socket() {
        let (from, to): (SocketAddr, SocketAddr) = ("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:9911".parse().unwrap());
        let mut message = [0_u8; HEADER + MESSAGE];
        message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message[HEADER] = libc::AF_INET as u8;
        message[HEADER + 1] = 1;
        message[HEADER + 4..HEADER + 6].copy_from_slice(&from.port().to_be_bytes());
        message[HEADER + 6..HEADER + 8].copy_from_slice(&to.port().to_be_bytes());
        write_ip(&mut message[HEADER + 8..HEADER + 24], from.ip());
        write_ip(&mut message[HEADER + 24..HEADER + 40], to.ip());
        message[HEADER + 64..HEADER + 68].copy_from_slice(&7_u32.to_ne_bytes());
        message[HEADER + 68..].copy_from_slice(&99_u32.to_ne_bytes());
        assert_eq!(owner(&message, from, to), Some(7));
        assert_eq!(owner(&message, to, from), None, "another connection");
        for state in [2, 3, 6, 7, 10] {
            let other = {
                let mut m = message;
                m[HEADER + 1] = state;
                m
            };
            assert_eq!(owner(&other, from, to), None, "state {state}");
        }
        message[HEADER + 68..].fill(0);
        assert_eq!(owner(&message, from, to), None, "no inode");
        for length in 0..message.len() {
            assert_eq!(owner(&message[..length], from, to), None);
        }
    }
}
