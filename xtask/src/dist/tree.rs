//! The files of a package, by their paths in it. Out: a folder with exactly these files and modes, whatever this process's umask is. Owners
//! and times are the packers' business.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Files and explicit folders.
#[derive(Clone, Default)]
pub struct PackageTree(BTreeMap<String, PackedEntry>);

#[derive(Clone)]
struct PackedEntry {
    mode: u32,
    /// `None`: a folder.
    content: Option<Vec<u8>>,
}

impl PackageTree {
    /// Adds a file; `path` has no slash in front.
    pub fn file(&mut self, path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), PackedEntry { mode, content: Some(content.into()) });
    }

    /// Adds a folder that is empty or has a mode of its own.
    pub fn folder(&mut self, path: impl Into<String>, mode: u32) {
        self.0.insert(path.into(), PackedEntry { mode, content: None });
    }

    /// Paths and contents of the files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.content.as_deref()?)))
    }

    /// Writes all of it below an empty folder.
    pub fn write_below(&self, root: &Path) -> Result<()> {
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        for (path, entry) in &self.0 {
            let mut above = root.to_path_buf();
            for part in Path::new(path).parent().into_iter().flatten() {
                above.push(part);
                if !above.is_dir() {
                    make(&above, 0o755)?;
                }
            }
            let place = root.join(path);
            match &entry.content {
                None if place.is_dir() => fs::set_permissions(&place, fs::Permissions::from_mode(entry.mode))?,
                None => make(&place, entry.mode)?,
                Some(content) => {
                    fs::write(&place, content).with_context(|| format!("cannot write {}", place.display()))?;
                    fs::set_permissions(&place, fs::Permissions::from_mode(entry.mode))?;
                }
            }
        }
        Ok(())
    }
}

fn make(folder: &Path, mode: u32) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(mode))?)
}
