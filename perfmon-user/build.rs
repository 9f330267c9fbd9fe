//! Checks that the prebuilt kernel objects belong to the sources beside them; builds nothing.
use std::path::{Path, PathBuf};

#[path = "ebpf/digest.rs"]
mod digest;

fn main() {
    // As cargo says when it runs this: a build folder may have been that of another clone when this was compiled.
    let package = &PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package.parent().unwrap_or(package);
    for watched in ["perfmon-ebpf", "perfmon-common", "perfmon-user/ebpf"] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    if let Err(problem) = check(workspace, package) {
        println!("cargo::error=the kernel objects in perfmon-user/ebpf {problem}; run `cargo xtask build-ebpf`");
    }
}

fn check(workspace: &Path, package: &Path) -> Result<(), String> {
    let read = |what: std::io::Result<String>| what.map_err(|error| format!("cannot be checked ({error})"));
    let built = read(std::fs::read_to_string(package.join("ebpf/perfmon.bpf.digest")))?;
    let found = read(digest::text(workspace, &package.join("ebpf")))?;
    if built == found { Ok(()) } else { Err("were not built from these sources".into()) }
}
