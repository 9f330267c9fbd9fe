//! The writing side of `perfmon record`. The first failure (disk full) ends the recording; whoever runs it learns of it through
//! [`Recorder::fault`].
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use tokio::sync::watch;

use crate::record::Origin;
use crate::source::recording::Writer;

/// A recording in progress.
#[derive(Debug)]
pub struct Recorder {
    writer: Writer<BufWriter<File>>,
    path: String,
    fault: watch::Sender<Option<String>>,
}

impl Recorder {
    /// Makes the file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { writer: Writer::create(path)?, path: path.display().to_string(), fault: watch::Sender::new(None) })
    }

    /// Logs what the file will hold.
    pub fn announce(&self) {
        tracing::warn!(path = self.path, "The recording holds captured bytes as they are, with every secret in them.");
    }

    /// Why the recording has ended, once it has.
    pub fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.subscribe()
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
        if self.fault.borrow().is_some() {
            return;
        }
        if let Err(error) = write(&mut self.writer) {
            self.fault.send_replace(Some(format!("-o {}: the recording cannot be written: {error}", self.path)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_recording_and_names_the_file() {
        let mut recorder = Recorder::create(Path::new("/dev/full")).unwrap();
        let fault = recorder.fault();
        assert_eq!(*fault.borrow(), None);
        recorder.flush();
        assert!(fault.borrow().as_deref().is_some_and(|fault| fault.starts_with("-o /dev/full: ")), "{:?}", fault.borrow());
    }
}
