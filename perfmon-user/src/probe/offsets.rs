//! The running kernel's BTF → `KernelOffsets`. In: type information; out: one number a member, or an error that names the member that
//! this kernel lacks. Nothing is guessed from version numbers. Format: <https://docs.kernel.org/bpf/btf.html>.
use std::cell::RefCell;
use std::collections::HashMap;

use btf_rs::{Btf, EnumMember, Parameter, Type};
use perfmon_common::map::{ABSENT, KernelOffsets};

/// Why the offsets of this kernel cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OffsetError {
    /// A struct is not in the kernel's type information.
    #[error("the kernel's BTF has no struct {0}; this kernel cannot be observed")]
    Struct(&'static str),
    /// A struct has no such member.
    #[error(
        "the kernel's BTF has no member {1} in struct {0}; this kernel is newer or older than perfmon knows, please report its version"
    )]
    Member(&'static str, &'static str),
    /// The type information is damaged.
    #[error("the kernel's BTF cannot be read")]
    Btf(#[from] btf_rs::Error),
    /// An architecture whose registers perfmon does not know.
    #[error("perfmon cannot read system call arguments on {0}; x86_64 and aarch64 are supported")]
    Architecture(&'static str),
}

/// Bits of `task_struct.thread_info` that tell a 32-bit system call: the member and its mask.
struct Compat {
    member: &'static str,
    mask: u32,
}

/// A saved register: the member of the record, and bytes to add.
type Register = (&'static str, u32);

/// Where the saved registers hold a system call.
struct Registers {
    record: &'static str,
    number: &'static str,
    arguments: [Register; 5],
    compat: Compat,
}

/// A struct as large as a thread's stack in the kernel (arch/x86/include/asm/page_64_types.h: both have the same order).
const LIKE_A_STACK: &str = "irq_stack";
/// A thread's stack in the kernel where no struct is as large (arch/arm64/include/asm/memory.h), with pages of usual size.
const KERNEL_STACK: u32 = 16 * 1024;

fn registers() -> Result<Registers, OffsetError> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Registers {
            record: "pt_regs",
            number: "orig_ax",
            arguments: [("di", 0), ("si", 0), ("dx", 0), ("r10", 0), ("r8", 0)],
            // TS_COMPAT, arch/x86/include/asm/thread_info.h
            compat: Compat { member: "thread_info.status", mask: 0x2 },
        }),
        "aarch64" => Ok(Registers {
            record: "pt_regs",
            number: "syscallno",
            arguments: [("orig_x0", 0), ("user_regs.regs", 8), ("user_regs.regs", 16), ("user_regs.regs", 24), ("user_regs.regs", 32)],
            // TIF_32BIT, arch/arm64/include/asm/thread_info.h
            compat: Compat { member: "thread_info.flags", mask: 1 << 22 },
        }),
        other => Err(OffsetError::Architecture(other)),
    }
}

/// Reads the offsets of every member that the kernel programs use.
///
/// # Errors
/// [`OffsetError`] when a member that is needed is missing.
pub fn read(btf: &Btf, page_size: u32) -> Result<KernelOffsets, OffsetError> {
    let records = Records::of(btf);
    let at = |record, path| records.member(record, path)?.ok_or(OffsetError::Member(record, path));
    let maybe = |record, path| Ok::<_, OffsetError>(records.member(record, path)?.unwrap_or(ABSENT));
    // Kernels without io_uring lack its structs.
    let optional = |record, path| match maybe(record, path) {
        Err(OffsetError::Struct(_)) => Ok(ABSENT),
        other => other,
    };
    let registers = registers()?;
    let register = |(path, plus)| Ok::<_, OffsetError>(at(registers.record, path)? + plus);
    let mut regs_arguments = [0; 5];
    for (slot, argument) in regs_arguments.iter_mut().zip(registers.arguments) {
        *slot = register(argument)?;
    }
    let kernel_stack = records.size(LIKE_A_STACK).unwrap_or(KERNEL_STACK.max(page_size));
    let (tcp_receive, udp_receive) = (records.arguments("tcp_recvmsg"), records.arguments("udp_recvmsg"));
    let iter_is_buffer = records.value("iter_type", "ITER_UBUF").unwrap_or(ABSENT);
    Ok(KernelOffsets {
        sock_family: at("sock_common", "skc_family")?,
        sock_local_port: at("sock_common", "skc_num")?,
        sock_peer_port: at("sock_common", "skc_dport")?,
        sock_local_v4: at("sock_common", "skc_rcv_saddr")?,
        sock_peer_v4: at("sock_common", "skc_daddr")?,
        sock_local_v6: maybe("sock_common", "skc_v6_rcv_saddr")?,
        sock_peer_v6: maybe("sock_common", "skc_v6_daddr")?,
        sock_protocol: at("sock", "sk_protocol")?,
        sock_type: at("sock", "sk_type")?,
        sock_socket: at("sock", "sk_socket")?,
        sock_inode: maybe("sock", "sk_ino")?,
        sock_receive_queue: at("sock", "sk_receive_queue.qlen")?,
        sock_flags: at("sock_common", "skc_flags")?,
        tcp_copied_seq: at("tcp_sock", "copied_seq")?,
        tcp_write_seq: at("tcp_sock", "write_seq")?,
        tcp_rcv_nxt: at("tcp_sock", "rcv_nxt")?,
        tcp_urg_seq: at("tcp_sock", "urg_seq")?,
        tcp_srtt: at("tcp_sock", "srtt_us")?,
        tcp_segments: at("tcp_sock", "segs_out")?,
        tcp_retransmits: at("tcp_sock", "total_retrans")?,
        tcp_ulp: at("inet_connection_sock", "icsk_ulp_ops")?,
        sock_error: at("sock", "sk_err")?,
        sock_shutdown: at("sock", "sk_shutdown")?,
        inet_local_port: at("inet_sock", "inet_sport")?,
        socket_file: at("socket", "file")?,
        socket_sock: at("socket", "sk")?,
        socket_inode: at("socket_alloc", "vfs_inode.i_ino")? - at("socket_alloc", "socket")?,
        unix_address: at("unix_sock", "addr")?,
        unix_peer: at("unix_sock", "peer")?,
        unix_address_len: at("unix_address", "len")?,
        unix_address_name: at("unix_address", "name")?,
        skb_len: at("sk_buff", "len")?,
        skb_data: at("sk_buff", "data")?,
        task_flags: at("task_struct", "flags")?,
        task_pid: at("task_struct", "pid")?,
        task_tgid: at("task_struct", "tgid")?,
        task_start: maybe("task_struct", "start_boottime")?,
        task_parent: at("task_struct", "real_parent")?,
        task_leader: at("task_struct", "group_leader")?,
        task_mm: at("task_struct", "mm")?,
        task_files: at("task_struct", "files")?,
        task_signal: at("task_struct", "signal")?,
        task_cred: at("task_struct", "cred")?,
        task_utime: at("task_struct", "utime")?,
        task_stime: at("task_struct", "stime")?,
        task_runtime: at("task_struct", "se.sum_exec_runtime")?,
        task_stack: at("task_struct", "stack")?,
        stack_registers: kernel_stack.saturating_sub(records.size(registers.record)?),
        task_exit_code: at("task_struct", "exit_code")?,
        task_io_uring: maybe("task_struct", "io_uring")?,
        task_compat: at("task_struct", registers.compat.member)?,
        compat_mask: registers.compat.mask,
        cred_euid: at("cred", "euid")?,
        mm_arg_start: at("mm_struct", "arg_start")?,
        mm_arg_end: at("mm_struct", "arg_end")?,
        mm_env_start: at("mm_struct", "env_start")?,
        mm_env_end: at("mm_struct", "env_end")?,
        signal_live: at("signal_struct", "live")?,
        signal_flags: at("signal_struct", "flags")?,
        signal_exit_code: at("signal_struct", "group_exit_code")?,
        signal_utime: at("signal_struct", "utime")?,
        signal_stime: at("signal_struct", "stime")?,
        signal_runtime: at("signal_struct", "sum_sched_runtime")?,
        signal_maxrss: at("signal_struct", "maxrss")?,
        files_table: at("files_struct", "fdt")?,
        table_files: at("fdtable", "fd")?,
        table_size: at("fdtable", "max_fds")?,
        file_inode: at("file", "f_inode")?,
        file_private: at("file", "private_data")?,
        inode_mode: at("inode", "i_mode")?,
        uring_opcode: optional("io_kiocb", "opcode")?,
        uring_flags: optional("io_kiocb", "flags")?,
        uring_descriptor: optional("io_kiocb", "cqe.fd")?,
        uring_file: optional("io_kiocb", "file")?,
        uring_command: optional("io_kiocb", "cmd")?,
        uring_async: optional("io_kiocb", "async_data")?,
        uring_iterator: if iter_is_buffer == ABSENT { ABSENT } else { optional("io_async_msghdr", "msg.msg_iter")? },
        sr_buffer: optional("io_sr_msg", "buf")?,
        sr_len: optional("io_sr_msg", "len")?,
        sr_flags: optional("io_sr_msg", "flags")?,
        rw_address: optional("io_rw", "addr")?,
        rw_len: optional("io_rw", "len")?,
        iter_type: optional("iov_iter", "iter_type")?,
        iter_is_buffer,
        iter_offset: optional("iov_iter", "iov_offset")?,
        iter_buffer: optional("iov_iter", "ubuf")?,
        message_flags: at("msghdr", "msg_flags")?,
        tcp_receive_flags: tcp_receive.flags,
        tcp_receive_result: tcp_receive.result,
        udp_receive_flags: udp_receive.flags,
        udp_receive_result: udp_receive.result,
        regs_syscall: at(registers.record, registers.number)?,
        regs_arguments,
        page_size,
    })
}

/// Where the context of a program at a function's exit holds what it asks for: the result stands behind the arguments.
pub(super) struct Arguments {
    flags: u32,
    pub(super) result: u32,
}

/// The kernel's structs by name. Finding one means walking through all types, so each is found once.
pub(super) struct Records<'a> {
    btf: &'a Btf,
    known: RefCell<HashMap<&'static str, Type>>,
}

impl<'a> Records<'a> {
    pub(super) fn of(btf: &'a Btf) -> Self {
        Self { btf, known: RefCell::default() }
    }

    /// Offset in bytes of a member (`a.b` = member b of the struct that is member a); `None` when the struct lacks it.
    pub(super) fn member(&self, record: &'static str, path: &str) -> Result<Option<u32>, OffsetError> {
        let mut current = self.record(record)?;
        let mut offset_bits = 0;
        for name in path.split('.') {
            match find(self.btf, &current, name)? {
                Some((bits, kind)) => {
                    offset_bits += bits;
                    current = kind;
                }
                None => return Ok(None),
            }
        }
        Ok(Some(offset_bits / 8))
    }

    /// The value of an enum's member; `None` when this kernel has no such enum or member.
    pub(super) fn value(&self, name: &str, member: &str) -> Option<u32> {
        self.btf.resolve_types_by_name(name).ok()?.iter().find_map(|kind| match kind {
            Type::Enum(kind) => {
                let is_it = |value: &&EnumMember| self.btf.resolve_name(*value).is_ok_and(|name| name == member);
                kind.members.iter().find(is_it).map(EnumMember::val)
            }
            _ => None,
        })
    }

    /// Bytes of a struct.
    pub(super) fn size(&self, record: &'static str) -> Result<u32, OffsetError> {
        match self.record(record)? {
            Type::Struct(record) => Ok(u32::try_from(record.size()).unwrap_or(ABSENT)),
            _ => Err(OffsetError::Struct(record)),
        }
    }

    /// The arguments of a function of the kernel; all `ABSENT` when it has no such function.
    pub(super) fn arguments(&self, function: &str) -> Arguments {
        let absent = Arguments { flags: ABSENT, result: ABSENT };
        let prototype = |kind| match kind {
            Type::Func(function) => self.btf.resolve_chained_type(&function).ok(),
            _ => None,
        };
        let found = self.btf.resolve_types_by_name(function).unwrap_or_default().into_iter().find_map(prototype);
        let Some(Type::FuncProto(prototype)) = found else { return absent };
        let is_flags = |parameter: &Parameter| self.btf.resolve_name(parameter).is_ok_and(|name| name == "flags");
        let flags = prototype.parameters.iter().position(is_flags);
        Arguments { flags: flags.map_or(ABSENT, |place| place as u32), result: prototype.parameters.len() as u32 }
    }

    fn record(&self, name: &'static str) -> Result<Type, OffsetError> {
        if let Some(known) = self.known.borrow().get(name) {
            return Ok(known.clone());
        }
        let types = self.btf.resolve_types_by_name(name).map_err(|_| OffsetError::Struct(name))?;
        let found = types.into_iter().find(|kind| matches!(kind, Type::Struct(_))).ok_or(OffsetError::Struct(name))?;
        self.known.borrow_mut().insert(name, found.clone());
        Ok(found)
    }
}

/// A member by name, also inside anonymous structs and unions: its offset in bits and its type without qualifiers.
fn find(btf: &Btf, record: &Type, name: &str) -> Result<Option<(u32, Type)>, OffsetError> {
    let (Type::Struct(record) | Type::Union(record)) = record else { return Ok(None) };
    for member in &record.members {
        let member_name = btf.resolve_name(member)?;
        if member_name == name {
            return Ok(Some((member.bit_offset(), unqualified(btf, btf.resolve_chained_type(member)?)?)));
        }
        if member_name.is_empty()
            && let Some((bits, kind)) = find(btf, &unqualified(btf, btf.resolve_chained_type(member)?)?, name)?
        {
            return Ok(Some((member.bit_offset() + bits, kind)));
        }
    }
    Ok(None)
}

fn unqualified(btf: &Btf, mut kind: Type) -> Result<Type, OffsetError> {
    loop {
        kind = match &kind {
            Type::Typedef(inner) => btf.resolve_chained_type(inner)?,
            Type::Const(inner) | Type::Volatile(inner) | Type::Restrict(inner) => btf.resolve_chained_type(inner)?,
            _ => return Ok(kind),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_btf() -> Option<Btf> {
        crate::probe::Facts::gather().btf.ok()
    }

    fn member(btf: &Btf, record: &'static str, path: &str) -> Result<Option<u32>, OffsetError> {
        Records::of(btf).member(record, path)
    }

    #[test]
    fn every_member_is_found_on_this_kernel() {
        let Some(btf) = host_btf() else { return };
        let offsets = read(&btf, 4096).expect("offsets");
        // Members of one struct stand apart.
        assert_ne!(offsets.sock_local_port, offsets.sock_peer_port);
        assert!(offsets.socket_inode > offsets.socket_sock);
        let mut arguments = offsets.regs_arguments.to_vec();
        arguments.push(offsets.regs_syscall);
        arguments.sort_unstable();
        arguments.dedup();
        assert_eq!(arguments.len(), 6);
        // Registers stand at the top of the stack; functions have arguments.
        assert!(offsets.stack_registers > 8_192 && offsets.stack_registers.is_multiple_of(8), "{}", offsets.stack_registers);
        assert!(offsets.tcp_receive_flags < offsets.tcp_receive_result, "{}", offsets.tcp_receive_flags);
        // Both counters of a stream stand apart, and io_uring's structs are found where the kernel has it.
        assert_ne!(offsets.tcp_copied_seq, offsets.tcp_write_seq);
        if offsets.uring_opcode != ABSENT {
            assert!([offsets.uring_command, offsets.sr_buffer, offsets.sr_len, offsets.rw_address].iter().all(|offset| *offset != ABSENT));
            assert_ne!(offsets.sr_buffer, offsets.sr_len);
        }
    }

    #[test]
    fn a_missing_member_is_named() {
        let Some(btf) = host_btf() else { return };
        assert_eq!(member(&btf, "sock", "no_such_member").expect("lookup"), None);
        let error = member(&btf, "no_such_struct", "x").expect_err("no struct");
        assert!(error.to_string().contains("no_such_struct"));
    }

    #[test]
    fn anonymous_unions_are_searched() {
        let Some(btf) = host_btf() else { return };
        // skc_daddr is the first member of an anonymous struct in an anonymous union at the beginning.
        assert_eq!(member(&btf, "sock_common", "skc_daddr").expect("lookup"), Some(0));
        assert_eq!(member(&btf, "sock", "__sk_common.skc_rcv_saddr").expect("lookup"), Some(4));
    }
}
