//! The owner of a connection by the kernel's table of TCP sockets, for kernels without sock_diag. In: both addresses; out: a user id, or none.
//! Reads the table up to the connection, which takes milliseconds where there are ten thousands. Format: proc(5), `/proc/net/tcp`.
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::owner::CONNECTED;

/// Lines of a table that are read.
const LINES: usize = 200_000;

/// The user who owns the socket with the local address `from` that is connected to `to`.
pub(super) fn owner(from: SocketAddr, to: SocketAddr) -> io::Result<Option<u32>> {
    // An IPv6 socket may have an IPv4 peer.
    let tables: &[&str] = if from.is_ipv4() { &["/proc/self/net/tcp", "/proc/self/net/tcp6"] } else { &["/proc/self/net/tcp6"] };
    for table in tables {
        for line in BufReader::new(File::open(table)?).lines().take(LINES) {
            if let Some(uid) = owner_of_line(&line?, from, to) {
                return Ok(Some(uid));
            }
        }
    }
    Ok(None)
}

/// The user in a line, if it is of this connection and a process has it open.
fn owner_of_line(line: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let is_it = address(words.next()?)? == from && address(words.next()?)? == to;
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let mut words = words.skip(3);
    let uid = words.next()?.parse().ok()?;
    let inode: u64 = words.nth(1)?.parse().ok()?;
    (is_it && inode != 0 && CONNECTED.contains(&state)).then_some(uid)
}

/// `0100007F:1F90`: words of four bytes in this machine's order, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => IpAddr::V6(Ipv6Addr::from_octets([word(0)?, word(1)?, word(2)?, word(3)?].concat().try_into().ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_read() {
        let (from, to): (SocketAddr, SocketAddr) = ("127.0.0.1:42482".parse().unwrap(), "127.0.0.1:9911".parse().unwrap());
        let line = |state: &str, inode: u32| {
            format!(
                "  12: 0100007F:A5F2 0100007F:26B7 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 20 4 30 10 -1"
            )
        };
        assert_eq!(owner_of_line(&line("01", 77), from, to), Some(1000));
        assert_eq!(owner_of_line(&line("01", 77), to, from), None);
        assert_eq!(owner_of_line(&line("01", 0), from, to), None, "closed");
        assert_eq!(owner_of_line(&line("06", 77), from, to), None, "TIME_WAIT");
        assert_eq!(owner_of_line("  sl  local_address rem_address   st", from, to), None);
        assert_eq!(address("0000000000000000FFFF00000100007F:26B7"), Some(to));
        assert_eq!(address("00000000000000000000000001000000:0001"), Some("[::1]:1".parse().unwrap()));
        assert_eq!(address("0100007F"), None);
    }
}
