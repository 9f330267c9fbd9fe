//! `cargo xtask dist`: a static perfmon, then what users install: a tarball, a Debian package, an RPM where rpmbuild is there, an SBOM and
//! checksums. In: the sources, or an existing binary (`--binary`). Out: files in `target/dist`, the same bytes for the same binary and
//! commit. It installs nothing and publishes nothing.
mod binary;
mod build;
mod content;
mod deb;
mod dependencies;
mod rpm;
mod sbom;
mod tarball;
#[cfg(test)]
mod tests;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::shell::{self, command, output, say};

use binary::PackedBinary;
use content::PackageContent;

const EXAMPLES: &str = "Examples:
  cargo xtask dist                                   # builds for minutes
  cargo xtask dist --binary target/release/perfmon   # packs what is there";

/// Options.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Pack this perfmon instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Folder for the results [default: dist in cargo's target folder]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// What all packages of a run have in common.
struct Release {
    binary: PackedBinary,
    content: PackageContent,
    /// Seconds since 1970 that every file in a package has.
    epoch: u64,
    /// Where packages go.
    output: PathBuf,
}

impl Release {
    /// An empty folder for what a packer needs on disk.
    fn work(&self, name: &str) -> Result<PathBuf> {
        let folder = self.output.join("work").join(name);
        empty(&folder)?;
        Ok(folder)
    }
}

/// Builds unless there is a binary, and packs it in each form.
pub fn run(args: &Args) -> Result<()> {
    for tool in ["tar", "gzip", "dpkg-deb"] {
        ensure!(
            shell::find(tool).is_some(),
            "{tool} is not installed; packages are made on Debian or Ubuntu (`apt-get install dpkg tar gzip`)"
        );
    }
    let output = args.output.clone().map_or_else(|| shell::target().join("dist"), |folder| shell::root().join(folder));
    let binary = match &args.binary {
        Some(path) => path.clone(),
        None => build::build_static()?,
    };
    let binary = PackedBinary::examine(&binary)?;
    if !binary.is_static {
        say("note: this perfmon is not static; its packages run on hosts with this C library or a newer one");
    }
    let epoch = source_date_epoch()?;
    empty(&output)?;
    say("reading what perfmon is made of (cargo metadata)");
    let dependencies = dependencies::dependencies()?;
    let sbom = sbom::document(&binary, &dependencies, epoch)?;
    let content = PackageContent::gather(&binary, sbom, dependencies::licence_texts(&dependencies)?)?;
    let release = Release { binary, content, epoch, output };
    let mut made = vec![tarball::pack(&release)?, deb::pack(&release)?, loose_sbom(&release)?];
    match rpm::pack(&release)? {
        Some(file) => made.push(file),
        None => say("no .rpm: rpmbuild is not installed (Debian: `apt-get install rpm`; Fedora, RHEL: `dnf install rpm-build`)"),
    }
    fs::remove_dir_all(release.output.join("work")).context("cannot remove the work folder")?;
    made.push(checksums(&release.output, &made)?);
    for file in &made {
        say(format_args!("{} ({} KiB)", file.display(), fs::metadata(file)?.len().div_ceil(1024)));
    }
    Ok(())
}

/// `SOURCE_DATE_EPOCH` of the environment, else the time of the last commit.
fn source_date_epoch() -> Result<u64> {
    if let Some(given) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let given = given.to_string_lossy();
        return given.parse().with_context(|| format!("SOURCE_DATE_EPOCH={given} is not a number of seconds"));
    }
    let last = output(command("git").args(["log", "-1", "--format=%ct"]));
    match last.ok().and_then(|text| text.trim().parse().ok()) {
        Some(epoch) => Ok(epoch),
        None => bail!("git knows no last commit here; set SOURCE_DATE_EPOCH, the seconds since 1970 that files in packages shall have"),
    }
}

/// The SBOM as a file of its own, for tools that read no packages.
fn loose_sbom(release: &Release) -> Result<PathBuf> {
    let file = release.output.join(format!("{}.cdx.json", release.binary.stem()));
    fs::write(&file, release.content.sbom()).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// `SHA256SUMS` over the files, for `sha256sum --check`.
fn checksums(folder: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    let mut lines = Vec::new();
    for file in files {
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        lines.push(format!("{}  {name}\n", hexadecimal(&Sha256::digest(content))));
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    let file = folder.join("SHA256SUMS");
    fs::write(&file, lines.concat()).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
