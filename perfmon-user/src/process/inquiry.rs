//! Inquiries of the process table to the inspector, and its answers. Both cross between two threads and therefore own their data.
use std::collections::HashSet;
use std::sync::Arc;

use crate::record::{BlindSpot, Origin, ServiceSource};
use crate::stream::TcpFigures;

/// A program of a process: from its exec, or from when the process was first seen, until the next exec. Never the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub(super) u64);

/// Facts of a program from its exec event; empty when no exec was seen. The process may be gone already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecFacts {
    /// Process id.
    pub pid: u32,
    /// Parent, 0 = not known.
    pub parent: u32,
    /// Effective user id.
    pub uid: u32,
    /// cgroup v2 id, 0 = not known.
    pub cgroup: u64,
    /// Name.
    pub comm: Box<str>,
    /// Arguments, each ended by NUL.
    pub argv: Box<[u8]>,
    /// Variables of the environment that name a service, `NAME=value` each ended by NUL.
    pub env: Box<[u8]>,
}

/// Identity of a described process, compared with /proc because events may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Its program.
    pub program: ProgramId,
    /// Name that it had.
    pub comm: Arc<str>,
    /// Clock ticks between boot and its start.
    pub start_time: Option<u64>,
    /// It was described at its beginning, when its libraries were not loaded yet.
    pub young: bool,
}

/// An inquiry to the inspector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// The process executed a program: whether it is a target, and its description.
    Executed(ProgramId, ExecFacts),
    /// The process was created: whether it is a target.
    Forked {
        /// The new process.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// Its parent.
        parent: u32,
    },
    /// The process listens on a port: whether it is a target, and whether its service name changed.
    Listens {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// TCP port.
        port: u16,
    },
    /// The process was seen without its exec or fork: whether it is a target.
    Judge {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// The process exited.
    Ended {
        /// Process id.
        pid: u32,
    },
    /// Describe the program of a running process.
    Describe(ProgramId, ExecFacts),
    /// Describe a program by its exec event alone: its process runs another program by now.
    Recall(ProgramId, ExecFacts),
    /// Find the TLS library of a process.
    FindTls {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// Whether these processes still run the same programs.
    Check(Vec<ProcessIdentity>),
}

/// A result of the inspector: an answer, or a change that it noticed itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// Whether a process is a target; `program`: it holds for this one only.
    Judged {
        /// Process id.
        pid: u32,
        /// Its program when it was asked for.
        program: Option<ProgramId>,
        /// It is watched.
        watched: bool,
    },
    /// Description of a program.
    Described(ProgramId, Described),
    /// Runtime and TLS library, found later than the rest.
    Inside {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// See [`Described`].
        runtime: Option<Arc<str>>,
        /// See [`Described`].
        tls: Option<Arc<str>>,
        /// What of it is not seen, in addition to what was known.
        not_seen: Vec<BlindSpot>,
    },
    /// The library of a process that uses TLS: none yet, probed, or why it is not.
    Tls {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// `None` without a shared library.
        probed: Option<Result<(), Arc<str>>>,
    },
    /// The process is gone without an exit event.
    Gone {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// The connections that targets accepted and that are open, and those to others.
    Connections {
        /// Inode number of each; `None` when the kernel's table could not be read.
        inodes: Option<HashSet<u32>>,
        /// Connections to others by inode number, as far as the kernel tells more of them.
        connected: Vec<(u32, TcpFigures)>,
        /// When: what came later is not among them.
        taken_ns: u64,
    },
    /// Targets that nothing running matches, in words.
    Missing(Vec<String>),
}

/// Description of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What its records carry.
    pub origin: Arc<Origin>,
    /// Where its service name comes from; `None` when nothing told.
    pub source: Option<ServiceSource>,
    /// Language runtime; `None` when the process was gone.
    pub runtime: Option<Arc<str>>,
    /// The shared TLS library that it has mapped, in words.
    pub tls: Option<Arc<str>>,
    /// Clock ticks between boot and its start; `None` when only its exec event told.
    pub start_time: Option<u64>,
    /// What of it is not seen.
    pub not_seen: Vec<BlindSpot>,
}
