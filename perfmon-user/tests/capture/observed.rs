//! What the kernel side reported, put together from its events.
use std::collections::BTreeSet;
use std::time::Duration;

use perfmon_user::decode::{Event, Exit, Open, StateChange, decode};
use perfmon_user::probe::{ProbeReport, ProbeState, Probes};
use perfmon_user::stream::Direction;

/// An operation, its pieces joined.
#[derive(Clone, Debug)]
pub struct Operation {
    inode: u32,
    direction: Direction,
    pub offset: u64,
    pub total_len: u32,
    pub payload: Vec<u8>,
    pub eof: bool,
    pub time_ns: u64,
    pub arrival_ns: Option<u64>,
}

/// An exec.
pub struct Exec {
    pid: u32,
    pub parent: u32,
    pub comm: Vec<u8>,
    pub argv: Vec<u8>,
}

/// All events.
#[derive(Default)]
pub struct Observed {
    operations: Vec<Operation>,
    opens: Vec<Open>,
    states: Vec<(u32, StateChange)>,
    execs: Vec<Exec>,
    exits: Vec<Exit>,
    forks: Vec<(u32, u32)>,
    /// Arrivals are known for every socket, not for TCP only.
    pub every_arrival: bool,
}

impl Observed {
    /// Reads the ring until `done`, or for 10 s.
    pub fn drain(probes: &Probes, done: impl Fn(&Self) -> bool) -> Self {
        let mut ring = probes.take_ring().unwrap();
        let data_ready = |report: &ProbeReport| report.name == "data_ready" && report.state == ProbeState::Attached;
        let mut observed = Self { every_arrival: probes.reports().iter().any(data_ready), ..Self::default() };
        for _ in 0..1000 {
            if let Some(waiting) = ring.waiting() {
                ring.drain(waiting, |bytes| {
                    observed.push(bytes);
                    true
                });
            }
            if done(&observed) {
                return observed;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the end was not seen: {} operations", observed.operations.len());
    }

    fn push(&mut self, bytes: &[u8]) {
        match decode(bytes).unwrap() {
            Event::Open(open) => {
                assert!(self.opens.iter().all(|earlier| earlier.key != open.key), "opened twice: {open:?}");
                self.opens.push(open);
            }
            Event::Data(data) => {
                assert!(self.opens.iter().any(|open| open.key == data.key), "data before its socket: {data:?}");
                if data.piece_offset == 0 {
                    self.operations.push(Operation {
                        inode: data.key.inode,
                        direction: data.direction,
                        offset: data.offset,
                        total_len: data.total_len,
                        payload: data.payload.to_vec(),
                        eof: data.eof,
                        time_ns: data.stamp.time_ns,
                        arrival_ns: data.stamp.arrival_ns,
                    });
                } else {
                    let same = |operation: &&mut Operation| operation.inode == data.key.inode && operation.direction == data.direction;
                    let operation = self.operations.iter_mut().rev().find(same).unwrap();
                    assert_eq!((operation.offset, operation.payload.len()), (data.offset, data.piece_offset as usize));
                    operation.payload.extend(data.payload);
                }
            }
            Event::State(state) => self.states.push((state.key.inode, state.change)),
            Event::Exec(exec) => {
                self.execs.push(Exec { pid: exec.pid, parent: exec.parent, comm: exec.comm.into(), argv: exec.argv.into() })
            }
            Event::Exit(exit) => self.exits.push(exit),
            Event::Fork(fork) => self.forks.push((fork.parent, fork.pid)),
            Event::Tls(tls) => panic!("{tls:?}"),
            Event::Datagram(datagram) => panic!("{datagram:?}"),
        }
    }

    pub fn operations(&self, inode: u32, direction: Direction) -> Vec<Operation> {
        self.operations.iter().filter(|operation| operation.inode == inode && operation.direction == direction).cloned().collect()
    }

    pub fn inodes(&self) -> BTreeSet<u32> {
        self.opens.iter().map(|open| open.key.inode).collect()
    }

    pub fn opens(&self) -> impl Iterator<Item = &Open> {
        self.opens.iter()
    }

    pub fn open(&self, inode: u32) -> &Open {
        self.opens.iter().find(|open| open.key.inode == inode).unwrap()
    }

    pub fn states(&self, inode: u32) -> Vec<StateChange> {
        self.states.iter().filter(|(of, _)| *of == inode).map(|(_, change)| *change).collect()
    }

    pub fn all_states(&self) -> Vec<StateChange> {
        self.states.iter().map(|(_, change)| *change).collect()
    }

    pub fn last_state(&self, inode: u32) -> Option<StateChange> {
        self.states(inode).last().copied()
    }

    pub fn exec(&self, pid: u32) -> Option<&Exec> {
        self.execs.iter().find(|exec| exec.pid == pid)
    }

    pub fn exit(&self, pid: u32) -> Option<&Exit> {
        self.exits.iter().find(|exit| exit.pid == pid)
    }

    pub fn fork_of(&self, parent: u32) -> Option<u32> {
        self.forks.iter().find(|(of, _)| *of == parent).map(|(_, child)| *child)
    }
}
