// What the kernel object was built from, as one number: shared by build.rs, which checks it, and xtask, which writes it.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Folders and files that the object depends on, relative to the workspace.
const SOURCES: [&str; 5] =
    ["perfmon-common/Cargo.toml", "perfmon-common/src", "perfmon-ebpf/Cargo.lock", "perfmon-ebpf/Cargo.toml", "perfmon-ebpf/src"];

/// SHA-256 of the sources: path and content of each file, in the order of the paths.
pub fn of_sources(workspace: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&workspace.join(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(&file)?;
        let name = file.strip_prefix(workspace).unwrap_or(&file).to_string_lossy().into_owned();
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// SHA-256 of the object.
pub fn of_object(object: &Path) -> io::Result<String> {
    Ok(format!("{:x}", Sha256::digest(fs::read(object)?)))
}

/// What the digest file holds.
pub fn text(sources: &str, object: &str) -> String {
    format!("sources {sources}\nobject {object}\n")
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
