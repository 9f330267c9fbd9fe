//! Reads small files of /proc into one reused buffer, and parses numbers.
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file of a process or thread has less.
const BYTES: usize = 16 * 1024;

/// Content of the file read last.
#[derive(Debug)]
pub(super) struct Buffer(Box<[u8]>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; BYTES].into())
    }
}

impl Buffer {
    /// The beginning of a file, at most 16 KiB; `None` when it cannot be read.
    pub(super) fn read(&mut self, path: impl AsRef<Path>) -> Option<&str> {
        let mut file = File::open(path).ok()?;
        let mut length = 0;
        // Most files of /proc arrive whole with the first read; the second read confirms the end.
        while let Some(rest) = self.0.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        let bytes = self.0.get_mut(..length)?;
        // Only process names can contain bytes that are not text, and the numbers follow them.
        if std::str::from_utf8(bytes).is_err() {
            bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
        std::str::from_utf8(bytes).ok()
    }
}

/// Seconds since boot.
pub(super) fn uptime(buffer: &mut Buffer) -> Option<f64> {
    buffer.read("/proc/uptime")?.split(' ').next()?.parse().ok()
}

/// The number behind `name` in lines of `name: number` or `name number`.
pub(super) fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches([':', ' ', '\t']).split(' ').next()?.parse().ok())
}

/// What a counter grew by; `None` when it was reset.
pub(super) fn growth(now: u64, before: u64) -> Option<u64> {
    now.checked_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_names() {
        let io = "rchar: 1\nread_bytes: 4096\nwrite_bytes: 12\ncancelled_write_bytes: 3\n";
        assert_eq!((number_after(io, "read_bytes"), number_after(io, "write_bytes"), number_after(io, "x")), (Some(4096), Some(12), None));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hide_the_numbers() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"1 (\xff\xfe) S 2\n").unwrap();
        assert_eq!(Buffer::default().read(file.path()), Some("1 (??) S 2\n"));
        assert_eq!(Buffer::default().read("/nonexistent"), None);
        assert!(uptime(&mut Buffer::default()).unwrap() > 0.0);
    }
}
