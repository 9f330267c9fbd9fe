//! Capture tier 2. Hooks: the exit (fexit) of the functions that sockets are called through by pointer, so that no compiler inlines them, in
//! the calling thread after the copy; Linux 5.10 and later where the kernel has functions traced. Records what tier 1 records where its
//! tracepoints are missing. Misses: receives under way when it comes, splice(2) and TCP_ZEROCOPY_RECEIVE out of a socket (`bypass` reports
//! those), MPTCP, TLS in the kernel, and splices of unix sockets. How many arguments a function has differs between kernels; user space tells
//! where its result stands.
use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::map::{SLOT_FUNCTIONS, SLOTS_FUNCTIONS};

use super::sock_io::{Observed, Returned};
use crate::maps::offset;
use crate::operation::{self, finished};
use crate::sock::{Sock, read};
use crate::{datagram, filter, task};

/// Arguments and result of a function at most.
const VALUES: usize = 7;
/// More pages of the same splice follow at once (include/linux/socket.h).
const MSG_SENDPAGE_NOTLAST: u32 = 0x2_0000;

const TCP_IN: u32 = SLOT_FUNCTIONS;
const TCP_OUT: u32 = SLOT_FUNCTIONS + 1;
const TCP_PAGE: u32 = SLOT_FUNCTIONS + 2;
const UNIX_IN: u32 = SLOT_FUNCTIONS + 3;
const UNIX_OUT: u32 = SLOT_FUNCTIONS + 4;
const UDP_IN: u32 = SLOT_FUNCTIONS + 5;
const UDP_OUT: u32 = SLOT_FUNCTIONS + 6;
const UDP6_IN: u32 = SLOT_FUNCTIONS + 7;
const UDP6_OUT: u32 = SLOT_FUNCTIONS + 8;
const _: () = assert!(UDP6_OUT + 1 == SLOTS_FUNCTIONS);

/// `int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, …, int flags, int *addr_len)`.
#[fexit(function = "tcp_recvmsg")]
pub fn tcp_received(ctx: FExitContext) -> i32 {
    let values = Values::of(&ctx);
    let (flags, len) = (values.at(offset!(tcp_receive_flags)) as u32, values.at(offset!(tcp_receive_result)) as i32);
    stream(Returned { sock: Sock(values.at(0)), direction: DIRECTION_IN, len, flags, slot: TCP_IN })
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`.
#[fexit(function = "tcp_sendmsg")]
pub fn tcp_sent(ctx: FExitContext) -> i32 {
    let values = Values::of(&ctx);
    stream(Returned {
        sock: Sock(values.at(0)),
        direction: DIRECTION_OUT,
        len: values.at(3) as i32,
        flags: values.message_flags(),
        slot: TCP_OUT,
    })
}

/// `int unix_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags)`.
#[fexit(function = "unix_stream_recvmsg")]
pub fn unix_received(ctx: FExitContext) -> i32 {
    let values = Values::of(&ctx);
    stream(Returned {
        sock: values.sock_of_socket(),
        direction: DIRECTION_IN,
        len: values.at(4) as i32,
        flags: values.at(3) as u32,
        slot: UNIX_IN,
    })
}

/// `int unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`.
#[fexit(function = "unix_stream_sendmsg")]
pub fn unix_sent(ctx: FExitContext) -> i32 {
    let values = Values::of(&ctx);
    stream(Returned {
        sock: values.sock_of_socket(),
        direction: DIRECTION_OUT,
        len: values.at(3) as i32,
        flags: values.message_flags(),
        slot: UNIX_OUT,
    })
}

/// `int tcp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)` (until Linux 6.4): a page of sendfile(2) or
/// splice(2). Pages that follow one another at once are one operation, told with the last of them.
#[fexit(function = "tcp_sendpage")]
pub fn tcp_page_sent(ctx: FExitContext) -> i32 {
    let caller = filter::caller();
    if !filter::is_watched(caller.tgid) {
        return 0;
    }
    let values = Values::of(&ctx);
    let (size, flags, result) = (values.at(3), values.at(4) as u32, values.at(5) as i32);
    if flags & MSG_SENDPAGE_NOTLAST != 0 && i64::from(result) == size as i64 {
        return 0;
    }
    operation::passed(Sock(values.at(0)), DIRECTION_OUT, caller, task::call(task::current()), TCP_PAGE);
    0
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, …, int flags, int *addr_len)`.
#[fexit(function = "udp_recvmsg")]
pub fn udp_received(ctx: FExitContext) -> i32 {
    datagram(&ctx, DIRECTION_IN, UDP_IN)
}

/// As `udp_recvmsg`.
#[fexit(function = "udpv6_recvmsg")]
pub fn udp6_received(ctx: FExitContext) -> i32 {
    datagram(&ctx, DIRECTION_IN, UDP6_IN)
}

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`.
#[fexit(function = "udp_sendmsg")]
pub fn udp_sent(ctx: FExitContext) -> i32 {
    datagram(&ctx, DIRECTION_OUT, UDP_OUT)
}

/// As `udp_sendmsg`.
#[fexit(function = "udpv6_sendmsg")]
pub fn udp6_sent(ctx: FExitContext) -> i32 {
    datagram(&ctx, DIRECTION_OUT, UDP6_OUT)
}

#[inline(always)]
fn stream(returned: Returned) -> i32 {
    if let Some(Observed { op, caller, call, scratch }) = returned.observed() {
        finished(op, caller, call, scratch);
    }
    0
}

#[inline(always)]
fn datagram(ctx: &FExitContext, direction: u8, slot: u32) -> i32 {
    let values = Values::of(ctx);
    let (len, flags) = if direction == DIRECTION_IN {
        (values.at(offset!(udp_receive_result)), values.at(offset!(udp_receive_flags)) as u32)
    } else {
        (values.at(3), 0)
    };
    let returned = Returned { sock: Sock(values.at(0)), direction, len: len as i32, flags, slot };
    if let Some(Observed { op, caller, call, scratch }) = returned.observed() {
        datagram::finished(op, caller, call, scratch);
    }
    0
}

/// Arguments of a function, and its result behind them.
struct Values([u64; VALUES]);

impl Values {
    /// Copied, since the verifier gives each of them a type of its own, and knows the place of the result itself.
    #[inline(always)]
    fn of(ctx: &FExitContext) -> Self {
        // SAFETY: the helper checks the address. What stands behind the context of a function with fewer arguments is not used.
        Self(unsafe { bpf_probe_read_kernel(ctx.as_ptr().cast_const().cast::<[u64; VALUES]>()) }.unwrap_or_default())
    }

    /// The value at a place that is no more than `VALUES`, as all are that user space tells.
    #[inline(always)]
    fn at(&self, place: u32) -> u64 {
        match place {
            0 => self.0[0],
            1 => self.0[1],
            2 => self.0[2],
            3 => self.0[3],
            4 => self.0[4],
            5 => self.0[5],
            _ => self.0[6],
        }
    }

    /// `MSG_*` of the second argument, a message.
    #[inline(always)]
    fn message_flags(&self) -> u32 {
        read(self.at(1) + u64::from(offset!(message_flags)))
    }

    /// The `struct sock` of the first argument, a `struct socket`.
    #[inline(always)]
    fn sock_of_socket(&self) -> Sock {
        Sock(read(self.at(0) + u64::from(offset!(socket_sock))))
    }
}
