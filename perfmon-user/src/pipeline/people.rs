//! The processes whose sockets the pipeline sees: who they are, and how much of each one's traffic was seen.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::counters::Counters;
use crate::decode::{Exec, Fork};
use crate::limits::PROCESSES;
use crate::record::{Origin, TargetCoverage};

use super::{Newcomer, Out, Wish};

/// How long an ended process is remembered: its last exchanges may be told after its exit.
const REMEMBER_NS: u64 = 60 * 1_000_000_000;

/// All known processes.
#[derive(Debug)]
pub(super) struct People {
    by_pid: FxHashMap<u32, Person>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Person {
    /// `None` until described.
    origin: Option<Arc<Origin>>,
    /// What its exec event said, until it is described.
    newcomer: Option<Box<Newcomer>>,
    /// The wish to describe it was made.
    asked: bool,
    /// When it executed its program.
    began_ns: Option<u64>,
    left_ns: Option<u64>,
    exchanges: u64,
    incomplete: u64,
    missing_bytes: u64,
    /// Protocols of its connections that are recognised and not read.
    unread: Vec<&'static str>,
}

impl Person {
    fn new(origin: Option<Arc<Origin>>, newcomer: Option<Box<Newcomer>>) -> Self {
        Self {
            asked: origin.is_some(),
            origin,
            newcomer,
            began_ns: None,
            left_ns: None,
            exchanges: 0,
            incomplete: 0,
            missing_bytes: 0,
            unread: Vec::new(),
        }
    }
}

impl People {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { by_pid: FxHashMap::default(), counters }
    }

    /// A process moved bytes: asks once who it is.
    pub(super) fn meet(&mut self, pid: u32, out: &mut Out) {
        if !self.by_pid.contains_key(&pid) {
            self.insert(pid, Person::new(None, None));
        }
        let Some(person) = self.by_pid.get_mut(&pid) else { return };
        if !person.asked {
            person.asked = true;
            out.wishes
                .push(Wish::Describe(person.newcomer.take().map_or_else(|| Newcomer { pid, ..Newcomer::default() }, |newcomer| *newcomer)));
        }
    }

    /// Who a process is, as far as is known.
    pub(super) fn origin(&self, pid: u32) -> Arc<Origin> {
        match self.by_pid.get(&pid).and_then(|person| person.origin.clone()) {
            Some(origin) => origin,
            None => Arc::new(Origin::unknown(pid)),
        }
    }

    pub(super) fn describe(&mut self, origin: Arc<Origin>) {
        match self.by_pid.get_mut(&origin.pid) {
            Some(person) => {
                person.asked = true;
                person.origin = Some(origin);
            }
            None => self.insert(origin.pid, Person::new(Some(origin), None)),
        }
    }

    /// The process became another program: it is described anew when it next uses a socket.
    pub(super) fn executed(&mut self, exec: &Exec<'_>) {
        let newcomer =
            Newcomer { pid: exec.pid, parent: exec.parent, comm: String::from_utf8_lossy(exec.comm).into(), argv: exec.argv.into() };
        self.insert(exec.pid, Person { began_ns: Some(exec.time_ns), ..Person::new(None, Some(Box::new(newcomer))) });
    }

    /// A child is what its parent is until it executes another program.
    pub(super) fn forked(&mut self, fork: &Fork) {
        let Some(parent) = self.by_pid.get(&fork.parent).and_then(|person| person.origin.clone()) else { return };
        let origin = Arc::new(Origin { pid: fork.pid, ..(*parent).clone() });
        self.insert(fork.pid, Person::new(Some(origin), None));
    }

    /// A process ended; gives the time when it began its program, if that was seen.
    pub(super) fn left(&mut self, pid: u32, time_ns: u64) -> Option<u64> {
        let person = self.by_pid.get_mut(&pid)?;
        person.left_ns = Some(time_ns);
        person.began_ns
    }

    pub(super) fn expire(&mut self, now_ns: u64) {
        self.by_pid.retain(|_, person| person.left_ns.is_none_or(|left_ns| now_ns.saturating_sub(left_ns) < REMEMBER_NS));
    }

    /// Counts an exchange of a process; gives whose it is.
    pub(super) fn exchange(&mut self, pid: u32, complete: bool, missing_bytes: u64) -> Arc<Origin> {
        let Some(person) = self.by_pid.get_mut(&pid) else { return Arc::new(Origin::unknown(pid)) };
        person.exchanges += 1;
        person.incomplete += u64::from(!complete);
        person.missing_bytes += missing_bytes;
        person.origin.clone().unwrap_or_else(|| Arc::new(Origin::unknown(pid)))
    }

    /// A connection of a process speaks a protocol that is not read.
    pub(super) fn unread(&mut self, pid: u32, protocol: &'static str) {
        if let Some(person) = self.by_pid.get_mut(&pid)
            && !person.unread.contains(&protocol)
        {
            person.unread.push(protocol);
        }
    }

    /// How much of each process with exchanges was seen.
    pub(super) fn coverage(&self) -> Vec<TargetCoverage> {
        self.by_pid
            .iter()
            .filter(|(_, person)| (person.exchanges > 0 || !person.unread.is_empty()) && person.left_ns.is_none())
            .map(|(pid, person)| coverage(*pid, person))
            .collect()
    }

    fn insert(&mut self, pid: u32, person: Person) {
        if self.by_pid.len() >= PROCESSES && !self.by_pid.contains_key(&pid) {
            let before = self.by_pid.len();
            self.by_pid.retain(|_, person| person.left_ns.is_none() && person.exchanges > 0);
            if self.by_pid.len() >= PROCESSES {
                self.by_pid.clear();
            }
            self.counters.processes_evicted.add((before - self.by_pid.len()) as u64);
        }
        self.by_pid.insert(pid, person);
    }
}

fn coverage(pid: u32, person: &Person) -> TargetCoverage {
    TargetCoverage {
        service: person.origin.as_ref().map_or_else(|| "unknown".into(), |origin| origin.service.clone()),
        pid,
        runtime: None,
        tls: None,
        completeness: (person.exchanges > 0).then(|| (person.exchanges - person.incomplete) as f64 / person.exchanges as f64),
        exchanges: person.exchanges,
        incomplete: person.incomplete,
        missing_bytes: person.missing_bytes,
        events_lost: 0,
        unread: person.unread.iter().map(|name| Arc::from(*name)).collect(),
    }
}
