//! Ports for servers that a test starts. They lie below the range from which the kernel takes the local ports of connections: a port of that
//! range is free when it is looked for and may be a client's when the server binds it, which happens under a load of new connections.
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// The first port given, and how many follow it: below Linux' default range, which begins at 32,768.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// Programs that start one after the other begin so far apart: a port that one was given may not be bound yet when the next looks for one.
const BLOCK: u16 = 100;

/// Ports given so far by this program.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A free TCP port of the loopback address; a port is given once in a program, and programs that run at once begin at different places.
pub fn free_port() -> Result<u16> {
    let begin = (std::process::id() % u32::from(COUNT / BLOCK)) as u16 * BLOCK;
    for _ in 0..COUNT {
        let port = FIRST + (begin + GIVEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {FIRST} to {} is free", FIRST + COUNT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_connections_and_given_once() {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let lowest: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        let ports: Vec<u16> = (0..200).map(|_| free_port().unwrap()).collect();
        assert!(ports.iter().all(|port| *port < lowest), "the kernel gives ports from {lowest} on to connections: {ports:?}");
        let mut once = ports.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ports.len());
    }
}
