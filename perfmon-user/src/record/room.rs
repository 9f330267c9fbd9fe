//! Room of a queue in records: batches differ in size, and a queue that is bounded in batches alone may hold any number of records when who
//! reads it hangs. In: a batch's size; out: its seats, which the queue keeps with the batch, or a refusal that the caller counts.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room of one queue.
#[derive(Clone, Debug)]
pub struct QueueRoom {
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// The seats of a batch; they are free when it is dropped.
#[derive(Debug)]
pub struct Seats {
    waiting: Arc<AtomicUsize>,
    taken: usize,
}

impl QueueRoom {
    /// Room for `most` records.
    pub fn new(most: usize) -> Self {
        Self { waiting: Arc::default(), most }
    }

    /// Whether a batch of `records` would fit.
    pub fn has(&self, records: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) + records <= self.most
    }

    /// Seats for a batch of `records`; `None` when they do not fit. An empty queue takes a batch of any size.
    pub fn take(&self, records: usize) -> Option<Seats> {
        let before = self.waiting.fetch_add(records, Ordering::Relaxed);
        let seats = Seats { waiting: self.waiting.clone(), taken: records };
        (before == 0 || before + records <= self.most).then_some(seats)
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_not_batches() {
        let room = QueueRoom::new(10);
        let large = room.take(25).expect("an empty queue takes any batch");
        assert!(room.take(1).is_none() && !room.has(1));
        drop(large);
        assert!(room.has(10) && !room.has(11));
        let seats: Vec<_> = (0..5).map(|_| room.take(2)).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(room.take(1).is_none(), "a refusal takes no seat");
        assert!(room.take(0).is_some());
        drop(seats);
        assert!(room.take(10).is_some());
    }
}
