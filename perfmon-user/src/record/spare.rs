//! Batches of records that are used again: who is done with a batch gives it here, the capture thread fills it anew. So its memory is neither
//! allocated nor freed, and the texts that its records share are let go by the thread that shares them out, whose cache holds their
//! counters.
use std::sync::{Arc, Mutex, PoisonError};

use super::{Record, RecordBatch};

/// Room of all batches kept, in records: a few polls of the ring under load, less than a megabyte.
const ROOM: usize = 2_048;
/// A batch that is kept for long may have room for so many times what it holds.
const SLACK: usize = 2;
/// Room that is never too much.
const SMALL: usize = 16;

/// The batches.
#[derive(Debug, Default)]
pub struct SpareBatches(Mutex<SpareRoom>);

#[derive(Debug, Default)]
struct SpareRoom {
    batches: Vec<Vec<Record>>,
    /// Records that they have room for.
    room: usize,
}

impl SpareBatches {
    /// An empty batch, with room if there is one to use again.
    pub fn take(&self) -> Vec<Record> {
        let spare = {
            let mut kept = self.lock();
            let spare = kept.batches.pop();
            kept.room -= spare.as_ref().map_or(0, Vec::capacity);
            spare
        };
        let mut batch = spare.unwrap_or_default();
        batch.clear();
        batch
    }

    /// Takes a batch back, unless somebody still reads it.
    pub fn give(&self, batch: RecordBatch) {
        if let Some(batch) = Arc::into_inner(batch) {
            self.give_alone(batch);
        }
    }

    /// The records in a batch that may be kept for long: one with much more room is given back.
    pub fn fitted(&self, mut batch: Vec<Record>) -> Vec<Record> {
        if batch.capacity() <= SLACK * batch.len().max(SMALL) {
            return batch;
        }
        let mut fitted = Vec::with_capacity(batch.len());
        fitted.append(&mut batch);
        self.give_alone(batch);
        fitted
    }

    fn give_alone(&self, batch: Vec<Record>) {
        let mut kept = self.lock();
        if batch.capacity() >= SMALL && kept.room + batch.capacity() <= ROOM {
            kept.room += batch.capacity();
            kept.batches.push(batch);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SpareRoom> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Origin, Tool, WallTime};

    fn batch(records: usize, room: usize) -> Vec<Record> {
        let tool = Tool {
            time: WallTime(0),
            origin: Arc::new(Origin::unknown(1)),
            tool_name: "t".into(),
            tool_call_id: None,
            source: "process",
            transport: None,
            server: None,
            execution_time_ms: None,
            success: None,
            error_type: None,
            agent_type: None,
            agent_run_id: None,
        };
        let mut batch = Vec::with_capacity(room);
        batch.extend((0..records).map(|_| Record::Tool(Box::new(tool.clone()))));
        batch
    }

    #[test]
    fn a_batch_comes_back_empty_and_with_its_room() {
        let spare = SpareBatches::default();
        spare.give(Arc::new(batch(3, 100)));
        let again = spare.take();
        assert!(again.is_empty() && again.capacity() >= 100);
        assert_eq!(spare.take().capacity(), 0);
    }

    #[test]
    fn a_batch_that_is_read_or_too_large_is_not_kept() {
        let spare = SpareBatches::default();
        let read = Arc::new(batch(1, 100));
        spare.give(read.clone());
        assert_eq!(read.len(), 1);
        spare.give(Arc::new(batch(1, ROOM + 1)));
        assert_eq!(spare.take().capacity(), 0);
    }

    #[test]
    fn room_is_bounded_and_comes_free_again() {
        let spare = SpareBatches::default();
        (0..10).for_each(|_| spare.give(Arc::new(batch(1, ROOM / 2))));
        assert_eq!((0..10).filter(|_| spare.take().capacity() > 0).count(), 2);
        spare.give(Arc::new(batch(1, ROOM)));
        assert!(spare.take().capacity() > 0);
    }

    #[test]
    fn few_records_do_not_hold_much_room() {
        let spare = SpareBatches::default();
        let fitted = spare.fitted(batch(2, 1_000));
        assert_eq!(fitted.len(), 2);
        assert!(fitted.capacity() <= SLACK * SMALL);
        assert!(spare.take().capacity() >= 1_000);
        assert!(spare.fitted(batch(600, 1_000)).capacity() >= 1_000);
    }
}
