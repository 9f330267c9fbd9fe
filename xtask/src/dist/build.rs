//! The static build: glibc's own archive is linked in (`crt-static` on the gnu target, as static-pie). With `--target` flags reach perfmon
//! alone, not the build scripts and procedural macros that run here. Paths of this machine are replaced, in Rust and in C, so that neither
//! they nor the user's name stand in what others install.
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::shell::{self, cargo, execute, say};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds it and gives its path.
pub fn build_static() -> Result<PathBuf> {
    say(format_args!("building a static perfmon for {TARGET} (release; ten minutes on two cores when nothing is built yet)"));
    let places = replaced_paths();
    let rust = places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let rust: Vec<String> = ["-C", "target-feature=+crt-static"].map(str::to_owned).into_iter().chain(rust).collect();
    // Of generated files only those in C are named in a program.
    let generated = (shell::target(), "/target");
    let c = places.iter().chain([&generated]).map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let c: Vec<String> = c.collect();
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--package", "perfmon-user", "--bin", "perfmon", "--target", TARGET]);
    build.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\x1f")).env(format!("CFLAGS_{}", TARGET.replace('-', "_")), c.join(" "));
    execute(&mut build)?;
    let binary = shell::target().join(TARGET).join("release/perfmon");
    if !binary.is_file() {
        bail!("cargo built no {}", binary.display());
    }
    Ok(binary)
}

/// Folders of this machine, and what stands in the binary instead.
fn replaced_paths() -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| home.map(|home| home.join(".cargo")));
    let named = [(Some(shell::root()), "/perfmon"), (cargo, "/cargo")];
    // What contains white space cannot be given to a C compiler in CFLAGS.
    let is_plain = |path: &Path| !path.to_string_lossy().contains(char::is_whitespace);
    named.into_iter().filter_map(|(path, name)| Some((path?, name))).filter(|(path, _)| is_plain(path)).collect()
}
