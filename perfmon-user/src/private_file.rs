//! Files that perfmon writes (records, recordings, reports, the history). In: a path; out: an open file with mode 0600. perfmon runs as
//! root and may be asked to write where others can, so no symbolic link is followed at the end of the path, and a file that somebody else
//! may read, own or know by another name is refused. Permissions are set on the descriptor.
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What becomes of the content that a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays; writing goes to the end.
    Extended,
    /// It is dropped.
    Replaced,
}

/// Why a file is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusal {
    /// A link at the end of the path.
    #[error("it is a symbolic link; name the file that it points to")]
    Link,
    /// A pipe, a folder, a socket or a disk.
    #[error("it is no regular file; choose another path")]
    NotRegular,
    /// Its owner is another user.
    #[error("it belongs to user {0}; remove it or choose another path")]
    ForeignOwner(u32),
    /// It has another name too.
    #[error("it has {0} hard links; remove it or choose another path")]
    MoreLinks(u64),
}

impl From<FileRefusal> for io::Error {
    fn from(refusal: FileRefusal) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// Opens a file for writing, creating it when it is not there.
///
/// # Errors
/// What the file system says, or a [`FileRefusal`].
pub fn open(path: &Path, existing: Existing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Truncation waits until the file is known to be the user's own. A pipe without a reader must not hold perfmon up.
    options.write(true).append(existing == Existing::Extended).create(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => FileRefusal::Link.into(),
        Some(libc::ENXIO | libc::EISDIR) => FileRefusal::NotRegular.into(),
        _ => error,
    })?;
    let found = file.metadata()?;
    // /dev/null and the like keep nothing.
    if found.file_type().is_char_device() {
        return Ok(file);
    }
    if !found.is_file() {
        return Err(FileRefusal::NotRegular.into());
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileRefusal::ForeignOwner(found.uid()).into());
    }
    if found.nlink() > 1 {
        return Err(FileRefusal::MoreLinks(found.nlink()).into());
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    if existing == Existing::Replaced {
        file.set_len(0)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(path: &Path) -> String {
        open(path, Existing::Replaced).unwrap_err().to_string()
    }

    #[test]
    fn files_are_private_and_what_they_hold_is_kept_or_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        open(&path, Existing::Extended).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        open(&path, Existing::Replaced).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_link_a_second_name_and_a_pipe_are_refused_and_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let (soft, hard, pipe) = (folder.path().join("soft"), folder.path().join("hard"), folder.path().join("pipe"));
        symlink(&victim, &soft).unwrap();
        assert!(refusal(&soft).contains("symbolic link"), "{}", refusal(&soft));
        std::fs::hard_link(&victim, &hard).unwrap();
        assert!(refusal(&hard).contains("2 hard links"), "{}", refusal(&hard));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(refusal(&pipe).contains("no regular file"), "{}", refusal(&pipe));
        assert!(refusal(folder.path()).contains("no regular file"));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "theirs").unwrap();
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            return;
        }
        assert!(refusal(&path).contains("belongs to user 65534"), "{}", refusal(&path));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    }
}
