//! What processes call the addresses that they connect to. In: destination and peer of a connection's first exchange, and names that they asked for
//! with the answers' addresses; out: the name of an address, for an attempt to connect that never got as far as a name, and for connections that say
//! none. An address that was called by several names has none; of those that were asked for the last one counts. Entries end with their process.
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits::PEER_NAMES;

/// The names by process and address.
#[derive(Debug, Default)]
pub(super) struct PeerNames {
    /// `None`: it has several.
    of_process: FxHashMap<u32, FxHashMap<Arc<str>, Option<Arc<str>>>>,
    len: usize,
    /// As the process asked for them.
    asked: FxHashMap<u32, FxHashMap<IpAddr, Arc<str>>>,
    asked_len: usize,
}

impl PeerNames {
    /// A process called `peer` by this name.
    pub(super) fn note(&mut self, pid: u32, peer: &Arc<str>, name: &Arc<str>) {
        if self.len >= PEER_NAMES {
            (self.of_process, self.len) = (FxHashMap::default(), 0);
        }
        match self.of_process.entry(pid).or_default().entry(peer.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Some(name.clone()));
                self.len += 1;
            }
            Entry::Occupied(mut entry) => {
                if entry.get().as_ref().is_some_and(|known| known != name) {
                    entry.insert(None);
                }
            }
        }
    }

    /// A process asked for `name` and got this address.
    pub(super) fn learn(&mut self, pid: u32, address: IpAddr, name: &Arc<str>) {
        if self.asked_len >= PEER_NAMES {
            (self.asked, self.asked_len) = (FxHashMap::default(), 0);
        }
        if self.asked.entry(pid).or_default().insert(address, name.clone()).is_none() {
            self.asked_len += 1;
        }
    }

    /// The name by which the process asked for an address.
    pub(super) fn asked(&self, pid: u32, peer: &str) -> Option<Arc<str>> {
        let names = self.asked.get(&pid)?;
        let address: SocketAddr = peer.parse().ok()?;
        names.get(&address.ip()).cloned()
    }

    /// The name of an address, if the process has one for it.
    pub(super) fn name(&self, pid: u32, peer: &str) -> Option<Arc<str>> {
        match self.of_process.get(&pid).and_then(|names| names.get(peer)) {
            Some(called) => called.clone(),
            None => self.asked(pid, peer),
        }
    }

    /// The process ended.
    pub(super) fn left(&mut self, pid: u32) {
        self.len -= self.of_process.remove(&pid).map_or(0, |names| names.len());
        self.asked_len -= self.asked.remove(&pid).map_or(0, |names| names.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_while_it_has_one_only() {
        let mut names = PeerNames::default();
        let (peer, shop, cart): (Arc<str>, Arc<str>, Arc<str>) = ("10.0.0.1:80".into(), "shop".into(), "cart".into());
        assert_eq!(names.name(1, &peer), None);
        names.note(1, &peer, &shop);
        names.note(1, &peer, &shop);
        assert_eq!(names.name(1, &peer), Some(shop.clone()));
        assert_eq!(names.name(2, &peer), None, "another process may call it otherwise");
        names.note(1, &peer, &cart);
        names.note(1, &peer, &shop);
        assert_eq!(names.name(1, &peer), None);
    }

    #[test]
    fn names_go_with_their_process_and_stay_below_the_cap() {
        let mut names = PeerNames::default();
        for pid in 0..2 * PEER_NAMES as u32 {
            names.note(pid, &"10.0.0.1:80".into(), &"shop".into());
            assert!(names.len <= PEER_NAMES);
        }
        for pid in 0..2 * PEER_NAMES as u32 {
            names.left(pid);
        }
        assert_eq!((names.len, names.of_process.len()), (0, 0));
    }
}
