//! Protocol detection. In: the opening of a connection; out: a three-way answer. Detectors look at no more than [`BUDGET`] bytes of
//! each stream, allocate nothing, and answer `Yes` only where no other protocol can begin like this; two that say `Yes` are a defect
//! that a test finds (each corpus through each detector). A new protocol adds a variant of [`Protocol`] and an arm in its methods.
use super::{Parser, dns, http1, http2, memcached, mongodb, mysql, postgres, redis};
use crate::stream::{Direction, Role};

/// Most bytes of a stream that detection looks at.
pub const BUDGET: usize = 64;

/// Whether bytes are of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are.
    Yes,
    /// They are not.
    No,
    /// More bytes are needed.
    NeedMore,
}

/// The opening of a connection whose protocol is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The first bytes of each stream, or, seen from the middle on, of the latest segment; by [`Direction::index`].
    pub streams: [&'a [u8]; 2],
    /// Direction of the first bytes.
    pub first: Direction,
    /// Client or server, if known.
    pub role: Role,
    /// Own port, if there is one.
    pub local_port: Option<u16>,
    /// The other end's port, if there is one.
    pub peer_port: Option<u16>,
    /// Its first bytes were not seen.
    pub late: bool,
}

impl<'a> Opening<'a> {
    /// An opening of which only bytes are known.
    pub fn of_stream(direction: Direction, bytes: &'a [u8]) -> Self {
        let mut streams: [&[u8]; 2] = [&[]; 2];
        streams[direction.index()] = bytes;
        Self { streams, first: direction, role: Role::Unknown, local_port: None, peer_port: None, late: false }
    }

    /// The bytes of a stream, at most [`BUDGET`].
    pub fn stream(&self, direction: Direction) -> &'a [u8] {
        let bytes = self.streams[direction.index()];
        &bytes[..bytes.len().min(BUDGET)]
    }

    /// Asks `judge` of each stream that has bytes: a `Yes` of one decides, a `No` of all refuses.
    pub fn any(&self, judge: impl Fn(&[u8]) -> Verdict) -> Verdict {
        let mut verdict = Verdict::No;
        for bytes in Direction::BOTH.map(|direction| self.stream(direction)).into_iter().filter(|bytes| !bytes.is_empty()) {
            match judge(bytes) {
                Verdict::Yes => return Verdict::Yes,
                Verdict::NeedMore => verdict = Verdict::NeedMore,
                Verdict::No => {}
            }
        }
        verdict
    }
}

/// A protocol that is recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge: recognised, not read.
    Http2,
    /// Redis: RESP2 and RESP3.
    Redis,
    /// PostgreSQL, protocol version 3.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// Memcached: text and meta commands.
    Memcached,
    /// Memcached's binary protocol: recognised, not read.
    MemcachedBinary,
    /// The DNS over TCP.
    Dns,
    /// MongoDB.
    MongoDb,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Http1,
        Self::Http2,
        Self::Redis,
        Self::Postgres,
        Self::MySql,
        Self::Memcached,
        Self::MemcachedBinary,
        Self::Dns,
        Self::MongoDb,
    ];

    /// Its name for users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::Redis => "redis",
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
            Self::Memcached => "memcached",
            Self::MemcachedBinary => "memcached-binary",
            Self::Dns => "dns",
            Self::MongoDb => "mongodb",
        }
    }

    /// What the system is called that speaks it.
    pub fn system(self) -> &'static str {
        match self {
            Self::Http1 | Self::Http2 => "http",
            other => other.name(),
        }
    }

    /// What records call the exchanges of a connection that begins with it; empty for one that is only recognised.
    pub fn read_as(self) -> &'static [&'static str] {
        match self {
            Self::Http1 => &["http/1.0", "http/1.1", "websocket"],
            Self::Http2 => &[],
            Self::Redis => &["redis"],
            Self::Postgres => &["postgresql"],
            Self::MySql => &["mysql"],
            Self::Memcached => &["memcached"],
            Self::MemcachedBinary => &[],
            Self::Dns => &["dns"],
            Self::MongoDb => &["mongodb"],
        }
    }

    /// Whether a connection speaks it.
    pub fn verdict(self, opening: &Opening<'_>) -> Verdict {
        match self {
            Self::Http1 => http1::detect(opening),
            Self::Http2 => http2::detect(opening),
            Self::Redis => redis::detect(opening),
            Self::Postgres => postgres::detect(opening),
            Self::MySql => mysql::detect(opening),
            Self::Memcached => memcached::detect(opening),
            Self::MemcachedBinary => memcached::detect_binary(opening),
            Self::Dns => dns::detect(opening),
            Self::MongoDb => mongodb::detect(opening),
        }
    }

    /// A parser for a new connection; `None` for one that is only recognised.
    pub fn parser(self) -> Option<Box<dyn Parser>> {
        match self {
            Self::Http1 => Some(Box::new(http1::Http1::new())),
            Self::Http2 => None,
            Self::Redis => Some(Box::new(redis::Redis::new())),
            Self::Postgres => Some(Box::new(postgres::Postgres::new())),
            Self::MySql => Some(Box::new(mysql::MySql::new())),
            Self::Memcached => Some(Box::new(memcached::Memcached::new())),
            Self::MemcachedBinary => None,
            Self::Dns => Some(Box::new(dns::DnsParser::new())),
            Self::MongoDb => Some(Box::new(mongodb::MongoDb::new())),
        }
    }
}

/// The result of detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// A known protocol.
    Is(Protocol),
    /// No known protocol.
    Unknown,
    /// More bytes are needed.
    NeedMore,
}

/// Detects the protocol of a connection.
pub fn detect(opening: &Opening<'_>) -> Detected {
    let (mut found, mut undecided) = (None, false);
    for protocol in Protocol::ALL {
        match protocol.verdict(opening) {
            // Two protocols that both say `Yes` are told apart by neither.
            Verdict::Yes if found.is_some() => return Detected::Unknown,
            Verdict::Yes => found = Some(protocol),
            Verdict::NeedMore => undecided = true,
            Verdict::No => {}
        }
    }
    match found {
        Some(protocol) if !undecided => Detected::Is(protocol),
        None if !undecided => Detected::Unknown,
        _ => Detected::NeedMore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::corpus;

    fn one(bytes: &[u8]) -> Detected {
        detect(&Opening::of_stream(Direction::In, bytes))
    }

    #[test]
    fn the_answer_is_a_protocol_or_none() {
        assert_eq!(one(b"GET / HTTP/1.1\r\n"), Detected::Is(Protocol::Http1));
        assert_eq!(one(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Detected::Is(Protocol::Http2));
        assert_eq!(one(b"P"), Detected::NeedMore);
        assert_eq!(one(b"PRI * HTTP/"), Detected::NeedMore);
        for foreign in [&b"SSH-2.0-x\r\n"[..], b"\x16\x03\x01\x02\0\x01", b"\0\0\0\x08\x04\xd2\x16\x2e"] {
            assert_eq!(one(foreign), Detected::Unknown, "{}", foreign.escape_ascii());
        }
    }

    #[test]
    fn either_stream_decides() {
        let mut opening = Opening::of_stream(Direction::In, b"GE");
        assert_eq!(detect(&opening), Detected::NeedMore);
        opening.streams[1] = b"HTTP/1.1 200 OK\r\n";
        assert_eq!(detect(&opening), Detected::Is(Protocol::Http1));
    }

    /// What the connections of a folder of the corpus begin with, and, of a protocol that another one hands over to, the operations
    /// before it.
    fn of_folder(folder: &str) -> (Protocol, usize) {
        match folder {
            "http1" => (Protocol::Http1, 0),
            "websocket" => (Protocol::Http1, 2),
            "redis" => (Protocol::Redis, 0),
            "postgres" => (Protocol::Postgres, 0),
            "mysql" => (Protocol::MySql, 0),
            "memcached" => (Protocol::Memcached, 0),
            "mongodb" => (Protocol::MongoDb, 0),
            "dns" => (Protocol::Dns, 0),
            other => panic!("say here what the connections of tests/corpus/{other} begin with"),
        }
    }

    fn sayers(bytes: &[u8]) -> Vec<Protocol> {
        let says = |direction| {
            let opening = Opening::of_stream(direction, bytes);
            Protocol::ALL.into_iter().filter(move |protocol| protocol.verdict(&opening) == Verdict::Yes)
        };
        let [received, sent] = Direction::BOTH.map(|direction| says(direction).collect::<Vec<_>>());
        assert_eq!(received, sent, "the direction decides nothing: {}", bytes.escape_ascii());
        received
    }

    #[test]
    fn each_corpus_is_its_own_protocol_and_no_other() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus");
        let folders = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        for folder in folders.filter(|folder| folder != "recordings") {
            let (own, handshake) = of_folder(&folder);
            for session in corpus::sessions(&folder) {
                for (_, _, step) in &session.steps {
                    let corpus::CorpusStep::Datagram(_, _, bytes) = step else { continue };
                    assert_eq!(sayers(bytes), [], "{}: a datagram is the beginning of no connection", session.name);
                }
                let operations = session.steps.iter().filter_map(|(_, _, step)| match step {
                    corpus::CorpusStep::Bytes(_, bytes) => Some(bytes),
                    _ => None,
                });
                for (number, bytes) in operations.enumerate() {
                    let name = &session.name;
                    let (found, sayers) = (one(bytes), sayers(bytes));
                    // An inline command is believed when its answer has come, and so is one of Memcached that does not store. Servers of MongoDB
                    // read the header of a message alone.
                    let is_early =
                        matches!(own, Protocol::Memcached | Protocol::MongoDb) && found == Detected::NeedMore && sayers.is_empty();
                    if number == 0 && !is_early && name != "late-attach" && name != "redis-cli-pipe-inline" {
                        assert_eq!((found, &sayers[..]), (Detected::Is(own), &[own][..]), "{name}");
                    }
                    assert!(sayers.iter().all(|protocol| *protocol == own), "{name}, operation {number}: {sayers:?}");
                    // Frames are of no protocol by themselves: a connection seen from there on is not read.
                    assert!(handshake == 0 || number < handshake || sayers.is_empty(), "{name}, operation {number}: {sayers:?}");
                }
            }
        }
    }

    #[test]
    fn joined_midway_no_operation_is_of_another_protocol() {
        for folder in ["http1", "websocket", "redis", "postgres", "mysql", "memcached", "mongodb", "dns"] {
            let (own, _) = of_folder(folder);
            for session in corpus::sessions(folder) {
                for (_, _, step) in &session.steps {
                    let corpus::CorpusStep::Bytes(direction, bytes) = step else { continue };
                    let opening = Opening { late: true, ..Opening::of_stream(*direction, bytes) };
                    let others = Protocol::ALL.into_iter().filter(|protocol| *protocol != own);
                    let sayers: Vec<_> = others.filter(|protocol| protocol.verdict(&opening) == Verdict::Yes).collect();
                    assert_eq!(sayers, [], "{}: {}", session.name, bytes[..bytes.len().min(BUDGET)].escape_ascii());
                }
            }
        }
    }

    #[test]
    fn other_protocols_are_none_of_these() {
        let openings: [(&str, &[u8]); 5] = [
            (
                "TLS ClientHello",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x4e\x11\x7b\xb7\x0a\x5c\x6f\x2f\x1d\x93\x3a\x58\x01\x5c\x20",
            ),
            ("TLS 1.3 ServerHello", b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03\x95\x9c\xc3\x1f\x2d\x2e"),
            ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
            ("SMTP", b"220 mail.example ESMTP ready\r\n"),
            ("WebSocket frame", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ];
        for (name, bytes) in openings {
            assert_eq!((one(bytes), sayers(bytes)), (Detected::Unknown, Vec::new()), "{name}");
        }
        assert_eq!(sayers(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0"), [Protocol::Http2]);
    }

    #[test]
    fn what_is_read_has_a_parser() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.parser().is_some(), !protocol.read_as().is_empty(), "{}", protocol.name());
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_are_of_no_protocol(bytes in proptest::collection::vec(0x80_u8.., BUDGET..200)) {
            proptest::prop_assert_eq!(one(&bytes), Detected::Unknown);
        }

        #[test]
        fn a_decision_needs_no_more_than_the_budget(bytes in proptest::collection::vec(proptest::num::u8::ANY, BUDGET..200)) {
            proptest::prop_assert_ne!(one(&bytes), Detected::NeedMore);
        }
    }
}
