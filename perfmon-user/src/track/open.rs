//! How many connections that targets accepted are open. In: what the kernel's socket table holds (`host::accepted`), taken at the start and
//! again from time to time, and between these the connections that events open and end. Out: a count, or `None` while it is not known.
//! A connection that is silent has no event: it is counted from the next taking on. Knows inode numbers only, which no two sockets share.
use rustc_hash::FxHashMap;

use crate::limits::{ENDED_CONNECTIONS, OPEN_CONNECTIONS};

/// The open connections.
#[derive(Debug, Default)]
pub struct OpenConnections {
    /// Inode number → when it was opened or last found in the table.
    open: FxHashMap<u32, u64>,
    /// Inode number → when it ended: a table that was taken before still has it.
    ended: FxHashMap<u32, u64>,
    /// Ends until then were forgotten: a table that was taken before may have connections that are over.
    forgotten_ns: u64,
    is_known: bool,
}

impl OpenConnections {
    /// A target accepted a connection, or used one that it had accepted.
    pub fn opened(&mut self, inode: u32, time_ns: u64) {
        if inode == 0 || self.ended.contains_key(&inode) {
            return;
        }
        if self.open.len() < OPEN_CONNECTIONS {
            self.open.entry(inode).or_insert(time_ns);
        } else if !self.open.contains_key(&inode) {
            self.is_known = false;
        }
    }

    /// A connection ended; others than those of targets may be told too.
    pub fn ended(&mut self, inode: u32, time_ns: u64) {
        self.open.remove(&inode);
        if inode == 0 {
            return;
        }
        if self.ended.len() >= ENDED_CONNECTIONS {
            self.forget_older_half();
        }
        self.ended.insert(inode, time_ns);
    }

    fn forget_older_half(&mut self) {
        let mut times: Vec<u64> = self.ended.values().copied().collect();
        let half = times.len() / 2;
        let (_, &mut newest_gone, _) = times.select_nth_unstable(half);
        self.ended.retain(|_, ended_ns| *ended_ns > newest_gone);
        self.forgotten_ns = self.forgotten_ns.max(newest_gone);
    }

    /// The socket table as it was at `taken_ns`; `None` when it could not be read. What events told of since then stays.
    pub fn taken(&mut self, inodes: Option<impl IntoIterator<Item = u32>>, taken_ns: u64) {
        let Some(inodes) = inodes else {
            self.is_known = false;
            return;
        };
        self.open.retain(|_, since_ns| *since_ns > taken_ns);
        self.is_known = taken_ns >= self.forgotten_ns;
        for inode in inodes {
            self.opened(inode, taken_ns);
        }
        self.ended.retain(|_, ended_ns| *ended_ns > taken_ns);
        self.ended.shrink_to(self.ended.len() * 2);
        self.open.shrink_to(self.open.len() * 2);
    }

    /// How many are open; `None` = not known.
    pub fn count(&self) -> Option<u64> {
        self.is_known.then_some(self.open.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_known_before_the_table_was_read() {
        let mut open = OpenConnections::default();
        open.opened(5, 10);
        assert_eq!(open.count(), None);
        open.taken(Some([]), 9);
        assert_eq!(open.count(), Some(1), "opened after the table was taken");
        open.taken(None::<[u32; 0]>, 11);
        assert_eq!(open.count(), None);
    }

    #[test]
    fn silent_and_older_connections_count_until_they_end() {
        let mut open = OpenConnections::default();
        open.taken(Some([1, 2, 3, 0]), 100);
        assert_eq!(open.count(), Some(3));
        open.opened(2, 110);
        open.opened(4, 110);
        assert_eq!(open.count(), Some(4));
        open.ended(1, 120);
        open.ended(99, 120);
        assert_eq!(open.count(), Some(3));
    }

    #[test]
    fn a_connection_that_ended_after_the_table_was_taken_does_not_come_back() {
        let mut open = OpenConnections::default();
        open.taken(Some([1]), 100);
        open.ended(1, 210);
        // The table was read at 200 and arrives after the end.
        open.taken(Some([1, 2]), 200);
        assert_eq!(open.count(), Some(1));
        open.taken(Some([2]), 300);
        assert_eq!(open.count(), Some(1));
    }

    #[test]
    fn ends_that_were_forgotten_make_an_older_table_useless_and_no_newer_one() {
        let mut open = OpenConnections::default();
        let ends = 2 * ENDED_CONNECTIONS as u32;
        (1..=ends).for_each(|inode| open.ended(inode, u64::from(inode)));
        assert!(open.ended.len() <= ENDED_CONNECTIONS && open.ended.capacity() < 2 * ENDED_CONNECTIONS, "{}", open.ended.len());
        // It was taken before the ends and arrives now.
        open.taken(Some(1..=3), 0);
        assert_eq!(open.count(), None);
        open.taken(Some([ends, ends + 1]), u64::from(ends) - 1);
        assert_eq!(open.count(), Some(1), "the newest ends are known");
    }

    #[test]
    fn what_the_table_no_longer_has_is_gone_even_if_its_end_was_lost() {
        let mut open = OpenConnections::default();
        open.taken(Some([]), 100);
        open.opened(7, 150);
        open.taken(Some([]), 200);
        assert_eq!(open.count(), Some(0));
    }
}
