//! Shares of a bounded table: in, who wants one more entry; out, whether there is room. One owner with ever new names leaves room for the
//! others: each may have as many entries as are still free, so the first one half, and a few as long as anything is free.
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Entries that an owner may have while anything is free.
const LEAST: usize = 20;

/// How many entries of a table each owner has.
#[derive(Clone, Debug)]
pub struct Quota<K> {
    cap: usize,
    taken: usize,
    by_owner: FxHashMap<K, usize>,
}

impl<K: Eq + Hash + Clone> Quota<K> {
    /// The shares of a table of `cap` entries.
    pub fn new(cap: usize) -> Self {
        Self { cap, taken: 0, by_owner: FxHashMap::default() }
    }

    /// Whether the owner may have one more entry.
    pub fn has_room(&self, owner: &K) -> bool {
        let free = self.cap.saturating_sub(self.taken);
        let own = self.by_owner.get(owner).copied().unwrap_or_default();
        free > 0 && (own < LEAST || own < free)
    }

    /// Takes an entry for the owner; false when it may have no more.
    pub fn take(&mut self, owner: &K) -> bool {
        self.has_room(owner) && self.take_any(owner)
    }

    /// Takes an entry that the owner has whatever its share is; false when none is free.
    pub fn take_any(&mut self, owner: &K) -> bool {
        if self.taken >= self.cap {
            return false;
        }
        self.taken += 1;
        *self.by_owner.entry(owner.clone()).or_default() += 1;
        true
    }

    /// An entry of the owner is gone.
    pub fn give_back(&mut self, owner: &K) {
        let Some(own) = self.by_owner.get_mut(owner) else { return };
        self.taken -= 1;
        *own -= 1;
        if *own == 0 {
            self.by_owner.remove(owner);
        }
    }

    /// Whether the owner has an entry.
    pub fn knows(&self, owner: &K) -> bool {
        self.by_owner.contains_key(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(quota: &mut Quota<&'static str>, owner: &'static str) -> usize {
        (0..1_000).take_while(|_| quota.take(&owner)).count()
    }

    #[test]
    fn each_leaves_half_of_what_it_found_and_late_ones_have_a_few() {
        let mut quota = Quota::new(100);
        assert_eq!((take_all(&mut quota, "first"), take_all(&mut quota, "second"), take_all(&mut quota, "third")), (50, 25, 20));
        assert_eq!((take_all(&mut quota, "fourth"), take_all(&mut quota, "fifth"), quota.knows(&"fifth")), (5, 0, false));
        (0..50).for_each(|_| quota.give_back(&"first"));
        quota.give_back(&"fifth");
        assert_eq!((quota.take_any(&"second"), quota.has_room(&"second")), (true, true));
        (0..26).for_each(|_| quota.give_back(&"second"));
        assert!(!quota.knows(&"first") && take_all(&mut quota, "fifth") == 38);
    }
}
