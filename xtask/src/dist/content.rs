//! What every package contains: the program, its manual pages and completions, the service with its configuration, licences and SBOM. In:
//! the binary and the sources' `packaging` folder. Out: the tree of an installed system, and the parts for the tarball.
use std::fs;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, command};

use super::binary::PackedBinary;
use super::tree::PackageTree;

/// Names of the commands that have a manual page of their own.
const PAGES: [&str; 8] = ["run", "top", "check", "alerts", "report", "record", "replay", "config"];
const DOCUMENTS: [&str; 4] = ["README.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Everything that goes into packages, read once.
pub struct PackageContent {
    program: Vec<u8>,
    /// File name → page, not compressed.
    manual: Vec<(String, Vec<u8>)>,
    /// Shell → completions.
    completions: [(&'static str, Vec<u8>); 3],
    sbom: Vec<u8>,
    licences: Vec<u8>,
}

impl PackageContent {
    /// Reads and generates it.
    pub fn gather(binary: &PackedBinary, sbom: Vec<u8>, licences: Vec<u8>) -> Result<Self> {
        let mut manual = vec![("perfmon.1".to_owned(), binary.prints(&["man"])?)];
        for page in PAGES {
            manual.push((format!("perfmon-{page}.1"), binary.prints(&["man", page])?));
        }
        let completions = |shell| binary.prints(&["completions", shell]);
        let completions = [("bash", completions("bash")?), ("zsh", completions("zsh")?), ("fish", completions("fish")?)];
        let program = fs::read(&binary.path).with_context(|| format!("cannot read {}", binary.path.display()))?;
        Ok(Self { program, manual, completions, sbom, licences })
    }

    /// The SBOM as it is packed.
    pub fn sbom(&self) -> &[u8] {
        &self.sbom
    }

    /// The files of an installed system, without what only one kind of package has. Times of compressed files are left out.
    pub fn installed(&self) -> Result<PackageTree> {
        let mut tree = PackageTree::default();
        tree.file("usr/bin/perfmon", 0o755, self.program.clone());
        tree.file("usr/lib/systemd/system/perfmon.service", 0o644, packaging("systemd/perfmon.service")?);
        tree.file("usr/lib/sysusers.d/perfmon.conf", 0o644, packaging("systemd/perfmon.sysusers")?);
        tree.file("etc/perfmon/perfmon.toml", 0o644, packaging("perfmon.toml")?);
        tree.folder("etc/perfmon/credentials", 0o700);
        for (name, page) in &self.manual {
            tree.file(format!("usr/share/man/man1/{name}.gz"), 0o644, compressed(page)?);
        }
        tree.file("usr/share/bash-completion/completions/perfmon", 0o644, self.completion("bash"));
        tree.file("usr/share/fish/vendor_completions.d/perfmon.fish", 0o644, self.completion("fish"));
        tree.file("usr/share/doc/perfmon/sbom.cdx.json", 0o644, self.sbom.clone());
        tree.file("usr/share/doc/perfmon/third-party-licences.txt.gz", 0o644, compressed(&self.licences)?);
        tree.file("usr/share/doc/perfmon/install.md", 0o644, source("docs/install.md")?);
        tree.file("usr/share/doc/perfmon/README.md", 0o644, source("README.md")?);
        Ok(tree)
    }

    /// The files of the tarball, below one folder.
    pub fn portable(&self, folder: &str) -> Result<PackageTree> {
        let mut tree = PackageTree::default();
        let mut add = |path: &str, mode, content: Vec<u8>| tree.file(format!("{folder}/{path}"), mode, content);
        add("perfmon", 0o755, self.program.clone());
        add("install.sh", 0o755, packaging("install.sh")?);
        add("perfmon.toml", 0o644, packaging("perfmon.toml")?);
        add("systemd/perfmon.service", 0o644, packaging("systemd/perfmon.service")?);
        add("systemd/perfmon.sysusers", 0o644, packaging("systemd/perfmon.sysusers")?);
        for (name, page) in &self.manual {
            add(&format!("man/{name}"), 0o644, page.clone());
        }
        for (shell, name) in [("bash", "perfmon.bash"), ("zsh", "_perfmon"), ("fish", "perfmon.fish")] {
            add(&format!("completions/{name}"), 0o644, self.completion(shell));
        }
        add("sbom.cdx.json", 0o644, self.sbom.clone());
        add("third-party-licences.txt", 0o644, self.licences.clone());
        add("install.md", 0o644, source("docs/install.md")?);
        add("CHANGELOG.md", 0o644, source("CHANGELOG.md")?);
        for name in DOCUMENTS {
            add(name, 0o644, source(name)?);
        }
        Ok(tree)
    }

    /// Completions for `bash`, `zsh` or `fish`.
    pub fn completion(&self, shell: &str) -> Vec<u8> {
        self.completions.iter().find(|(name, _)| *name == shell).map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

/// A file of the `packaging` folder.
pub fn packaging(name: &str) -> Result<Vec<u8>> {
    source(&format!("packaging/{name}"))
}

/// A file of the sources.
pub fn source(name: &str) -> Result<Vec<u8>> {
    fs::read(shell::root().join(name)).with_context(|| format!("cannot read {name}"))
}

/// Through gzip, without name and time.
pub fn compressed(content: &[u8]) -> Result<Vec<u8>> {
    let mut gzip =
        command("gzip").args(["-9", "--no-name"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start gzip")?;
    let mut input = gzip.stdin.take().context("gzip has no input")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(content));
        gzip.wait_with_output()
    })?;
    ensure!(output.status.success(), "gzip ended with {}", output.status);
    Ok(output.stdout)
}
