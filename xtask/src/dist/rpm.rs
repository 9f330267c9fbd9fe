//! The RPM. In: the common files, `packaging/rpm/perfmon.spec`. Out: `perfmon-VERSION-1.ARCH.rpm` by rpmbuild, or nothing where it is not
//! installed. The host's name and the time of the build stay out of it. Specification: rpm-spec(5).
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell::{self, command, execute, say};

use super::Release;
use super::content::packaging;

/// Packs it where rpmbuild is.
pub fn pack(release: &Release) -> Result<Option<PathBuf>> {
    if shell::find("rpmbuild").is_none() {
        return Ok(None);
    }
    let (version, architecture) = (&release.binary.version, release.binary.architecture());
    let name = format!("perfmon-{version}-1.{architecture}.rpm");
    say(format_args!("packing {name}"));
    let mut tree = release.content.installed()?;
    tree.file("usr/share/zsh/site-functions/_perfmon", 0o644, release.content.completion("zsh"));
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        tree.file(format!("usr/share/licenses/perfmon/{licence}"), 0o644, super::content::source(licence)?);
    }
    let work = release.work("rpm")?;
    let (files, spec) = (work.join("files"), work.join("perfmon.spec"));
    fs::create_dir(&files)?;
    tree.write_below(&files)?;
    fs::write(&spec, packaging("rpm/perfmon.spec")?).context("cannot write the spec file")?;
    let definition = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    let mut rpmbuild = command("rpmbuild");
    rpmbuild
        .arg("-bb")
        .arg("--quiet")
        .args(["--target", &format!("{architecture}-linux")])
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    rpmbuild.args(definition("perfmon_version", version)).args(definition("perfmon_files", &files.to_string_lossy()));
    rpmbuild.args(definition("_topdir", &work.join("build").to_string_lossy()));
    execute(rpmbuild.arg(&spec))?;
    let file = release.output.join(&name);
    fs::copy(work.join("build/RPMS").join(architecture).join(&name), &file).with_context(|| format!("rpmbuild made no {name}"))?;
    Ok(Some(file))
}
