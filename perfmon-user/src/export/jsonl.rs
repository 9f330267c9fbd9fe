//! `--jsonl`: every record as one line of JSON, appended to a file (mode 0600, rotated where that is wanted) or written to standard output.
//! Lost records are counted. A file that cannot be written (full disk) is logged once, and writing resumes when there is space again. On
//! standard output the first failure ends the writing, a closed reader silently; whoever runs the writer learns of it through
//! [`JsonlWriter::fault`].
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;

use super::rotating_file::RotatingFile;
use crate::counters::Counters;
use crate::heartbeat::{self, BEAT, Heartbeat, Heartbeats, Patience};
use crate::limits;
use crate::printable::printable_json;
use crate::private_file::{self, Existing};
use crate::record::{QueueRoom, Record, RecordBatch, Seats};

/// Name of the thread and the stage.
const THREAD: &str = "jsonl";

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonlDestination {
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
    /// The end of a file that is rotated.
    Rotating {
        /// The file.
        path: PathBuf,
        /// Size at which a new one begins.
        max_bytes: u64,
    },
}

/// Why records were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonlFault {
    /// The reader of standard output closed it.
    ReaderGone,
    /// The first error of the destination.
    Unwritable(String),
}

/// The thread that writes, and the queue to it.
#[derive(Debug)]
pub struct JsonlWriter {
    queue: SyncSender<(RecordBatch, Option<Seats>)>,
    room: QueueRoom,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    fault: watch::Receiver<Option<JsonlFault>>,
    counters: Arc<Counters>,
}

/// An open destination; its thread does not run yet.
#[derive(Debug)]
pub enum JsonlOutput {
    /// Standard output.
    Stdout,
    /// A file.
    File(File),
    /// A file that is rotated.
    Rotating(RotatingFile),
}

impl JsonlOutput {
    /// Opens the destination.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(to: &JsonlDestination) -> io::Result<Self> {
        match to {
            JsonlDestination::Stdout => Ok(Self::Stdout),
            JsonlDestination::File(path) => private_file::open(path, Existing::Extended).map(Self::File),
            JsonlDestination::Rotating { path, max_bytes } => RotatingFile::open(path, *max_bytes).map(Self::Rotating),
        }
    }

    /// Starts the thread, which inherits the rights of the calling one.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self, counters: Arc<Counters>, stages: &Heartbeats) -> io::Result<JsonlWriter> {
        match self {
            // Whoever reads it may pause.
            Self::Stdout => JsonlWriter::to(io::stdout(), false, counters, stages.add(THREAD, Patience::UNPACED)),
            Self::File(file) => JsonlWriter::to(file, true, counters, stages.add(THREAD, Patience::OUTSIDE)),
            Self::Rotating(file) => JsonlWriter::to(file, true, counters, stages.add(THREAD, Patience::OUTSIDE)),
        }
    }
}

impl JsonlWriter {
    /// Opens the destination and starts the thread, which no supervisor looks at.
    pub fn start(to: &JsonlDestination, counters: Arc<Counters>) -> io::Result<Self> {
        JsonlOutput::open(to)?.start(counters, &Heartbeats::default())
    }

    /// `resumes`: after a failed write the next batch is tried again.
    fn to(out: impl Write + Send + 'static, resumes: bool, counters: Arc<Counters>, heartbeat: Heartbeat) -> io::Result<Self> {
        let (queue, batches) = sync_channel(limits::CONSUMER_QUEUE);
        let (running, ended) = sync_channel(0);
        let (faults, fault) = watch::channel(None);
        let lines = Lines { out, buffer: Vec::new(), torn: false, failing: false, resumes, faults, counters: counters.clone() };
        std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            let _run = heartbeat.run_here();
            lines.write_all_of(&batches);
            drop(running);
        })?;
        Ok(Self { queue, room: QueueRoom::new(limits::QUEUED_RECORDS), ended, fault, counters })
    }

    /// The first fault of the destination; stays `None` while all is well.
    pub fn fault(&self) -> watch::Receiver<Option<JsonlFault>> {
        self.fault.clone()
    }

    /// Takes a batch without waiting; what does not fit into the queue is counted.
    pub fn offer(&self, batch: &RecordBatch) {
        let seats = self.room.take(batch.len());
        if seats.is_none() || self.queue.try_send((batch.clone(), seats)).is_err() {
            self.counters.jsonl_records_lost.add(batch.len() as u64);
        }
    }

    /// Queues a batch and waits until it fits: for a replay, which has no deadline. False when the writer has given up.
    pub fn push(&self, batch: &RecordBatch) -> bool {
        if let Err(refused) = self.queue.send((batch.clone(), None)) {
            self.counters.jsonl_records_lost.add(refused.0.0.len() as u64);
            return false;
        }
        true
    }

    /// Writes what waits and ends; a slow reader gets this much time.
    pub fn finish(self, grace: Duration) {
        drop(self.queue);
        if self.ended.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("Records could not be written in time; the last ones are lost.");
        }
    }
}

struct Lines<W> {
    out: W,
    buffer: Vec<u8>,
    /// The last write stopped within a line.
    torn: bool,
    /// The last write failed and a warning was logged.
    failing: bool,
    resumes: bool,
    faults: watch::Sender<Option<JsonlFault>>,
    counters: Arc<Counters>,
}

impl<W: Write> Lines<W> {
    fn write_all_of(mut self, batches: &Receiver<(RecordBatch, Option<Seats>)>) {
        loop {
            heartbeat::beat();
            let (batch, _seats) = match batches.recv_timeout(BEAT) {
                Ok(taken) => taken,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err((error, lost)) = self.write(&batch) {
                self.counters.jsonl_records_lost.add(lost);
                let first = self.faults.borrow().is_none();
                let is_gone = !self.resumes && error.kind() == ErrorKind::BrokenPipe;
                if first {
                    let fault = if is_gone { JsonlFault::ReaderGone } else { JsonlFault::Unwritable(error.to_string()) };
                    self.faults.send_replace(Some(fault));
                }
                if !self.resumes {
                    return;
                }
                if !self.failing {
                    tracing::warn!(%error, "Records cannot be written; lost ones are counted, and writing resumes when it is possible.");
                }
                self.failing = true;
            } else if self.failing {
                self.failing = false;
                tracing::info!(lost = self.counters.jsonl_records_lost.get(), "Records are written again.");
            }
        }
    }

    /// Writes a batch; the error comes with the number of records that are not, or not wholly, written.
    fn write(&mut self, batch: &[Record]) -> Result<(), (io::Error, u64)> {
        self.buffer.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        for record in batch {
            serde_json::to_writer(&mut self.buffer, record).map_err(|error| (error.into(), batch.len() as u64))?;
            self.buffer.push(b'\n');
        }
        // Standard output may be a terminal.
        if !self.resumes
            && let Ok(text) = std::str::from_utf8(&self.buffer)
            && let Cow::Owned(escaped) = printable_json(text)
        {
            self.buffer = escaped.into_bytes();
        }
        let mut left = &self.buffer[..];
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        while !left.is_empty() {
            match self.out.write(left) {
                Ok(count) if count > 0 => {
                    self.torn = left[count - 1] != b'\n';
                    left = &left[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                failed => return Err((failed.err().unwrap_or(ErrorKind::WriteZero.into()), lines(left).min(batch.len()) as u64)),
            }
        }
        self.out.flush().map_err(|error| (error, 0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::record::{Finding, Origin, Severity, WallTime};

    fn batch(ids: &[&str]) -> RecordBatch {
        let finding = |id: &&str| Finding {
            time: WallTime(0),
            origin: Arc::new(Origin::unknown(1)),
            finding_id: (*id).into(),
            kind_name: "leak",
            severity: Severity::Info,
            scope: "s".into(),
            message: "a\nb".into(),
            evidence: vec![],
            first_seen: WallTime(0),
            last_seen: WallTime(0),
            open: true,
        };
        Arc::new(ids.iter().map(|id| Record::Finding(Box::new(finding(id)))).collect())
    }

    /// Accepts the scripted number of bytes in each call, or fails.
    #[derive(Clone, Default)]
    struct Scripted {
        answers: Arc<Mutex<VecDeque<Result<usize, ErrorKind>>>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(usize::MAX));
            let count = answer?.min(bytes.len());
            self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const GRACE: Duration = Duration::from_secs(5);

    /// Written lines, lost records and the fault.
    fn run(resumes: bool, answers: &[Result<usize, ErrorKind>], batches: &[RecordBatch]) -> (Vec<String>, u64, Option<JsonlFault>) {
        let out = Scripted { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), taken: Arc::default() };
        let counters = Arc::new(Counters::default());
        let writer = JsonlWriter::to(out.clone(), resumes, counters.clone(), Heartbeat::unwatched()).unwrap();
        let fault = writer.fault();
        for batch in batches {
            writer.push(batch);
        }
        writer.finish(GRACE);
        let text = String::from_utf8(out.taken.lock().unwrap().clone()).unwrap();
        let fault = fault.borrow().clone();
        (text.lines().map(String::from).collect(), counters.jsonl_records_lost.get(), fault)
    }

    fn ids(lines: &[String]) -> Vec<Option<String>> {
        let id = |line: &String| {
            serde_json::from_str::<serde_json::Value>(line).ok().map(|value| value["finding_id"].as_str().unwrap().to_string())
        };
        lines.iter().map(id).collect()
    }

    #[test]
    fn standard_output_shows_no_controls_and_a_file_keeps_them() {
        let hostile = "a\u{202e}b\u{9b}2J";
        for (resumes, is_raw) in [(false, false), (true, true)] {
            let (lines, _, _) = run(resumes, &[], &[batch(&[hostile])]);
            assert_eq!(ids(&lines), [Some(hostile.into())]);
            assert_eq!(lines[0].contains(['\u{202e}', '\u{9b}']), is_raw);
        }
    }

    #[test]
    fn each_record_is_a_line() {
        let (lines, lost, fault) =
            run(true, &[Ok(3), Err(ErrorKind::Interrupted), Ok(1)], &[batch(&["a", "b"]), batch(&[]), batch(&["c"])]);
        assert_eq!(ids(&lines), ["a", "b", "c"].map(|id| Some(id.into())));
        assert_eq!((lost, fault), (0, None));
    }

    #[test]
    fn a_full_disk_is_counted_and_writing_goes_on_with_a_line_of_its_own() {
        let first = serde_json::to_vec(&batch(&["a"])[0]).unwrap().len() + 10;
        let (lines, lost, fault) = run(
            true,
            &[Ok(first), Err(ErrorKind::StorageFull), Err(ErrorKind::StorageFull)],
            &[batch(&["a", "b"]), batch(&["c"]), batch(&["d"])],
        );
        assert_eq!(ids(&lines), [Some("a".into()), None, Some("d".into())]);
        assert_eq!((lost, fault), (2, Some(JsonlFault::Unwritable(io::Error::from(ErrorKind::StorageFull).to_string()))));
    }

    #[test]
    fn the_first_failure_of_standard_output_ends_it() {
        let (lines, lost, fault) = run(false, &[Err(ErrorKind::BrokenPipe)], &[batch(&["a"])]);
        assert_eq!((lines.len(), lost, fault), (0, 1, Some(JsonlFault::ReaderGone)));
        let (lines, _, fault) = run(false, &[Err(ErrorKind::StorageFull)], &[batch(&["a"]), batch(&["b"])]);
        assert_eq!(lines.len(), 0);
        assert!(matches!(fault, Some(JsonlFault::Unwritable(_))), "{fault:?}");
    }

    #[test]
    fn files_are_appended_to_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.jsonl");
        for id in ["a", "b"] {
            let writer = JsonlWriter::start(&JsonlDestination::File(path.clone()), Arc::default()).unwrap();
            writer.offer(&batch(&[id]));
            writer.finish(GRACE);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(JsonlWriter::start(&JsonlDestination::File(directory.path().join("no/such")), Arc::default()).is_err());
    }
}
