//! Programs that the kernel skipped: what is told as exact has the figures of its own request, whatever was skipped; and records are exact
//! again after it.
use proptest::prelude::*;

use super::*;

const UNIX: u16 = 1;
const INET: u16 = 2;

/// A server whose operations the kernel may skip, on connections of one family. Events wait and are read in batches.
struct SkippingHost {
    host: Host,
    family: u16,
    events: Vec<Vec<u8>>,
    /// Since the last batch.
    has_skipped: bool,
    sockets: Vec<SkippingSocket>,
}

#[derive(Default)]
struct SkippingSocket {
    /// Bytes of each direction.
    moved: [u64; 2],
    run: u16,
    last: Option<u8>,
    asked: usize,
    answered: usize,
}

impl SkippingHost {
    fn new(family: u16, sockets: u64) -> Self {
        let mut host = Host::new();
        for sock in 1..=sockets {
            let mut header: OpenHeader = bytemuck::Zeroable::zeroed();
            (header.kind, header.tgid, header.sock, header.inode) = (KIND_OPEN, SERVER, sock * 64, sock as u32);
            (header.time_ns, header.family, header.protocol, header.role) =
                (host.now, family, if family == INET { 6 } else { 0 }, ROLE_SERVER);
            host.push(bytes_of(&header));
        }
        Self { host, family, events: Vec::new(), has_skipped: false, sockets: (0..sockets).map(|_| SkippingSocket::default()).collect() }
    }

    /// The next request or answer of a connection. The size of an answer is in the path of its request.
    fn moves(&mut self, socket: usize, is_answer: bool, is_skipped: bool) {
        let state = &mut self.sockets[socket];
        let number = if is_answer { &mut state.answered } else { &mut state.asked };
        let size = 10 + *number;
        *number += 1;
        let (direction, text) = if is_answer {
            (DIRECTION_OUT, format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "b".repeat(size)))
        } else {
            (DIRECTION_IN, format!("GET /{size} HTTP/1.1\r\nHost: h\r\n\r\n"))
        };
        self.host.now += 1_000_000;
        let moved = &mut state.moved[usize::from(is_answer)];
        if is_skipped {
            self.has_skipped = true;
            // TCP counts what its events do not tell.
            *moved += if self.family == INET { text.len() as u64 } else { 0 };
            return;
        }
        let begins = state.last.replace(direction) != Some(direction);
        state.run += u16::from(begins);
        let header = DataHeader {
            kind: KIND_DATA,
            captured_len: text.len() as u32,
            sock: (socket as u64 + 1) * 64,
            time_ns: self.host.now,
            arrival_ns: 0,
            offset: std::mem::replace(moved, *moved + text.len() as u64),
            total_len: text.len() as u32,
            piece_offset: 0,
            tgid: SERVER,
            thread: SERVER,
            inode: socket as u32 + 1,
            run: state.run,
            direction,
            flags: DATA_LAST_PIECE | DATA_RUN | if begins { DATA_BEGINS } else { 0 },
        };
        self.events.push([bytes_of(&header), text.as_bytes()].concat());
    }

    /// perfmon wakes up.
    fn read(&mut self) {
        self.host.now += 1_000_000;
        if std::mem::take(&mut self.has_skipped) {
            self.host.pipeline.skipped(self.host.now);
        }
        for event in std::mem::take(&mut self.events) {
            self.host.push(&event);
        }
    }

    /// What is told as exact, and what of it has another's figures.
    fn told(&mut self) -> (usize, Vec<String>) {
        let exact: Vec<_> =
            self.host.requests().into_iter().filter(|told| told.quality == Quality::Exact && told.missing_bytes == 0).collect();
        let is_own = |told: &&Request| {
            let size = told.path.as_deref().and_then(|path| path.trim_start_matches('/').parse().ok());
            told.error.is_none() && told.response_size == size
        };
        (exact.len(), exact.iter().filter(|told| !is_own(told)).map(|told| format!("{told:?}")).collect())
    }
}

/// One step of the host: the next operation on a connection, whose client waits for its answers, and whether it is skipped and perfmon reads
/// then.
type Step = (usize, bool, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..3_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.2)), 1..150)
}

fn run(family: u16, steps: &[Step]) -> SkippingHost {
    let mut host = SkippingHost::new(family, 3);
    for &(socket, is_skipped, reads) in steps {
        let SkippingSocket { asked, answered, .. } = host.sockets[socket];
        // The first operation tells of the socket.
        host.moves(socket, asked > answered, is_skipped && asked > 0);
        if reads {
            host.read();
        }
    }
    host
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exact_is_its_own(is_tcp: bool, steps in steps()) {
        let mut host = run(if is_tcp { INET } else { UNIX }, &steps);
        host.read();
        host.host.pipeline.finish(host.host.now, &mut host.host.out);
        prop_assert_eq!(host.told().1, Vec::<String>::new());
    }

    #[test]
    fn a_skip_costs_few_records(at in 2..30_usize, is_later_skipped: bool, between in 9..20_usize) {
        let steps: Vec<Step> = (0..60).map(|step| (0, step == at || (is_later_skipped && step == at + between), false)).collect();
        let mut host = run(INET, &steps);
        if host.sockets[0].asked > host.sockets[0].answered {
            host.moves(0, true, false);
        }
        host.read();
        host.told();
        // Of what begins now the first may have what was skipped before it.
        for is_first in [true, false, false] {
            host.moves(0, false, false);
            host.moves(0, true, false);
            host.read();
            let told = host.told();
            prop_assert!(is_first || told == (1, Vec::new()), "{told:?}");
        }
    }
}
