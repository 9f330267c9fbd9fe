//! Capture policy of a socket → the kernel's table of sockets, through the program `set_policy`, which changes the value in place
//! (BPF_PROG_TEST_RUN, bpf(2); Linux 5.10). Writing the map from here would undo what the kernel counted meanwhile.
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use aya::Ebpf;
use aya::programs::{ProgramError, ProgramFd, RawTracePoint};
use perfmon_common::map::{MODE_HEAD, POLICY_ARGUMENTS};

use super::attach::{ProbeReport, ProbeState, explain};

/// The program.
const PROGRAM: &str = "set_policy";
/// `BPF_PROG_TEST_RUN`, include/uapi/linux/bpf.h.
const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// How much of a socket is captured with `MODE_HEAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Bytes of requests captured in a run of operations of one direction.
    pub request: u32,
    /// Bytes of answers captured in such a run.
    pub response: u32,
    /// Bytes captured of each operation once the run's budget is spent.
    pub operation_head: u32,
}

/// Sets the policies of sockets.
pub(super) struct PolicySetter {
    program: Option<ProgramFd>,
}

impl PolicySetter {
    /// Tries the program, which is loaded. Where the kernel refuses that, every socket keeps the default policy.
    pub(super) fn find(ebpf: &mut Ebpf, reports: &mut [ProbeReport]) -> Self {
        let tried = program(ebpf).and_then(|program| {
            run(&program, [0, 0, MODE_HEAD.into(), 0, 0, 0])?;
            Ok(program)
        });
        let program = tried.map_err(|error| {
            let attached = |report: &&mut ProbeReport| report.name == PROGRAM && report.state == ProbeState::Attached;
            if let Some(report) = reports.iter_mut().find(attached) {
                (report.state, report.reason) = (ProbeState::Failed, Some(explain(&error)));
            }
        });
        Self { program: program.ok() }
    }

    /// Sets a socket's policy. False when the kernel does not have that socket.
    ///
    /// # Errors
    /// When the kernel refuses, or refused the program.
    pub(super) fn set(&self, sock: u64, inode: u32, mode: u8, budgets: Budgets) -> io::Result<bool> {
        let program = self.program.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let Budgets { request, response, operation_head } = budgets;
        run(program, [sock, inode.into(), mode.into(), request.into(), response.into(), operation_head.into()])
    }
}

fn program(ebpf: &mut Ebpf) -> Result<ProgramFd, ProgramError> {
    let program: &mut RawTracePoint = ebpf.program_mut(PROGRAM).ok_or(ProgramError::NotLoaded)?.try_into()?;
    Ok(program.fd()?.try_clone()?)
}

/// The part of `union bpf_attr` for `BPF_PROG_TEST_RUN`, up to the members of Linux 5.10.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
}
const _: () = assert!(size_of::<TestRun>() == 72);

/// Runs the program; whether it returned 1.
#[expect(unsafe_code, reason = "aya runs programs only through a handle that attaching holds for long")]
fn run(program: &ProgramFd, arguments: [u64; POLICY_ARGUMENTS]) -> io::Result<bool> {
    let mut attributes = TestRun {
        prog_fd: program.as_fd().as_raw_fd() as u32,
        ctx_size_in: size_of_val(&arguments) as u32,
        ctx_in: (&raw const arguments) as u64,
        ..TestRun::default()
    };
    // SAFETY: the attributes are as large as told, and valid for the call, as are the arguments that they point to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attributes, size_of::<TestRun>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(attributes.retval == 1) }
}
