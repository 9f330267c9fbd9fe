//! Events of the kernel and recordings of them: no panic, and every second of a recording comes to its end. All run through the whole front
//! half: connections, the binder of TLS plaintext to sockets, cipher records, parsers, model calls, agent runs.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use perfmon_user::counters::Counters;
use perfmon_user::decode::{Address, Data, Event, Exec, Exit, Fork, Open, SocketKey, SocketStateChange, StateChange, TlsCall};
use perfmon_user::pipeline::{Out, Pipeline};
use perfmon_user::process::{Inquiry, Inspected};
use perfmon_user::source::recording::{Frame, Reader};
use perfmon_user::stream::{Direction, OperationRun, Role, Stamp};

const SECOND_NS: u64 = 1_000_000_000;

/// Ends everything; after a while without events nothing is charged to anyone.
fn finish(mut pipeline: Pipeline, now_ns: u64, mut out: Out) {
    pipeline.finish(now_ns, &mut out);
    for minute in 1..=3 {
        pipeline.tick(now_ns + minute * 60 * SECOND_NS, &mut out);
    }
}

/// One event.
pub fn decode(data: &[u8]) {
    if let Ok(event) = perfmon_user::decode::decode(data) {
        let mut pipeline = Pipeline::new(Arc::default(), 0);
        let mut out = Out::default();
        let now_ns = event.time_ns().unwrap_or(1);
        pipeline.event(&event, now_ns, &mut out);
        finish(pipeline, now_ns, out);
    }
}

/// A file.
pub fn recording(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let counters = Arc::new(Counters::default());
    let (mut pipeline, mut out, mut last_ns) = (Pipeline::new(counters, 0), Out::default(), 0);
    while let Ok(Some((now_ns, frame))) = reader.next_frame() {
        last_ns = last_ns.max(now_ns);
        match frame {
            Frame::Clock(wall_at_boot_ns) => pipeline.set_wall_at_boot(wall_at_boot_ns),
            Frame::Event(bytes) => pipeline.push(&bytes, now_ns, &mut out),
            Frame::Process(origin) => pipeline.describe(origin),
            Frame::Ignored(pid) => pipeline.answer(&Inspected::Judged { pid, program: None, watched: false }, now_ns, &mut out),
            Frame::Tick => drop(pipeline.tick(now_ns, &mut out)),
        }
        out.records.clear();
        out.commands.clear();
        while pipeline.next_question().is_some() {}
    }
    finish(pipeline, last_ns, out);
}

/// What is known of the sockets that the events of [`pipeline`] are about.
#[derive(Default)]
struct Sockets {
    now_ns: u64,
    offsets: [[u64; 2]; 4],
    runs: [(u16, Option<Direction>); 4],
}

impl Sockets {
    /// The event of these three bytes, with these bytes that passed.
    fn event<'a>(&mut self, [kind, which, length]: [u8; 3], bytes: &'a [u8]) -> Option<Event<'a>> {
        let (socket, pid, time_ns) = (usize::from(which & 3), 1 + u32::from(which >> 2 & 1), self.now_ns);
        let key = SocketKey { sock: 0x1000 + socket as u64, inode: 1 + u32::from(which >> 3 & 1) };
        let direction = if which & 16 == 0 { Direction::In } else { Direction::Out };
        let stamp = Stamp { time_ns, thread: 7, ..Stamp::default() };
        let (in_bytes, out_bytes) = (self.offsets[socket][0], self.offsets[socket][1]);
        let state = |change| Some(Event::State(SocketStateChange { key, time_ns, pid, change, in_bytes, out_bytes, tcp: None }));
        match kind & 15 {
            0..=4 => Some(self.data(kind, (key, pid, direction), usize::from(length), bytes)),
            5..=8 => Some(Event::Tls(TlsCall {
                pid,
                stamp,
                ssl: 0x9000 + u64::from(which >> 5 & 3),
                start_ns: time_ns.saturating_sub(10),
                socket: (kind & 16 == 0).then_some(key),
                direction,
                total_len: bytes.len() as u32 + if kind & 32 == 0 { 0 } else { length.into() },
                piece_offset: 0,
                payload: bytes,
                last_piece: true,
            })),
            9 => Some(Event::Open(Open {
                key,
                time_ns,
                pid,
                role: [Role::Unknown, Role::Client, Role::Server][usize::from(kind >> 4) % 3],
                late: kind & 64 != 0,
                connect_ns: std::num::NonZeroU64::new(length.into()),
                local: Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))),
                peer: Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000 + u16::from(which)))),
            })),
            10 => {
                self.offsets[socket] = [0; 2];
                state(StateChange::Closed { peer_reset: kind & 16 != 0, local_reset: kind & 32 != 0 })
            }
            11 => state([StateChange::PeerClosed, StateChange::LocalClosed, StateChange::PeerReset][usize::from(length) % 3]),
            12 => Some(Event::Exec(Exec {
                time_ns,
                pid,
                parent: 1,
                uid: 0,
                cgroup: 1,
                comm: b"fuzzed",
                argv: bytes,
                start_ns: (kind & 16 == 0).then_some(time_ns),
                env: b"",
            })),
            13 => Some(Event::Fork(Fork { time_ns, pid, parent: 1 })),
            14 => Some(Event::Exit(Exit { time_ns, pid, user_ns: 1, system_ns: 1, peak_rss_bytes: 1, exit_code: length.into() })),
            _ => None,
        }
    }

    /// An operation: the bytes, maybe more that were not captured, maybe lost ones before.
    fn data<'a>(&mut self, kind: u8, (key, pid, direction): (SocketKey, u32, Direction), length: usize, bytes: &'a [u8]) -> Event<'a> {
        let socket = (key.sock & 3) as usize;
        let offset = &mut self.offsets[socket][direction.index()];
        let missing = if kind & 16 == 0 { 0 } else { length as u64 };
        *offset += if kind & 32 == 0 { 0 } else { length as u64 };
        let start = *offset;
        *offset += bytes.len() as u64 + missing;
        let (number, last) = &mut self.runs[socket];
        let begins = last.replace(direction) != Some(direction);
        *number = number.wrapping_add(begins.into());
        let run = (kind & 64 == 0).then_some(OperationRun { number: *number, begins });
        Event::Data(Data {
            key,
            stamp: Stamp { time_ns: self.now_ns, thread: 7, run, ..Stamp::default() },
            pid,
            direction,
            offset: start,
            total_len: bytes.len() as u32 + missing as u32,
            piece_offset: 0,
            payload: bytes,
            last_piece: true,
            eof: kind & 128 != 0,
            unseen: false,
        })
    }
}

/// Events of two processes on four sockets, of which the binder has to find out what belongs together: three bytes (kind, which, length), then
/// as many bytes as the last one says; the kind 15 lets time pass and answers questions.
pub fn pipeline(data: &[u8]) {
    let (mut pipeline, mut out, mut rest) = (Pipeline::new(Arc::default(), 0), Out::default(), data);
    let mut sockets = Sockets { now_ns: SECOND_NS, ..Sockets::default() };
    while let [kind, which, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        sockets.now_ns += 1_000 * u64::from(*which);
        match sockets.event([*kind, *which, *length], bytes) {
            Some(event) => pipeline.event(&event, sockets.now_ns, &mut out),
            None => {
                sockets.now_ns += SECOND_NS << (length & 7);
                while let Some(question) = pipeline.next_question() {
                    if let Inquiry::Judge { pid, program, .. } = question {
                        let judged = Inspected::Judged { pid, program: Some(program), watched: kind & 16 == 0 };
                        pipeline.answer(&judged, sockets.now_ns, &mut out);
                    }
                }
                pipeline.tick(sockets.now_ns, &mut out);
            }
        }
        out.records.clear();
        out.commands.clear();
    }
    finish(pipeline, sockets.now_ns, out);
}
