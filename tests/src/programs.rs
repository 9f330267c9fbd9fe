//! Programs in C and C++ under observation (`programs/`): built by gcc or g++ into `.cache/build` when their source is newer; and those in Go.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::need::{Need, python};
use crate::workspace;

/// What building them needs.
pub const COMPILERS: [Need; 3] = [Need::Program("gcc"), Need::Program("g++"), Need::Header("/usr/include/openssl/ssl.h")];

/// What those need besides that use io_uring.
pub const URING: Need = Need::Header("/usr/include/liburing.h");

/// The built program of a source file in `tests/programs`.
pub fn built(source: &str) -> Result<PathBuf> {
    let path = workspace().join("tests/programs").join(source);
    let folder = workspace().join(".cache/build");
    std::fs::create_dir_all(&folder)?;
    let (stem, ending) = source.rsplit_once('.').context("a source file has an ending")?;
    let program = folder.join(stem);
    let changed = |file: &PathBuf| file.metadata().and_then(|metadata| metadata.modified()).ok();
    if changed(&program) > changed(&path) {
        return Ok(program);
    }
    let mut compiler = match ending {
        "c" => Command::new("gcc"),
        "cpp" => Command::new("g++"),
        _ => bail!("{source} is neither C nor C++"),
    };
    compiler.arg(if ending == "c" { "-std=gnu11" } else { "-std=c++20" }).args(["-O2", "-Wall", "-Wextra", "-o"]).arg(&program);
    let libraries: &[&str] = match stem {
        _ if stem.starts_with("uring") => &["-luring"],
        // Without libraries: those of 32 bits are seldom installed.
        _ if stem.starts_with("compat32") => &["-m32", "-nostdlib", "-static", "-no-pie", "-fno-pie", "-fno-stack-protector"],
        _ => &["-lssl", "-lcrypto"],
    };
    let output = compiler.arg(&path).args(libraries).output().with_context(|| format!("cannot start {compiler:?}"))?;
    ensure!(output.status.success(), "{source} does not compile: {}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}

/// The program of a source file in Go, built by the Go that the tests' Python environment holds; Go's own cache makes a second build a matter of
/// milliseconds.
pub fn built_by_go(source: &Path) -> Result<PathBuf> {
    let cache = workspace().join(".cache");
    let program = cache.join("build").join(source.file_stem().context("a source file has a name")?);
    let mut build = Command::new(python().with_file_name("go"));
    build.env("GOCACHE", cache.join("go-build")).env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOFLAGS", "");
    build.env("PATH", std::env::join_paths([python().with_file_name(""), "/usr/bin".into(), "/bin".into()])?);
    let output = build.args(["build", "-o"]).arg(&program).arg(source).output().context("cannot start go")?;
    ensure!(output.status.success(), "go build failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}
