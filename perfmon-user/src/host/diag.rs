//! TCP sockets of this network namespace, from the kernel's socket table. In: the states wanted; out: port, state, inode number and figures of
//! each socket. Protocol: sock_diag(7), `NETLINK_SOCK_DIAG` with `inet_diag_req_v2` (include/uapi/linux/inet_diag.h), one dump a family.
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::stream::TcpFigures;

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpSocket {
    /// Local port.
    pub port: u16,
    /// `TCP_*` state (include/net/tcp_states.h).
    pub state: u8,
    /// Inode number of its file; 0 before accept() and after close().
    pub inode: u32,
    /// What `struct tcp_info` says; `None` in a table that has none.
    pub figures: Option<TcpFigures>,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;
/// The attribute with a `struct tcp_info`.
const INET_DIAG_INFO: u16 = 2;
// Places in `struct tcp_info` (include/uapi/linux/tcp.h), which grows at its end.
const INFO_ROUND_TRIP: usize = 68;
const INFO_RETRANSMITS: usize = 100;
const INFO_SEGMENTS: usize = 136;
/// Bytes of one answer at most, as the kernel's dumps use it.
const ANSWER: usize = 32 * 1024;
/// The kernel answers at once.
const DEADLINE: Duration = Duration::from_secs(2);

/// The TCP sockets in the states that are bits of `states` (`1 << TCP_*`), IPv4 and IPv6.
pub(super) fn tcp_sockets(states: u32) -> io::Result<Vec<TcpSocket>> {
    let netlink = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    set_socket_timeout(&netlink, Timeout::Recv, Some(DEADLINE))?;
    let mut sockets = Vec::new();
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        dump(&netlink, family, states, &mut sockets)?;
    }
    Ok(sockets)
}

fn dump(netlink: &OwnedFd, family: u8, states: u32, sockets: &mut Vec<TcpSocket>) -> io::Result<()> {
    rustix::net::sendto(netlink.as_fd(), &request(family, states), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = vec![0; ANSWER];
    loop {
        let (len, _) = rustix::net::recv(netlink.as_fd(), &mut answer[..], RecvFlags::empty())?;
        if read_answer(answer.get(..len).unwrap_or_default(), sockets)? {
            return Ok(());
        }
    }
}

fn request(family: u8, states: u32) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request[HEADER] = family;
    request[HEADER + 1] = IPPROTO_TCP;
    request[HEADER + 2] = 1 << (INET_DIAG_INFO - 1);
    request[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    request
}

/// Reads the messages of one answer; true after the last one of the dump.
fn read_answer(mut rest: &[u8], sockets: &mut Vec<TcpSocket>) -> io::Result<bool> {
    while let Some(len) = number(rest, 0) {
        let kind = rest.get(4..6).and_then(|kind| kind.try_into().ok()).map_or(0, u16::from_ne_bytes);
        let message = rest.get(HEADER..len as usize).ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return Err(io::Error::from_raw_os_error(number(message, 0).map_or(libc::EPROTO, |code| -(code as i32)))),
            SOCK_DIAG_BY_FAMILY => sockets.push(socket(message).ok_or(io::ErrorKind::InvalidData)?),
            _ => {}
        }
        // Messages are aligned to 4 bytes.
        rest = rest.get((len as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn socket(message: &[u8]) -> Option<TcpSocket> {
    let (message, attributes) = message.split_first_chunk::<MESSAGE>()?;
    let inode = message.last_chunk().copied().map(u32::from_ne_bytes)?;
    let figures = info(attributes).and_then(figures);
    Some(TcpSocket { port: u16::from_be_bytes([message[4], message[5]]), state: message[1], inode, figures })
}

/// The `struct tcp_info` among attributes (`struct nlattr`: length with its header, type; aligned to 4 bytes).
fn info(mut rest: &[u8]) -> Option<&[u8]> {
    while let Some([a, b, kind @ ..]) = rest.first_chunk::<4>() {
        let len = usize::from(u16::from_ne_bytes([*a, *b]));
        let value = rest.get(4..len)?;
        if u16::from_ne_bytes(*kind) == INET_DIAG_INFO {
            return Some(value);
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

fn figures(info: &[u8]) -> Option<TcpFigures> {
    Some(TcpFigures {
        round_trip_us: number(info, INFO_ROUND_TRIP)?,
        segments: number(info, INFO_SEGMENTS)?,
        retransmits: number(info, INFO_RETRANSMITS)?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u32 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    #[test]
    fn sockets_of_this_process_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let at_port = || tcp_sockets((1 << 1) | (1 << 10)).unwrap().into_iter().filter(|socket| socket.port == port).collect::<Vec<_>>();
        let before = at_port();
        let has = |sockets: &[TcpSocket], state, inode| sockets.iter().any(|socket| (socket.state, socket.inode) == (state, inode));
        assert!(has(&before, 10, inode(&listener)), "{before:?}");
        assert!(has(&before, 1, 0), "nobody accepted it yet: {before:?}");
        let accepted = listener.accept().unwrap().0;
        assert!(has(&at_port(), 1, inode(&accepted)));
    }

    #[test]
    fn figures_are_those_of_the_socket() {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut accepted = listener.accept().unwrap().0;
        let mut byte = [0];
        for _ in 0..50 {
            client.write_all(b"?").unwrap();
            accepted.read_exact(&mut byte).unwrap();
            accepted.write_all(b"!").unwrap();
            client.read_exact(&mut byte).unwrap();
        }
        let sockets = tcp_sockets(1 << 1).unwrap();
        let figures = sockets.iter().find(|socket| socket.inode == inode(&client)).unwrap().figures.unwrap();
        // SYN, its acknowledgement, fifty bytes; acknowledgements of the answers may go alone.
        assert!((50..=110).contains(&figures.segments), "{figures:?}");
        assert!((1..1_000_000).contains(&figures.round_trip_us), "{figures:?}");
        assert_eq!(figures.retransmits, 0);
    }

    #[test]
    fn damaged_answers_are_errors() {
        let mut sockets = Vec::new();
        assert!(!read_answer(&[], &mut sockets).unwrap());
        let mut answer = request(2, 0).to_vec();
        assert!(read_answer(&answer, &mut sockets).is_err(), "shorter than a message");
        answer[0] = 200;
        assert!(read_answer(&answer, &mut sockets).is_err(), "longer than what came");
        answer[0] = 3;
        assert!(read_answer(&answer, &mut sockets).is_err(), "shorter than its header");
        assert_eq!(info(&[]), None);
        assert_eq!(info(&[3, 0, 2, 0]), None, "an attribute shorter than its header");
        assert_eq!(info(&[8, 0, 2, 0]), None, "an attribute longer than what came");
        assert_eq!(info(&[4, 0, 1, 0, 5, 0, 2, 0, 9]), Some(&[9][..]));
        assert_eq!(figures(&[0; INFO_SEGMENTS]), None, "of an older kernel");
    }
}
