//! Who has a TLS library mapped: the kernel's own tables in /proc, proc(5). In: a process and an address range, or nothing. Out: whether it
//! is still mapped there, or the mapped libraries of all processes. Opens no file of another process.
use std::io::Read;

use crate::limits::{MAPS_BYTES, TLS_LIBRARIES_A_PROCESS};
use crate::probe::library::mapped::{Mapped, libraries};

/// Whether the process has a file mapped at this range (`START-END`). False also when it split the range or may not be looked at.
pub fn has_mapped(pid: u32, range: &str) -> bool {
    std::fs::symlink_metadata(format!("/proc/{pid}/map_files/{range}")).is_ok()
}

/// The mapped libraries of all processes.
pub fn everybody() -> Vec<(u32, Mapped)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.flat_map(|pid: u32| libraries(&maps(pid), TLS_LIBRARIES_A_PROCESS).into_iter().map(move |mapped| (pid, mapped))).collect()
}

/// Empty when the process is gone.
fn maps(pid: u32) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(format!("/proc/{pid}/maps")) {
        // What was read before an error counts.
        file.take(MAPS_BYTES).read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
