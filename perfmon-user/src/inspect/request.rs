//! What goes between [`super::ForeignReader`] and its worker over two pipes: a request, and its answer. Integers are little endian. Pipes and
//! no sockets, since perfmon would observe itself on those.
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::{FileUser, Refusal};

/// A longer path is none.
const PATH_BYTES: u32 = 8 * 1024;
/// More groups are not sent.
const GROUPS: u32 = 4 * 1024;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    /// The file; with `below` the folder that takes the place of `/`.
    pub(super) path: PathBuf,
    /// A path below the folder, and the user who must be allowed to read it (`None`: perfmon's own rights).
    pub(super) below: Option<(PathBuf, Option<FileUser>)>,
    /// Where to begin.
    pub(super) offset: u64,
    /// Bytes at most.
    pub(super) limit: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    /// From the offset on.
    pub(super) bytes: Vec<u8>,
    /// There was more.
    pub(super) cut: bool,
}

impl ReadRequest {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut message = Vec::with_capacity(256);
        put(&mut message, self.path.as_os_str().as_bytes());
        message.extend(self.offset.to_le_bytes());
        message.extend(self.limit.to_le_bytes());
        message.push(u8::from(self.below.is_some()));
        if let Some((inside, owner)) = &self.below {
            put(&mut message, inside.as_os_str().as_bytes());
            message.push(u8::from(owner.is_some()));
            if let Some(owner) = owner {
                let count = owner.groups.len() as u32;
                for id in [owner.uid, owner.gid, count].iter().chain(&owner.groups) {
                    message.extend(id.to_le_bytes());
                }
            }
        }
        out.write_all(&message)?;
        out.flush()
    }

    /// `None` when the other side is gone.
    pub(super) fn read(input: &mut impl Read) -> Option<Self> {
        let path = path(input)?;
        let (offset, limit) = (u64_of(input)?, u64_of(input)?);
        let below = if flag(input)? {
            let inside = self::path(input)?;
            let owner = if flag(input)? {
                let (uid, gid, count) = (u32_of(input)?, u32_of(input)?, u32_of(input)?);
                let groups = (0..count.min(GROUPS)).map(|_| u32_of(input)).collect::<Option<_>>()?;
                Some(FileUser { uid, gid, groups })
            } else {
                None
            };
            Some((inside, owner))
        } else {
            None
        };
        Some(Self { path, below, offset, limit })
    }
}

/// Writes an answer: a byte (0 = read, 1 = read and cut, else 2 + number of the refusal), `u32` length, bytes.
pub(super) fn write_answer(answer: &Result<Bytes, Refusal>, out: &mut impl Write) -> io::Result<()> {
    let (first, bytes): (u8, &[u8]) = match answer {
        Ok(read) => (u8::from(read.cut), &read.bytes),
        Err(refusal) => (2 + Refusal::ALL.iter().position(|known| known == refusal).unwrap_or(0) as u8, &[]),
    };
    out.write_all(&[first])?;
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)?;
    out.flush()
}

/// Length of an answer's beginning, and what it says.
pub(super) const ANSWER_HEAD: usize = 5;

/// Reads the beginning of an answer: the refusal, or whether it is cut and how many bytes follow.
pub(super) fn answer_head(head: [u8; ANSWER_HEAD]) -> Result<(bool, usize), Refusal> {
    let [first, l0, l1, l2, l3] = head;
    match first {
        0 | 1 => Ok((first == 1, u32::from_le_bytes([l0, l1, l2, l3]) as usize)),
        other => Err(Refusal::ALL.get(usize::from(other) - 2).copied().unwrap_or(Refusal::Unreadable)),
    }
}

fn put(message: &mut Vec<u8>, bytes: &[u8]) {
    message.extend((bytes.len() as u32).to_le_bytes());
    message.extend(bytes);
}

fn path(input: &mut impl Read) -> Option<PathBuf> {
    let length = u32_of(input).filter(|length| *length <= PATH_BYTES)?;
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).ok()?;
    Some(OsString::from_vec(bytes).into())
}

fn array<const N: usize>(input: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn flag(input: &mut impl Read) -> Option<bool> {
    array::<1>(input).map(|[byte]| byte != 0)
}

fn u32_of(input: &mut impl Read) -> Option<u32> {
    array(input).map(u32::from_le_bytes)
}

fn u64_of(input: &mut impl Read) -> Option<u64> {
    array(input).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let owner = FileUser { uid: 1, gid: 2, groups: vec![3, 4] };
        for below in [None, Some(("/a".into(), None)), Some(("/b \u{1F600}".into(), Some(owner)))] {
            let request = ReadRequest { path: "/proc/1/root".into(), below, offset: 7, limit: 9 };
            let mut bytes = Vec::new();
            request.write(&mut bytes).unwrap();
            assert_eq!(ReadRequest::read(&mut bytes.as_slice()), Some(request));
            for length in 0..bytes.len() {
                assert_eq!(ReadRequest::read(&mut &bytes[..length]), None);
            }
        }
    }

    #[test]
    fn answers_tell_bytes_or_the_refusal() {
        let told = |answer: Result<Bytes, Refusal>| {
            let mut out = Vec::new();
            write_answer(&answer, &mut out).unwrap();
            answer_head(out[..ANSWER_HEAD].try_into().unwrap())
        };
        assert_eq!(told(Ok(Bytes { bytes: b"abc".to_vec(), cut: true })), Ok((true, 3)));
        for refusal in Refusal::ALL {
            assert_eq!(told(Err(refusal)), Err(refusal));
        }
    }
}
