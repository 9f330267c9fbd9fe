//! What stands in kernel maps and in the program's globals.
#[cfg(feature = "user")]
use bytemuck::{Pod, Zeroable};

/// Nothing of the socket is reported; bytes are still counted.
pub const MODE_OFF: u8 = 1;
/// Each operation is reported with its size, without payload.
pub const MODE_COUNT: u8 = 2;
/// The default: a run of operations in one direction is captured up to a budget (`SocketState`), then the head of each operation.
pub const MODE_HEAD: u8 = 0;
/// Everything, in pieces.
pub const MODE_FULL: u8 = 3;

/// `SocketState::flags`: user space was told of the socket.
pub const SOCKET_ANNOUNCED: u8 = 1;
/// `SocketState::ending`: a reset came from the peer.
pub const SOCKET_PEER_RESET: u8 = 1;
/// `SocketState::ending`: this side sent a reset.
pub const SOCKET_LOCAL_RESET: u8 = 2;
/// `SocketState::ending`: the connection is over, and the process may still read or finish a send.
pub const SOCKET_OVER: u8 = 4;
/// `SocketState::flags`: its establishment was seen.
pub const SOCKET_SEEN_OPEN: u8 = 8;
/// `SocketState::flags`: the beginning of the last run of operations in one direction was refused by the full ring.
pub const SOCKET_RUN_LOST: u8 = 16;
/// `SocketState::flags`: it switched to another protocol, whose runs are no exchanges.
pub const SOCKET_SWITCHED: u8 = 32;
/// `SocketState::flags`: the socket's own sequence numbers tell its stream positions.
pub const SOCKET_SEQUENCED: u8 = 64;

/// Arguments of the program `set_policy`: sock, inode, and the policy as in `SocketState`: mode, request_budget, response_budget, operation_head.
pub const POLICY_ARGUMENTS: usize = 6;

/// What the kernel keeps of a socket; only kernel programs write it, user space through the program `set_policy`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct SocketState {
    /// Bytes received since the socket is known.
    pub in_bytes: u64,
    /// Bytes sent since the socket is known.
    pub out_bytes: u64,
    /// When the first unread byte arrived; 0 = nothing waits.
    pub arrival_ns: u64,
    /// When the connection was established, or first seen; with `SOCKET_OVER`: when it ended.
    pub open_ns: u64,
    /// Inode number of the socket file, 0 before accept().
    pub inode: u32,
    /// Process that last used it.
    pub tgid: u32,
    /// Bytes captured since the direction last changed.
    pub run_captured: u32,
    /// `DIRECTION_*` of the last operation, 0xff at the beginning.
    pub run_direction: u8,
    /// `ROLE_*`.
    pub role: u8,
    /// `SOCKET_*` bits.
    pub flags: u8,
    /// `MODE_*`.
    pub mode: u8,
    /// Bytes of requests captured in a run of operations of one direction (server: received, client: sent, unknown role: both).
    pub request_budget: u32,
    /// Bytes of answers captured in such a run.
    pub response_budget: u32,
    /// Bytes captured of each operation once the run's budget is spent.
    pub operation_head: u32,
    /// With `SOCKET_SEQUENCED`: sequence number of the received byte at position 0.
    pub in_base: u32,
    /// Likewise of the sent one.
    pub out_base: u32,
    /// Runs of operations in one direction so far, their low 16 bits.
    pub runs: u16,
    /// `SOCKET_*` bits of its end. Apart from `flags`, which operations of the process write: another CPU may find the end meanwhile.
    pub ending: u8,
    /// Alignment.
    pub pad: u8,
    /// As in `OpenHeader`.
    pub connect_us: u32,
    /// Alignment.
    pub pad2: u32,
}
const _: () = assert!(size_of::<SocketState>() == 80 && align_of::<SocketState>() == 8);

/// What the full ring refused of a process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct ProcessLosses {
    /// Events.
    pub events: u64,
    /// Exchanges of which neither the request's beginning nor the answer's was told, by the role of the socket (`ROLE_*`).
    pub exchanges: [u64; 3],
}
const _: () = assert!(size_of::<ProcessLosses>() == 32 && align_of::<ProcessLosses>() == 8);

/// `Settings::watch`: only processes in the WATCHED map.
pub const WATCH_LISTED: u32 = 0;
/// `Settings::watch`: every process but perfmon.
pub const WATCH_ALL: u32 = 1;

/// What user space decides before the programs are loaded; a read-only global.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct Settings {
    /// perfmon's own process: never reported.
    pub own_tgid: u32,
    /// `WATCH_*`.
    pub watch: u32,
    /// 1 = children of watched processes are watched.
    pub follow: u32,
    /// 1 = a process that executes a program or begins to listen is watched until user space says otherwise.
    pub watch_new: u32,
    /// `SocketState::request_budget` of every socket until user space sets another.
    pub request_budget: u32,
    /// Likewise `SocketState::response_budget`.
    pub response_budget: u32,
    /// Likewise `SocketState::operation_head`.
    pub operation_head: u32,
    /// Size of the ring.
    pub ring_bytes: u32,
}
const _: () = assert!(size_of::<Settings>() == 32 && align_of::<Settings>() == 4);

/// Reasons for which kernel programs lose something; index of the `LOSSES` per-CPU array.
pub const LOSSES: [&str; 13] = [
    "ring_full",
    "socket_table_full",
    "user_copy_failed",
    "address_unreadable",
    "iovec_cut",
    "watch_table_full",
    "capture_cut",
    "tls_table_full",
    "environment_cut",
    "tls_record_busy",
    "tls_call_unpaired",
    "io_uring_unread",
    "process_losses_full",
];
/// The ring had no room.
pub const LOST_RING_FULL: u32 = 0;
/// The socket table refused an entry.
pub const LOST_SOCKET_TABLE: u32 = 1;
/// The user's buffer could not be read.
pub const LOST_USER_COPY: u32 = 2;
/// An address or argument could not be read.
pub const LOST_ADDRESS: u32 = 3;
/// More I/O vectors than are walked.
pub const LOST_IOVEC: u32 = 4;
/// The table of watched processes refused an entry.
pub const LOST_WATCH_TABLE: u32 = 5;
/// An operation larger than full capture covers.
pub const LOST_CAPTURE_CUT: u32 = 6;
/// The table of TLS calls under way refused an entry.
pub const LOST_TLS_TABLE: u32 = 7;
/// An environment larger than what is searched, or a variable longer than what is taken.
pub const LOST_ENVIRONMENT: u32 = 8;
/// All records under construction of a CPU were in use by preempted TLS programs.
pub const LOST_TLS_BUSY: u32 = 9;
/// A TLS call succeeded whose beginning was not seen: it was under way when the probes came, or its thread changed.
pub const LOST_TLS_UNPAIRED: u32 = 10;
/// An operation of io_uring whose buffers were not found: its bytes are counted, its payload is not known.
pub const LOST_URING: u32 = 11;
/// Something that the full ring refused of a process, which the table of losses by process has no room for: only the totals have it.
pub const LOST_PROCESS_LOSSES: u32 = 12;

/// `KernelOffsets`: this kernel has no such member.
pub const ABSENT: u32 = u32::MAX;

/// Where the members of kernel structs stand on this host, in bytes; from the running kernel's BTF. A read-only global.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct KernelOffsets {
    /// `sock.__sk_common.skc_family`, u16.
    pub sock_family: u32,
    /// `sock.__sk_common.skc_num`, u16: local port, host byte order.
    pub sock_local_port: u32,
    /// `sock.__sk_common.skc_dport`, u16: remote port, network byte order.
    pub sock_peer_port: u32,
    /// `sock.__sk_common.skc_rcv_saddr`, 4 bytes.
    pub sock_local_v4: u32,
    /// `sock.__sk_common.skc_daddr`, 4 bytes.
    pub sock_peer_v4: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`, 16 bytes; `ABSENT` without IPv6.
    pub sock_local_v6: u32,
    /// `sock.__sk_common.skc_v6_daddr`, 16 bytes; `ABSENT` without IPv6.
    pub sock_peer_v6: u32,
    /// `sock.sk_protocol`, u16.
    pub sock_protocol: u32,
    /// `sock.sk_type`, u16.
    pub sock_type: u32,
    /// `sock.sk_socket`, pointer.
    pub sock_socket: u32,
    /// `sock.sk_ino`, u64; `ABSENT` before Linux 6.17.
    pub sock_inode: u32,
    /// `sock.sk_receive_queue.qlen`, u32.
    pub sock_receive_queue: u32,
    /// `sock.__sk_common.skc_flags`, unsigned long.
    pub sock_flags: u32,
    /// `tcp_sock.copied_seq`, u32: sequence number of the next byte to be read.
    pub tcp_copied_seq: u32,
    /// `tcp_sock.write_seq`, u32: sequence number of the next byte to be sent.
    pub tcp_write_seq: u32,
    /// `tcp_sock.rcv_nxt`, u32: sequence number of the next byte to arrive.
    pub tcp_rcv_nxt: u32,
    /// `tcp_sock.urg_seq`, u32: sequence number of urgent data, 0 = there never was any.
    pub tcp_urg_seq: u32,
    /// `tcp_sock.srtt_us`, u32: eight times the smoothed round-trip time in microseconds.
    pub tcp_srtt: u32,
    /// `tcp_sock.segs_out`, u32: segments sent.
    pub tcp_segments: u32,
    /// `tcp_sock.total_retrans`, u32: segments sent again.
    pub tcp_retransmits: u32,
    /// `inet_connection_sock.icsk_ulp_ops`, pointer: TLS in the kernel and the like.
    pub tcp_ulp: u32,
    /// `sock.sk_err`, i32: errno of the failure that the process has not read yet.
    pub sock_error: u32,
    /// `sock.sk_shutdown`, u8.
    pub sock_shutdown: u32,
    /// `inet_sock.inet_sport`, u16: local port, network byte order; stays when the kernel gives the port back.
    pub inet_local_port: u32,
    /// `socket.file`, pointer.
    pub socket_file: u32,
    /// `socket.sk`, pointer.
    pub socket_sock: u32,
    /// From `struct socket` to `i_ino` of the inode allocated with it, u64.
    pub socket_inode: u32,
    /// `unix_sock.addr`, pointer.
    pub unix_address: u32,
    /// `unix_sock.peer`, pointer.
    pub unix_peer: u32,
    /// `unix_address.len`, i32.
    pub unix_address_len: u32,
    /// `unix_address.name`, a `sockaddr_un`.
    pub unix_address_name: u32,
    /// `sk_buff.len`, u32.
    pub skb_len: u32,
    /// `sk_buff.data`, pointer.
    pub skb_data: u32,
    /// `task_struct.flags`, u32.
    pub task_flags: u32,
    /// `task_struct.pid`, u32.
    pub task_pid: u32,
    /// `task_struct.tgid`, u32.
    pub task_tgid: u32,
    /// `task_struct.start_boottime`, u64 ns; `ABSENT` before Linux 5.5.
    pub task_start: u32,
    /// `task_struct.real_parent`, pointer.
    pub task_parent: u32,
    /// `task_struct.group_leader`, pointer.
    pub task_leader: u32,
    /// `task_struct.mm`, pointer.
    pub task_mm: u32,
    /// `task_struct.files`, pointer.
    pub task_files: u32,
    /// `task_struct.signal`, pointer.
    pub task_signal: u32,
    /// `task_struct.cred`, pointer.
    pub task_cred: u32,
    /// `task_struct.utime`, u64 ns.
    pub task_utime: u32,
    /// `task_struct.stime`, u64 ns.
    pub task_stime: u32,
    /// `task_struct.se.sum_exec_runtime`, u64 ns.
    pub task_runtime: u32,
    /// `task_struct.stack`, pointer.
    pub task_stack: u32,
    /// From there to the saved registers of user mode: the size of a kernel stack less `struct pt_regs`.
    pub stack_registers: u32,
    /// `task_struct.exit_code`, i32.
    pub task_exit_code: u32,
    /// `task_struct.io_uring`, pointer; `ABSENT` without io_uring.
    pub task_io_uring: u32,
    /// The word of `task_struct.thread_info` that tells a 32-bit system call.
    pub task_compat: u32,
    /// The bit of that word.
    pub compat_mask: u32,
    /// `cred.euid`, u32.
    pub cred_euid: u32,
    /// `mm_struct.arg_start`, u64.
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`, u64.
    pub mm_arg_end: u32,
    /// `mm_struct.env_start`, u64.
    pub mm_env_start: u32,
    /// `mm_struct.env_end`, u64.
    pub mm_env_end: u32,
    /// `signal_struct.live`, i32: threads that have not ended.
    pub signal_live: u32,
    /// `signal_struct.flags`, u32.
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`, i32.
    pub signal_exit_code: u32,
    /// `signal_struct.utime`, u64 ns of threads that ended.
    pub signal_utime: u32,
    /// `signal_struct.stime`, u64 ns of threads that ended.
    pub signal_stime: u32,
    /// `signal_struct.sum_sched_runtime`, u64 ns of threads that ended.
    pub signal_runtime: u32,
    /// `signal_struct.maxrss`, u64 pages.
    pub signal_maxrss: u32,
    /// `files_struct.fdt`, pointer.
    pub files_table: u32,
    /// `fdtable.fd`, pointer.
    pub table_files: u32,
    /// `fdtable.max_fds`, u32.
    pub table_size: u32,
    /// `file.f_inode`, pointer.
    pub file_inode: u32,
    /// `file.private_data`, pointer.
    pub file_private: u32,
    /// `inode.i_mode`, u16.
    pub inode_mode: u32,
    /// `io_kiocb.opcode`, u8; this and the others of io_uring are `ABSENT` in kernels without it.
    pub uring_opcode: u32,
    /// `io_kiocb.flags`, u32 or u64: the low bits are those of the submitted entry (`IOSQE_*`).
    pub uring_flags: u32,
    /// `io_kiocb.cqe.fd`, i32, before the file is looked up.
    pub uring_descriptor: u32,
    /// `io_kiocb.file`, pointer.
    pub uring_file: u32,
    /// `io_kiocb.cmd`: an `io_sr_msg`, `io_rw` or another one by the opcode.
    pub uring_command: u32,
    /// `io_kiocb.async_data`, pointer: an `io_async_msghdr` of sends and receives.
    pub uring_async: u32,
    /// `io_async_msghdr.msg.msg_iter`, an `iov_iter`.
    pub uring_iterator: u32,
    /// `io_sr_msg.buf`, pointer; the `msghdr` of sendmsg and recvmsg.
    pub sr_buffer: u32,
    /// `io_sr_msg.len`, i32.
    pub sr_len: u32,
    /// `io_sr_msg.flags`, u16.
    pub sr_flags: u32,
    /// `io_rw.addr`, u64.
    pub rw_address: u32,
    /// `io_rw.len`, u32.
    pub rw_len: u32,
    /// `iov_iter.iter_type`, u8.
    pub iter_type: u32,
    /// Its value for one buffer in user memory: `ITER_UBUF`.
    pub iter_is_buffer: u32,
    /// `iov_iter.iov_offset`, u64.
    pub iter_offset: u32,
    /// `iov_iter.ubuf`, pointer.
    pub iter_buffer: u32,
    /// `msghdr.msg_flags`, u32.
    pub message_flags: u32,
    /// Which argument of `tcp_recvmsg` is `flags`; `ABSENT` without the function, as the three that follow.
    pub tcp_receive_flags: u32,
    /// How many arguments it has: the place of its result behind them.
    pub tcp_receive_result: u32,
    /// Which argument of `udp_recvmsg` and `udpv6_recvmsg` is `flags`.
    pub udp_receive_flags: u32,
    /// How many arguments they have.
    pub udp_receive_result: u32,
    /// The saved register that holds the system call's number.
    pub regs_syscall: u32,
    /// The saved registers that hold its arguments.
    pub regs_arguments: [u32; 5],
    /// Bytes of a page, for numbers that the kernel keeps in pages.
    pub page_size: u32,
}
const _: () = assert!(size_of::<KernelOffsets>() == 392 && align_of::<KernelOffsets>() == 4);

/// Records under construction, a slot of `SCRATCH` for each family of programs: those of one family never interrupt one another on a CPU.
/// The first two are those of the tiers that see all sockets in one program each way, under their `DIRECTION_*`.
pub const SLOT_BYPASS: u32 = 2;
/// Programs at the exit of functions (tier 2): each has its own, since another function's program may run in between.
pub const SLOT_FUNCTIONS: u32 = 3;
/// Slots with tier 2.
pub const SLOTS_FUNCTIONS: u32 = SLOT_FUNCTIONS + 9;
/// Slots without.
pub const SLOTS: u32 = 3;

/// Places of TLS probes that are told apart without a cookie: the bytes of a page.
pub const TLS_PLACES: u32 = 4096;

/// What a system call does with a socket: value of `SyscallTable` under its number. 0 = nothing; a shape, with bits.
pub type SyscallKind = u8;
/// System calls that the table covers: numbers below this.
pub const SYSCALLS: usize = 512;
/// What each system call of this architecture does with sockets; index = number. A read-only global.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "user", derive(Pod, Zeroable))]
pub struct SyscallTable(pub [SyscallKind; SYSCALLS]);

/// `(fd, level, name, …)`: may map received bytes into the process (TCP_ZEROCOPY_RECEIVE).
pub const SYSCALL_GETSOCKOPT: SyscallKind = 7;

/// The bits of a kind that are the shape of the arguments.
pub const SYSCALL_SHAPE: SyscallKind = 0x0f;
/// `(fd, buffer, length, flags)`; read() and write() have no flags.
pub const SYSCALL_BUFFER: SyscallKind = 1;
/// `(fd, struct iovec *, count)`.
pub const SYSCALL_VECTOR: SyscallKind = 2;
/// `(fd, struct msghdr *, flags)`.
pub const SYSCALL_MESSAGE: SyscallKind = 3;
/// `(fd, struct mmsghdr *, count, flags)`.
pub const SYSCALL_MESSAGES: SyscallKind = 4;
/// `(fd out, …)`: no user buffer.
pub const SYSCALL_SENDFILE: SyscallKind = 5;
/// `(fd in, offset, fd out, …)`: no user buffer.
pub const SYSCALL_SPLICE: SyscallKind = 6;
/// It sends.
pub const SYSCALL_SENDS: SyscallKind = 0x10;
/// It has `MSG_*` flags.
pub const SYSCALL_FLAGS: SyscallKind = 0x20;
