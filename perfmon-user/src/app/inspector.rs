//! The inspector thread: everything that touches a file of another process. In: the capture thread's questions. Out: answers, and the
//! kernel's list of watched processes. It judges who is a target, describes processes, finds and probes their TLS libraries and
//! compares what is known with /proc, in case that events were lost. It may be slow: nobody waits for it.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, SyncSender};
use std::time::Duration;

use crate::clock;
use crate::counters::Counters;
use crate::heartbeat;
use crate::host::{accepted, accepted_by_all};
use crate::inspect::Refusal;
use crate::probe::Probes;
use crate::process::{Described, ExecFacts, Inquiry, Inspected, ProcessIdentity, ProgramId};
use crate::target::{Action, Describer, Description, Executed, Interior, Selector};

/// How often all processes are looked at for targets whose beginning was not told.
const RESCAN_NS: u64 = 5 * 1_000_000_000;
/// The table of connections is taken with a rescan, but seldom enough that it costs at most one part in this many of one core.
const TABLE_SHARE: u64 = 50;
/// How long it waits for a question before it looks whether a rescan is due.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the thread works with.
pub struct Inspector {
    /// The kernel's list, and where TLS libraries are probed.
    pub probes: Arc<Probes>,
    /// Who is a target.
    pub selector: Selector,
    /// Who processes are.
    pub describer: Describer,
    /// Plaintext of TLS libraries is read.
    pub tls: bool,
    /// Where refused names are counted.
    pub counters: Arc<Counters>,
    /// From the capture thread.
    pub questions: Receiver<Inquiry>,
    /// To the capture thread; waits when it is behind.
    pub answers: SyncSender<Inspected>,
}

/// The capture thread is gone.
struct Over;

impl From<SendError<Inspected>> for Over {
    fn from(_: SendError<Inspected>) -> Self {
        Self
    }
}

impl Inspector {
    /// Runs until the capture thread has ended.
    pub fn run(mut self) {
        let (mut rescanned_ns, mut missing, mut table_due_ns) = (0, Vec::new(), 0);
        if let Err(Over) = self.tell_connections(&mut table_due_ns) {
            return;
        }
        loop {
            heartbeat::beat();
            let now_ns = clock::boot_now_ns();
            let result = match self.questions.recv_timeout(PATIENCE) {
                Ok(question) => self.take(question),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let result = result.and_then(|()| {
                if now_ns.saturating_sub(rescanned_ns) >= RESCAN_NS {
                    rescanned_ns = now_ns;
                    let actions = self.selector.rescan();
                    self.act(actions)?;
                    self.tell_missing(&mut missing)?;
                    if now_ns >= table_due_ns {
                        self.tell_connections(&mut table_due_ns)?;
                    }
                }
                Ok(())
            });
            self.counters.service_names_refused.add(self.describer.take_refused_names());
            if let Err(Over) = result {
                return;
            }
        }
    }

    fn take(&mut self, question: Inquiry) -> Result<(), Over> {
        match question {
            Inquiry::Executed(program, facts) => self.executed(program, &facts),
            Inquiry::Forked { pid, program, parent } => {
                let actions = self.selector.on_fork(pid, parent);
                self.judged(pid, program, actions)
            }
            Inquiry::Listens { pid, program, port } => {
                let actions = self.selector.on_listen(pid, port);
                self.judged(pid, program, actions)?;
                if self.describer.names_ports() && self.selector.is_watched(pid) {
                    self.describe(program, pid)?;
                }
                Ok(())
            }
            Inquiry::Judge { pid, program } => {
                let actions = self.selector.judge(pid);
                self.judged(pid, program, actions)
            }
            Inquiry::Ended { pid } => {
                self.selector.on_exit(pid);
                self.probes.release_tls(pid, clock::boot_now_ns());
                Ok(())
            }
            Inquiry::Describe(program, facts) => {
                if self.selector.is_watched(facts.pid) {
                    let description = self.describer.describe_exec(&executed(&facts));
                    self.described(program, description)?;
                }
                Ok(())
            }
            Inquiry::Recall(program, facts) => {
                let description = self.describer.recall(&executed(&facts));
                self.described(program, description)
            }
            Inquiry::FindTls { pid, program } => {
                let probed = if self.tls && self.selector.is_watched(pid) { self.find_tls(pid) } else { None };
                Ok(self.answers.send(Inspected::Tls { pid, program, probed })?)
            }
            Inquiry::Check(known) => known.into_iter().try_for_each(|known| self.check(&known)),
        }
    }

    /// Whether the TLS library that a process has mapped is probed, or why not.
    fn find_tls(&self, pid: u32) -> Option<Result<(), Arc<str>>> {
        match self.describer.maps(pid) {
            Ok(maps) => self.probes.watch_tls(pid, &maps).map(|sight| sight.as_result().map_err(Arc::from)),
            Err(Refusal::Absent) => None,
            Err(refusal) => Some(Err(unknown_maps(refusal).into())),
        }
    }

    fn executed(&mut self, program: ProgramId, facts: &ExecFacts) -> Result<(), Over> {
        let actions = self.selector.on_exec(&executed(facts));
        self.judged(facts.pid, program, actions)
    }

    /// Carries out what follows for the kernel's list, and tells the verdict.
    fn judged(&mut self, pid: u32, program: ProgramId, actions: Vec<Action>) -> Result<(), Over> {
        self.act(actions)?;
        let watched = self.selector.is_watched(pid);
        Ok(self.answers.send(Inspected::Judged { pid, program: Some(program), watched })?)
    }

    fn act(&self, actions: Vec<Action>) -> Result<(), Over> {
        for action in actions {
            let result = match action {
                Action::Watch(pid) => {
                    self.answers.send(Inspected::Judged { pid, program: None, watched: true })?;
                    self.probes.watch(pid)
                }
                Action::Unwatch(pid) => {
                    self.probes.release_tls(pid, clock::boot_now_ns());
                    self.probes.unwatch(pid)
                }
            };
            if let Err(error) = result {
                tracing::warn!(?action, %error, "A process could not be added to or removed from the kernel's list of targets.");
            }
        }
        Ok(())
    }

    fn describe(&mut self, program: ProgramId, pid: u32) -> Result<(), Over> {
        match self.describer.describe(pid) {
            Some(description) => self.described(program, description),
            None => Ok(self.answers.send(Inspected::Gone { pid, program })?),
        }
    }

    fn described(&self, program: ProgramId, description: Description) -> Result<(), Over> {
        Ok(self.answers.send(Inspected::Described(program, from_description(description)))?)
    }

    /// The process may be gone, run another program, or have loaded its libraries by now.
    fn check(&mut self, known: &ProcessIdentity) -> Result<(), Over> {
        heartbeat::beat();
        let ProcessIdentity { pid, program, .. } = *known;
        match self.describer.identity(pid) {
            Some((start_time, comm)) if known.start_time.is_none_or(|known| known == start_time) => {
                if *comm != *known.comm {
                    self.describe(program, pid)?;
                } else if known.young {
                    let Interior { runtime, tls, not_seen } = self.describer.look_inside(pid);
                    let tls = tls.map(|tls| tls.to_string().into());
                    self.answers.send(Inspected::Inside { pid, program, runtime, tls, not_seen })?;
                }
                Ok(())
            }
            _ => Ok(self.answers.send(Inspected::Gone { pid, program })?),
        }
    }

    /// Reads which connections the targets accepted, and what TCP tells of those to others.
    fn tell_connections(&self, due_ns: &mut u64) -> Result<(), Over> {
        let taken_ns = clock::boot_now_ns();
        let table = if self.selector.watches_all() { accepted_by_all() } else { accepted(&self.selector.pids()) };
        let now_ns = clock::boot_now_ns();
        *due_ns = now_ns + (now_ns - taken_ns) * TABLE_SHARE;
        let (inodes, connected) = table.map_or((None, Vec::new()), |table| (Some(table.accepted), table.connected));
        Ok(self.answers.send(Inspected::Connections { inodes, connected, taken_ns })?)
    }

    fn tell_missing(&self, before: &mut Vec<String>) -> Result<(), Over> {
        let missing = self.selector.missing();
        if missing != *before {
            before.clone_from(&missing);
            self.answers.send(Inspected::Missing(missing))?;
        }
        Ok(())
    }
}

/// Why nothing is known of the TLS library of a process.
pub fn unknown_maps(refusal: Refusal) -> String {
    format!("what it has mapped is not known: {refusal}")
}

fn executed(facts: &ExecFacts) -> Executed<'_> {
    Executed { pid: facts.pid, parent: facts.parent, comm: &facts.comm, argv: &facts.argv, env: &facts.env }
}

fn from_description(description: Description) -> Described {
    let Description { origin, source, interior: Interior { runtime, tls, not_seen }, start_time, .. } = description;
    Described { origin, source: Some(source), runtime, tls: tls.map(|tls| tls.to_string().into()), start_time, not_seen }
}
