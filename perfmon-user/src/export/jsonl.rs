//! `--jsonl`: every record as one line of JSON, appended to a file (created with mode 0600) or written to standard output. A closed reader
//! ends it with a warning. A full disk is logged once and the lost records are counted; writing resumes when there is space again.
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::counters::Counters;
use crate::limits;
use crate::record::{Record, RecordBatch};

/// How long the end waits for a reader that does not read.
const GRACE: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonlDestination {
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

/// The thread that writes, and the queue to it.
#[derive(Debug)]
pub struct JsonlWriter {
    queue: SyncSender<RecordBatch>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    counters: Arc<Counters>,
}

impl JsonlWriter {
    /// Opens the destination and starts the thread.
    pub fn start(to: &JsonlDestination, counters: Arc<Counters>) -> io::Result<Self> {
        match to {
            JsonlDestination::Stdout => Self::to(io::stdout(), counters),
            JsonlDestination::File(path) => Self::to(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?, counters),
        }
    }

    fn to(out: impl Write + Send + 'static, counters: Arc<Counters>) -> io::Result<Self> {
        let (queue, batches) = sync_channel(limits::CONSUMER_QUEUE);
        let (running, ended) = sync_channel(0);
        let lines = Lines { out, buffer: Vec::new(), torn: false, failing: false, counters: counters.clone() };
        std::thread::Builder::new().name("jsonl".into()).spawn(move || {
            lines.write_all_of(&batches);
            drop(running);
        })?;
        Ok(Self { queue, ended, counters })
    }

    /// Takes a batch without waiting; what does not fit into the queue is counted.
    pub fn offer(&self, batch: &RecordBatch) {
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.queue.try_send(batch.clone()) {
            self.counters.jsonl_records_lost.add(batch.len() as u64);
        }
    }

    /// Queues a batch and waits until it fits: for a replay, which has no deadline.
    pub fn push(&self, batch: &RecordBatch) {
        if let Err(refused) = self.queue.send(batch.clone()) {
            self.counters.jsonl_records_lost.add(refused.0.len() as u64);
        }
    }

    /// Writes what waits and ends; a reader that does not read is waited for a few seconds.
    pub fn finish(self) {
        drop(self.queue);
        if self.ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("Nobody reads the records; the last ones are lost.");
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
    counters: Arc<Counters>,
}

impl<W: Write> Lines<W> {
    fn write_all_of(mut self, batches: &Receiver<RecordBatch>) {
        for batch in batches {
            if let Err((error, lost)) = self.write(&batch) {
                self.counters.jsonl_records_lost.add(lost);
                if error.kind() == ErrorKind::BrokenPipe {
                    tracing::warn!("The reader of the records is gone; no more are written.");
                    return;
                }
                if !self.failing {
                    tracing::warn!(%error, "Records cannot be written; those lost are counted, writing goes on when it can.");
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

    fn run(answers: &[Result<usize, ErrorKind>], batches: &[RecordBatch]) -> (Vec<String>, u64) {
        let out = Scripted { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), taken: Arc::default() };
        let counters = Arc::new(Counters::default());
        let writer = JsonlWriter::to(out.clone(), counters.clone()).unwrap();
        batches.iter().for_each(|batch| writer.push(batch));
        writer.finish();
        let text = String::from_utf8(out.taken.lock().unwrap().clone()).unwrap();
        (text.lines().map(String::from).collect(), counters.jsonl_records_lost.get())
    }

    fn ids(lines: &[String]) -> Vec<Option<String>> {
        let id = |line: &String| {
            serde_json::from_str::<serde_json::Value>(line).ok().map(|value| value["finding_id"].as_str().unwrap().to_string())
        };
        lines.iter().map(id).collect()
    }

    #[test]
    fn each_record_is_a_line() {
        let (lines, lost) = run(&[Ok(3), Err(ErrorKind::Interrupted), Ok(1)], &[batch(&["a", "b"]), batch(&[]), batch(&["c"])]);
        assert_eq!(ids(&lines), ["a", "b", "c"].map(|id| Some(id.into())));
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_full_disk_is_counted_and_writing_goes_on_with_a_line_of_its_own() {
        let first = serde_json::to_vec(&batch(&["a"])[0]).unwrap().len() + 10;
        let (lines, lost) = run(
            &[Ok(first), Err(ErrorKind::StorageFull), Err(ErrorKind::StorageFull)],
            &[batch(&["a", "b"]), batch(&["c"]), batch(&["d"])],
        );
        assert_eq!(ids(&lines), [Some("a".into()), None, Some("d".into())]);
        assert_eq!(lost, 2);
    }

    #[test]
    fn a_reader_that_is_gone_ends_it() {
        let (lines, lost) = run(&[Err(ErrorKind::BrokenPipe)], &[batch(&["a"])]);
        assert_eq!((lines.len(), lost), (0, 1));
    }

    #[test]
    fn files_are_appended_to_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.jsonl");
        for id in ["a", "b"] {
            let writer = JsonlWriter::start(&JsonlDestination::File(path.clone()), Arc::default()).unwrap();
            writer.offer(&batch(&[id]));
            writer.finish();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(JsonlWriter::start(&JsonlDestination::File(directory.path().join("no/such")), Arc::default()).is_err());
    }
}
