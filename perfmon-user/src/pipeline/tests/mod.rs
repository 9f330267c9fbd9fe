//! The whole front half over events as the kernel writes them.
mod memory;
mod skips;

use bytemuck::bytes_of;
use perfmon_common::event::*;

use super::*;
use crate::record::{Failure, Quality, Request, Side};

pub(super) const SERVER: u32 = 100;
const SECOND: u64 = 1_000_000_000;

pub(super) struct Host {
    pipeline: Pipeline,
    pub(super) out: Out,
    pub(super) now: u64,
    /// Process of the operations.
    pid: u32,
    offsets: std::collections::HashMap<(u64, u8), u64>,
}

impl Host {
    pub(super) fn new() -> Self {
        let mut pipeline = Pipeline::new(Arc::default(), 1_000 * SECOND);
        pipeline.describe(Arc::new(Origin { pid: SERVER, comm: "srv".into(), service: "shop".into(), container: None }));
        Self { pipeline, out: Out::default(), now: SECOND, pid: SERVER, offsets: Default::default() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.now += 1_000_000;
        self.pipeline.push(bytes, self.now, &mut self.out);
    }

    pub(super) fn open(&mut self, sock: u64, role: u8, flags: u8) {
        self.push_open(sock, role, flags, 0);
    }

    /// A connection that the process opened in so many microseconds.
    fn open_in(&mut self, sock: u64, connect_us: u32) {
        self.push_open(sock, ROLE_CLIENT, 0, connect_us);
    }

    fn push_open(&mut self, sock: u64, role: u8, flags: u8, connect_us: u32) {
        let mut header: OpenHeader = bytemuck::Zeroable::zeroed();
        (header.kind, header.tgid, header.sock, header.inode) = (KIND_OPEN, SERVER, sock, sock as u32);
        (header.time_ns, header.connect_us) = (self.now, connect_us);
        (header.family, header.protocol, header.role, header.flags) = (2, 6, role, flags);
        (header.local_addr[0], header.local_port, header.peer_addr[0], header.peer_port) = (127, 80, 10, 4_000);
        self.push(bytes_of(&header));
    }

    /// One operation of which only the first `captured` bytes are seen.
    fn moved_partly(&mut self, sock: u64, direction: u8, payload: &[u8], captured: usize, arrival_ns: u64) {
        let offset = self.offsets.entry((sock, direction)).or_default();
        let header = DataHeader {
            kind: KIND_DATA,
            captured_len: captured as u32,
            sock,
            time_ns: self.now,
            arrival_ns,
            offset: *offset,
            total_len: payload.len() as u32,
            piece_offset: 0,
            tgid: self.pid,
            thread: self.pid,
            inode: sock as u32,
            run: 0,
            direction,
            flags: DATA_LAST_PIECE,
        };
        *offset += payload.len() as u64;
        let mut bytes = bytes_of(&header).to_vec();
        bytes.extend_from_slice(&payload[..captured]);
        self.push(&bytes);
    }

    pub(super) fn received(&mut self, sock: u64, payload: &[u8]) {
        self.moved_partly(sock, DIRECTION_IN, payload, payload.len(), self.now - 500_000);
    }

    /// Bytes of an operation whose program was skipped.
    pub(super) fn passed_unseen(&mut self, sock: u64, direction: u8, len: usize) {
        self.now += 1_000_000;
        *self.offsets.entry((sock, direction)).or_default() += len as u64;
    }

    /// perfmon learns in so many milliseconds that programs were skipped.
    pub(super) fn skipped(&mut self, after_ms: u64) {
        self.pipeline.skipped(self.now + after_ms * 1_000_000);
    }

    pub(super) fn sent(&mut self, sock: u64, payload: &[u8]) {
        self.moved_partly(sock, DIRECTION_OUT, payload, payload.len(), 0);
    }

    /// The inspector's answer: open connections by inode number, as they are now.
    fn table(&mut self, inodes: Option<&[u32]>) {
        self.now += 1_000_000;
        let inodes = inodes.map(|inodes| inodes.iter().copied().collect());
        self.pipeline.answer(&Inspected::Connections { inodes, connected: Vec::new(), taken_ns: self.now }, self.now, &mut self.out);
    }

    /// A change of state with the inode number that the kernel still knows.
    fn state_of(&mut self, sock: u64, new_state: u8, inode: u32) {
        let mut header: StateHeader = bytemuck::Zeroable::zeroed();
        (header.kind, header.sock, header.inode, header.time_ns, header.new_state) = (KIND_STATE, sock, inode, self.now, new_state);
        self.push(bytes_of(&header));
    }

    pub(super) fn state(&mut self, sock: u64, new_state: u8, flags: u8) {
        let mut header: StateHeader = bytemuck::Zeroable::zeroed();
        (header.kind, header.sock, header.time_ns, header.new_state, header.flags) = (KIND_STATE, sock, self.now, new_state, flags);
        self.push(bytes_of(&header));
    }

    /// A connect() failed with this errno.
    fn not_connected(&mut self, sock: u64, error: u16) {
        self.now += 1_000_000;
        let mut header: StateHeader = bytemuck::Zeroable::zeroed();
        (header.kind, header.tgid, header.sock, header.time_ns) = (KIND_STATE, SERVER, sock, self.now);
        (header.old_state, header.new_state, header.flags, header.error) = (2, 7, STATE_NOT_CONNECTED, error);
        self.push(bytes_of(&header));
    }

    pub(super) fn requests(&mut self) -> Vec<Request> {
        self.out
            .records
            .drain(..)
            .map(|record| if let Record::Request(request) = record { request } else { panic!("{record:?}") })
            .collect()
    }
}

#[test]
fn an_exchange_becomes_a_record_with_exact_times_and_sizes() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /a/1?q=2 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: t\r\n\r\n");
    let body = [b'x'; 5_000];
    host.sent(64, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    host.moved_partly(64, DIRECTION_OUT, &body, 10, 0);
    let requests = host.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.side, request.method.as_deref(), request.path.as_deref()), (Side::Server, Some("GET"), Some("/a/1")));
    assert_eq!((request.status_code, request.response_size, request.request_size), (Some(200), Some(5_000), Some(0)));
    assert_eq!((request.local.as_ref(), request.peer.as_ref()), ("127.0.0.0:80", "10.0.0.0:4000"));
    assert_eq!((request.quality, request.missing_bytes, request.error), (Quality::Exact, 0, None));
    assert_eq!((request.response_time_ms.map(|t| t.0), request.queue_time_ms.map(|t| t.0)), (Some(2_500_000), Some(500_000)));
    assert_eq!(request.time_to_first_byte_ms.map(|t| t.0), Some(1_500_000));
    assert_eq!((request.origin.service.as_ref(), request.destination.as_deref()), ("shop", None));
    assert_eq!(request.response_bytes, 5_000 + 41);
}

#[test]
fn a_client_names_its_destination() {
    let mut host = Host::new();
    host.open(64, ROLE_CLIENT, 0);
    host.sent(64, b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
    host.received(64, b"HTTP/1.1 204 No Content\r\n\r\n");
    let requests = host.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].side, requests[0].destination.as_deref()), (Side::Client, Some("api.test")));
    assert_eq!((requests[0].queue_time_ms, requests[0].request_size), (None, Some(0)));
}

#[test]
fn a_connection_open_before_the_start_is_seen_from_its_next_request() {
    let mut host = Host::new();
    host.open(64, ROLE_UNKNOWN, OPEN_LATE);
    host.sent(64, b"\x00\x01 the rest of some body");
    host.received(64, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    host.sent(64, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let requests = host.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].path.as_deref(), requests[0].quality), (Some("/next"), Quality::Exact));
}

#[test]
fn what_nobody_understands_is_switched_off_once() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"\x05\x01\x00garbage");
    host.sent(64, b"\x05\x00garbage");
    let captures: Vec<_> = host.out.commands.iter().filter(|command| matches!(command, PipelineCommand::Capture(..))).collect();
    assert_eq!(captures, [&PipelineCommand::Capture(SocketKey { sock: 64, inode: 64 }, Capture::Off)]);
    assert_eq!(host.requests(), []);
}

#[test]
fn a_reset_by_the_client_is_the_clients() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    host.state(64, 7, STATE_PEER_RESET);
    let requests = host.requests();
    assert_eq!(requests.iter().map(|r| (r.status_code, r.error)).collect::<Vec<_>>(), [(None, Some(Failure::ClientClosed))]);
}

#[test]
fn what_perfmon_did_not_see_is_no_error() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    host.pipeline.finish(host.now, &mut host.out);
    for request in host.requests() {
        assert_eq!((request.status_code, request.error, request.quality), (None, None, Quality::Inferred));
    }
}

#[test]
fn requests_under_way_and_connections_are_told_each_tick() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n");
    let gauges = host.pipeline.tick(host.now, &mut host.out);
    assert_eq!(gauges.active_connections, None, "the socket table was not read yet");
    host.table(Some(&[64]));
    assert_eq!(host.pipeline.gauges(host.now).active_connections, Some(1));
    assert_eq!(gauges.in_flight.iter().map(|f| (f.method.as_ref(), f.path.as_ref())).collect::<Vec<_>>(), [("GET", "/hangs")]);
    host.sent(64, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    host.state(64, 7, 0);
    let gauges = host.pipeline.tick(host.now, &mut host.out);
    assert_eq!((gauges.active_connections, gauges.in_flight.len()), (Some(0), 0));
    let coverage: Vec<_> = gauges.targets.iter().map(|t| (t.pid, t.exchanges, t.completeness)).collect();
    assert_eq!(coverage, [(SERVER, 1, Some(1.0))]);
}

#[test]
fn open_connections_are_those_of_the_table_and_of_events_since() {
    let mut host = Host::new();
    host.open(3, ROLE_SERVER, 0);
    host.table(Some(&[1, 2]));
    host.open(64, ROLE_SERVER, 0);
    host.open(65, ROLE_CLIENT, 0);
    let count = |host: &mut Host| host.pipeline.gauges(host.now).active_connections;
    assert_eq!(count(&mut host), Some(3), "two silent ones, the one accepted since; the table no longer had the first");
    // Whoever answers a request has accepted the connection.
    host.open(66, ROLE_UNKNOWN, OPEN_LATE);
    host.received(66, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    host.sent(66, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(count(&mut host), Some(4));
    // After close() the kernel no longer knows the inode number: the tracker does, unless the connection was silent.
    host.state(66, 7, 0);
    assert_eq!(count(&mut host), Some(3));
    host.state_of(1, 7, 1);
    assert_eq!(count(&mut host), Some(2));
    host.table(None);
    assert_eq!(count(&mut host), None);
}

#[test]
fn an_unknown_process_is_asked_for_once_with_what_its_exec_said() {
    let mut host = Host::new();
    let mut exec: ExecHeader = bytemuck::Zeroable::zeroed();
    (exec.kind, exec.tgid, exec.parent, exec.argv_len) = (KIND_EXEC, SERVER, 1, 5);
    exec.comm[..4].copy_from_slice(b"curl");
    host.push(&[bytes_of(&exec), b"curl\0"].concat());
    host.sent(64, b"GET / HTTP/1.1\r\n\r\n");
    host.sent(64, b"GET / HTTP/1.1\r\n\r\n");
    let mut questions = std::iter::from_fn(|| host.pipeline.next_question());
    let Some(Inquiry::Describe(_, facts)) = questions.next() else { panic!("it is not asked who it is") };
    assert_eq!((facts.pid, facts.parent, &*facts.comm, &*facts.argv), (SERVER, 1, "curl", &b"curl\0"[..]));
    assert_eq!(questions.next(), None);
}

#[test]
fn bytes_that_are_no_event_are_counted() {
    let mut host = Host::new();
    host.push(b"");
    host.push(&99_u32.to_ne_bytes());
    host.push(&KIND_DATA.to_ne_bytes());
    assert_eq!(host.pipeline.counters.events_undecodable.get(), 3);
}

/// A protocol that no detector knows: each segment received is a command, each one sent its answer.
struct MadeUp {
    command: crate::proto::command::Command,
}

impl crate::proto::Parser for MadeUp {
    fn push(&mut self, segment: crate::stream::Segment<'_>, sink: &mut dyn crate::proto::Sink) -> crate::proto::Demand {
        use crate::proto::Message;
        match (segment.direction, segment.content) {
            (crate::stream::Direction::In, crate::stream::Content::Bytes(bytes)) => {
                self.command.query = Some(sink.text(&String::from_utf8_lossy(bytes)));
                (self.command.start_ns, self.command.request_wire) = (segment.stamp.time_ns, bytes.len() as u64);
            }
            (_, content) => {
                (self.command.end_ns, self.command.response_wire) = (Some(segment.stamp.time_ns), content.len());
                sink.message(Message::Command(&self.command));
                let questions = vec![crate::proto::dns::AskedName { name: "db.example".to_owned(), qtype: 1 }];
                let asked = crate::proto::dns::DnsMessage { id: 7, questions, ..Default::default() };
                sink.message(Message::Name(&asked, self.command.start_ns));
                let answered = crate::proto::dns::DnsMessage { is_answer: true, rcode: 3, ..asked.clone() };
                sink.message(Message::Name(&answered, self.command.start_ns + 2_000_000));
            }
        }
        crate::proto::Demand::Head
    }

    fn end(&mut self, _: crate::stream::Ending, _: u64, _: &mut dyn crate::proto::Sink) {}

    fn pending(&self, _: &mut dyn FnMut(crate::proto::PendingExchange<'_>)) {}

    fn serves(&self) -> Option<bool> {
        Some(true)
    }

    fn heap_bytes(&self) -> usize {
        0
    }

    fn take_stats(&mut self) -> crate::proto::Stats {
        crate::proto::Stats::default()
    }
}

#[test]
fn commands_and_questions_become_records_of_their_kinds() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    let command = crate::proto::command::Command { server: true, system: "made_up", rows: Some(3), ..Default::default() };
    let key = SocketKey { sock: 64, inode: 64 };
    host.pipeline.tracker.get_mut(key).unwrap().state.be_parsed_by(Box::new(MadeUp { command }));
    host.received(64, b"SELECT ?");
    host.sent(64, b"three rows");
    let records = std::mem::take(&mut host.out.records);
    let [Record::Db(db), Record::Dns(dns)] = &records[..] else { panic!("{records:?}") };
    assert_eq!((&*db.origin.service, db.system, db.query.as_deref(), db.rows), ("shop", "made_up", Some("SELECT ?"), Some(3)));
    assert_eq!((db.request_bytes, db.response_bytes, db.quality), (8, 10, Quality::Exact));
    assert!(db.query_id.as_ref().is_some_and(|id| id.len() == 16) && db.response_time_ms.is_some_and(|time| time.0 > 0));
    assert_eq!((&*dns.name, &*dns.qtype, &*dns.rcode, dns.attempts, &*dns.server), ("db.example", "A", "NXDOMAIN", 1, "10.0.0.0:4000"));
    assert_eq!((dns.response_time_ms, &*dns.origin.service), (Some(crate::record::Millis(2_000_000)), "shop"));
    assert_eq!(records.iter().map(Record::kind).collect::<Vec<_>>(), ["db", "dns"]);
    let json = serde_json::to_value(&records[0]).unwrap();
    assert_eq!((json["kind"].as_str(), json["service"].as_str(), json["side"].as_str()), (Some("db"), Some("shop"), Some("server")));
}

#[test]
fn a_command_of_redis_and_one_of_postgresql_are_db_records() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n");
    host.sent(64, b"$5\r\nalice\r\n");
    assert!(host.out.commands.iter().any(|command| matches!(command, PipelineCommand::Capture(_, Capture::Full))), "every byte is needed");
    host.open(128, ROLE_CLIENT, 0);
    host.sent(128, b"\0\0\0\x1b\0\x03\0\0user\0u\0database\0d\0\0");
    host.received(128, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
    host.sent(128, b"Q\0\0\0\x1fselect a from b where c=7;\0");
    host.received(128, b"C\0\0\0\x0dSELECT 3\0Z\0\0\0\x05I");
    let records = std::mem::take(&mut host.out.records);
    let [Record::Db(redis), Record::Db(postgres)] = &records[..] else { panic!("{records:#?}") };
    assert_eq!((redis.system, redis.query.as_deref(), redis.target.as_deref()), ("redis", Some("GET user:?"), Some("user")));
    assert_eq!((redis.side, redis.rows, redis.quality, redis.destination.as_ref()), (Side::Server, Some(1), Quality::Exact, None));
    assert_eq!((postgres.system, postgres.query.as_deref()), ("postgresql", Some("select a from b where c = ?")));
    assert_eq!((postgres.side, postgres.rows, postgres.database.as_deref()), (Side::Client, Some(3), Some("d")));
    assert_eq!(postgres.destination.as_deref(), Some("10.0.0.0:4000"));
}

/// A frame with a payload of fewer than 126 bytes, masked with zeros when it is the client's.
fn frame(first: u8, by_client: bool, payload: &[u8]) -> Vec<u8> {
    let mask = if by_client { &[0; 4][..] } else { &[] };
    [&[first, payload.len() as u8 | if by_client { 0x80 } else { 0 }], mask, payload].concat()
}

#[test]
fn a_websocket_is_a_handshake_and_the_record_of_its_end() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    // The server may write its first message with the handshake's answer.
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    host.sent(64, &[&answer[..], &frame(0x81, false, b"welcome")].concat());
    assert!(
        host.out.commands.iter().any(|command| matches!(command, PipelineCommand::Capture(_, Capture::Full))),
        "frames need every byte"
    );
    for payload in [&b"one"[..], b"three"] {
        host.received(64, &frame(0x82, true, payload));
    }
    host.sent(64, &frame(0x88, false, b"\x03\xe9"));
    host.received(64, &frame(0x88, true, b"\x03\xe9"));
    assert!(host.pipeline.gauges(host.now).in_flight.is_empty(), "an open session is no request under way");
    host.state(64, 7, 0);
    let requests = host.requests();
    let [handshake, end] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!(
        (handshake.protocol, handshake.status_code, handshake.messages_sent, handshake.counts()),
        ("http/1.1", Some(101), None, true)
    );
    assert_eq!(handshake.response_bytes, answer.len() as u64);
    assert_eq!((end.protocol, end.path.as_deref(), end.counts()), ("websocket", Some("/ws"), false));
    assert_eq!((end.messages_received, end.messages_sent, end.close_code), (Some(2), Some(1), Some(1001)));
    assert_eq!((end.request_size, end.response_size), (Some(8), Some(7)));
    assert_eq!((end.request_bytes, end.response_bytes), (9 + 11 + 8, 9 + 4));
    assert_eq!((end.error, end.quality, end.streaming, end.performance_category), (None, Quality::Exact, true, None));
    assert_eq!((end.time, end.parent_span_id.as_deref()), (handshake.time, Some(&*handshake.span_id.to_string())));
    assert_eq!(end.response_time_ms.map(|time| time.0), Some(6_500_000), "from the handshake to the close");
    assert!(end.response_time_ms > handshake.response_time_ms);
}

#[test]
fn a_websocket_that_is_reset_says_so() {
    let mut host = Host::new();
    host.open(64, ROLE_SERVER, 0);
    host.received(64, b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    host.sent(64, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    host.received(64, &frame(0x81, true, b"x"));
    host.state(64, 7, STATE_PEER_RESET);
    let requests = host.requests();
    let [_, end] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!((end.error, end.close_code, end.messages_received), (Some(Failure::ClientClosed), None, Some(1)));
}

#[test]
fn a_refused_connect_is_an_attempt_without_a_latency() {
    let mut host = Host::new();
    host.open(64, ROLE_CLIENT, 0);
    host.not_connected(64, 111);
    let requests = host.requests();
    let [attempt] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!((attempt.protocol, attempt.side, attempt.error), ("tcp", Side::Client, Some(Failure::ConnectRefused)));
    assert_eq!((attempt.method.as_ref(), attempt.host.as_ref(), attempt.status_code), (None, None, None));
    assert_eq!(attempt.destination.as_deref(), Some("10.0.0.0:4000"));
    assert_eq!((attempt.connect_time_ms.map(|time| time.0), attempt.latency()), (Some(2_000_000), None));
    assert!(attempt.is_error() && attempt.counts() && attempt.performance_category.is_none());
    assert_eq!(host.pipeline.tracker.iter().count(), 0, "nothing stays of it");
}

#[test]
fn the_first_request_of_a_connection_has_what_its_connect_took() {
    let mut host = Host::new();
    host.open_in(64, 250);
    for _ in 0..2 {
        host.sent(64, b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        host.received(64, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    let times: Vec<_> = host.requests().iter().map(|request| request.connect_time_ms.map(|time| time.0)).collect();
    assert_eq!(times, [Some(250_000), None]);
}

#[test]
fn an_attempt_goes_to_the_name_that_the_process_uses_for_the_address() {
    let mut host = Host::new();
    host.open(64, ROLE_CLIENT, 0);
    host.sent(64, b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    host.received(64, b"HTTP/1.1 204 No Content\r\n\r\n");
    for errno in [110, ERROR_GIVEN_UP, 113, 101, ERROR_NO_LOCAL_PORT] {
        host.open(128, ROLE_CLIENT, 0);
        host.not_connected(128, errno);
    }
    let requests = host.requests();
    assert!(requests.iter().all(|request| request.destination.as_deref() == Some("shop.test")), "{requests:#?}");
    let errors: Vec<_> = requests.iter().filter_map(|request| request.error.map(Failure::name)).collect();
    let unreachable = "connect_unreachable";
    assert_eq!(errors, ["connect_timeout", "connect_timeout", unreachable, unreachable, unreachable]);
}

#[test]
fn a_request_that_went_out_with_the_syn_is_the_attempt() {
    let mut host = Host::new();
    host.open(64, ROLE_CLIENT, 0);
    host.sent(64, b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    host.not_connected(64, 111);
    let requests = host.requests();
    let [request] = &requests[..] else { panic!("{requests:#?}") };
    assert_eq!((request.protocol, request.error), ("http/1.1", Some(Failure::Reset)));
}
