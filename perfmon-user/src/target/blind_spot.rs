//! What of a process is not seen whatever its traffic, and why. In: /proc; out: [`BlindSpot`]s, in words for users. What is not seen of
//! encrypted traffic is `tls`'s; protocols that are not read are found in the traffic itself.
use crate::record::BlindSpot;

use super::root::ProcRoot;

/// Descriptors that are searched for a ring of io_uring.
const DESCRIPTORS: usize = 4_096;

/// A program for another kind of CPU, run by the kernel's emulation.
const COMPAT: BlindSpot = BlindSpot {
    part: "requests",
    reason: "it is a 32-bit program, whose system calls are not read: its bytes are counted, its requests are not known",
};
/// A ring where no hook reads it.
const IO_URING: BlindSpot = BlindSpot {
    part: "io_uring",
    reason: "it uses io_uring, which this kernel or capture tier does not show: requests that pass there are not known",
};
/// /proc refuses.
const FORBIDDEN: BlindSpot = BlindSpot {
    part: "process",
    reason: "perfmon may not look into it (CAP_SYS_PTRACE, or rights in its user namespace, are missing): its program, libraries and environment are not known",
};
/// A title in the place of the environment.
const ENVIRONMENT: BlindSpot = BlindSpot {
    part: "service_name",
    reason: "it overwrote its environment with a title: a service name that was set there is not known (`services` in the configuration names it)",
};
/// A title in the place of the arguments of an interpreter.
pub(super) const ARGUMENTS: BlindSpot = BlindSpot {
    part: "service_name",
    reason: "it overwrote its arguments with a title: the script that it runs is not known (`services` in the configuration names it)",
};

/// `e_ident` of an ELF file up to its class, elf(5).
const IDENT: usize = 5;

/// What shows from outside of a process. `reads_io_uring`: hooks read what passes there.
pub(super) fn of_process(proc: &ProcRoot, pid: u32, reads_io_uring: bool) -> Vec<BlindSpot> {
    let mut spots = Vec::new();
    if proc.is_forbidden(pid) {
        spots.push(FORBIDDEN);
    }
    if proc.executable_range(pid, 0, IDENT as u64).is_some_and(|ident| is_of_32_bits(&ident)) {
        spots.push(COMPAT);
    }
    if !reads_io_uring && proc.has_io_uring(pid, DESCRIPTORS) {
        spots.push(IO_URING);
    }
    spots
}

/// Whether its environment, which no exec event told, can be read.
pub(super) fn of_environment(environ: &[u8]) -> Option<BlindSpot> {
    is_overwritten(environ).then_some(ENVIRONMENT)
}

fn is_of_32_bits(ident: &[u8]) -> bool {
    cfg!(target_pointer_width = "64") && ident == b"\x7fELF\x01"
}

/// A title takes the place of all variables: what is left are zeros, or text without a name. A program without an environment has none.
fn is_overwritten(environ: &[u8]) -> bool {
    let first = environ.split(|byte| *byte == 0).next().unwrap_or_default();
    !environ.is_empty() && !first.contains(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_variables_a_title_is_none() {
        for sound in [&b""[..], b"A=b\0", b"A=\0B=c\0", b"A=b", b"A=b\0title\0"] {
            assert!(!is_overwritten(sound), "{}", String::from_utf8_lossy(sound));
        }
        for title in [&b"\0\0\0\0"[..], b"rocess\0\0\0", b"\0A=b\0"] {
            assert!(is_overwritten(title), "{}", String::from_utf8_lossy(title));
        }
    }

    #[test]
    fn the_class_of_an_executable() {
        assert!(is_of_32_bits(b"\x7fELF\x01"));
        for other in [&b"\x7fELF\x02"[..], b"\x7fELF", b"", b"#!/bi"] {
            assert!(!is_of_32_bits(other));
        }
    }
}
