//! Files that perfmon writes (records, recordings, reports, the history). In: a path; out: an open file with mode 0600. perfmon runs as
//! root and may be asked to write where others can, so no symbolic link is followed at the end of the path, and a file that somebody else
//! may read, own or know by another name is refused. Permissions are set on the descriptor. A folder in which files come and go by name is
//! checked as well: whoever may write there could put a link in their place.
use std::fs::{self, File, OpenOptions, Permissions};
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
    /// The end of a folder's path is a link.
    #[error("its folder is a symbolic link; name the folder that it points to")]
    LinkedFolder,
    /// A folder, or one above it, of a user whom perfmon does not serve.
    #[error("its folder, or one above it, belongs to user {0}, who could replace the file; choose another")]
    ForeignFolder(u32),
    /// A folder in which every user may make files.
    #[error("every user may write to its folder (mode {0:04o}); choose another or take that right away with chmod o-w")]
    WritableFolder(u32),
}

impl FileRefusal {
    /// The refusal in an error of this module.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
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
    let file = open_there(&mut options, path)?;
    // /dev/null and the like keep nothing.
    if file.metadata()?.file_type().is_char_device() {
        return Ok(file);
    }
    secure(&file)?;
    if existing == Existing::Replaced {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Makes a file that is there as private as a new one. A path without a file is fine.
///
/// # Errors
/// What the file system says, or a [`FileRefusal`].
pub fn check(path: &Path) -> io::Result<()> {
    match open_there(OpenOptions::new().write(true), path) {
        Ok(file) => secure(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether files may be made and opened by name in a folder that is there: only perfmon's user, root and who started perfmon through sudo or
/// pkexec can change what their names mean.
///
/// # Errors
/// What the file system says, or a [`FileRefusal`].
pub fn check_folder(folder: &Path) -> io::Result<()> {
    if fs::symlink_metadata(folder)?.is_symlink() {
        return Err(FileRefusal::LinkedFolder.into());
    }
    let folder = fs::canonicalize(folder)?;
    for (above, folder) in folder.ancestors().enumerate() {
        let found = fs::metadata(folder)?;
        if !is_trusted(found.uid()) {
            return Err(FileRefusal::ForeignFolder(found.uid()).into());
        }
        // A sticky one leaves existing names to their owners, which is enough above.
        let is_guarded = above > 0 && found.mode() & libc::S_ISVTX != 0;
        if found.mode() & libc::S_IWOTH != 0 && !is_guarded {
            return Err(FileRefusal::WritableFolder(found.mode() & 0o7777).into());
        }
    }
    Ok(())
}

fn is_trusted(user: u32) -> bool {
    let started_by = |name| std::env::var(name).ok()?.parse().ok();
    let own = rustix::process::geteuid().as_raw();
    user == 0 || user == own || ["SUDO_UID", "PKEXEC_UID"].into_iter().filter_map(started_by).any(|starter: u32| starter == user)
}

fn open_there(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC);
    options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => FileRefusal::Link.into(),
        Some(libc::ENXIO | libc::EISDIR) => FileRefusal::NotRegular.into(),
        _ => error,
    })
}

fn secure(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(FileRefusal::NotRegular.into());
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileRefusal::ForeignOwner(found.uid()).into());
    }
    if found.nlink() > 1 {
        return Err(FileRefusal::MoreLinks(found.nlink()).into());
    }
    file.set_permissions(Permissions::from_mode(0o600))
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
    fn what_is_there_becomes_private_and_what_is_not_stays_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        check(&path).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "kept").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        check(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(check(&link).map_err(|error| FileRefusal::of(&error)), Err(Some(FileRefusal::Link)));
    }

    #[test]
    fn folders_in_which_others_may_write_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        check_folder(&folder).unwrap();
        let refusal = |folder: &Path| check_folder(folder).map_err(|error| FileRefusal::of(&error)).unwrap_err().unwrap();
        for mode in [0o777, 0o1777] {
            std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            assert_eq!(refusal(&folder), FileRefusal::WritableFolder(mode));
        }
        std::fs::create_dir(folder.join("inner")).unwrap();
        check_folder(&folder.join("inner")).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refusal(&folder.join("inner")), FileRefusal::WritableFolder(0o777), "it could be replaced");
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let link = place.path().join("link");
        symlink(&folder, &link).unwrap();
        assert_eq!(refusal(&link), FileRefusal::LinkedFolder);
        if std::os::unix::fs::chown(&folder, Some(65_534), None).is_ok() {
            assert_eq!(refusal(&folder), FileRefusal::ForeignFolder(65_534));
        }
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
