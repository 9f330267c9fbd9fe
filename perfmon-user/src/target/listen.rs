//! Who listens on certain TCP ports. In: /proc/PID/net/tcp and tcp6 (of the process's own network namespace) and the socket inodes
//! among its descriptors. One `Listeners` serves one look around: each namespace is read once. The kernel lists the sockets that listen
//! before all others (tcp_get_idx() in net/ipv4/tcp_ipv4.c), so that reading ends at the first other one: a host with a million
//! connections costs no more than an idle one.
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use super::root::ProcRoot;

/// Descriptors of a process that are looked at; a listening socket is opened early.
const DESCRIPTORS: usize = 4_096;

/// Listening sockets of a namespace that are looked at.
const SOCKETS: usize = 65_536;

/// `TCP_LISTEN` (include/net/tcp_states.h).
const LISTEN: &str = "0A";

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
    let mut found = HashMap::new();
    for file in ["net/tcp", "net/tcp6"] {
        let Ok(file) = File::open(proc.path(pid, file)) else { continue };
        let lines = BufReader::with_capacity(4_096, file).lines().skip(1).map_while(Result::ok);
        found.extend(lines.map_while(|line| listener(&line)).take(SOCKETS).filter(|(_, port)| wanted.contains(port)));
    }
    found
}

/// Inode and port of a socket that listens: `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`, proc(5).
fn listener(line: &str) -> Option<(u64, u16)> {
    let mut words = line.split_ascii_whitespace();
    let (local, state, inode) = (words.nth(1)?, words.nth(1)?, words.nth(5)?);
    if state != LISTEN {
        return None;
    }
    Some((inode.parse().ok()?, u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn lines_of_the_kernel_s_table() {
        let line = |state: &str| {
            format!("   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0")
        };
        assert_eq!(listener(&line("0A")), Some((4_242, 8_080)));
        assert_eq!(listener(&line("01")), None);
        assert_eq!(listener("  0: 0100007F"), None);
    }

    #[test]
    fn finds_the_ports_of_this_process() {
        let (four, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = four.local_addr().unwrap().port();
        let mut wanted = vec![port];
        let six = TcpListener::bind("[::1]:0").ok();
        wanted.extend(six.as_ref().map(|six| six.local_addr().unwrap().port()));
        wanted.sort_unstable();
        let proc = ProcRoot::new(crate::inspect::ForeignReader::in_threads());
        assert_eq!(Listeners::new(&proc, &wanted).ports_of(std::process::id()), wanted);
        drop((four, other));
        assert!(!Listeners::new(&proc, &wanted).ports_of(std::process::id()).contains(&port));
    }
}
