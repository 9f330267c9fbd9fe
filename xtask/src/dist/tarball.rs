//! The tarball: one folder with everything and a script that installs it. GNU tar with fixed order, owners and times, so that two runs over
//! the same binary give the same bytes.
use std::path::PathBuf;

use anyhow::Result;

use crate::shell::{command, execute, say};

use super::Release;

/// Packs it.
pub fn pack(release: &Release) -> Result<PathBuf> {
    let stem = release.binary.stem();
    say(format_args!("packing {stem}.tar.gz"));
    let work = release.work("tarball")?;
    release.content.portable(&stem)?.write_below(&work)?;
    let (plain, file) = (release.output.join(format!("{stem}.tar")), release.output.join(format!("{stem}.tar.gz")));
    let mut tar = command("tar");
    tar.arg("--create").arg("--file").arg(&plain).arg("--directory").arg(&work).arg(format!("--mtime=@{}", release.epoch));
    execute(tar.args(["--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", &stem]))?;
    execute(command("gzip").args(["--no-name", "--force"]).arg(&plain))?;
    Ok(file)
}
