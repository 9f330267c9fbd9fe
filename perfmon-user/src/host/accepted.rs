//! The TCP connections of processes: those that they accepted, at the ports that they listen on, silent ones and those older than perfmon too;
//! and what TCP tells of those to others. In: process ids; out: inode numbers. Reads descriptors of other processes and the kernel's socket
//! table: not for the capture thread. Of processes in another network namespace the table is net/tcp below /proc.
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use super::diag::{self, TcpSocket};
use crate::heartbeat;
use crate::stream::TcpFigures;

/// Network namespaces that are read; of each but the own one it is a text with a line a socket.
const NAMESPACES: usize = 64;
/// Descriptors of one process whose links are read: listeners come first, long before this many.
const DESCRIPTORS: usize = 65_536;

// include/net/tcp_states.h
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const LISTEN: u8 = 10;
const WANTED: [u8; 6] = [ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, LISTEN];

/// The TCP sockets at one moment.
#[derive(Debug, Default, PartialEq)]
pub struct SocketTable {
    /// The open connections that processes accepted, each once.
    pub accepted: HashSet<u32>,
    /// The connections to others, with what TCP tells of them. Only of the own network namespace: other tables do not have it.
    pub connected: Vec<(u32, TcpFigures)>,
}

impl SocketTable {
    /// Takes over the table of a namespace, of which the listening `ports` are wanted, without the sockets that `is_own`.
    fn add(&mut self, table: &[TcpSocket], ports: &HashSet<u16>, is_own: impl Fn(u32) -> bool) {
        let open = table.iter().filter(|socket| socket.state != LISTEN && socket.inode != 0 && !is_own(socket.inode));
        for socket in open {
            if ports.contains(&socket.port) {
                self.accepted.insert(socket.inode);
            } else if let Some(figures) = socket.figures {
                self.connected.push((socket.inode, figures));
            }
        }
    }
}

/// The open connections that `pids` accepted, and all that go out from their namespaces. `None` when a table or the descriptors of a process that
/// runs cannot be read.
pub fn accepted(pids: &[u32]) -> Option<SocketTable> {
    let mut tables: HashMap<PathBuf, (Vec<TcpSocket>, HashSet<u16>)> = HashMap::new();
    for pid in pids {
        heartbeat::beat();
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/net")) else { continue };
        let Some(inodes) = inodes(*pid) else {
            // A process that ended has no connections.
            if fs::exists(format!("/proc/{pid}/fd")).unwrap_or(false) {
                return None;
            }
            continue;
        };
        if !tables.contains_key(&namespace) {
            let table = table(*pid, &namespace)?;
            tables.insert(namespace.clone(), (table, HashSet::new()));
        }
        if let Some((table, ports)) = tables.get_mut(&namespace) {
            ports.extend(table.iter().filter(|socket| socket.state == LISTEN && inodes.contains(&socket.inode)).map(|socket| socket.port));
        }
    }
    let mut open = SocketTable::default();
    tables.values().for_each(|(table, ports)| open.add(table, ports, |_| false));
    Some(open)
}

/// The open connections that any process of the host but perfmon itself accepted. Reads no descriptors of others. `None` when a table
/// cannot be read.
pub fn accepted_by_all() -> Option<SocketTable> {
    let own = inodes(std::process::id())?;
    let mut namespaces = HashMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/net")) {
            namespaces.entry(namespace).or_insert(pid);
        }
    }
    if namespaces.len() > NAMESPACES {
        return None;
    }
    let mut open = SocketTable::default();
    for (namespace, pid) in &namespaces {
        heartbeat::beat();
        let table = match table(*pid, namespace) {
            Some(table) => table,
            // It may have been the last process there.
            None if fs::exists(format!("/proc/{pid}")).unwrap_or(true) => return None,
            None => continue,
        };
        let ports: HashSet<u16> = table.iter().filter(|socket| socket.state == LISTEN).map(|socket| socket.port).collect();
        open.add(&table, &ports, |inode| own.contains(&inode));
    }
    Some(open)
}

/// Inode numbers of the sockets among a process's descriptors.
fn inodes(pid: u32) -> Option<HashSet<u32>> {
    let mut inodes = HashSet::new();
    for (place, entry) in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().enumerate() {
        if place >= DESCRIPTORS {
            return None;
        }
        let link = fs::read_link(entry.path()).ok();
        inodes.extend(link.and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u32>().ok()));
    }
    Some(inodes)
}

/// The TCP sockets of a process's network namespace.
fn table(pid: u32, namespace: &PathBuf) -> Option<Vec<TcpSocket>> {
    if fs::read_link("/proc/self/ns/net").is_ok_and(|own| own == *namespace) {
        return diag::tcp_sockets(WANTED.iter().fold(0, |bits, state| bits | 1 << state)).ok();
    }
    let mut sockets = parse(&fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?);
    // A kernel without IPv6 has no second table.
    sockets.extend(parse(&fs::read_to_string(format!("/proc/{pid}/net/tcp6")).unwrap_or_default()));
    Some(sockets)
}

/// Lines of net/tcp: sl, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode; numbers of the first are hex.
fn parse(table: &str) -> Vec<TcpSocket> {
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let port = u16::from_str_radix(fields.next()?.rsplit_once(':')?.1, 16).ok()?;
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        Some(TcpSocket { port, state, inode: fields.nth(5)?.parse().ok()?, figures: None })
    };
    table.lines().skip(1).filter_map(socket).filter(|socket| WANTED.contains(&socket.state)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn accepted_connections_are_counted_and_calls_are_not() {
        let own = std::process::id();
        let count = || accepted(&[own]).unwrap().accepted.len();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let before = count();
        let clients: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let servers: Vec<TcpStream> = (0..20).map(|_| listener.accept().unwrap().0).collect();
        // Other tests of this process open a few of their own meanwhile; the callers' ends would be 20 more.
        let grown = count().abs_diff(before);
        assert!((15..=25).contains(&grown), "{grown}");
        drop((clients, servers));
        assert_eq!(accepted(&[u32::MAX]), Some(SocketTable::default()));
    }

    #[test]
    fn of_all_processes_this_one_is_left_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _server = listener.accept().unwrap().0;
        let own = inodes(std::process::id()).unwrap();
        let open = accepted_by_all().unwrap();
        assert!(open.accepted.is_disjoint(&own), "{open:?} {own:?}");
        assert!(open.connected.iter().all(|(inode, _)| !own.contains(inode)), "{open:?} {own:?}");
        // The same rule with the own ones: the connection is seen, so that it was left out above.
        let port = listener.local_addr().unwrap().port();
        let table = table(std::process::id(), &fs::read_link("/proc/self/ns/net").unwrap()).unwrap();
        let mut with_own = SocketTable::default();
        with_own.add(&table, &HashSet::from([port]), |_| false);
        assert_eq!(with_own.accepted.len(), 1);
        assert!(with_own.connected.iter().any(|(inode, _)| own.contains(inode)), "the caller's end");
    }

    #[test]
    fn tables_of_other_namespaces_are_read_as_text() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:A001 06 00000000:00000000 03:000017A0 00000000     0        0 0 3 0000000000000000
";
        let socket = |state, inode| TcpSocket { port: 8080, state, inode, figures: None };
        assert_eq!(parse(table), [socket(10, 4711), socket(1, 4712)]);
    }
}
