//! Who listens on certain TCP ports. In: /proc/PID/net/tcp and tcp6 (of the process's own network namespace) and the socket inodes
//! among its descriptors. One `Listeners` serves one look around: each namespace is read once.
use std::collections::HashMap;
use std::fs::{self, File};

use procfs::net::{TcpNetEntries, TcpState};
use procfs::{FromReadSI, current_system_info};

use super::root::ProcRoot;

/// Descriptors of a process that are looked at; a listening socket is opened early.
const DESCRIPTORS: usize = 4_096;

/// Listening sockets of the wanted ports, by network namespace.
#[derive(Debug)]
pub(super) struct Listeners<'a> {
    proc: &'a ProcRoot,
    ports: &'a [u16],
    by_namespace: HashMap<String, HashMap<u64, u16>>,
}

impl<'a> Listeners<'a> {
    pub(super) fn new(proc: &'a ProcRoot, ports: &'a [u16]) -> Self {
        Self { proc, ports, by_namespace: HashMap::new() }
    }

    /// Those of the wanted ports on which this process listens.
    pub(super) fn ports_of(&mut self, pid: u32) -> Vec<u16> {
        if self.ports.is_empty() {
            return Vec::new();
        }
        let inodes = self.proc.socket_inodes(pid, DESCRIPTORS);
        if inodes.is_empty() {
            return Vec::new();
        }
        let Ok(namespace) = fs::read_link(self.proc.path(pid, "ns/net")) else { return Vec::new() };
        let (proc, wanted) = (self.proc, self.ports);
        let sockets = self.by_namespace.entry(namespace.to_string_lossy().into_owned()).or_insert_with(|| listening(proc, pid, wanted));
        let mut ports: Vec<u16> = inodes.iter().filter_map(|inode| sockets.get(inode).copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

fn listening(proc: &ProcRoot, pid: u32, wanted: &[u16]) -> HashMap<u64, u16> {
    let table = |file| {
        let entries = File::open(proc.path(pid, file)).ok().and_then(|file| TcpNetEntries::from_read(file, current_system_info()).ok());
        entries.map_or_else(Vec::new, |TcpNetEntries(entries)| entries)
    };
    ["net/tcp", "net/tcp6"]
        .into_iter()
        .flat_map(table)
        .filter(|entry| entry.state == TcpState::Listen && wanted.contains(&entry.local_address.port()))
        .map(|entry| (entry.inode, entry.local_address.port()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn finds_the_ports_of_this_process() {
        let (four, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = four.local_addr().unwrap().port();
        let mut wanted = vec![port];
        let six = TcpListener::bind("[::1]:0").ok();
        wanted.extend(six.as_ref().map(|six| six.local_addr().unwrap().port()));
        wanted.sort_unstable();
        let proc = ProcRoot::default();
        assert_eq!(Listeners::new(&proc, &wanted).ports_of(std::process::id()), wanted);
        drop((four, other));
        assert!(!Listeners::new(&proc, &wanted).ports_of(std::process::id()).contains(&port));
    }
}
