//! Settles records at the end of the pipeline: passes them on, parks them until the inspector answers, or drops those of no target.
use std::sync::Arc;

use crate::record::{Origin, Record};

use super::entry::{Entry, ProgramIdentity, WatchVerdict, is_provisional};
use super::inquiry::{Described, Inspected, ProgramId};
use super::parked::settle;
use super::{ProcessTable, WatchScope};

/// The fate of a record.
enum Fate {
    /// It is passed on.
    Tell(Option<Arc<Origin>>),
    /// It waits with the others of its program.
    Wait(ProgramId),
    /// It is dropped: its process is no target.
    Drop,
}

impl ProcessTable {
    /// Settles the records from position `from` on: takes out those that must wait, and puts in those whose wait is over.
    pub fn settle(&mut self, records: &mut Vec<Record>, from: usize, now_ns: u64) {
        if records.len() == from && self.released.is_empty() && self.parked.is_empty() {
            return;
        }
        if self.released.is_empty() && self.parked.is_empty() && records[from..].iter().all(|record| self.is_ready(record)) {
            return;
        }
        self.release_overdue(now_ns);
        let fresh = records.split_off(from);
        records.append(&mut self.released);
        for mut record in fresh {
            match self.fate(record.origin()) {
                Fate::Tell(None) => records.push(record),
                Fate::Tell(Some(origin)) => {
                    record.set_origin(origin);
                    records.push(record);
                }
                Fate::Wait(program) => {
                    if let Err(record) = self.parked.add(program, record, now_ns) {
                        self.has_no_room(program, record, records);
                    }
                }
                Fate::Drop => {}
            }
        }
    }

    /// An answer of the inspector. Call [`ProcessTable::settle`] for what it releases.
    pub fn answer(&mut self, answer: &Inspected, now_ns: u64) {
        match answer {
            Inspected::Judged { pid, program, watched } => self.judged(*pid, *program, *watched),
            Inspected::Described(program, described) => self.described(*program, described),
            Inspected::Inside { pid, program, runtime, tls, not_seen } => {
                if let Some(entry) = self.entry_of(*pid, *program) {
                    (entry.runtime, entry.tls, entry.young) = (runtime.clone(), tls.clone(), false);
                    entry.not_seen.extend(not_seen);
                    entry.not_seen.sort_unstable();
                    entry.not_seen.dedup();
                }
            }
            Inspected::Tls { pid, program, probed } => {
                if let Some(entry) = self.entry_of(*pid, *program) {
                    let search = &mut entry.tls_search;
                    (search.is_running, search.found_none, search.probed) = (false, probed.is_none(), probed.clone());
                }
            }
            Inspected::Gone { pid, program } => {
                if let Some(entry) = self.entry_of(*pid, *program) {
                    entry.left_ns.get_or_insert(now_ns);
                }
            }
            Inspected::Connections { .. } | Inspected::Missing(_) => {}
        }
    }

    /// Sets the origin of a process from a recording, which names no program.
    pub fn describe(&mut self, origin: Arc<Origin>) {
        let pid = origin.pid;
        let id = match self.by_pid.get(&pid) {
            Some(entry) => entry.program.id,
            None => {
                let program = self.program(pid, None);
                let id = program.id;
                self.insert(Entry::new(program, WatchVerdict::Watched));
                id
            }
        };
        self.described(id, &Described { origin, runtime: None, tls: None, start_time: None, not_seen: Vec::new() });
    }

    /// Whether records wait.
    pub fn is_settled(&self) -> bool {
        self.parked.is_empty()
    }

    /// Settles everything at the end: passes on the waiting records of targets with the best known origin.
    pub fn settle_all(&mut self, records: &mut Vec<Record>, from: usize, now_ns: u64) {
        self.settle(records, from, now_ns);
        self.release_overdue(u64::MAX);
        records.append(&mut self.released);
    }

    /// Whether a record can be passed on unchanged, the usual case.
    fn is_ready(&self, record: &Record) -> bool {
        let origin = record.origin();
        !is_provisional(origin)
            && (self.scope == WatchScope::All || self.by_pid.get(&origin.pid).is_some_and(|entry| entry.verdict == WatchVerdict::Watched))
    }

    fn fate(&self, origin: &Arc<Origin>) -> Fate {
        let provisional = is_provisional(origin);
        if !provisional && self.scope == WatchScope::All {
            return Fate::Tell(None);
        }
        let Some(entry) = self.by_pid.get(&origin.pid) else {
            return Fate::Tell(provisional.then(|| self.former_origin(origin)));
        };
        let is_current = !provisional || Arc::ptr_eq(&entry.program.provisional, origin);
        match entry.verdict {
            WatchVerdict::Ignored => Fate::Drop,
            _ if !is_current => match self.former(origin) {
                Some(program) if program.origin.is_none() => Fate::Wait(program.id),
                _ => Fate::Tell(Some(self.former_origin(origin))),
            },
            WatchVerdict::Pending => Fate::Wait(entry.program.id),
            WatchVerdict::Watched if self.parked.has(entry.program.id) => Fate::Wait(entry.program.id),
            WatchVerdict::Watched if !provisional => Fate::Tell(None),
            WatchVerdict::Watched => match &entry.program.origin {
                Some(known) => Fate::Tell(Some(known.clone())),
                None => Fate::Wait(entry.program.id),
            },
        }
    }

    /// The program that a provisional origin was made for, when its process runs another one by now.
    fn former(&self, provisional: &Arc<Origin>) -> Option<&ProgramIdentity> {
        self.former.iter().find(|program| Arc::ptr_eq(&program.provisional, provisional))
    }

    fn former_origin(&self, provisional: &Arc<Origin>) -> Arc<Origin> {
        match self.former(provisional) {
            Some(program) => program.guessed(),
            None => {
                self.counters.records_undescribed.inc();
                Arc::new(Origin { comm: provisional.comm.clone(), ..Origin::unknown(provisional.pid) })
            }
        }
    }

    fn has_no_room(&mut self, program: ProgramId, mut record: Record, records: &mut Vec<Record>) {
        let entry = self.by_pid.get(&record.origin().pid).filter(|entry| entry.program.id == program);
        if entry.is_some_and(|entry| entry.verdict == WatchVerdict::Pending) {
            self.counters.records_unjudged.inc();
            return;
        }
        self.counters.records_undescribed.inc();
        if let Some(entry) = entry {
            settle(&mut record, &entry.program.guessed());
        }
        records.push(record);
    }

    fn entry_of(&mut self, pid: u32, program: ProgramId) -> Option<&mut Entry> {
        self.by_pid.get_mut(&pid).filter(|entry| entry.program.id == program)
    }

    fn judged(&mut self, pid: u32, program: Option<ProgramId>, watched: bool) {
        if !self.by_pid.contains_key(&pid) && watched {
            let program = self.program(pid, None);
            self.insert(Entry::new(program, WatchVerdict::Pending));
        }
        let Some(entry) = self.by_pid.get_mut(&pid).filter(|entry| program.is_none_or(|program| entry.program.id == program)) else {
            return;
        };
        entry.is_judging = false;
        let id = entry.program.id;
        if watched {
            entry.verdict = WatchVerdict::Watched;
            if let Some(origin) = entry.program.origin.clone() {
                self.release(id, &origin);
            }
            if self.is_described_unasked() {
                self.ask_who(pid);
            }
        } else if self.scope != WatchScope::All || program.is_none() {
            entry.verdict = WatchVerdict::Ignored;
            entry.is_asked = entry.program.origin.is_some();
            self.parked.take(id);
        }
    }

    fn described(&mut self, id: ProgramId, described: &Described) {
        let origin = &described.origin;
        if let Some(entry) = self.entry_of(origin.pid, id) {
            entry.is_asked = true;
            entry.program.origin = Some(origin.clone());
            (entry.runtime, entry.tls, entry.start_time) = (described.runtime.clone(), described.tls.clone(), described.start_time);
            entry.not_seen.clone_from(&described.not_seen);
            if entry.verdict == WatchVerdict::Watched {
                self.release(id, origin);
            }
            return;
        }
        // A look at the process shows the program that it runs now.
        let is_recalled = described.start_time.is_none();
        if let Some(program) = self.former.iter_mut().find(|program| program.id == id).filter(|_| is_recalled) {
            program.origin = Some(origin.clone());
            self.release(id, origin);
        }
    }

    fn release(&mut self, id: ProgramId, origin: &Arc<Origin>) {
        for mut record in self.parked.take(id) {
            settle(&mut record, origin);
            self.released.push(record);
        }
    }

    /// Settles the records of a program with what is known of it.
    pub(super) fn release_guessed(&mut self, program: &ProgramIdentity) {
        let before = self.released.len();
        self.release(program.id, &program.guessed());
        self.counters.records_undescribed.add((self.released.len() - before) as u64);
    }

    fn release_overdue(&mut self, now_ns: u64) {
        while let Some((id, pid)) = self.parked.overdue(now_ns) {
            let entry = self.by_pid.get(&pid).filter(|entry| entry.program.id == id);
            if entry.is_some_and(|entry| entry.verdict == WatchVerdict::Pending) {
                // The inspector is too late. Records of processes that may not be targets are not shown.
                self.counters.records_unjudged.add(self.parked.take(id).len() as u64);
                continue;
            }
            let former = || self.former.iter().find(|program| program.id == id);
            let origin = entry.map(|entry| &entry.program).or_else(former).map(ProgramIdentity::guessed);
            let before = self.released.len();
            self.release(id, &origin.unwrap_or_else(|| Arc::new(Origin::unknown(pid))));
            self.counters.records_undescribed.add((self.released.len() - before) as u64);
        }
    }
}
