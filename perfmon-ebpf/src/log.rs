//! What the debug build (feature `log`, `cargo xtask run --kernel-log`) logs: refusals, losses and decisions. Nothing in the released object.
//! Each text is a function of its own, which the programs call: logging takes more stack than they have left.
macro_rules! texts {
    ($($name:ident($($argument:ident),*) = $text:literal;)*) => { $(
        #[doc = $text]
        #[cfg(feature = "log")]
        #[inline(never)]
        pub fn $name($($argument: u64),*) -> u32 {
            aya_log_ebpf::debug!(&(), $text, $($argument),*);
            0
        }

        #[doc = $text]
        #[cfg(not(feature = "log"))]
        #[inline(always)]
        pub fn $name($($argument: u64),*) -> u32 {
            $(let _ = $argument;)*
            0
        }
    )* };
}

texts! {
    loss(reason) = "loss: number {} of LOSSES";
    ring_full(tgid) = "refused: the ring has no room for an event of process {}";
    new_socket(sock, inode, tgid) = "decision: socket {:x} with inode {} is reported, process {}";
    no_socket(sock, tgid) = "decision: socket {:x} is not reported, process {}";
    socket_ends(sock, announced) = "decision: the state of socket {:x} is removed; user space knew it: {}";
    not_connected(sock, error) = "decision: the connect() of socket {:x} failed with error {}";
    policy_set(sock, mode) = "decision: socket {:x} gets capture mode {}";
    policy_refused(sock, inode) = "refused: a policy for socket {:x} with inode {}, which is not in the table";
    watched(tgid) = "decision: process {} is watched";
}
