//! The only place that reads a clock. Everything else takes nanoseconds since boot (`now_ns`) as an argument.
#![expect(clippy::disallowed_methods, reason = "this is the place")]
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::record::WallTime;

/// Maps boot time to wall time. Refreshed regularly, since NTP moves the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Wall nanoseconds at boot.
    pub wall_at_boot_ns: u64,
}

impl ClockOffset {
    /// Reads both clocks now.
    pub fn now() -> Self {
        Self { wall_at_boot_ns: wall_now().0.saturating_sub(boot_now_ns()) }
    }
}

/// Nanoseconds since boot, suspended time included: the clock of the kernel's events (CLOCK_BOOTTIME).
pub fn boot_now_ns() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

/// CPU time that this thread took so far. It costs a system call, about 200 ns.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Wall time.
pub fn wall_now() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64)
}

#[expect(unsafe_code, reason = "CLOCK_BOOTTIME and CPU time have no safe wrapper in std")]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call only writes; both clocks exist since Linux 2.6.39.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
