//! Files: libraries, what /proc says of a process, perfmon's configuration. No panic; probe points stand in the file.
use perfmon_user::config::{self, File, Sources};
use perfmon_user::probe::library::{LIBRARIES, Ways, mapped, points};

/// A byte that chooses the ways, a library.
pub fn elf(data: &[u8]) {
    let Some((ways, file)) = data.split_first() else { return };
    let ways = if ways & 1 == 0 { Ways::Instructions } else { Ways::Returns };
    for library in LIBRARIES {
        for point in points(library, file, ways).unwrap_or_default() {
            assert!(point.offset < file.len() as u64, "a point stands in the file");
        }
    }
}

/// The text of /proc/PID/maps.
pub fn maps(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(mapped::libraries(text, 8).len() <= 8);
    }
}

/// The text of /proc/PID/cgroup.
pub fn cgroup(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        perfmon_user::target::read_cgroup(text);
    }
}

/// A configuration file; lines behind a line `---` are variables of the environment.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, environment) = text.split_once("\n---\n").unwrap_or((text, ""));
    let env =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let file = File { path: "perfmon.toml".into(), text: text.to_owned() };
    match config::load(&Sources { file: Some(file), env, flags: Vec::new() }) {
        Ok(loaded) => drop(config::print(&loaded)),
        Err(problems) => assert!(!problems.is_empty(), "a refusal says why"),
    }
}
