//! One budget of bytes for what parsers and decoders keep of unfinished traffic. In: charges of processes, before memory is taken or as
//! soon as its size is known; out: leave or refusal, the refusals counted. A process may hold as much as is still free: alone at most half
//! of all, beside others its share, so that none can take everything. What a charge holds is given back when it is dropped.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::counters::Counters;

/// Bytes that each process may hold while there are any: few enough to matter to no other.
const LEAST: usize = 64 * 1024;

/// The memory is used up, all of it or this process's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget of memory for unfinished traffic is used up")]
pub struct Exhausted;

/// The budget, a handle to be cloned.
#[derive(Clone, Debug)]
pub struct Budget(Arc<BudgetPool>);

/// The bytes of all.
#[derive(Debug)]
struct BudgetPool {
    limit: usize,
    used: AtomicUsize,
    #[cfg(test)]
    most: AtomicUsize,
    /// By process.
    shares: Mutex<FxHashMap<u32, Arc<Share>>>,
    counters: Arc<Counters>,
}

/// The share of one process. The default one has no limit.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Option<Arc<Share>>);

#[derive(Debug)]
struct Share {
    budget: Budget,
    used: AtomicUsize,
}

/// Bytes that someone holds.
#[derive(Debug, Default)]
pub struct Charge {
    share: Option<Arc<Share>>,
    bytes: usize,
}

impl Budget {
    /// With `limit` bytes; refusals are counted as `budget_refusals`.
    pub fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self(Arc::new(BudgetPool {
            limit,
            used: AtomicUsize::new(0),
            #[cfg(test)]
            most: AtomicUsize::new(0),
            shares: Mutex::default(),
            counters,
        }))
    }

    /// Most bytes held at once since the last call.
    #[cfg(test)]
    pub(crate) fn take_most(&self) -> usize {
        self.0.most.swap(self.used(), Ordering::Relaxed).max(self.used())
    }

    /// The share of a process.
    pub fn of(&self, pid: u32) -> Allowance {
        let new = || Arc::new(Share { budget: self.clone(), used: AtomicUsize::new(0) });
        Allowance(Some(Arc::clone(self.shares().entry(pid).or_insert_with(new))))
    }

    /// Forgets the shares of which nothing is held.
    pub fn expire(&self) {
        self.shares().retain(|_, share| Arc::strong_count(share) > 1);
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn shares(&self) -> MutexGuard<'_, FxHashMap<u32, Arc<Share>>> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Whether `more` bytes are to be had.
    fn has(&self, more: usize) -> bool {
        let (own, all) = (self.used.load(Ordering::Relaxed) + more, self.budget.used() + more);
        let limit = self.budget.0.limit;
        all <= limit && (own <= LEAST || own <= limit - all)
    }
}

impl Charge {
    /// Holds `bytes` from now on, more or fewer than before. `of`, the share to take from, is asked the first time. A refusal leaves the
    /// charge as it is.
    pub fn resize(&mut self, bytes: usize, of: impl FnOnce() -> Allowance) -> Result<(), Exhausted> {
        if bytes <= self.bytes {
            self.shrink(bytes);
            return Ok(());
        }
        let known = self.share.take();
        let is_new = known.is_none();
        let Some(share) = known.or_else(|| of().0) else { return Ok(()) };
        let more = bytes - self.bytes;
        if !share.has(more) {
            share.budget.0.counters.budget_refusals.inc();
            self.share = (!is_new).then_some(share);
            return Err(Exhausted);
        }
        share.used.fetch_add(more, Ordering::Relaxed);
        share.budget.0.used.fetch_add(more, Ordering::Relaxed);
        #[cfg(test)]
        share.budget.0.most.fetch_max(share.budget.used(), Ordering::Relaxed);
        self.bytes = bytes;
        self.share = Some(share);
        Ok(())
    }

    /// Holds `bytes` at most from now on.
    pub fn shrink(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn give_back(&mut self, bytes: usize) {
        let Some(share) = self.share.as_ref().filter(|_| bytes > 0) else { return };
        share.used.fetch_sub(bytes, Ordering::Relaxed);
        share.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// Bytes that are kept, and their charge. Most keep none, so it takes a pointer.
#[derive(Debug, Default)]
pub struct HeldBytes(Option<Box<PaidBytes>>);

#[derive(Debug, Default)]
struct PaidBytes {
    bytes: Vec<u8>,
    charge: Charge,
}

/// A buffer grows by its size, at least and at most by these bytes.
const GROWTH: [usize; 2] = [256, 4_096];

impl HeldBytes {
    /// Adds bytes. A refusal leaves it as it is.
    pub fn extend(&mut self, added: &[u8], of: impl FnOnce() -> Allowance) -> Result<(), Exhausted> {
        let PaidBytes { bytes, charge } = &mut **self.0.get_or_insert_default();
        let (had, needed) = (bytes.capacity(), bytes.len() + added.len());
        if needed > had {
            let room = needed.max(had + had.clamp(GROWTH[0], GROWTH[1]));
            charge.resize(room, of)?;
            bytes.reserve_exact(room - bytes.len());
        }
        bytes.extend_from_slice(added);
        Ok(())
    }

    /// Adds bytes without asking for leave, for as long as one segment is handled.
    pub fn extend_briefly(&mut self, added: &[u8]) {
        let held = self.0.get_or_insert_default();
        held.bytes.reserve_exact(added.len());
        held.bytes.extend_from_slice(added);
    }

    /// Removes all bytes and gives their memory back.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if let Some(held) = &mut self.0 {
            held.bytes.truncate(len);
        }
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.bytes.capacity())
    }
}

impl std::ops::Deref for HeldBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |held| &held.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn budget() -> (Budget, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        (Budget::new(LIMIT, counters.clone()), counters)
    }

    /// Charges of 1 KiB until one is refused.
    fn fill(of: &Allowance) -> Vec<Charge> {
        let charge = || {
            let mut charge = Charge::default();
            charge.resize(1_024, || of.clone()).is_ok().then_some(charge)
        };
        std::iter::repeat_with(charge).map_while(|charge| charge).collect()
    }

    #[test]
    fn one_process_leaves_half_to_the_others() {
        let (budget, counters) = budget();
        let (hog, other) = (budget.of(1), budget.of(2));
        let of_hog = fill(&hog);
        assert_eq!((of_hog.len() * 1_024, counters.budget_refusals.get()), (LIMIT / 2, 1));
        let of_other = fill(&other);
        assert_eq!(of_other.len() * 1_024, LIMIT / 4, "as much as is free then");
        let many: Vec<_> = (3..60).flat_map(|pid| fill(&budget.of(pid))).collect();
        assert!(many.len() > 57, "each one has something");
        assert!(budget.used() <= LIMIT, "{} bytes held", budget.used());
        drop((of_hog, of_other, many));
        assert_eq!(budget.used(), 0);
        budget.expire();
        assert_eq!(budget.shares().len(), 2, "of those that nobody holds nothing is left");
        assert_eq!(fill(&hog).len() * 1_024, LIMIT / 2);
    }

    #[test]
    fn a_refused_charge_is_as_before() {
        let (budget, _) = budget();
        let mut held = HeldBytes::default();
        held.extend(&[7; 10_000], || budget.of(1)).unwrap();
        assert_eq!(held.extend(&[8; LIMIT], || budget.of(1)), Err(Exhausted));
        assert_eq!((held.len(), budget.used()), (10_000, held.heap_bytes()));
        held.clear();
        assert_eq!((held.len(), held.heap_bytes(), budget.used()), (0, 0, 0));
    }

    #[test]
    fn a_buffer_that_grows_byte_by_byte_holds_little_more_than_its_bytes() {
        let (budget, _) = budget();
        let (mut held, of) = (HeldBytes::default(), budget.of(1));
        let mut sizes = Vec::new();
        for len in 1..=40_000_usize {
            held.extend(b"x", || of.clone()).unwrap();
            assert!(held.heap_bytes() <= len + GROWTH[1] && held.heap_bytes() == budget.used());
            sizes.push(held.heap_bytes());
        }
        sizes.dedup();
        assert!(sizes.len() < 20, "{} allocations", sizes.len());
    }
}
