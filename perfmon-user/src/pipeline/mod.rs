//! The front half as one synchronous, pure function: events in, records and commands out. No tokio, no aya, no clock and no file: it runs
//! the same in unit tests, replay, fuzzing, benchmarks and on the ring. Time is an argument; `wall_at_boot_ns` maps it to wall time.
mod accepted;
mod build;
mod intern;
mod links;
mod model_calls;
mod names_asked;
mod peer_names;
mod pooled;
mod record_sink;
mod session;
mod skips;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::agent::ProcessEnd;
use crate::budget::Budget;
use crate::counters::Counters;
use crate::decode::{Event, Exit, SocketKey, SocketStateChange, StateChange, decode};
use crate::limits::{IN_FLIGHT, UNFINISHED_BYTES};
use crate::link::Linker;
use crate::pools::PoolTracker;
use crate::process::{Inquiry, Inspected, ProcessTable};
use crate::proto::dns::QuestionTable;
use crate::proto::{self, PendingExchange};
use crate::record::{Gauges, InFlight, Origin, Quality, Record, WallTime};
use crate::stream::Role;
use crate::tls::{Binder, TlsObject};
use crate::track::{Connection, ConnectionEvent, OpenConnections, Tracker};

use build::{BuildContext, SpareExchanges};
use intern::Interner;
use model_calls::ModelCalls;
use peer_names::PeerNames;
use session::{Session, advance, settle};
use skips::Skips;

pub use crate::stream::Capture;

/// The output of the pipeline, which the caller drains.
#[derive(Debug, Default)]
pub struct Out {
    /// Finished records.
    pub records: Vec<Record>,
    /// Commands for the caller to carry out.
    pub commands: Vec<PipelineCommand>,
    /// Records of model calls that follow from the request record under construction. Empty between requests.
    model_records: Vec<Record>,
}

/// A command to the caller. A command that is not carried out makes records incomplete, never wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipelineCommand {
    /// Change the capture mode of a socket.
    Capture(SocketKey, Capture),
    /// Change the capture mode of a TLS library's object.
    CaptureTls(TlsObject, Capture),
    /// This process uses TLS: look for its library.
    WatchTls(u32),
}

/// State of the whole front half.
#[derive(Debug)]
pub struct Pipeline {
    tracker: Tracker<Session>,
    open: OpenConnections,
    binder: Binder,
    budget: Budget,
    exchanges: SpareExchanges,
    processes: ProcessTable,
    names: Interner,
    model_calls: ModelCalls,
    linker: Linker,
    pools: PoolTracker,
    pools_told_ns: u64,
    new_callers: Vec<u32>,
    peer_names: PeerNames,
    questions: QuestionTable,
    /// Events of each process that the full ring refused.
    events_lost: FxHashMap<u32, u64>,
    skips: Skips,
    connections: u64,
    counters: Arc<Counters>,
    wall_at_boot_ns: u64,
    raw_paths: bool,
    expired_ns: u64,
}

/// How often idle connections are looked for.
const EXPIRE_EVERY_NS: u64 = 10 * 1_000_000_000;

impl Pipeline {
    /// An empty pipeline. `wall_at_boot_ns` is the wall time of boot.
    pub fn new(counters: Arc<Counters>, wall_at_boot_ns: u64) -> Self {
        let budget = Budget::new(UNFINISHED_BYTES, counters.clone());
        Self {
            tracker: Tracker::new(counters.clone()),
            open: OpenConnections::default(),
            binder: Binder::new(counters.clone()).charged_to(budget.clone()),
            exchanges: Vec::new(),
            budget,
            processes: ProcessTable::new(counters.clone()),
            names: Interner::default(),
            model_calls: ModelCalls::new(counters.clone(), || 0),
            linker: Linker::default(),
            pools: PoolTracker::default(),
            pools_told_ns: 0,
            new_callers: Vec::new(),
            peer_names: PeerNames::default(),
            questions: QuestionTable::default(),
            events_lost: FxHashMap::default(),
            skips: Skips::default(),
            connections: 0,
            counters,
            wall_at_boot_ns,
            raw_paths: false,
            expired_ns: 0,
        }
    }

    /// The same pipeline without detection of model calls and agents.
    #[must_use]
    pub fn without_models(mut self) -> Self {
        self.model_calls.off = true;
        self
    }

    /// The same pipeline, which gives up coded bodies that cost too much CPU time by this clock of the thread's. Without one, what it says
    /// does not depend on time.
    #[must_use]
    pub fn with_cpu_clock(mut self, cpu_ns: fn() -> u64) -> Self {
        self.model_calls = ModelCalls::new(self.counters.clone(), cpu_ns);
        self
    }

    /// The same pipeline, which keeps paths as they are: with `;parameters` and tokens.
    #[must_use]
    pub fn with_raw_paths(mut self, raw: bool) -> Self {
        self.raw_paths = raw;
        self
    }

    /// Handles one event as the kernel wrote it. Undecodable bytes are counted and skipped.
    pub fn push(&mut self, bytes: &[u8], now_ns: u64, out: &mut Out) {
        match decode(bytes) {
            Ok(event) => self.event(&event, now_ns, out),
            Err(error) => {
                self.counters.events_undecodable.inc();
                tracing::trace!(%error, "An event could not be decoded.");
            }
        }
    }

    /// Handles one decoded event.
    pub fn event(&mut self, event: &Event<'_>, now_ns: u64, out: &mut Out) {
        self.counters.events_seen.inc();
        let known = out.records.len();
        self.follow(event, now_ns);
        let (tracker, context) = &mut self.parts();
        if let Event::State(SocketStateChange { key, tcp: Some(figures), .. }) = event
            && let Some(connection) = tracker.get_mut(*key)
        {
            pooled::measure(connection, figures, context);
        }
        let visit = &mut |connection: &mut Connection<Session>, step: ConnectionEvent<'_>| advance(connection, step, context, out);
        match event {
            Event::Open(open) => {
                tracker.open(open.clone(), visit);
                context.opened(open);
            }
            Event::Data(data) => {
                tracker.data(data, visit);
                tls::sent(data, tracker, context, out);
            }
            Event::State(state) => {
                tracker.state(state, visit);
                if let StateChange::Closed { .. } = state.change {
                    // The tracker does not know it when it was silent.
                    context.open.ended(state.key.inode, state.time_ns);
                }
            }
            Event::Exit(exit) => {
                tracker.exit(exit.pid, exit.time_ns, visit);
                self.questions_left(exit.pid, out);
                self.left(exit);
            }
            Event::Exec(_) | Event::Fork(_) => {}
            Event::Tls(call) => tls::call(call, tracker, context, out),
            Event::Datagram(datagram) => names_asked::datagram(datagram, context, out),
        }
        if self.model_calls.has_new_callers() {
            self.follow_new_callers();
        }
        if !self.new_callers.is_empty() {
            self.link_new_callers();
        }
        if out.records.len() > known {
            self.processes.settle(&mut out.records, known, now_ns);
        }
    }

    /// The kernel skipped programs before `now_ns`, so that bytes passed in no event: call it before the events that came after them.
    pub fn skipped(&mut self, now_ns: u64) {
        self.skips.notice(now_ns);
        self.questions.skipped(now_ns);
    }

    /// Updates the process table with the event. Exits are handled by [`Pipeline::left`].
    fn follow(&mut self, event: &Event<'_>, now_ns: u64) {
        match event {
            Event::Data(data) => self.processes.on_use(data.pid),
            Event::Datagram(datagram) => self.processes.on_use(datagram.pid),
            Event::State(SocketStateChange { change: StateChange::NotConnected(_), pid, .. }) => self.processes.on_use(*pid),
            Event::Exec(exec) => self.processes.on_exec(exec),
            Event::Fork(fork) => self.processes.on_fork(fork),
            Event::State(SocketStateChange { change: StateChange::Listen(port), pid, .. }) => self.processes.on_listen(*pid, *port, now_ns),
            _ => {}
        }
    }

    /// Whether the event is to be handled: events of processes that are known not to be targets are skipped.
    pub fn admits(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Data(data) => self.processes.admits(data.pid),
            Event::Tls(tls) => self.processes.admits(tls.pid),
            Event::Datagram(datagram) => self.processes.admits(datagram.pid),
            Event::Open(open) => open.pid == 0 || self.processes.admits(open.pid),
            _ => true,
        }
    }

    /// Restricts watching to these processes and those that the inspector selects later. `follow` adds their children.
    pub fn choose(&mut self, first: &[u32], follow: bool) {
        self.processes.choose(first, follow);
    }

    /// The process table.
    pub fn processes(&self) -> &ProcessTable {
        &self.processes
    }

    /// Counts the exchanges and database commands of records that left the pipeline and were dropped by whoever was to take them.
    pub fn dropped(&mut self, records: &[Record]) {
        for record in records {
            match record {
                // The handshake of a WebSocket connection counted, its record has none to take back.
                Record::Request(request) if request.protocol != "websocket" => {
                    self.processes.on_dropped(request.origin.pid, request.side, false, request.quality == Quality::Exact);
                }
                Record::Db(command) => {
                    self.processes.on_dropped(command.origin.pid, command.side, true, command.quality == Quality::Exact);
                }
                _ => {}
            }
        }
    }

    /// The next question to the inspector.
    pub fn next_question(&mut self) -> Option<Inquiry> {
        self.processes.next_question()
    }

    /// Puts a question back because the inspector's queue is full.
    pub fn put_back(&mut self, question: Inquiry) {
        self.processes.put_back(question);
    }

    /// Asks the inspector for the TLS library of a process that uses TLS.
    pub fn find_tls(&mut self, pid: u32, now_ns: u64) {
        self.processes.find_tls(pid, now_ns);
    }

    /// Handles an answer of the inspector and releases the records that waited for it.
    pub fn answer(&mut self, answer: &Inspected, now_ns: u64, out: &mut Out) {
        if let Inspected::Connections { inodes, connected, taken_ns } = answer {
            self.open.taken(inodes.as_ref().map(|inodes| inodes.iter().copied()), *taken_ns);
            self.measured(connected);
        }
        self.processes.answer(answer, now_ns);
        let known = out.records.len();
        self.processes.settle(&mut out.records, known, now_ns);
    }

    /// Sets the identity of a process from a recording. Records that waited for it are released with the next event or tick.
    pub fn describe(&mut self, origin: Arc<Origin>) {
        self.processes.describe(origin);
    }

    /// Sets the wall time of boot, which changes when the wall clock is adjusted.
    pub fn set_wall_at_boot(&mut self, wall_at_boot_ns: u64) {
        self.wall_at_boot_ns = wall_at_boot_ns;
    }

    /// Runs once a second: expires idle state and returns the gauges.
    pub fn tick(&mut self, now_ns: u64, out: &mut Out) -> Gauges {
        let known = out.records.len();
        if now_ns.saturating_sub(self.expired_ns) >= EXPIRE_EVERY_NS {
            self.expired_ns = now_ns;
            self.expire(now_ns, out);
        }
        let (tracker, context) = &mut self.parts();
        tracker.expire_resets(now_ns, &mut |connection, step| advance(connection, step, context, out));
        tracker.iter_mut().for_each(|connection| settle(connection, now_ns, context, out));
        self.expire_questions(now_ns, out);
        out.records.extend(self.model_calls.tick(now_ns, self.wall_at_boot_ns));
        self.tell_pools(now_ns, &mut out.records);
        self.processes.settle(&mut out.records, known, now_ns);
        self.processes.tick();
        self.gauges(now_ns)
    }

    /// Ends all open connections, at the end of a recording or of capture.
    pub fn finish(&mut self, now_ns: u64, out: &mut Out) {
        let known = out.records.len();
        let (tracker, context) = &mut self.parts();
        tracker.clear(now_ns, &mut |connection, step| advance(connection, step, context, out));
        self.expire_questions(now_ns, out);
        self.processes.settle_all(&mut out.records, known, now_ns);
    }

    /// The connection table and the context for building records.
    fn parts(&mut self) -> (&mut Tracker<Session>, BuildContext<'_>) {
        let Self { tracker, open, binder, budget, exchanges, processes, names, model_calls, .. } = self;
        let Self { linker, pools, new_callers, peer_names, questions, connections, counters, .. } = self;
        let wall_at_boot_ns = self.wall_at_boot_ns;
        let context = BuildContext {
            open,
            processes,
            names,
            model_calls,
            linker,
            pools,
            new_callers,
            peer_names,
            questions,
            connections,
            binder,
            exchanges,
            budget,
            counters,
            skips: self.skips,
            is_fresh: false,
            wall_at_boot_ns,
            raw_paths: self.raw_paths,
        };
        (tracker, context)
    }

    /// Requests that were under way before their process was known to call models may be what it calls them for.
    fn follow_new_callers(&mut self) {
        for pid in self.model_calls.take_new_callers() {
            let mut inbound = Vec::new();
            for connection in self.tracker.iter().filter(|connection| connection.pid == pid) {
                connection.state.inbound(&mut inbound);
            }
            self.model_calls.under_way(pid, inbound);
        }
    }

    /// The same for those whose calls are linked to requests.
    fn link_new_callers(&mut self) {
        for pid in std::mem::take(&mut self.new_callers) {
            let connections = self.tracker.iter().filter(|connection| connection.pid == pid);
            let mut served: Vec<_> = connections.flat_map(|connection| links::under_way(connection, self.wall_at_boot_ns)).collect();
            served.sort_unstable_by_key(|request| request.read_ns);
            served.into_iter().for_each(|request| self.linker.begin(pid, request));
        }
    }

    fn left(&mut self, exit: &Exit) {
        self.peer_names.left(exit.pid);
        self.linker.left(exit.pid);
        self.events_lost.remove(&exit.pid);
        let start_ns = self.processes.on_exit(exit);
        self.model_calls.left(ProcessEnd { pid: exit.pid, start_ns, end_ns: exit.time_ns, has_failed: exit.exit_code != 0 });
    }

    fn expire(&mut self, now_ns: u64, out: &mut Out) {
        self.processes.expire(now_ns);
        self.binder.expire(now_ns);
        self.linker.expire(now_ns);
        self.counters.link_requests_evicted.add(self.linker.take_evicted());
        self.budget.expire();
        proto::forget();
        let (tracker, context) = &mut self.parts();
        let visit = &mut |connection: &mut Connection<Session>, step: ConnectionEvent<'_>| advance(connection, step, context, out);
        tracker.expire(now_ns, |connection| connection.state.is_busy() || connection.state.is_held(), visit);
    }

    fn gauges(&mut self, now_ns: u64) -> Gauges {
        let mut unix = 0;
        let mut gauges = Gauges { time: WallTime(self.wall_at_boot_ns + now_ns), targets: self.processes.coverage(), ..Gauges::default() };
        for connection in self.tracker.iter().filter(|connection| connection.pid == 0 || self.processes.is_watched(connection.pid)) {
            // The socket table that is read has no unix sockets.
            if connection.unix && (connection.role == Role::Server || connection.state.serves()) {
                unix += 1;
            }
            connection.state.pending(&mut |pending: PendingExchange<'_>| {
                if pending.server {
                    gauges.in_flight.push(InFlight {
                        origin: self.processes.guessed_origin(connection.pid),
                        method: pending.method.into(),
                        path: pending.path.into(),
                        since: WallTime(self.wall_at_boot_ns + pending.start_ns),
                    });
                }
            });
        }
        gauges.active_connections = self.open.count().map(|count| count + unix);
        gauges.in_flight.sort_by_key(|in_flight| in_flight.since);
        gauges.in_flight.truncate(IN_FLIGHT);
        gauges
    }
}
