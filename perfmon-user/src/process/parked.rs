//! Records that wait for the verdict on their process or for its description: by program, in order, limited in number, bytes and time.
use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits::{PARKED_BYTES, PARKED_NS, PARKED_RECORDS, PARKED_RECORDS_PER_PROCESS};
use crate::record::{Origin, Record};

use super::inquiry::ProgramId;

/// The waiting records.
#[derive(Debug, Default)]
pub(super) struct Parked {
    by_program: FxHashMap<ProgramId, WaitingRecords>,
    /// Programs in the order of their deadlines. One whose records were released since stays here until then.
    deadlines: VecDeque<(u64, ProgramId)>,
    records: usize,
    bytes: usize,
}

/// Records of one program.
#[derive(Debug)]
pub(super) struct WaitingRecords {
    pub(super) pid: u32,
    pub(super) records: Vec<Record>,
    bytes: usize,
    until_ns: u64,
}

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Parks a record; returns it when there is no room.
    #[expect(clippy::result_large_err, reason = "the record comes back whole, and seldom")]
    pub(super) fn add(&mut self, program: ProgramId, record: Record, now_ns: u64) -> Result<(), Record> {
        let bytes = record.heap_bytes() + size_of::<Record>();
        if self.records >= PARKED_RECORDS || self.bytes + bytes > PARKED_BYTES {
            return Err(record);
        }
        let waiting = self.by_program.entry(program).or_insert_with(|| {
            let until_ns = now_ns + PARKED_NS;
            self.deadlines.push_back((until_ns, program));
            WaitingRecords { pid: record.origin().pid, records: Vec::new(), bytes: 0, until_ns }
        });
        if waiting.records.len() >= PARKED_RECORDS_PER_PROCESS {
            return Err(record);
        }
        waiting.records.push(record);
        waiting.bytes += bytes;
        self.records += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// Whether records of this program wait; later ones must then wait behind them.
    pub(super) fn has(&self, program: ProgramId) -> bool {
        !self.is_empty() && self.by_program.contains_key(&program)
    }

    /// Takes the records of a program out.
    pub(super) fn take(&mut self, program: ProgramId) -> Vec<Record> {
        if self.is_empty() {
            return Vec::new();
        }
        let Some(waiting) = self.by_program.remove(&program) else { return Vec::new() };
        self.records -= waiting.records.len();
        self.bytes -= waiting.bytes;
        waiting.records
    }

    /// The next program whose deadline has passed.
    pub(super) fn overdue(&mut self, now_ns: u64) -> Option<(ProgramId, u32)> {
        while let Some(&(until_ns, program)) = self.deadlines.front()
            && until_ns <= now_ns
        {
            self.deadlines.pop_front();
            if let Some(waiting) = self.by_program.get(&program).filter(|waiting| waiting.until_ns == until_ns) {
                return Some((program, waiting.pid));
            }
        }
        None
    }
}

/// Sets the final origin of a record that has a provisional one.
pub(super) fn settle(record: &mut Record, origin: &Arc<Origin>) {
    if super::entry::is_provisional(record.origin()) {
        record.set_origin(origin.clone());
    }
}
