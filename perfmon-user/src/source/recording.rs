//! Recordings: kernel events in order, with the identities of processes, in a file that the same pipeline can replay.
//!
//! Format: `MAGIC`, then frames of `u32` length (of what follows), `u8` kind, `u64` time in nanoseconds since boot, payload; integers
//! little endian. Kinds: the clock (`u64` wall nanoseconds at boot), an event (`perfmon_common::event`), a process (JSON), a
//! tick, a process that turned out to be no target (`u32` pid).
//! A recording holds captured bytes, maybe secrets: files are made readable for their owner only.
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::private_file::{self, Existing};
use crate::record::Origin;

/// First bytes of a recording; the last one is the version.
const MAGIC: &[u8; 8] = b"perfmon\x01";
/// A longer frame is no frame.
const LONGEST_FRAME: u32 = 1 << 20;
/// Times stay below: 146 years after boot, and until the year 2116.
const LATEST_NS: u64 = 1 << 62;

const KIND_CLOCK: u8 = 0;
const KIND_EVENT: u8 = 1;
const KIND_PROCESS: u8 = 2;
const KIND_TICK: u8 = 3;
const KIND_IGNORED: u8 = 4;

/// One frame.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// Wall time of boot.
    Clock(u64),
    /// An event, as the kernel wrote it.
    Event(Vec<u8>),
    /// Identity of a process.
    Process(Arc<Origin>),
    /// A tick of the pipeline.
    Tick,
    /// A process that is no target: its recorded events are ignored.
    Ignored(u32),
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file itself.
    #[error("cannot read the recording")]
    Io(#[from] io::Error),
    /// Not a recording, or of another version.
    #[error("this is not a perfmon recording, or one of an incompatible version; `perfmon record -o FILE` makes one")]
    NotARecording,
    /// Damaged.
    #[error("the recording is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: u64,
        /// How.
        what: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct ProcessFrame {
    pid: u32,
    comm: Box<str>,
    service: Box<str>,
    container: Option<Box<str>>,
}

/// Writes a recording.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
}

impl Writer<BufWriter<std::fs::File>> {
    /// Makes the file, readable for its owner only.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = private_file::open(path, Existing::Replaced)?;
        Self::new(BufWriter::with_capacity(1 << 18, file))
    }
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// What the writer says; likewise below.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out })
    }

    /// Writes the wall time of boot.
    pub fn clock(&mut self, now_ns: u64, wall_at_boot_ns: u64) -> io::Result<()> {
        self.frame(KIND_CLOCK, now_ns, &wall_at_boot_ns.to_le_bytes())
    }

    /// Writes an event.
    pub fn event(&mut self, now_ns: u64, bytes: &[u8]) -> io::Result<()> {
        self.frame(KIND_EVENT, now_ns, bytes)
    }

    /// Writes the identity of a process.
    pub fn process(&mut self, now_ns: u64, origin: &Origin) -> io::Result<()> {
        let (comm, service) = ((*origin.comm).into(), (*origin.service).into());
        let frame = ProcessFrame { pid: origin.pid, comm, service, container: origin.container.as_deref().map(Into::into) };
        self.frame(KIND_PROCESS, now_ns, &serde_json::to_vec(&frame)?)
    }

    /// Writes a tick of the pipeline.
    pub fn tick(&mut self, now_ns: u64) -> io::Result<()> {
        self.frame(KIND_TICK, now_ns, &[])
    }

    /// Writes that a process is no target.
    pub fn ignored(&mut self, now_ns: u64, pid: u32) -> io::Result<()> {
        self.frame(KIND_IGNORED, now_ns, &pid.to_le_bytes())
    }

    /// Makes sure that everything is in the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn frame(&mut self, kind: u8, now_ns: u64, payload: &[u8]) -> io::Result<()> {
        let len = u32::try_from(payload.len() + 9).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&now_ns.to_le_bytes())?;
        self.out.write_all(payload)
    }
}

/// Reads a recording.
#[derive(Debug)]
pub struct Reader<R: Read> {
    input: R,
    at: u64,
}

impl Reader<BufReader<std::fs::File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read or is no recording.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::new(BufReader::with_capacity(1 << 18, std::fs::File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything.
    ///
    /// # Errors
    /// When it is no recording.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|_| RecordingError::NotARecording)?;
        if magic != *MAGIC {
            return Err(RecordingError::NotARecording);
        }
        Ok(Self { input, at: MAGIC.len() as u64 })
    }

    /// The next frame with its time; `None` at the end. A frame cut by a killed recorder counts as the end.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_frame(&mut self) -> Result<Option<(u64, Frame)>, RecordingError> {
        let at = self.at;
        let damaged = |what| RecordingError::Damaged { at, what };
        let mut head = [0; 13];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let [l0, l1, l2, l3, kind, now @ ..] = head;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if !(9..=LONGEST_FRAME).contains(&len) {
            return Err(damaged("a frame has an impossible length"));
        }
        let mut payload = vec![0; len as usize - 9];
        if !self.fill(&mut payload)? {
            return Ok(None);
        }
        let time =
            |bytes| Some(u64::from_le_bytes(bytes)).filter(|time_ns| *time_ns < LATEST_NS).ok_or_else(|| damaged("a time is impossible"));
        let frame = match kind {
            KIND_CLOCK => Frame::Clock(time(payload.try_into().map_err(|_| damaged("the clock has the wrong length"))?)?),
            KIND_EVENT => Frame::Event(payload),
            KIND_PROCESS => {
                let frame: ProcessFrame = serde_json::from_slice(&payload).map_err(|_| damaged("a process cannot be read"))?;
                let container = frame.container.map(Into::into);
                Frame::Process(Arc::new(Origin { pid: frame.pid, comm: frame.comm.into(), service: frame.service.into(), container }))
            }
            KIND_TICK => Frame::Tick,
            KIND_IGNORED => {
                Frame::Ignored(u32::from_le_bytes(payload.try_into().map_err(|_| damaged("a process id has the wrong length"))?))
            }
            _ => return Err(damaged("a frame is of an unknown kind")),
        };
        Ok(Some((time(now)?, frame)))
    }

    /// Fills the buffer; false when the input ended before.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, RecordingError> {
        match self.input.read_exact(buffer) {
            Ok(()) => {
                self.at += buffer.len() as u64;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.clock(1, 42).unwrap();
        writer.event(2, b"event").unwrap();
        writer.process(3, &Origin { container: Some("abc".into()), ..Origin::unknown(7) }).unwrap();
        writer.tick(4).unwrap();
        writer.ignored(5, 8).unwrap();
        writer.out
    }

    fn frames(bytes: &[u8]) -> Vec<(u64, Frame)> {
        let mut reader = Reader::new(bytes).unwrap();
        std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let origin = Arc::new(Origin { container: Some("abc".into()), ..Origin::unknown(7) });
        let expected = vec![
            (1, Frame::Clock(42)),
            (2, Frame::Event(b"event".to_vec())),
            (3, Frame::Process(origin)),
            (4, Frame::Tick),
            (5, Frame::Ignored(8)),
        ];
        assert_eq!(frames(&recording()), expected);
    }

    #[test]
    fn a_cut_recording_ends_with_its_last_whole_frame() {
        let whole = recording();
        let count = frames(&whole).len();
        for len in MAGIC.len()..whole.len() {
            assert!(frames(&whole[..len]).len() < count);
        }
    }

    #[test]
    fn impossible_times_are_damage() {
        let mut late = Writer::new(Vec::new()).unwrap();
        late.tick(u64::MAX).unwrap();
        let mut clock = Writer::new(Vec::new()).unwrap();
        clock.clock(1, u64::MAX).unwrap();
        for bytes in [late.out, clock.out] {
            let read = Reader::new(&*bytes).unwrap().next_frame();
            assert!(matches!(read, Err(RecordingError::Damaged { .. })), "{read:?}");
        }
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        assert!(matches!(Reader::new(&b"GIF89a.."[..]), Err(RecordingError::NotARecording)));
        let mut damaged = recording();
        damaged[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Reader::new(&damaged[..]).unwrap().next_frame(), Err(RecordingError::Damaged { at: 8, .. })));
    }
}
