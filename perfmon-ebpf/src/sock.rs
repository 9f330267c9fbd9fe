//! Reads of `struct sock` and what hangs on it: the only place that knows of its members. Offsets come from `KernelOffsets`.
//! Fields are copied with `bpf_probe_read_kernel`: a raw tracepoint gives plain addresses.
use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_kernel_buf, generated};
use perfmon_common::event::{DIRECTION_IN, OpenHeader, UNIX_PATH_MAX};
use perfmon_common::map::{ABSENT, LOST_ADDRESS};

use crate::emit;
use crate::maps::offset;
use crate::task::Typed;

pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
const SOCK_STREAM: u16 = 1;
const IPPROTO_TCP: u16 = 6;
const IPPROTO_UDP: u16 = 17;
const IPPROTO_MPTCP: u16 = 262;
/// Bit of `SOCK_DONE` (include/net/sock.h): the peer's FIN arrived.
const SOCK_DONE: u64 = 1 << 1;
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// Copies a value from kernel memory; 0 (and a count) when the address is bad.
#[inline(always)]
pub fn read<T: Copy + Default>(address: u64) -> T {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address as *const T) }.unwrap_or_else(|_| {
        emit::lost(LOST_ADDRESS);
        T::default()
    })
}

/// The address of a `struct sock`: the key of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sock(pub u64);

impl Sock {
    #[inline(always)]
    fn field<T: Copy + Default>(self, offset: u32) -> T {
        read(self.0 + u64::from(offset))
    }

    /// `AF_*`.
    #[inline(always)]
    pub fn family(self) -> u16 {
        self.field(offset!(sock_family))
    }

    /// A TCP socket, MPTCP's included.
    #[inline(always)]
    pub fn is_tcp(self) -> bool {
        matches!(self.field::<u16>(offset!(sock_protocol)), IPPROTO_TCP | IPPROTO_MPTCP)
    }

    /// A UDP socket: no other family has a protocol of this number.
    #[inline(always)]
    pub fn is_udp(self) -> bool {
        self.field::<u16>(offset!(sock_protocol)) == IPPROTO_UDP
    }

    /// A byte stream that is reported: TCP over IPv4 or IPv6, or a unix stream.
    #[inline(always)]
    pub fn is_stream(self) -> bool {
        match self.family() {
            AF_INET | AF_INET6 => self.is_tcp(),
            AF_UNIX => self.field::<u16>(offset!(sock_type)) == SOCK_STREAM,
            _ => false,
        }
    }

    /// Local port, host byte order, after the end of the connection too; 0 = it never had one.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        match self.field(offset!(sock_local_port)) {
            0 => u16::from_be(self.field(offset!(inet_local_port))),
            port => port,
        }
    }

    /// Remote port, host byte order.
    #[inline(always)]
    pub fn peer_port(self) -> u16 {
        u16::from_be(self.field(offset!(sock_peer_port)))
    }

    /// The errno that the process has not read yet, 0 = none.
    #[inline(always)]
    pub fn error(self) -> u16 {
        self.field::<u32>(offset!(sock_error)) as u16
    }

    /// Whether the process has closed it or shut it down.
    #[inline(always)]
    pub fn is_shut_down(self) -> bool {
        self.field::<u8>(offset!(sock_shutdown)) != 0
    }

    /// Whether a process has it as a file: not before accept(), not after close(), never for sockets of the kernel itself.
    #[inline(always)]
    pub fn is_open_file(self) -> bool {
        let socket: u64 = self.field(offset!(sock_socket));
        socket != 0 && read::<u64>(socket + u64::from(offset!(socket_file))) != 0
    }

    /// Inode number of the socket file, 0 before accept().
    #[inline(always)]
    pub fn inode(self) -> u32 {
        let offset = offset!(sock_inode);
        if offset != ABSENT {
            return self.field::<u64>(offset) as u32;
        }
        let socket: u64 = self.field(offset!(sock_socket));
        if socket == 0 { 0 } else { read::<u64>(socket + u64::from(offset!(socket_inode))) as u32 }
    }

    /// Whether received bytes wait to be read.
    #[inline(always)]
    pub fn has_unread(self) -> bool {
        self.field::<u32>(offset!(sock_receive_queue)) != 0
    }

    /// A TCP socket that is a `struct tcp_sock`, which MPTCP's are not.
    #[inline(always)]
    pub fn is_plain_tcp(self) -> bool {
        matches!(self.family(), AF_INET | AF_INET6) && self.field::<u16>(offset!(sock_protocol)) == IPPROTO_TCP
    }

    /// Sequence number of a TCP stream's next byte: the one to be read, or to be sent.
    #[inline(always)]
    pub fn sequence(self, direction: u8) -> u32 {
        self.field(if direction == DIRECTION_IN { offset!(tcp_copied_seq) } else { offset!(tcp_write_seq) })
    }

    /// Of plain TCP: smoothed round-trip time in microseconds, segments sent, segments sent again.
    #[inline(always)]
    pub fn path(self) -> [u32; 3] {
        [self.field::<u32>(offset!(tcp_srtt)) >> 3, self.field(offset!(tcp_segments)), self.field(offset!(tcp_retransmits))]
    }

    /// The process has read all of a TCP stream that the peer ended.
    #[inline(always)]
    pub fn has_read_end(self) -> bool {
        self.field::<u64>(offset!(sock_flags)) & SOCK_DONE != 0 && self.sequence(DIRECTION_IN) == self.field(offset!(tcp_rcv_nxt))
    }

    /// Sequence numbers of a TCP stream count more than the bytes of the process: record headers of TLS, urgent data.
    #[inline(always)]
    pub fn is_framed_by_kernel(self) -> bool {
        self.field::<u64>(offset!(tcp_ulp)) != 0 || self.field::<u32>(offset!(tcp_urg_seq)) != 0
    }

    /// Writes family, protocol, addresses and ports.
    #[inline(always)]
    pub fn describe(self, open: &mut OpenHeader) {
        open.family = self.family();
        if open.family == AF_UNIX {
            self.describe_unix(open);
            return;
        }
        open.protocol = IPPROTO_TCP;
        open.local_port = self.local_port();
        open.peer_port = self.peer_port();
        if open.family == AF_INET {
            self.copy(offset!(sock_local_v4), &mut open.local_addr[..4]);
            self.copy(offset!(sock_peer_v4), &mut open.peer_addr[..4]);
        } else if offset!(sock_local_v6) != ABSENT {
            self.copy(offset!(sock_local_v6), &mut open.local_addr);
            self.copy(offset!(sock_peer_v6), &mut open.peer_addr);
        }
    }

    /// Writes the address of an IP socket's peer.
    #[inline(always)]
    pub fn peer_address(self, into: &mut [u8; 16]) {
        if self.family() == AF_INET {
            self.copy(offset!(sock_peer_v4), &mut into[..4]);
        } else if offset!(sock_peer_v6) != ABSENT {
            self.copy(offset!(sock_peer_v6), into);
        }
    }

    /// Who began a unix connection: the accepted end carries the listener's name, the connecting end has none.
    #[inline(always)]
    pub fn unix_ends(self) -> (u64, u64) {
        let own = self.field(offset!(unix_address));
        let peer: u64 = self.field(offset!(unix_peer));
        (own, if peer == 0 { 0 } else { Sock(peer).field(offset!(unix_address)) })
    }

    #[inline(always)]
    fn describe_unix(self, open: &mut OpenHeader) {
        let (own, peer) = self.unix_ends();
        let address = if own != 0 { own } else { peer };
        if address == 0 {
            return;
        }
        // The length counts the family, two bytes.
        let len = u64::from(read::<u32>(address + u64::from(offset!(unix_address_len))).wrapping_sub(2));
        // The compiler must not derive the bound from where the value came from: the verifier wants to see the comparison.
        let len = core::hint::black_box(len);
        if len > UNIX_PATH_MAX as u64 {
            return;
        }
        open.unix_path_len = len as u8;
        let name = address + u64::from(offset!(unix_address_name)) + 2;
        // SAFETY: the destination has room for `len`; the helper checks the address.
        if unsafe { generated::bpf_probe_read_kernel(open.unix_path.as_mut_ptr().cast(), len as u32, name as *const _) } != 0 {
            emit::lost(LOST_ADDRESS);
        }
    }

    #[inline(always)]
    fn copy(self, offset: u32, into: &mut [u8]) {
        // SAFETY: the helper checks the address.
        if unsafe { bpf_probe_read_kernel_buf((self.0 + u64::from(offset)) as *const u8, into) }.is_err() {
            emit::lost(LOST_ADDRESS);
        }
    }
}

/// Bytes of payload that a TCP segment carries: `skb->data` points to its TCP header.
#[inline(always)]
pub fn segment_payload(skb: u64) -> u32 {
    let len: u32 = read(skb + u64::from(offset!(skb_len)));
    let header: u64 = read(skb + u64::from(offset!(skb_data)));
    let header_len = u32::from(read::<u8>(header + 12) >> 4) * 4;
    len.saturating_sub(header_len)
}

/// The socket behind a file descriptor of `task`.
#[inline(always)]
pub fn of_descriptor(task: Typed, descriptor: u32) -> Option<Sock> {
    // SAFETY: pointers to structs.
    let table = unsafe { task.follow(offset!(task_files)).follow(offset!(files_table)) };
    // SAFETY: types as in `KernelOffsets`.
    let (size, files) = unsafe { (table.load::<u32>(offset!(table_size)), table.load::<u64>(offset!(table_files))) };
    if descriptor >= size {
        return None;
    }
    let file: u64 = read(files + u64::from(descriptor) * 8);
    if file == 0 {
        return None;
    }
    of_file(file)
}

/// The socket behind a `struct file`.
#[inline(always)]
pub fn of_file(file: u64) -> Option<Sock> {
    let inode: u64 = read(file + u64::from(offset!(file_inode)));
    if read::<u16>(inode + u64::from(offset!(inode_mode))) & S_IFMT != S_IFSOCK {
        return None;
    }
    let socket: u64 = read(file + u64::from(offset!(file_private)));
    let sock: u64 = if socket == 0 { 0 } else { read(socket + u64::from(offset!(socket_sock))) };
    (sock != 0).then_some(Sock(sock))
}
