//! The front half as one synchronous, pure function: events in, records and wishes out. No tokio, no aya, no clock, no file, so that it
//! runs the same under unit tests, replay, fuzzing, benchmarks and on the ring. Times are an argument; `wall_at_boot_ns` maps them to
//! wall time.
mod build;
mod intern;
mod minds;
mod people;
mod session;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use crate::agent::ProcessEnd;
use crate::counters::Counters;
use crate::decode::{Event, Exit, SocketKey, decode};
use crate::limits::IN_FLIGHT;
use crate::proto::Pending;
use crate::record::{Gauges, InFlight, Origin, Record, WallTime};
use crate::stream::Role;
use crate::tls::{Binder, TlsObject};
use crate::track::{Connection, Step, Tracker};

use build::Context;
use intern::Interner;
use minds::Minds;
use people::People;
use session::{Session, advance};

pub use crate::stream::Capture;

/// What a push leaves.
#[derive(Debug, Default)]
pub struct Out {
    /// Finished records.
    pub records: Vec<Record>,
    /// What the pipeline wants of its surroundings.
    pub wishes: Vec<Wish>,
    /// Records of model calls that follow from the one under construction; empty outside it.
    model_records: Vec<Record>,
}

/// What the pipeline wants of its surroundings; granting a wish is not required for being right, only for being complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Change the capture mode of a socket.
    Capture(SocketKey, Capture),
    /// Change the capture mode of a TLS library's object.
    CaptureTls(TlsObject, Capture),
    /// This process uses TLS: look for its library.
    WatchTls(u32),
    /// Say who this process is (`Pipeline::describe`).
    Describe(Newcomer),
}

/// A process that nobody described yet, with what its exec event said (empty when none was seen): it may be gone already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newcomer {
    /// Process id.
    pub pid: u32,
    /// Parent, 0 = not known.
    pub parent: u32,
    /// Name.
    pub comm: Box<str>,
    /// Arguments, each ended by NUL.
    pub argv: Box<[u8]>,
}

/// State of the whole front half.
#[derive(Debug)]
pub struct Pipeline {
    tracker: Tracker<Session>,
    binder: Binder,
    people: People,
    names: Interner,
    minds: Minds,
    connections: u64,
    counters: Arc<Counters>,
    wall_at_boot_ns: u64,
    expired_ns: u64,
}

/// How often idle connections are looked for.
const EXPIRE_EVERY_NS: u64 = 10 * 1_000_000_000;

impl Pipeline {
    /// An empty one. `wall_at_boot_ns` is the wall time of boot.
    pub fn new(counters: Arc<Counters>, wall_at_boot_ns: u64) -> Self {
        Self {
            tracker: Tracker::new(counters.clone()),
            binder: Binder::new(counters.clone()),
            people: People::new(counters.clone()),
            names: Interner::default(),
            minds: Minds::new(counters.clone()),
            connections: 0,
            counters,
            wall_at_boot_ns,
            expired_ns: 0,
        }
    }

    /// One that does not look for model calls and agents.
    #[must_use]
    pub fn without_models(mut self) -> Self {
        self.minds.off = true;
        self
    }

    /// Takes one event as the kernel wrote it. Bytes that are no event are counted and skipped.
    pub fn push(&mut self, bytes: &[u8], now_ns: u64, out: &mut Out) {
        match decode(bytes) {
            Ok(event) => self.event(&event, now_ns, out),
            Err(error) => {
                self.counters.events_undecodable.inc();
                tracing::trace!(%error, "An event could not be decoded.");
            }
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: &Event<'_>, _now_ns: u64, out: &mut Out) {
        self.counters.events_seen.inc();
        if let Event::Data(data) = event {
            self.people.meet(data.pid, out);
        }
        let (tracker, context) = &mut self.parts();
        let visit = &mut |connection: &mut Connection<Session>, step: Step<'_>| advance(connection, step, context, out);
        match event {
            Event::Open(open) => tracker.open(open.clone(), visit),
            Event::Data(data) => {
                tracker.data(data, visit);
                tls::sent(data, tracker, context, out);
            }
            Event::State(state) => tracker.state(state, visit),
            Event::Exit(exit) => {
                tracker.exit(exit.pid, exit.time_ns, visit);
                self.left(exit);
            }
            Event::Exec(exec) => self.people.executed(exec),
            Event::Fork(fork) => self.people.forked(fork),
            Event::Tls(call) => tls::call(call, tracker, context, out),
        }
        if self.minds.has_new_callers() {
            self.follow_new_callers();
        }
    }

    /// Says who a process is; records made from now on carry it.
    pub fn describe(&mut self, origin: Arc<Origin>) {
        self.people.describe(origin);
    }

    /// Wall time of boot, read anew now and then because the wall clock is adjusted.
    pub fn set_wall_at_boot(&mut self, wall_at_boot_ns: u64) {
        self.wall_at_boot_ns = wall_at_boot_ns;
    }

    /// Once a second: expiry, and what is under way.
    pub fn tick(&mut self, now_ns: u64, out: &mut Out) -> Gauges {
        if now_ns.saturating_sub(self.expired_ns) >= EXPIRE_EVERY_NS {
            self.expired_ns = now_ns;
            self.expire(now_ns, out);
        }
        out.records.extend(self.minds.tick(now_ns, self.wall_at_boot_ns));
        self.gauges(now_ns)
    }

    /// The end of a recording or of capture: what is open is given up.
    pub fn finish(&mut self, now_ns: u64, out: &mut Out) {
        let (tracker, context) = &mut self.parts();
        tracker.clear(now_ns, &mut |connection, step| advance(connection, step, context, out));
    }

    /// The table of connections, and what the making of records needs beside it.
    fn parts(&mut self) -> (&mut Tracker<Session>, Context<'_>) {
        let Self { tracker, binder, people, names, minds, connections, counters, wall_at_boot_ns, .. } = self;
        (tracker, Context { people, names, minds, connections, binder, counters, wall_at_boot_ns: *wall_at_boot_ns })
    }

    /// Requests that were under way before their process was known to call models may be what it calls them for.
    fn follow_new_callers(&mut self) {
        for pid in self.minds.take_new_callers() {
            let mut inbound = Vec::new();
            for connection in self.tracker.iter().filter(|connection| connection.pid == pid) {
                connection.state.inbound(&mut inbound);
            }
            self.minds.under_way(pid, inbound);
        }
    }

    fn left(&mut self, exit: &Exit) {
        let start_ns = self.people.left(exit.pid, exit.time_ns);
        self.minds.left(ProcessEnd { pid: exit.pid, start_ns, end_ns: exit.time_ns, has_failed: exit.exit_code != 0 });
    }

    fn expire(&mut self, now_ns: u64, out: &mut Out) {
        self.people.expire(now_ns);
        self.binder.expire(now_ns);
        let (tracker, context) = &mut self.parts();
        let visit = &mut |connection: &mut Connection<Session>, step: Step<'_>| advance(connection, step, context, out);
        tracker.expire(now_ns, |connection| connection.state.is_busy(), visit);
    }

    fn gauges(&self, now_ns: u64) -> Gauges {
        let mut gauges = Gauges { time: WallTime(self.wall_at_boot_ns + now_ns), targets: self.people.coverage(), ..Gauges::default() };
        for connection in self.tracker.iter() {
            if connection.role == Role::Server || connection.state.serves() {
                gauges.active_connections += 1;
            }
            connection.state.pending(&mut |pending: Pending<'_>| {
                if pending.server {
                    gauges.in_flight.push(InFlight {
                        origin: self.people.origin(connection.pid),
                        method: pending.method.into(),
                        path: pending.path.into(),
                        since: WallTime(self.wall_at_boot_ns + pending.start_ns),
                    });
                }
            });
        }
        gauges.in_flight.sort_by_key(|in_flight| in_flight.since);
        gauges.in_flight.truncate(IN_FLIGHT);
        gauges
    }
}
