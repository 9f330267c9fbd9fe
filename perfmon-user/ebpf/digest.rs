// What the kernel objects were built from, as one number: shared by build.rs, which checks it, and xtask, which writes it.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The objects: file and options of the build. The second is for kernels before 5.15.
pub const OBJECTS: [(&str, &[&str]); 2] = [("perfmon.bpf.o", &[]), ("perfmon-copied.bpf.o", &["--features", "copied-task"])];

/// Folders and files that the objects depend on, relative to the workspace.
const SOURCES: [&str; 5] =
    ["perfmon-common/Cargo.toml", "perfmon-common/src", "perfmon-ebpf/Cargo.lock", "perfmon-ebpf/Cargo.toml", "perfmon-ebpf/src"];

/// SHA-256 of the sources: path and content of each file, in the order of the paths.
fn of_sources(workspace: &Path) -> io::Result<String> {
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

/// What the digest file holds, for the sources and the objects in `folder`.
pub fn text(workspace: &Path, folder: &Path) -> io::Result<String> {
    let mut text = format!("sources {}\n", of_sources(workspace)?);
    for (object, _) in OBJECTS {
        text += &format!("{object} {:x}\n", Sha256::digest(fs::read(folder.join(object))?));
    }
    Ok(text)
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
