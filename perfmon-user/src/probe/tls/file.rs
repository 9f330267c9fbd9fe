//! A descriptor that another process's library was opened with → a file that may be parsed and probed, and its bytes. A process may swap
//! what it has mapped at any time: everything after the opening goes through the descriptor.
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::TLS_LIBRARY_BYTES;
use crate::probe::library::mapped::{FileId, Mapped};
use crate::probe::library::{Library, by_name};

/// File systems whose maps name other devices and inodes than `stat` does (overlayfs: those of the layer below; btrfs: the volume's).
const OWN_NUMBERS: [i64; 2] = [0x794c_7630, 0x9123_683e];

/// A library's file, open.
pub struct LibraryFile {
    file: File,
    id: FileId,
    stamp: FileStamp,
    owner: u32,
    library: &'static dyn Library,
    /// Its numbers in the maps of the process that it was opened for, and its address range there.
    mapping: Option<(FileId, String)>,
}

/// Tells a changed file, or another one with the inode number of a deleted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStamp {
    bytes: u64,
    modified: (i64, i64),
}

/// Opens a file that may be anything, without waiting.
pub(super) fn open(path: &Path) -> Result<File, Arc<str>> {
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    opened.map_err(|error| format!("its file cannot be opened: {error}").into())
}

impl LibraryFile {
    /// Checks an opened file against what maps say: a regular file, the same one, not too large.
    ///
    /// # Errors
    /// Why it is not to be parsed, in words.
    pub fn check(file: File, mapped: &Mapped) -> Result<Self, Arc<str>> {
        let mapping = Some((mapped.id, mapped.range.clone()));
        let checked = Self { mapping, ..Self::of(file, mapped.library)? };
        let has_own_numbers = || rustix::fs::fstatfs(&checked.file).is_ok_and(|fs| OWN_NUMBERS.contains(&fs.f_type));
        if checked.id != mapped.id && !has_own_numbers() {
            return Err("its file was replaced".into());
        }
        Ok(checked)
    }

    /// Opens a library that nobody need have mapped.
    pub(super) fn open(path: &Path) -> Result<Self, Arc<str>> {
        let library = path.file_name().and_then(|name| by_name(name.to_str()?)).ok_or("its name is that of no library")?;
        Self::of(open(path)?, library)
    }

    fn of(file: File, library: &'static dyn Library) -> Result<Self, Arc<str>> {
        let meta = file.metadata().map_err(|_| "its file cannot be read")?;
        if !meta.is_file() {
            return Err("it is no regular file".into());
        }
        if meta.len() > TLS_LIBRARY_BYTES {
            return Err("its file is too large".into());
        }
        let stamp = FileStamp { bytes: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) };
        Ok(Self { id: FileId { device: meta.dev(), inode: meta.ino() }, stamp, owner: meta.uid(), file, library, mapping: None })
    }

    /// Which file it is.
    pub fn id(&self) -> FileId {
        self.id
    }

    pub(super) fn mapping(&self) -> Option<&(FileId, String)> {
        self.mapping.as_ref()
    }

    pub(super) fn stamp(&self) -> FileStamp {
        self.stamp
    }

    pub(super) fn owner(&self) -> u32 {
        self.owner
    }

    pub(super) fn library(&self) -> &'static dyn Library {
        self.library
    }

    /// A path that leads to this very file as long as it is open.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }

    /// Its bytes: as many as it had when it was checked.
    pub(super) fn read(&self) -> Result<Vec<u8>, Arc<str>> {
        let len = usize::try_from(self.stamp.bytes).map_err(|_| "its file is too large")?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, 0).map_err(|error| Arc::from(format!("its file cannot be read: {error}")))?;
        Ok(bytes)
    }
}
