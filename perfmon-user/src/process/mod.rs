//! The process table: identity, watch verdict, runtime and traffic coverage of each process. In: exec, fork, listen, exit and socket events,
//! and answers of the inspector; out: inquiries to the inspector, and records with their origin. Identity belongs to a program, not to a
//! pid: records from before an exec keep the former name. Records of unknown origin wait (`parked`). It reads no file and no clock.
mod entry;
mod inquiry;
mod parked;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::counters::Counters;
use crate::decode::{Exec, Exit, Fork};
use crate::limits::{FORMER_PROGRAMS, PROCESSES, QUESTIONS};
use crate::record::{Origin, Record, Side, TargetCoverage};

use entry::{Entry, ProgramIdentity, WatchVerdict};
use parked::Parked;

pub use inquiry::{Described, ExecFacts, Inquiry, Inspected, ProcessIdentity, ProgramId};

/// Time that an exited process stays in the table: its last exchanges may be reported after its exit.
const REMEMBER_NS: u64 = 60 * 1_000_000_000;
/// Least time between two searches for the TLS library of a process.
const TLS_AGAIN_NS: u64 = 200_000_000;
/// The same after the library could not be probed: the reason may have passed.
const TLS_REFUSED_AGAIN_NS: u64 = 5_000_000_000;
/// Seconds in which every process is compared with /proc once.
const CHECK_ROUND: usize = 5;
/// Most processes compared at once.
const CHECKS: usize = 1_024;

/// Which processes are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchScope {
    /// All processes; also in a replay, since a recording contains watched processes only.
    All,
    /// Those that the inspector accepts; with `follow` children of accepted ones too.
    Chosen { follow: bool },
}

/// All known processes.
#[derive(Debug)]
pub struct ProcessTable {
    by_pid: FxHashMap<u32, Entry>,
    /// Programs that were replaced by an exec while records with their provisional origin were under way.
    former: VecDeque<ProgramIdentity>,
    parked: Parked,
    /// Records whose wait is over.
    released: Vec<Record>,
    questions: VecDeque<Inquiry>,
    /// The queue of inquiries was full: an entry must ask again.
    is_deferred: bool,
    /// The next process to compare with /proc.
    turns: VecDeque<u32>,
    scope: WatchScope,
    programs: u64,
    uses: u64,
    capacity: usize,
    counters: Arc<Counters>,
}

impl ProcessTable {
    /// An empty table that watches all processes.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self {
            by_pid: FxHashMap::default(),
            former: VecDeque::new(),
            parked: Parked::default(),
            released: Vec::new(),
            questions: VecDeque::new(),
            is_deferred: false,
            turns: VecDeque::new(),
            scope: WatchScope::All,
            programs: 0,
            uses: 0,
            capacity: PROCESSES,
            counters,
        }
    }

    /// Restricts watching to these processes and those that the inspector selects later. `follow` adds their children.
    pub fn choose(&mut self, first: &[u32], follow: bool) {
        self.scope = WatchScope::Chosen { follow };
        for pid in first {
            let program = self.program(*pid, None);
            self.insert(Entry::new(program, WatchVerdict::Watched));
            self.ask_who(*pid);
        }
    }

    /// Whether events of the process are handled: it is watched, or not judged yet.
    pub fn admits(&self, pid: u32) -> bool {
        self.scope == WatchScope::All || self.by_pid.get(&pid).is_none_or(|entry| entry.verdict != WatchVerdict::Ignored)
    }

    /// Handles socket use by a process: requests its description once.
    pub fn on_use(&mut self, pid: u32) {
        self.uses += 1;
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.used = self.uses;
            if entry.is_asked || entry.verdict == WatchVerdict::Ignored {
                return;
            }
        } else {
            let program = self.program(pid, None);
            self.insert(Entry::new(program, self.first_verdict()));
            self.ask_verdict(pid);
        }
        self.ask_who(pid);
    }

    /// Handles an exec: the program is judged, and described when it next uses a socket.
    pub fn on_exec(&mut self, exec: &Exec<'_>) {
        let facts = ExecFacts {
            pid: exec.pid,
            parent: exec.parent,
            uid: exec.uid,
            cgroup: exec.cgroup,
            comm: String::from_utf8_lossy(exec.comm).into(),
            argv: exec.argv.into(),
            env: exec.env.into(),
        };
        let program = self.program(exec.pid, Some(Box::new(facts)));
        let entry = Entry { began_ns: Some(exec.time_ns), ..Entry::new(program, self.first_verdict()) };
        self.insert(entry);
        self.ask_verdict(exec.pid);
    }

    /// Handles a fork: the child has the identity of its parent until it executes a program.
    pub fn on_fork(&mut self, fork: &Fork) {
        let Some(parent) = self.by_pid.get(&fork.parent) else {
            if self.scope == WatchScope::All {
                self.forget(fork.pid);
            } else {
                let program = self.program(fork.pid, None);
                self.insert(Entry::new(program, WatchVerdict::Pending));
                self.ask_fork(fork);
            }
            return;
        };
        let verdict = match self.scope {
            WatchScope::All => WatchVerdict::Watched,
            WatchScope::Chosen { follow: true } => parent.verdict,
            WatchScope::Chosen { follow: false } => WatchVerdict::Pending,
        };
        let facts = parent.program.facts.as_ref().map(|facts| Box::new(ExecFacts { pid: fork.pid, ..(**facts).clone() }));
        let origin = parent.program.origin.as_ref().map(|origin| Arc::new(Origin { pid: fork.pid, ..(**origin).clone() }));
        if origin.is_none() && self.scope == WatchScope::All && facts.is_none() {
            self.forget(fork.pid);
            return;
        }
        let (runtime, tls, not_seen) = (parent.runtime.clone(), parent.tls.clone(), parent.not_seen.clone());
        let program = self.program(fork.pid, facts);
        let is_asked = origin.is_some();
        let entry = Entry::new(ProgramIdentity { origin, ..program }, verdict);
        self.insert(Entry { is_asked, runtime, tls, not_seen, young: false, ..entry });
        if self.scope != WatchScope::All {
            self.ask_fork(fork);
        }
    }

    /// Handles a process that began to listen on a TCP port.
    pub fn on_listen(&mut self, pid: u32, port: u16, now_ns: u64) {
        if pid == 0 {
            return;
        }
        if !self.by_pid.contains_key(&pid) {
            let program = self.program(pid, None);
            self.insert(Entry::new(program, self.first_verdict()));
        }
        let program = self.by_pid.get_mut(&pid).map(|entry| {
            // The kernel watches every process that listens: one that was no target is judged again.
            if entry.verdict == WatchVerdict::Ignored {
                entry.verdict = WatchVerdict::Pending;
            }
            entry.is_judging = true;
            entry.program.id
        });
        if let Some(program) = program
            && !self.ask(Inquiry::Listens { pid, program, port })
            && let Some(entry) = self.by_pid.get_mut(&pid)
        {
            entry.is_judging = false;
        }
        self.search_tls(pid, now_ns);
    }

    /// Handles an exit; returns the start time of the program, if known.
    pub fn on_exit(&mut self, exit: &Exit) -> Option<u64> {
        let entry = self.by_pid.get_mut(&exit.pid)?;
        entry.left_ns = Some(exit.time_ns);
        let began_ns = entry.began_ns;
        // When all processes are watched, the inspector holds nothing of a process but the probes in its TLS library.
        if self.scope != WatchScope::All || entry.tls_search.asked_ns.is_some() {
            self.ask(Inquiry::Ended { pid: exit.pid });
        }
        began_ns
    }

    /// Handles a process that begins a TLS connection: requests a search for its library, unless one was made recently.
    pub fn find_tls(&mut self, pid: u32, now_ns: u64) {
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.tls_search.is_wanted = true;
        }
        self.search_tls(pid, now_ns);
    }

    fn search_tls(&mut self, pid: u32, now_ns: u64) {
        let Some(entry) = self.by_pid.get_mut(&pid).filter(|entry| entry.verdict != WatchVerdict::Ignored) else { return };
        let search = &mut entry.tls_search;
        let pause_ns = if search.probed.is_some() { TLS_REFUSED_AGAIN_NS } else { TLS_AGAIN_NS };
        let is_recent = search.asked_ns.is_some_and(|asked_ns| now_ns.saturating_sub(asked_ns) < pause_ns);
        if search.is_running || search.probed == Some(Ok(())) || is_recent {
            return;
        }
        let program = entry.program.id;
        (search.asked_ns, search.is_running) = (Some(now_ns), true);
        if !self.ask(Inquiry::FindTls { pid, program })
            && let Some(entry) = self.by_pid.get_mut(&pid)
        {
            entry.tls_search.is_running = false;
        }
    }

    /// The origin of a process; provisional until it is described.
    pub fn origin(&self, pid: u32) -> Arc<Origin> {
        self.by_pid.get(&pid).map_or_else(|| Arc::new(Origin::unknown(pid)), |entry| entry.program.origin().clone())
    }

    /// The best known origin of a process, for gauges that cannot wait.
    pub fn guessed_origin(&self, pid: u32) -> Arc<Origin> {
        self.by_pid.get(&pid).map_or_else(|| Arc::new(Origin::unknown(pid)), |entry| entry.program.guessed())
    }

    /// Whether a process is known to be a target.
    pub fn is_watched(&self, pid: u32) -> bool {
        self.scope == WatchScope::All || self.by_pid.get(&pid).is_some_and(|entry| entry.verdict == WatchVerdict::Watched)
    }

    /// Counts an exchange of a process; returns its origin, provisional until the process is described.
    pub fn on_exchange(&mut self, pid: u32, complete: bool, missing_bytes: u64) -> Arc<Origin> {
        self.counters.exchanges_incomplete.add(u64::from(!complete));
        let Some(entry) = self.by_pid.get_mut(&pid) else { return Arc::new(Origin::unknown(pid)) };
        entry.exchanges += 1;
        entry.incomplete += u64::from(!complete);
        entry.missing_bytes += missing_bytes;
        entry.program.origin().clone()
    }

    /// Notes that the record of a counted exchange, or of a database command, was dropped: nothing after the pipeline knows of it.
    pub fn on_dropped(&mut self, pid: u32, side: Side, is_command: bool, complete: bool) {
        let Some(entry) = self.by_pid.get_mut(&pid) else { return };
        // A process that left the table and came back was not charged for it.
        if entry.dropped_in_all() >= entry.exchanges {
            return;
        }
        let dropped = if is_command { &mut entry.dropped_commands } else { &mut entry.dropped };
        match side {
            Side::Client => dropped.asked += 1,
            Side::Server => dropped.served += 1,
        }
        entry.dropped_incomplete += u64::from(!complete && entry.dropped_incomplete < entry.incomplete);
    }

    /// Notes a connection with a detected protocol that has no parser.
    pub fn on_unread(&mut self, pid: u32, protocol: &'static str) {
        if let Some(entry) = self.by_pid.get_mut(&pid)
            && !entry.unread.contains(&protocol)
        {
            entry.unread.push(protocol);
        }
    }

    /// Coverage of each watched process with exchanges; of one that left, once more.
    pub fn coverage(&mut self) -> Vec<TargetCoverage> {
        self.by_pid.values_mut().filter_map(Entry::coverage).collect()
    }

    /// Coverage of a watched process without exchanges.
    pub fn unseen_coverage(&self, pid: u32) -> Option<TargetCoverage> {
        self.by_pid.get(&pid).and_then(Entry::unseen_coverage)
    }

    /// Whether a process has ended and was listed for the last time.
    pub fn has_left(&self, pid: u32) -> bool {
        self.by_pid.get(&pid).is_some_and(Entry::is_told)
    }

    /// Watched processes that run and are described, with their runtimes.
    pub fn running(&self) -> impl Iterator<Item = (&Arc<Origin>, Option<&Arc<str>>)> {
        let described = |entry: &'_ &Entry| entry.left_ns.is_none() && entry.verdict == WatchVerdict::Watched;
        self.by_pid.values().filter(described).filter_map(|entry| Some((entry.program.origin.as_ref()?, entry.runtime.as_ref())))
    }

    /// Takes the next inquiry to the inspector.
    pub fn next_question(&mut self) -> Option<Inquiry> {
        self.questions.pop_front()
    }

    /// Puts an inquiry back at the front, because the inspector's queue is full.
    pub fn put_back(&mut self, question: Inquiry) {
        self.questions.push_front(question);
    }

    /// Runs once a second: repeats inquiries that found no room, and has some processes compared with /proc.
    pub fn tick(&mut self) {
        if std::mem::take(&mut self.is_deferred) {
            let open = |entry: &&Entry| entry.left_ns.is_none() && entry.verdict != WatchVerdict::Ignored;
            let pids: Vec<u32> = self.by_pid.values().filter(open).map(Entry::pid).collect();
            for pid in pids {
                self.ask_verdict(pid);
                if self.is_described_unasked() {
                    self.ask_who(pid);
                }
            }
        }
        let count = self.turns.len().div_ceil(CHECK_ROUND).min(CHECKS);
        let mut known = Vec::new();
        for _ in 0..count {
            let Some(pid) = self.turns.pop_front() else { break };
            let Some(entry) = self.by_pid.get(&pid) else { continue };
            self.turns.push_back(pid);
            known.extend(entry.known().filter(|_| entry.verdict == WatchVerdict::Watched));
        }
        if !known.is_empty() {
            self.ask(Inquiry::Check(known));
        }
    }

    /// Forgets processes that ended long ago.
    pub fn expire(&mut self, now_ns: u64) {
        let by_pid = &mut self.by_pid;
        by_pid.retain(|_, entry| entry.left_ns.is_none_or(|left_ns| now_ns.saturating_sub(left_ns) < REMEMBER_NS));
        self.turns.retain(|pid| by_pid.contains_key(pid));
        self.former.retain(ProgramIdentity::is_awaited);
    }

    /// Discards the entry of an earlier process with this pid.
    fn forget(&mut self, pid: u32) {
        if let Some(entry) = self.by_pid.remove(&pid) {
            self.turns.retain(|turn| *turn != pid);
            self.retire(entry.program, entry.verdict);
        }
    }

    fn first_verdict(&self) -> WatchVerdict {
        if self.scope == WatchScope::All { WatchVerdict::Watched } else { WatchVerdict::Pending }
    }

    /// With chosen targets all of them are described, since their resources are sampled; else only what uses a socket.
    fn is_described_unasked(&self) -> bool {
        self.scope != WatchScope::All
    }

    fn program(&mut self, pid: u32, facts: Option<Box<ExecFacts>>) -> ProgramIdentity {
        self.programs += 1;
        ProgramIdentity::new(ProgramId(self.programs), pid, facts)
    }

    /// Queues an inquiry; false when the queue is full.
    fn ask(&mut self, question: Inquiry) -> bool {
        if self.questions.len() >= QUESTIONS {
            self.counters.inspections_deferred.inc();
            self.is_deferred = true;
            return false;
        }
        self.questions.push_back(question);
        true
    }

    fn ask_verdict(&mut self, pid: u32) {
        let Some(entry) = self.by_pid.get(&pid) else { return };
        if entry.verdict != WatchVerdict::Pending || entry.is_judging {
            return;
        }
        let program = entry.program.id;
        let question = match &entry.program.facts {
            Some(facts) => Inquiry::Executed(program, (**facts).clone()),
            None => Inquiry::Judge { pid, program },
        };
        let is_judging = self.ask(question);
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.is_judging = is_judging;
        }
    }

    fn ask_fork(&mut self, fork: &Fork) {
        let Some(program) = self.by_pid.get(&fork.pid).map(|entry| entry.program.id) else { return };
        let is_judging = self.ask(Inquiry::Forked { pid: fork.pid, program, parent: fork.parent });
        if let Some(entry) = self.by_pid.get_mut(&fork.pid) {
            entry.is_judging = is_judging;
        }
    }

    fn ask_who(&mut self, pid: u32) {
        let Some(entry) = self.by_pid.get(&pid).filter(|entry| !entry.is_asked) else { return };
        let is_asked = self.ask(Inquiry::Describe(entry.program.id, entry.program.facts()));
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.is_asked = is_asked;
        }
    }

    /// Inserts a process; an existing entry is an earlier program or an earlier process.
    fn insert(&mut self, mut entry: Entry) {
        let pid = entry.pid();
        self.uses += 1;
        entry.used = self.uses;
        if self.by_pid.len() >= self.capacity && !self.by_pid.contains_key(&pid) {
            self.evict();
        }
        match self.by_pid.insert(pid, entry) {
            Some(before) => self.retire(before.program, before.verdict),
            None => self.turns.push_back(pid),
        }
    }

    /// Retires a program that its process replaced: its records may still come, or wait.
    fn retire(&mut self, program: ProgramIdentity, verdict: WatchVerdict) {
        if verdict == WatchVerdict::Ignored || !program.is_awaited() {
            return;
        }
        if self.former.len() >= FORMER_PROGRAMS
            && let Some(oldest) = self.former.pop_front()
        {
            self.release_guessed(&oldest);
        }
        if program.origin.is_none()
            && let Some(facts) = &program.facts
        {
            self.ask(Inquiry::Recall(program.id, (**facts).clone()));
        }
        self.former.push_back(program);
    }

    /// Evicts a sixteenth at once, so that a flood of processes does not cost a search each: exited ones first, then the longest unused.
    fn evict(&mut self) {
        let order = |entry: &Entry| (entry.left_ns.is_none(), entry.used);
        let mut orders: Vec<(bool, u64)> = self.by_pid.values().map(order).collect();
        let count = (self.capacity / 16).max(1).min(orders.len());
        let (_, limit, _) = orders.select_nth_unstable(count - 1);
        let limit = *limit;
        let gone: Vec<Entry> = self.by_pid.extract_if(|_, entry| order(entry) <= limit).map(|(_, entry)| entry).collect();
        self.counters.processes_evicted.add(gone.len() as u64);
        for entry in gone {
            self.retire(entry.program, entry.verdict);
        }
        let by_pid = &self.by_pid;
        self.turns.retain(|pid| by_pid.contains_key(pid));
    }
}
