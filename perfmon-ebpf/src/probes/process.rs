//! Processes. Hooks: raw tracepoints `sched_process_exec`, `sched_process_fork`, `sched_process_exit`. Records: every exec with its
//! arguments and the variables that name a service, every new process (not threads), the end of a process with what it used; keeps the
//! table of watched processes.
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_ktime_get_boot_ns, bpf_probe_read_user};
use aya_ebpf::helpers::{bpf_get_current_comm, bpf_probe_read_kernel};
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use perfmon_common::event::*;
use perfmon_common::map::*;

use crate::capture::at_most;
use crate::maps::{EXEC, EXEC_TEXT, WATCHED, offset, setting};
use crate::task::{self, Typed};
use crate::{emit, environment, filter};

/// `(struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)`, in the new program before its first instruction.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(_ctx: RawTracePointContext) -> i32 {
    executed(true)
}

/// Stands in for `process_exec` on a kernel that refuses its search: without the environment.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec_short(_ctx: RawTracePointContext) -> i32 {
    executed(false)
}

#[inline(always)]
fn executed(with_environment: bool) -> i32 {
    let tgid = filter::caller().tgid;
    filter::watch_if_new(tgid);
    if !filter::is_watched(tgid) {
        return 0;
    }
    let task = task::current();
    // SAFETY: types as in `KernelOffsets`.
    let memory = unsafe { task.follow(offset!(task_mm)) };
    // SAFETY: as above.
    let (begin, end, parent, uid) = unsafe {
        (
            memory.load::<u64>(offset!(mm_arg_start)),
            memory.load::<u64>(offset!(mm_arg_end)),
            task.follow(offset!(task_parent)).load::<u32>(offset!(task_tgid)),
            task.follow(offset!(task_cred)).load::<u32>(offset!(cred_euid)),
        )
    };
    let Some(record) = EXEC.get_ptr_mut(0) else { return 0 };
    let argv_total = end.saturating_sub(begin);
    let mut argv_len = at_most::<{ ARGV_MAX as u64 }>(argv_total);
    // SAFETY: this CPU's record; the helper checks the user's address.
    if unsafe { bpf_probe_read_user((&raw mut (*record).text).cast(), argv_len as u32, begin as *const _) } != 0 {
        emit::lost(LOST_USER_COPY);
        argv_len = 0;
    }
    let header = ExecHeader {
        kind: KIND_EXEC,
        argv_len: argv_len as u32,
        time_ns: now(),
        tgid,
        parent,
        argv_total: argv_total as u32,
        uid,
        // SAFETY: no arguments.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        comm: bpf_get_current_comm().unwrap_or_default(),
    };
    // SAFETY: this CPU's record.
    unsafe { (*record).header = header };
    let mut used = argv_len + environment::start_time(task, record, argv_len);
    if with_environment {
        used = environment::search(memory, record, used);
    }
    let used = at_most::<{ EXEC_TEXT as u64 }>(used);
    emit::bytes(tgid, record.cast(), size_of::<ExecHeader>() as u64 + used);
    0
}

/// `(struct task_struct *parent, struct task_struct *child)`, in the parent.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    let child: u64 = ctx.arg(1);
    let (pid, tgid) = (child_id(child, offset!(task_pid)), child_id(child, offset!(task_tgid)));
    if pid != tgid {
        return 0;
    }
    emit::nothing_lost_yet(tgid);
    let parent = filter::caller().tgid;
    if !filter::is_watched(parent) {
        return 0;
    }
    if setting!(follow) != 0 {
        filter::watch(tgid);
    }
    emit::record::<ForkHeader>(parent, |event| {
        // SAFETY: fresh memory of the ring.
        unsafe { event.write(ForkHeader { kind: KIND_FORK, tgid, parent, pad: 0, time_ns: now() }) };
    });
    0
}

/// 0 (and a count) when it cannot be read.
#[inline(always)]
fn child_id(task: u64, offset: u32) -> u32 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((task + u64::from(offset)) as *const u32) }.unwrap_or_else(|_| {
        emit::lost(LOST_ADDRESS);
        0
    })
}

/// `(struct task_struct *task, …)`, in each thread that ends; the last one of a process counts.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(_ctx: RawTracePointContext) -> i32 {
    let tgid = filter::caller().tgid;
    if !filter::is_watched(tgid) {
        return 0;
    }
    let task = task::current();
    // SAFETY: types as in `KernelOffsets`.
    let signal = unsafe { task.follow(offset!(task_signal)) };
    // SAFETY: as above.
    if unsafe { signal.load::<i32>(offset!(signal_live)) } > 0 {
        return 0;
    }
    // A process that listens again under the same id is another one. When it stood in no table (all are watched) there is nothing to remove.
    WATCHED.remove(tgid).ok();
    let used = used(task, signal);
    // SAFETY: as above.
    let peak_rss_bytes = unsafe { signal.load::<u64>(offset!(signal_maxrss)) } * u64::from(offset!(page_size));
    let exit_code = exit_code(task, signal);
    emit::record::<ExitHeader>(tgid, |event| {
        let header = ExitHeader {
            kind: KIND_EXIT,
            tgid,
            time_ns: now(),
            user_ns: used.user,
            system_ns: used.system,
            peak_rss_bytes,
            exit_code,
            pad: 0,
        };
        // SAFETY: fresh memory of the ring.
        unsafe { event.write(header) };
    });
    0
}

/// CPU time of a process, ns.
struct Used {
    user: u64,
    system: u64,
}

/// The scheduler's exact run time, divided by what the clock ticks found in user mode and in the kernel (as cputime_adjust() in
/// kernel/sched/cputime.c): that of threads that ended before, of this one, and of the first thread when it ended earlier, which the kernel
/// adds only when it is reaped.
#[inline(always)]
fn used(task: Typed, signal: Typed) -> Used {
    // SAFETY: types as in `KernelOffsets`.
    unsafe {
        let mut run = signal.load::<u64>(offset!(signal_runtime)) + task.load::<u64>(offset!(task_runtime));
        let mut user = signal.load::<u64>(offset!(signal_utime)) + task.load::<u64>(offset!(task_utime));
        let mut system = signal.load::<u64>(offset!(signal_stime)) + task.load::<u64>(offset!(task_stime));
        let leader = task.follow(offset!(task_leader));
        if leader.address() != task.address() {
            run += leader.load::<u64>(offset!(task_runtime));
            user += leader.load::<u64>(offset!(task_utime));
            system += leader.load::<u64>(offset!(task_stime));
        }
        // In 1/1,024, so that the product fits 64 bits.
        let share = if user + system == 0 { 0 } else { (system << 10) / (user + system) };
        let system = (run >> 10) * share;
        Used { user: run - system, system }
    }
}

/// As waitpid() gives it: the group's code when the whole process was ended (exit_group, a signal), else that of its first thread.
#[inline(always)]
fn exit_code(task: Typed, signal: Typed) -> u32 {
    const SIGNAL_GROUP_EXIT: u32 = 0x4;
    // SAFETY: types as in `KernelOffsets`.
    unsafe {
        if signal.load::<u32>(offset!(signal_flags)) & SIGNAL_GROUP_EXIT != 0 {
            signal.load(offset!(signal_exit_code))
        } else {
            task.follow(offset!(task_leader)).load(offset!(task_exit_code))
        }
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}
