//! Size of the ring where the configuration names none. In: cores, which fill it together, and memory, which it takes: the host's, and the
//! limit of perfmon's own cgroup, to which the kernel charges maps (Linux 5.11). Out: bytes, a power of two.
use std::path::Path;

const MIB: u64 = 1 << 20;

/// The size for this host.
pub fn usual_ring_bytes() -> u32 {
    let cores = aya::util::online_cpus().map_or(1, |cores| cores.len() as u64);
    usual(cores, total_memory(), own_limit())
}

/// 4 MiB a core, from 8 to 64 MiB, unless memory is short.
fn usual(cores: u64, memory: Option<u64>, limit: Option<u64>) -> u32 {
    let wanted = (4 * MIB * cores).next_power_of_two().clamp(8 * MIB, 64 * MIB);
    let most = memory.map_or(wanted, |memory| memory / 256).min(limit.map_or(wanted, |limit| limit / 16));
    let within = 1 << most.max(MIB).ilog2();
    wanted.min(within) as u32
}

/// `MemTotal` of /proc/meminfo, bytes.
fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The lowest `memory.max` of perfmon's cgroup and those above it (cgroups v2), bytes.
fn own_limit() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit =
        |folder: &Path| std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(folder).join("memory.max")).ok()?.trim().parse().ok();
    Path::new(group).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_ask_and_memory_allows() {
        let gib = 1024 * MIB;
        let mib = |cores, memory, limit| usual(cores, memory, limit) >> 20;
        assert_eq!(mib(1, Some(24 * gib), None), 8);
        assert_eq!(mib(2, Some(24 * gib), None), 8);
        assert_eq!(mib(6, Some(24 * gib), None), 32);
        assert_eq!(mib(128, Some(512 * gib), None), 64);
        assert_eq!(mib(8, Some(gib), None), 4);
        assert_eq!(mib(8, Some(100 * MIB), None), 1);
        assert_eq!(mib(64, Some(512 * gib), Some(256 * MIB)), 16);
        assert_eq!(mib(64, Some(512 * gib), Some(MIB)), 1);
        assert_eq!(mib(2, None, None), 8);
        let here = usual_ring_bytes();
        assert!(here.is_power_of_two() && (MIB as u32..=64 * MIB as u32).contains(&here), "{here}");
    }
}
