//! Inputs to begin with: files below `perfmon-user/fuzz/seeds`, connections and recordings of `tests/corpus` in the form that the targets read, and
//! what this machine has (a TLS library, maps of this process).
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// Where distributions put the library.
const LIBRARIES: [&str; 3] = ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib64/libssl.so.3", "/usr/lib/libssl.so.3"];
/// Beginnings of operations of connections: bytes that came in, bytes that went out.
const BYTES: [&[u8]; 2] = [&[0x18], &[0x19]];
/// The same as events: of a socket, and of a TLS library.
const EVENTS_OF_SOCKET: [&[u8]; 2] = [&[0, 0], &[0, 16]];
const EVENTS_OF_TLS: [&[u8]; 2] = [&[5, 0], &[5, 16]];
/// A recording's first bytes, and a frame's before its payload.
const MAGIC: usize = 8;
const FRAME_HEAD: usize = 13;
/// Longest part of a recording that is a seed, and most events of it.
const RECORDING: usize = 64 << 10;
const EVENTS: usize = 200;

/// Writes the seeds of a target into a folder.
pub fn write(target: &str, into: &Path) -> Result<()> {
    for (number, seed) in of(target)?.iter().enumerate() {
        std::fs::write(into.join(number.to_string()), seed).with_context(|| format!("cannot write a seed of {target}"))?;
    }
    Ok(())
}

/// The seeds of a target.
pub fn of(target: &str) -> Result<Vec<Vec<u8>>> {
    let own = files(&shell::root().join("perfmon-user/fuzz/seeds").join(target), None)?;
    let mut seeds: Vec<Vec<u8>> = own.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    seeds.extend(made(target)?);
    Ok(seeds)
}

/// Files of a folder, which may not be there, with this ending.
fn files(folder: &Path, ending: Option<&str>) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = folder.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|file| ending.is_none_or(|ending| file.extension().is_some_and(|known| known == ending)));
    files.sort();
    Ok(files)
}

fn made(target: &str) -> Result<Vec<Vec<u8>>> {
    let corpus = shell::root().join("tests/corpus");
    let connections_as = |protocol: &str, begins: [&[u8]; 2]| -> Result<Vec<Vec<u8>>> {
        files(&corpus.join(protocol), Some(protocol))?.iter().map(|file| Ok(connection(&std::fs::read_to_string(file)?, begins))).collect()
    };
    let connections = |protocol| connections_as(protocol, BYTES);
    let recordings =
        || -> Result<Vec<Vec<u8>>> { files(&corpus.join("recordings"), Some("perfmon"))?.iter().map(|f| Ok(std::fs::read(f)?)).collect() };
    Ok(match target {
        "http1" | "redis" | "postgres" | "mysql" | "memcached" | "mongodb" | "dns" => connections(target)?,
        "websocket" => connections("websocket")?.into_iter().map(|seed| [&[0][..], &seed].concat()).collect(),
        "detect" => ["http1", "redis", "postgres", "mysql", "memcached", "mongodb", "dns"]
            .into_iter()
            .map(connections)
            .collect::<Result<Vec<_>>>()?
            .concat()
            .into_iter()
            .map(|seed| seed[2.min(seed.len())..].to_vec())
            .collect(),
        "pipeline" => [connections_as("http1", EVENTS_OF_SOCKET)?, connections_as("http1", EVENTS_OF_TLS)?].concat(),
        "recording" => recordings()?
            .into_iter()
            .map(|mut recording| {
                recording.truncate(RECORDING);
                recording
            })
            .collect(),
        "decode" => recordings()?.iter().flat_map(|recording| events(recording)).take(EVENTS).collect(),
        "elf" => {
            LIBRARIES.iter().filter_map(|library| std::fs::read(library).ok()).take(1).map(|file| [&[1][..], &file].concat()).collect()
        }
        "maps" => vec![std::fs::read("/proc/self/maps")?],
        "cgroup" => vec![std::fs::read("/proc/self/cgroup")?],
        _ => Vec::new(),
    })
}

/// A connection of the corpus as operations: one of each 255 bytes. Times, gaps and ends are left to the fuzzer;
/// datagrams are of no connection.
fn connection(text: &str, begins: [&[u8]; 2]) -> Vec<u8> {
    let (mut operations, mut begin) = (Vec::new(), None);
    for line in text.lines() {
        match line.split_at_checked(1) {
            Some((">" | "<", step)) if step.contains("datagram") => begin = None,
            Some((">", _)) => begin = Some(begins[0]),
            Some(("<", _)) => begin = Some(begins[1]),
            Some(("|", escaped)) => {
                let Some(begin) = begin else { continue };
                for bytes in unescape(escaped).chunks(255) {
                    operations.extend(begin);
                    operations.push(bytes.len() as u8);
                    operations.extend(bytes);
                }
            }
            _ => {}
        }
    }
    operations
}

/// `\r`, `\n`, `\t`, `\\` and `\xNN`, as `tests/corpus/http1/README.md` says.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let Some((escape, tail)) = rest.split_first() else { break };
        rest = tail;
        match escape {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                bytes.extend(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()));
                rest = rest.get(2..).unwrap_or_default();
            }
            other => bytes.push(*other),
        }
    }
    bytes
}

/// Payloads of a recording's frames, the first of each length.
fn events(recording: &[u8]) -> Vec<Vec<u8>> {
    let (mut events, mut rest) = (Vec::<Vec<u8>>::new(), recording.get(MAGIC..).unwrap_or_default());
    while let Some(length) = rest.first_chunk().map(|length| u32::from_le_bytes(*length) as usize) {
        let Some(payload) = rest.get(FRAME_HEAD..4 + length) else { break };
        if payload.len() <= 4_096 && events.iter().all(|known| known.len() != payload.len()) {
            events.push(payload.to_vec());
        }
        rest = &rest[4 + length..];
    }
    events
}
