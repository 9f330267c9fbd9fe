//! The Debian package. In: the common files, scripts of `packaging/debian`. Out: `perfmon_VERSION_ARCH.deb` by dpkg-deb, which takes its times
//! from SOURCE_DATE_EPOCH. Compressed by xz, which dpkg of Debian 11 reads too. Specification: deb(5), deb-control(5), Debian Policy.
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell::{command, execute, output, say};

use super::Release;
use super::content::{compressed, packaging, source};
use super::tree::PackageTree;

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Packs it.
pub fn pack(release: &Release) -> Result<PathBuf> {
    let name = format!("perfmon_{}_{}.deb", release.binary.version, release.binary.debian_architecture());
    say(format_args!("packing {name}"));
    let mut tree = release.content.installed()?;
    tree.file("usr/share/zsh/vendor-completions/_perfmon", 0o644, release.content.completion("zsh"));
    tree.file("usr/share/doc/perfmon/copyright", 0o644, copyright()?);
    tree.file("usr/share/doc/perfmon/changelog.gz", 0o644, compressed(&source("CHANGELOG.md")?)?);
    let md5sums = md5sums(release, &tree)?;
    let mut package = tree.clone();
    package.file("DEBIAN/control", 0o644, control(release, &tree)?);
    package.file("DEBIAN/md5sums", 0o644, md5sums);
    package.file("DEBIAN/conffiles", 0o644, "/etc/perfmon/perfmon.toml\n");
    for script in SCRIPTS {
        package.file(format!("DEBIAN/{script}"), 0o755, packaging(&format!("debian/{script}"))?);
    }
    let work = release.work("deb")?;
    package.write_below(&work)?;
    let file = release.output.join(name);
    let mut dpkg = command("dpkg-deb");
    // The number of threads changes what xz writes.
    dpkg.env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .env("DPKG_DEB_THREADS_MAX", "1")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(work)
        .arg(&file);
    execute(dpkg.stdout(std::process::Stdio::null()))?;
    Ok(file)
}

fn control(release: &Release, tree: &PackageTree) -> Result<String> {
    let kib: u64 = tree.files().map(|(_, content)| (content.len() as u64).div_ceil(1024)).sum();
    let depends = if release.binary.is_static { String::new() } else { format!(", libc6 (>= {}), libgcc-s1", c_library()?) };
    let text = String::from_utf8(packaging("debian/control")?).context("packaging/debian/control is not UTF-8")?;
    Ok(text
        .replace("@VERSION@", &release.binary.version)
        .replace("@ARCHITECTURE@", release.binary.debian_architecture())
        .replace("@INSTALLED_SIZE@", &kib.to_string())
        .replace("@DEPENDS@", &depends))
}

/// Version of this host's C library: what is linked to it needs no newer one.
fn c_library() -> Result<String> {
    let said = output(command("getconf").arg("GNU_LIBC_VERSION"))?;
    said.trim().strip_prefix("glibc ").map(str::to_owned).with_context(|| format!("getconf GNU_LIBC_VERSION says {said:?}"))
}

fn copyright() -> Result<String> {
    let mit = String::from_utf8(source("LICENSE-MIT")?).context("LICENSE-MIT is not UTF-8")?;
    let mut shown = String::new();
    for line in mit.trim().lines() {
        writeln!(shown, " {}", if line.is_empty() { "." } else { line })?;
    }
    let text = String::from_utf8(packaging("debian/copyright")?).context("packaging/debian/copyright is not UTF-8")?;
    Ok(text.replace("@LICENSE_MIT@", shown.trim_end()))
}

/// Checksums that `dpkg --verify` compares.
fn md5sums(release: &Release, tree: &PackageTree) -> Result<String> {
    let work = release.work("md5sums")?;
    tree.write_below(&work)?;
    output(command("md5sum").current_dir(&work).arg("--").args(tree.files().map(|(path, _)| path)))
}
