//! What each system call of this architecture does with sockets: the table that the kernel programs look numbers up in.
use libc::c_long;
use perfmon_common::map::*;

/// Number and kind of each call that moves bytes on sockets.
const CALLS: [(c_long, SyscallKind); 15] = [
    (libc::SYS_read, SYSCALL_BUFFER),
    (libc::SYS_write, SYSCALL_BUFFER | SYSCALL_SENDS),
    (libc::SYS_readv, SYSCALL_VECTOR),
    (libc::SYS_writev, SYSCALL_VECTOR | SYSCALL_SENDS),
    (libc::SYS_preadv2, SYSCALL_VECTOR),
    (libc::SYS_pwritev2, SYSCALL_VECTOR | SYSCALL_SENDS),
    (libc::SYS_recvfrom, SYSCALL_BUFFER | SYSCALL_FLAGS),
    (libc::SYS_sendto, SYSCALL_BUFFER | SYSCALL_SENDS | SYSCALL_FLAGS),
    (libc::SYS_recvmsg, SYSCALL_MESSAGE | SYSCALL_FLAGS),
    (libc::SYS_sendmsg, SYSCALL_MESSAGE | SYSCALL_SENDS | SYSCALL_FLAGS),
    (libc::SYS_recvmmsg, SYSCALL_MESSAGES | SYSCALL_FLAGS),
    (libc::SYS_sendmmsg, SYSCALL_MESSAGES | SYSCALL_SENDS | SYSCALL_FLAGS),
    (libc::SYS_sendfile, SYSCALL_SENDFILE | SYSCALL_SENDS),
    (libc::SYS_splice, SYSCALL_SPLICE),
    (libc::SYS_getsockopt, SYSCALL_GETSOCKOPT),
];

/// The table.
pub fn table() -> SyscallTable {
    let mut table = SyscallTable([0; SYSCALLS]);
    for (number, kind) in CALLS {
        if let Some(slot) = usize::try_from(number).ok().and_then(|number| table.0.get_mut(number)) {
            *slot = kind;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_in_the_table() {
        let table = table();
        assert_eq!(table.0.iter().filter(|kind| **kind != 0).count(), CALLS.len());
        assert_eq!(table.0[libc::SYS_sendmsg as usize], SYSCALL_MESSAGE | SYSCALL_SENDS | SYSCALL_FLAGS);
    }
}
