//! A file of lines that is never larger than a limit. In: bytes, of which a line is never split over two files; out: the file, and up to
//! three former ones beside it, `.1` the newest. All of them are private files. A rotation that fails is an error of the write, and the next
//! write tries it again.
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::limits::ROTATED_FILES;
use crate::private_file::{self, Existing};

/// An open file with its limit.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    /// What was written last ended a line, so that another file may begin.
    at_line_end: bool,
}

/// Why a path cannot rotate.
#[derive(Debug, thiserror::Error)]
#[error("it is no regular file and cannot be rotated; name a file, or leave --jsonl-max out")]
struct Unrotatable;

impl RotatingFile {
    /// Opens the file, and looks at the former ones.
    ///
    /// # Errors
    /// What the file system says, a [`private_file::FileRefusal`], or that the path is a pipe or device.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        // Through links too: /dev/stdout is one.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, Unrotatable));
        }
        for number in 1..=ROTATED_FILES {
            let former = numbered(path, number);
            private_file::check(&former).map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", former.display())))?;
        }
        let file = private_file::open(path, Existing::Extended)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.into(), file, bytes, max_bytes, at_line_end: true })
    }

    /// How much of `lines` fits: whole lines, or the rest of one that was begun, or a line that is longer than any file.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = usize::try_from(self.max_bytes.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        let last_end = lines[..room].iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let first_end = || lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1);
        let must_go_here = !self.at_line_end || self.bytes == 0;
        last_end.unwrap_or_else(|| if must_go_here { first_end() } else { 0 })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (own.dev(), own.ino()) => self.shift()?,
            // Somebody moved or replaced the file.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.file = private_file::open(&self.path, Existing::Extended)?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }

    /// Renames the files: the file itself last, so that a failure leaves it in its place.
    fn shift(&self) -> io::Result<()> {
        for number in (1..=ROTATED_FILES).rev() {
            private_file::check(&numbered(&self.path, number))?;
        }
        for number in (1..ROTATED_FILES).rev() {
            match fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))
    }
}

impl Write for RotatingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if lines.is_empty() {
            return Ok(0);
        }
        let mut fitting = self.fitting(lines);
        if fitting == 0 {
            self.rotate()?;
            fitting = self.fitting(lines);
        }
        if fitting == 0 {
            // The path now names another file, which is full as well.
            self.rotate()?;
            fitting = self.fitting(lines).max(1);
        }
        let written = self.file.write(&lines[..fitting])?;
        self.bytes += written as u64;
        self.at_line_end = written == 0 || lines[written - 1] == b'\n';
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// `records.jsonl.1`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("records.jsonl")
        }

        /// Lines of all files, the oldest first.
        fn lines(&self) -> Vec<String> {
            let files = (1..=ROTATED_FILES).rev().map(|number| numbered(&self.path(), number)).chain([self.path()]);
            files
                .filter_map(|file| fs::read_to_string(file).ok())
                .flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>())
                .collect()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn write(file: &mut RotatingFile, numbers: std::ops::Range<u32>, lines_each: u32) {
        let numbers: Vec<u32> = numbers.collect();
        for batch in numbers.chunks(lines_each as usize) {
            let text: String = batch.iter().map(|number| format!("{{\"number\":{number:06}}}\n")).collect();
            file.write_all(text.as_bytes()).unwrap();
        }
    }

    fn expected(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| format!("{{\"number\":{number:06}}}")).collect()
    }

    #[test]
    fn every_line_is_in_one_file_whatever_the_batches() {
        for lines_each in [1, 3, 70, 1_000] {
            let place = Place::new();
            // 18 bytes a line, 55 lines a file.
            let mut file = RotatingFile::open(&place.path(), 1_000).unwrap();
            write(&mut file, 0..200, lines_each);
            assert_eq!(place.lines(), expected(0..200), "{lines_each}");
            assert_eq!(place.names(), ["records.jsonl", "records.jsonl.1", "records.jsonl.2", "records.jsonl.3"]);
            for name in place.names() {
                let found = fs::metadata(place.folder.path().join(&name)).unwrap();
                assert!(found.len() <= 1_000 && found.permissions().mode() & 0o777 == 0o600, "{name}: {found:?}");
            }
            write(&mut file, 200..400, lines_each);
            let kept = place.lines();
            assert!(kept.len() > 3 * 55 && kept == expected(400 - kept.len() as u32..400), "only the oldest lines go: {kept:?}");
        }
    }

    #[test]
    fn a_long_line_and_a_torn_one_stay_whole() {
        let place = Place::new();
        let mut file = RotatingFile::open(&place.path(), 100).unwrap();
        file.write_all(format!("short\n{}\nlast\n", "x".repeat(500)).as_bytes()).unwrap();
        assert_eq!(place.lines(), ["short".to_owned(), "x".repeat(500), "last".to_owned()]);
        let place = Place::new();
        let mut file = RotatingFile::open(&place.path(), 100).unwrap();
        file.write_all(&[b'a'; 90]).unwrap();
        file.write_all(format!("{}\nnext\n", "b".repeat(20)).as_bytes()).unwrap();
        assert_eq!(place.lines(), ["a".repeat(90) + &"b".repeat(20), "next".to_owned()]);
    }

    #[test]
    fn a_full_file_of_a_former_run_is_rotated_first() {
        let place = Place::new();
        fs::write(place.path(), "old\n".repeat(100)).unwrap();
        write(&mut RotatingFile::open(&place.path(), 300).unwrap(), 0..2, 1);
        assert_eq!(place.names(), ["records.jsonl", "records.jsonl.1"]);
        assert_eq!(place.lines().len(), 102);
        assert_eq!(fs::metadata(numbered(&place.path(), 1)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_was_moved_away_is_left_there() {
        let place = Place::new();
        let mut file = RotatingFile::open(&place.path(), 100).unwrap();
        write(&mut file, 0..5, 1);
        fs::rename(place.path(), place.folder.path().join("taken")).unwrap();
        write(&mut file, 5..8, 1);
        assert_eq!(place.names(), ["records.jsonl", "taken"]);
        assert_eq!(place.lines(), expected(5..8));
    }

    #[test]
    fn former_files_of_others_are_refused_and_left_as_they_are() {
        let place = Place::new();
        let victim = place.folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, numbered(&place.path(), 2)).unwrap();
        let why = RotatingFile::open(&place.path(), 100).unwrap_err().to_string();
        assert!(why.contains("records.jsonl.2") && why.contains("symbolic link"), "{why}");
        fs::remove_file(numbered(&place.path(), 2)).unwrap();
        let mut file = RotatingFile::open(&place.path(), 100).unwrap();
        write(&mut file, 0..5, 1);
        fs::hard_link(&victim, numbered(&place.path(), 1)).unwrap();
        assert!(file.write_all(b"{\"number\":000005}\n").unwrap_err().to_string().contains("2 hard links"));
        fs::remove_file(numbered(&place.path(), 1)).unwrap();
        write(&mut file, 6..8, 1);
        assert_eq!(place.lines(), [expected(0..5), expected(6..8)].concat(), "writing goes on");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let place = Place::new();
        assert!(std::process::Command::new("mkfifo").arg(place.path()).status().unwrap().success());
        for path in [place.path(), "/dev/null".into(), "/dev/stdout".into(), place.folder.path().into()] {
            // A test's standard output may be a file, which the link leads to.
            let why = RotatingFile::open(&path, 100).unwrap_err().to_string();
            assert!(why.contains("cannot be rotated") || why.contains("symbolic link"), "{}: {why}", path.display());
        }
    }
}
