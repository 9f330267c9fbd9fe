//! The writing side of `perfmon record`: the first failure (disk full) is said once, counted from then on, and ends the recording,
//! not the capture.
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use crate::record::Origin;
use crate::source::recording::Writer;

/// A recording in progress.
#[derive(Debug)]
pub struct Recorder {
    writer: Writer<BufWriter<File>>,
    failed: bool,
}

impl Recorder {
    /// Makes the file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { writer: Writer::create(path)?, failed: false })
    }

    /// As in [`Writer`], likewise below.
    pub fn clock(&mut self, now_ns: u64, wall_at_boot_ns: u64) {
        self.write(|writer| writer.clock(now_ns, wall_at_boot_ns));
    }

    /// An event.
    pub fn event(&mut self, now_ns: u64, bytes: &[u8]) {
        self.write(|writer| writer.event(now_ns, bytes));
    }

    /// Who a process is.
    pub fn process(&mut self, now_ns: u64, origin: &Origin) {
        self.write(|writer| writer.process(now_ns, origin));
    }

    /// A process is no target.
    pub fn ignored(&mut self, now_ns: u64, pid: u32) {
        self.write(|writer| writer.ignored(now_ns, pid));
    }

    /// The pipeline was told the time.
    pub fn tick(&mut self, now_ns: u64) {
        self.write(|writer| writer.tick(now_ns));
    }

    /// Everything into the file.
    pub fn flush(&mut self) {
        self.write(Writer::flush);
    }

    fn write(&mut self, write: impl FnOnce(&mut Writer<BufWriter<File>>) -> io::Result<()>) {
        if self.failed {
            return;
        }
        if let Err(error) = write(&mut self.writer) {
            self.failed = true;
            tracing::error!(%error, "The recording ends here: its file cannot be written. Capture goes on.");
        }
    }
}
