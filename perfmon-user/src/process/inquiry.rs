//! What the table asks of the inspector, and what it is answered. Both cross between two threads, so that they own what they hold.
use std::collections::HashSet;
use std::sync::Arc;

use crate::record::Origin;

/// A program of a process: from its exec, or from when the process was first seen, until the next exec. Never the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(pub(super) u64);

/// What the kernel told of a program at its exec; empty when no exec was seen. The process may be gone already.
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

/// A described process, to be compared with /proc in case that events were lost.
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

/// A question to the inspector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// It executed a program: is it a target, and if so, who is it?
    Executed(ProgramId, ExecFacts),
    /// It was created: is it a target?
    Forked {
        /// The new process.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// Who created it.
        parent: u32,
    },
    /// It listens on a port: is it a target, and is it called otherwise now?
    Listens {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
        /// TCP port.
        port: u16,
    },
    /// It was seen without a beginning: is it a target?
    Judge {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// It ended.
    Ended {
        /// Process id.
        pid: u32,
    },
    /// Who is it?
    Describe(ProgramId, ExecFacts),
    /// Who was it? Its process runs another program by now, so that only the exec event can tell.
    Recall(ProgramId, ExecFacts),
    /// It uses TLS: find its library.
    FindTls {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// Do they still run what they ran?
    Check(Vec<ProcessIdentity>),
}

/// What the inspector found out: an answer, or something that it noticed itself.
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
    /// Who a program is.
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
    /// The process is gone, though its end was not told.
    Gone {
        /// Process id.
        pid: u32,
        /// Its program.
        program: ProgramId,
    },
    /// The connections that targets accepted and that are open.
    Connections {
        /// Inode number of each; `None` when the kernel's table could not be read.
        inodes: Option<HashSet<u32>>,
        /// When: what came later is not among them.
        taken_ns: u64,
    },
    /// Targets that nothing running matches, in words.
    Missing(Vec<String>),
}

/// Who a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What its records carry.
    pub origin: Arc<Origin>,
    /// Language runtime; `None` when the process was gone.
    pub runtime: Option<Arc<str>>,
    /// The shared TLS library that it has mapped, in words.
    pub tls: Option<Arc<str>>,
    /// Clock ticks between boot and its start; `None` when only its exec event told.
    pub start_time: Option<u64>,
}
