//! Checks that the prebuilt kernel object belongs to the sources beside it; builds nothing.
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
        println!("cargo::error=the kernel object perfmon-user/ebpf/perfmon.bpf.o {problem}; run `cargo xtask build-ebpf`");
    }
}

fn check(workspace: &Path, package: &Path) -> Result<(), String> {
    let read = |what: std::io::Result<String>| what.map_err(|error| format!("cannot be checked ({error})"));
    let built = read(std::fs::read_to_string(package.join("ebpf/perfmon.bpf.digest")))?;
    let object = read(digest::of_object(&package.join("ebpf/perfmon.bpf.o")))?;
    let sources = read(digest::of_sources(workspace))?;
    if built == digest::text(&sources, &object) { Ok(()) } else { Err("was not built from these sources".into()) }
}
