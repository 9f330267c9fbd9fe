//! What perfmon is made of. In: `cargo metadata` and Cargo.lock. Out: the crates below perfmon-user with licence, checksum and whether they are
//! linked in or only used by the build, and the licence texts that the linked ones bring.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell::{cargo, output};

use super::content::source;

const ROOT: &str = "perfmon-user";
/// Beginnings of the names of files with licences, in upper case.
const LICENCE_FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// A crate of the program.
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SPDX expression.
    pub licence: Option<String>,
    /// Where its sources are kept.
    pub repository: Option<String>,
    /// SHA-256 of what the registry delivers; `None` for perfmon's own packages.
    pub checksum: Option<String>,
    /// Its code is in the program; else the build uses it.
    pub is_linked: bool,
    /// Places in the list of the crates that it uses.
    pub uses: Vec<usize>,
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<PackageTarget>,
}

#[derive(Deserialize)]
struct PackageTarget {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<ResolvedNode>,
}

#[derive(Deserialize)]
struct ResolvedNode {
    id: String,
    deps: Vec<ResolvedEdge>,
}

#[derive(Deserialize)]
struct ResolvedEdge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl ResolvedEdge {
    fn is(&self, wanted: Option<&str>) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.as_deref() == wanted)
    }
}

/// The crates below perfmon-user on Linux, it first, then by name and version.
pub fn dependencies() -> Result<Vec<Dependency>> {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata is not as expected")?;
    let lock = String::from_utf8(source("Cargo.lock")?).context("Cargo.lock is not UTF-8")?;
    of_metadata(&metadata, &checksums(&lock))
}

fn of_metadata(metadata: &Metadata, checksums: &BTreeMap<(String, String), String>) -> Result<Vec<Dependency>> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &ResolvedNode> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let root = metadata.packages.iter().find(|package| package.name == ROOT).context("cargo metadata has no perfmon-user")?;
    let is_macro =
        |id: &str| packages.get(id).is_some_and(|package| package.targets.iter().any(|t| t.kind.iter().any(|k| k == "proc-macro")));
    let linked = reachable(&nodes, &root.id, |edge| edge.is(None) && !is_macro(&edge.pkg));
    let all = reachable(&nodes, &root.id, |edge| edge.is(None) || edge.is(Some("build")));
    let mut found: Vec<&Package> = all.iter().filter_map(|id| packages.get(id).copied()).collect();
    found.sort_by(|a, b| (a.name != ROOT, &a.name, &a.version).cmp(&(b.name != ROOT, &b.name, &b.version)));
    let place = |id: &str| found.iter().position(|package| package.id == id);
    let dependency = |package: &&Package| {
        let edges = nodes.get(package.id.as_str()).into_iter().flat_map(|node| &node.deps);
        let uses = edges.filter(|edge| edge.is(None) || edge.is(Some("build"))).filter_map(|edge| place(&edge.pkg)).collect();
        Dependency {
            name: package.name.clone(),
            version: package.version.clone(),
            // The way in which crates of former years wrote "or".
            licence: package.license.as_ref().map(|licence| licence.replace(" / ", "/").replace('/', " OR ")),
            repository: package.repository.clone(),
            checksum: checksums.get(&(package.name.clone(), package.version.clone())).cloned(),
            is_linked: linked.contains(package.id.as_str()),
            uses,
            folder: package.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default(),
        }
    };
    Ok(found.iter().map(dependency).collect())
}

/// What is reached from a package over the edges that count.
fn reachable<'a>(nodes: &BTreeMap<&'a str, &'a ResolvedNode>, root: &'a str, counts: impl Fn(&ResolvedEdge) -> bool) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::from([root]), vec![root]);
    while let Some(id) = open.pop() {
        for edge in nodes.get(id).into_iter().flat_map(|node| &node.deps).filter(|edge| counts(edge)) {
            if found.insert(&edge.pkg) {
                open.push(&edge.pkg);
            }
        }
    }
    found
}

/// Name and version → checksum.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let of_package = |text: &str| {
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"').map(str::to_owned));
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    packages.filter_map(of_package).collect()
}

/// The texts that linked crates bring, each once, with the names of those that bring it.
pub fn licence_texts(dependencies: &[Dependency]) -> Result<Vec<u8>> {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for dependency in dependencies.iter().filter(|dependency| dependency.is_linked && dependency.checksum.is_some()) {
        for entry in fs::read_dir(&dependency.folder).with_context(|| format!("the sources of {} are gone", dependency.name))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().to_string_lossy().to_uppercase()))?;
            if LICENCE_FILES.iter().any(|known| name.starts_with(known)) && path.is_file() {
                let text = String::from_utf8_lossy(&fs::read(&path)?).trim().replace("\r\n", "\n");
                texts.entry(text).or_default().insert(format!("{} {}", dependency.name, dependency.version));
            }
        }
    }
    let mut document = "perfmon contains these libraries. A static perfmon contains the GNU C Library as well, under LGPL-2.1-or-later; perfmon's sources and \
                        build are open, so that anybody can link it anew.\n"
        .to_owned();
    for (text, crates) in &texts {
        let crates: Vec<&str> = crates.iter().map(String::as_str).collect();
        write!(document, "\n{}\n{}\n\n{text}\n", "=".repeat(78), crates.join(", "))?;
    }
    Ok(document.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_crates_are_told_from_those_of_the_build() {
        let found = dependencies().unwrap();
        let one = |name: &str| found.iter().find(|dependency| dependency.name == name);
        assert_eq!(found[0].name, ROOT);
        assert!(found.len() > 100, "{}", found.len());
        for (name, is_linked) in [("tokio", true), ("ring", true), ("cc", false), ("serde_derive", false), ("clap", true)] {
            assert_eq!(one(name).map(|dependency| dependency.is_linked), Some(is_linked), "{name}");
        }
        for of_tests in ["proptest", "tempfile", "xtask"] {
            assert!(one(of_tests).is_none(), "{of_tests} is not in the program");
        }
        let own = ["perfmon-user", "perfmon-common"];
        for dependency in &found {
            let is_own = own.contains(&dependency.name.as_str());
            assert_eq!(dependency.checksum.as_ref().map(String::len), (!is_own).then_some(64), "{}", dependency.name);
            assert!(dependency.licence.as_ref().is_some_and(|licence| !licence.contains('/')), "{}", dependency.name);
        }
        let texts = String::from_utf8(licence_texts(&found).unwrap()).unwrap();
        assert!(texts.contains("tokio 1.") && texts.contains("Permission is hereby granted") && !texts.contains("serde_derive"));
    }
}
