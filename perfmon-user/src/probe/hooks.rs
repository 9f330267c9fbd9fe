//! The table of hooks: each kernel program, its hook, its job, the first kernel with the hook, its substitute, and the loss without it.
//! Detection of hooks, planning, attaching and `perfmon check` all use this table.
use super::attach::{ProbeReport, ProbeState};
use super::plan::Tier;

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// A raw tracepoint; the kernel's BTF has a typedef `btf_trace_NAME` for each.
    RawTracepoint(&'static str),
    /// The exit of a function of the kernel; its BTF has a function of this name.
    FunctionExit(&'static str),
    /// A place in a TLS library, which is found when a process maps it.
    Uprobe,
    /// No hook: user space runs the program.
    TestRun,
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// It reports socket operations. One tier of such programs is used, which cannot be without any of them.
    Capture(Tier),
    /// It reports further operations with that tier, which can be without it.
    With(Tier),
    /// It is part of every tier.
    Always,
    /// It runs only when none of the named programs does.
    Instead(&'static [&'static str]),
}

/// A kernel program and its hook.
#[derive(Debug)]
pub struct Hook {
    /// Name of the program in the object.
    pub program: &'static str,
    /// Where it is attached.
    pub point: HookPoint,
    /// What it is for.
    pub job: Job,
    /// The first Linux version with this hook.
    pub since: &'static str,
    /// What perfmon misses when it does not run, even with what stands in for it.
    pub missed: &'static str,
}

const fn hook(program: &'static str, point: HookPoint, job: Job, since: &'static str, missed: &'static str) -> Hook {
    Hook { program, point, job, since, missed }
}

use HookPoint::{FunctionExit, RawTracepoint, TestRun, Uprobe};
use Job::{Always, Capture, Instead, With};

/// All hooks, in the order in which they are attached: a program comes before what stands in for it.
pub const HOOKS: [Hook; 32] = [
    hook("sock_recv", RawTracepoint("sock_recv_length"), Capture(Tier::Socket), "6.3", EVERY_CALL),
    hook("sock_send", RawTracepoint("sock_send_length"), Capture(Tier::Socket), "6.3", EVERY_CALL),
    hook("tcp_received", FunctionExit("tcp_recvmsg"), Capture(Tier::Function), "5.10", EVERY_CALL),
    hook("tcp_sent", FunctionExit("tcp_sendmsg"), Capture(Tier::Function), "5.10", EVERY_CALL),
    hook("unix_received", FunctionExit("unix_stream_recvmsg"), Capture(Tier::Function), "5.10", EVERY_CALL),
    hook("unix_sent", FunctionExit("unix_stream_sendmsg"), Capture(Tier::Function), "5.10", EVERY_CALL),
    hook("tcp_page_sent", FunctionExit("tcp_sendpage"), With(Tier::Function), "5.10 to 6.4", "when sendfile() sent a file"),
    hook("udp_received", FunctionExit("udp_recvmsg"), With(Tier::Function), "5.10", NAMES_V4),
    hook("udp_sent", FunctionExit("udp_sendmsg"), With(Tier::Function), "5.10", NAMES_V4),
    hook("udp6_received", FunctionExit("udpv6_recvmsg"), With(Tier::Function), "5.10", NAMES_V6),
    hook("udp6_sent", FunctionExit("udpv6_sendmsg"), With(Tier::Function), "5.10", NAMES_V6),
    hook(
        "syscall_exit",
        RawTracepoint("sys_exit"),
        Capture(Tier::SyscallExit),
        "4.17",
        "all traffic where the socket tracepoints are absent",
    ),
    hook("datagram_exit", RawTracepoint("sys_exit"), Instead(&["sock_recv", "udp_received"]), "4.17", "questions for names over UDP"),
    hook(
        "sock_bypass",
        RawTracepoint("tcp_rcv_space_adjust"),
        Instead(&["syscall_exit"]),
        "4.16",
        "when bytes leave a socket by splice or zero-copy receive: their number shows at the next operation",
    ),
    hook(URING_SUBMIT, RawTracepoint("io_uring_submit_req"), Instead(&["syscall_exit"]), "6.4", URING),
    hook("uring_punt", RawTracepoint("io_uring_queue_async_work"), Instead(&["syscall_exit"]), "5.15", URING),
    hook("uring_wake", RawTracepoint("io_uring_task_add"), Instead(&["syscall_exit"]), "5.15", URING),
    hook("sock_state", RawTracepoint("inet_sock_set_state"), Always, "4.16", "who began a TCP connection, its end, and who listens"),
    hook(
        "sock_destroy",
        RawTracepoint("tcp_destroy_sock"),
        Always,
        "4.16",
        "the end of TCP connections that were reset while a process had them open",
    ),
    hook("reset_received", RawTracepoint("tcp_receive_reset"), Always, "4.16", "that the peer reset a connection"),
    hook("reset_sent", RawTracepoint("tcp_send_reset"), Always, "4.16", "resets that this host sends outside close()"),
    hook(
        "process_exec",
        RawTracepoint("sched_process_exec"),
        Always,
        "4.17",
        "service names in the environment of processes that end at once",
    ),
    hook("process_exec_short", RawTracepoint("sched_process_exec"), Instead(&["process_exec"]), "4.17", "programs that processes execute"),
    hook("process_fork", RawTracepoint("sched_process_fork"), Always, "4.17", "children of watched processes"),
    hook("process_exit", RawTracepoint("sched_process_exit"), Always, "4.17", "the end of processes and what they used"),
    hook("data_ready", RawTracepoint("sk_data_ready"), Always, "6.3", "arrival times on unix sockets"),
    hook("segment_received", RawTracepoint("tcp_probe"), Instead(&["data_ready"]), "4.16", "how long a request waited before it was read"),
    hook("set_policy", TestRun, Always, "5.10", "bodies beyond the default budgets; every socket keeps the default capture policy"),
    hook("tls_entry", Uprobe, Always, "5.10", TLS),
    hook("tls_result", Uprobe, Always, "5.10", TLS),
    hook("tls_return", Uprobe, Always, "5.15", "plaintext of TLS libraries that only return probes reach, with `tls.return_probes`"),
    hook("tls_free", Uprobe, Always, "5.10", "that a TLS library freed a connection object: the next one at its address may be cut once"),
];

/// The program that reads requests of io_uring.
pub const URING_SUBMIT: &str = "uring_submit";
/// Programs that report bytes with more than one tier.
const BESIDE: [&str; 2] = ["datagram_exit", "sock_bypass"];
/// Without the requests the socket tracepoints tell of sizes alone.
const URING: &str = "what io_uring sends and receives: only its bytes are counted";
const TLS: &str = "plaintext of TLS libraries";
/// What the next tier sees too, at a price.
const EVERY_CALL: &str = "io_uring, and every system call of the host costs a little more";
const NAMES_V4: &str = "questions for names over UDP and IPv4";
const NAMES_V6: &str = "questions for names over UDP and IPv6";

/// The tracepoints of the table, each once.
pub fn tracepoints() -> impl Iterator<Item = &'static str> {
    HOOKS.iter().enumerate().filter_map(|(place, hook)| match hook.point {
        RawTracepoint(name) if HOOKS[..place].iter().all(|before| before.point != hook.point) => Some(name),
        _ => None,
    })
}

/// The functions of the table.
pub fn functions() -> impl Iterator<Item = &'static str> {
    HOOKS.iter().filter_map(|hook| match hook.point {
        FunctionExit(name) => Some(name),
        _ => None,
    })
}

/// Whether a program reports bytes: of a run that the kernel skips nothing else tells.
pub fn reports_bytes(program: &str) -> bool {
    let reports = |hook: &Hook| hook.point == Uprobe || matches!(hook.job, Capture(_) | With(_)) || BESIDE.contains(&hook.program);
    HOOKS.iter().any(|hook| hook.program == program && reports(hook))
}

/// What is missed because of this program: nothing when it runs, or when it is not needed here.
pub fn missed(report: &ProbeReport, all: &[ProbeReport]) -> Option<&'static str> {
    let runs = |program: &str| all.iter().any(|other| other.name == program && other.state == ProbeState::Attached);
    let hook = HOOKS.iter().find(|hook| hook.program == report.name)?;
    let is_needed = match hook.job {
        _ if report.state == ProbeState::Attached => false,
        Capture(_) | With(_) => report.state == ProbeState::Failed,
        Always => true,
        Instead(first) => !first.iter().any(|first| runs(first)),
    };
    is_needed.then_some(hook.missed)
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

    use super::*;

    fn report(name: &'static str, state: ProbeState) -> ProbeReport {
        ProbeReport { name, state, reason: None, needed: false }
    }

    #[test]
    fn the_table_and_the_object_have_the_same_programs() {
        for object in [super::super::load::OBJECT, super::super::load::COPIED_OBJECT] {
            same_programs(object);
        }
    }

    fn same_programs(object: &[u8]) {
        let file = object::File::parse(object).unwrap();
        // Functions that programs call stand in .text.
        let is_program = |symbol: &object::Symbol<'_, '_>| {
            let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
            symbol.kind() == object::SymbolKind::Text && section.is_some_and(|section| section.name().is_ok_and(|name| name != ".text"))
        };
        let mut programs: Vec<&str> = file.symbols().filter(is_program).map(|symbol| symbol.name().unwrap()).collect();
        let mut rows: Vec<&str> = HOOKS.iter().map(|hook| hook.program).collect();
        programs.sort_unstable();
        rows.sort_unstable();
        assert_eq!(programs, rows);
    }

    #[test]
    fn a_program_comes_before_what_stands_in_for_it() {
        for (place, hook) in HOOKS.iter().enumerate() {
            if let Instead(first) = hook.job {
                assert!(first.iter().all(|first| HOOKS[..place].iter().any(|before| before.program == *first)), "{first:?}");
            }
        }
        let listed: Vec<_> = tracepoints().collect();
        assert_eq!(listed.iter().filter(|name| **name == "sched_process_exec").count(), 1);
        assert!(listed.contains(&"tcp_probe"));
    }

    #[test]
    fn what_is_missed_depends_on_what_stands_in() {
        let all = [
            report("sock_recv", ProbeState::Skipped),
            report("datagram_exit", ProbeState::Failed),
            report("syscall_exit", ProbeState::Attached),
            report("data_ready", ProbeState::Skipped),
            report("segment_received", ProbeState::Attached),
            report("process_exec", ProbeState::Failed),
            report("process_exec_short", ProbeState::Failed),
        ];
        let told: Vec<_> = all.iter().map(|report| missed(report, &all)).collect();
        let expected = [
            None,
            Some("questions for names over UDP"),
            None,
            Some("arrival times on unix sockets"),
            None,
            Some("service names in the environment of processes that end at once"),
            Some("programs that processes execute"),
        ];
        assert_eq!(told, expected);
        let fine = [report("process_exec", ProbeState::Attached), report("process_exec_short", ProbeState::Skipped)];
        assert_eq!(fine.each_ref().map(|report| missed(report, &fine)), [None, None]);
    }
}
