//! Builds the page that perfmon serves at `/` into `dashboard/dist/`, and checks that what is committed there is what its sources give.
//! In: the sources under `dashboard/`; out: `dist/` and `dist.sha256`, a digest of the sources and of the built files. Only who changes
//! the page needs Node.js: the built files are committed and embedded as they are. Not here: the page's tests (`npm test`, `npm run e2e`).
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::install;
use crate::shell::{self, say};

/// What the built files depend on, files and folders.
const SOURCES: [&str; 8] =
    [".npmrc", "index.html", "package-lock.json", "package.json", "public", "src", "tsconfig.json", "vite.config.ts"];
const BUILT: [&str; 1] = ["dist"];
const DIGEST_FILE: &str = "dist.sha256";
const MEND: &str = "run `cargo xtask build-dashboard` and commit dashboard/dist and dashboard/dist.sha256";

/// Installs what the build needs (from package-lock.json, into dashboard/node_modules), builds, writes the digest.
pub fn run() -> Result<()> {
    let folder = folder();
    install::page_tools()?;
    say("building the page (tsc, vite)");
    npm(&["run", "build"])?;
    fs::write(folder.join(DIGEST_FILE), digests(&folder)?).with_context(|| format!("cannot write {DIGEST_FILE}"))?;
    say("dashboard/dist is up to date");
    Ok(())
}

/// Fails, with instructions, when the committed page does not match its sources. Needs no Node.js.
pub fn check() -> Result<()> {
    let folder = folder();
    let written = fs::read_to_string(folder.join(DIGEST_FILE)).with_context(|| format!("dashboard/{DIGEST_FILE} is missing; {MEND}"))?;
    compare(&written, &digests(&folder)?)
}

/// Names the first of the two digests that differs.
fn compare(written: &str, now: &str) -> Result<()> {
    for (written, now) in written.lines().zip(now.lines()) {
        if written != now {
            let what = now.split(' ').next().unwrap_or_default();
            bail!("the {what} of the page changed since it was built; {MEND}");
        }
    }
    if written.lines().count() != now.lines().count() {
        bail!("dashboard/{DIGEST_FILE} is damaged; {MEND}");
    }
    Ok(())
}

/// Where the page's sources are.
pub fn folder() -> PathBuf {
    shell::root().join("dashboard")
}

/// Runs npm on them to its end.
pub fn npm(arguments: &[&str]) -> Result<()> {
    let status = Command::new("npm").current_dir(folder()).args(arguments).status();
    let status = status.context("cannot start npm; install Node.js 20.19 or newer (Debian: apt-get install nodejs npm)")?;
    if !status.success() {
        bail!("npm {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// The digest file's text: a line for the sources, a line for the built files.
fn digests(folder: &Path) -> Result<String> {
    Ok(format!("sources {}\nfiles {}\n", digest(folder, &SOURCES)?, digest(folder, &BUILT)?))
}

/// SHA-256 over path, length and content of every file under `entries`, in the order of their paths. Unit tests are excluded.
fn digest(folder: &Path, entries: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for entry in entries {
        collect(&folder.join(entry), &mut files)?;
    }
    files.retain(|file| !file.to_string_lossy().ends_with(".test.ts"));
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        hash.update(format!("{name}\n{}\n", content.len()));
        hash.update(content);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the files at or under `path`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_one_its_sources_give() {
        check().unwrap();
    }

    #[test]
    fn a_difference_is_named_with_its_mend() {
        let written = "sources aa\nfiles bb\n";
        compare(written, written).unwrap();
        for (now, what) in [("sources ab\nfiles bb\n", "the sources"), ("sources aa\nfiles bc\n", "the files")] {
            let message = compare(written, now).unwrap_err().to_string();
            assert!(message.starts_with(what) && message.contains("cargo xtask build-dashboard"), "{message}");
        }
        assert!(compare("sources aa\n", written).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn the_digest_sees_content_and_names_but_no_unit_tests() {
        let folder = std::env::temp_dir().join(format!("perfmon-digest-{}", std::process::id()));
        fs::create_dir_all(folder.join("src/deep")).unwrap();
        let write = |name: &str, content: &str| fs::write(folder.join("src").join(name), content).unwrap();
        let now = || digest(&folder, &["src"]).unwrap();
        write("deep/a.ts", "1");
        let first = now();
        write("deep/a.test.ts", "a test");
        assert_eq!(now(), first);
        write("deep/a.ts", "2");
        assert_ne!(now(), first);
        write("deep/a.ts", "1");
        assert_eq!(now(), first);
        fs::rename(folder.join("src/deep/a.ts"), folder.join("src/deep/b.ts")).unwrap();
        assert_ne!(now(), first);
        fs::remove_dir_all(&folder).unwrap();
    }
}
