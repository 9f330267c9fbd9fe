//! Counts the sockets of a process and its established TCP connections. In: the links of its descriptors, and net/tcp and net/tcp6 of its
//! network namespace, which are read once for all processes of a sample.
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Limit of the descriptors read of one process; beyond it both counts are unknown.
const DESCRIPTORS: usize = 16_384;

/// Lines of a table that cost as much as a descriptor's link.
const LINES_A_DESCRIPTOR: u64 = 16;

/// Established connections by network namespace, for one sample.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    namespaces: HashMap<PathBuf, HashSet<u64>>,
    cost: u64,
}

/// What a process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SocketCount {
    pub sockets: Option<u64>,
    pub connections: Option<u64>,
}

impl Sockets {
    /// Starts a new sample.
    pub(super) fn begin(&mut self) {
        self.namespaces.clear();
        self.cost = 0;
    }

    /// What this sample has cost, in descriptors that were read.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Counts a process's sockets and, if `connections`, its connections.
    pub(super) fn count(&mut self, pid: u32, connections: bool) -> SocketCount {
        let Some(inodes) = self.inodes(pid) else { return SocketCount::default() };
        let connections = match connections {
            _ if inodes.is_empty() => Some(0),
            true => self.established(pid).map(|established| inodes.intersection(established).count() as u64),
            false => None,
        };
        SocketCount { sockets: Some(inodes.len() as u64), connections }
    }

    /// Inode numbers of the sockets among the descriptors; a socket that was duplicated counts once.
    fn inodes(&mut self, pid: u32) -> Option<HashSet<u64>> {
        let mut inodes = HashSet::new();
        for (read, entry) in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().enumerate() {
            if read >= DESCRIPTORS {
                return None;
            }
            self.cost += 1;
            let link = fs::read_link(entry.path()).ok();
            let inode = link.as_deref().and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
            inodes.extend(inode);
        }
        Some(inodes)
    }

    fn established(&mut self, pid: u32) -> Option<&HashSet<u64>> {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        if !self.namespaces.contains_key(&namespace) {
            let mut inodes = HashSet::new();
            // A kernel without IPv6 has no second table.
            let lines = read_table(&format!("/proc/{pid}/net/tcp"), &mut inodes)?
                + read_table(&format!("/proc/{pid}/net/tcp6"), &mut inodes).unwrap_or(0);
            self.cost += lines / LINES_A_DESCRIPTOR;
            self.namespaces.insert(namespace.clone(), inodes);
        }
        self.namespaces.get(&namespace)
    }
}

/// Adds the established sockets of a table; returns its number of lines. Fields: sl, local, remote, state (01 = established), queues,
/// timer, retransmits, uid, timeout, inode.
fn read_table(path: &str, inodes: &mut HashSet<u64>) -> Option<u64> {
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(path).ok()?);
    let (mut line, mut lines) = (String::new(), 0);
    while reader.read_line(&mut line).ok()? > 0 {
        lines += 1;
        let mut fields = line.split_ascii_whitespace().skip(3);
        if fields.next() == Some("01") {
            inodes.extend(fields.nth(5).and_then(|inode| inode.parse::<u64>().ok()));
        }
        line.clear();
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn counts_sockets_and_connections_of_this_process() {
        let own = std::process::id();
        let count = || Sockets::default().count(own, true);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let before = count();
        let streams: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let accepted: Vec<TcpStream> = (0..20).map(|_| listener.accept().unwrap().0).collect();
        let with = count();
        // Other tests of this process open a few sockets of their own meanwhile.
        let grown = |after: Option<u64>, before: Option<u64>| after.unwrap().abs_diff(before.unwrap() + 40);
        assert!(grown(with.sockets, before.sockets) <= 10 && grown(with.connections, before.connections) <= 10, "{before:?} {with:?}");
        drop((streams, accepted));
        assert_eq!(Sockets::default().count(own, false).connections, None);
        assert_eq!(Sockets::default().count(u32::MAX, true), SocketCount::default());
    }
}
