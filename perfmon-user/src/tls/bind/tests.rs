//! Bindings: by the operation within the call, by the send that follows a write, and what must not bind.
use super::*;
use crate::stream::Stamp;

const PID: u32 = 7;
const THREAD: u32 = 70;

fn key(n: u64) -> SocketKey {
    SocketKey { sock: n * 64, inode: n as u32 }
}

fn object(ssl: u64) -> TlsObject {
    TlsObject { pid: PID, ssl }
}

fn call(ssl: u64, direction: Direction, bytes: &[u8], socket: Option<SocketKey>) -> TlsCall<'_> {
    TlsCall {
        pid: PID,
        stamp: Stamp { time_ns: 2, arrival_ns: None, thread: THREAD, run: None },
        ssl,
        start_ns: 1,
        socket,
        direction,
        total_len: bytes.len() as u32,
        piece_offset: 0,
        payload: bytes,
        last_piece: true,
    }
}

fn send(n: u64, payload: &[u8], total_len: u32) -> Data<'_> {
    Data {
        key: key(n),
        stamp: Stamp { time_ns: 3, arrival_ns: None, thread: THREAD, run: None },
        pid: PID,
        direction: Direction::Out,
        offset: 0,
        total_len,
        piece_offset: 0,
        payload,
        last_piece: true,
        eof: false,
        unseen: false,
    }
}

/// The record that carries `len` bytes of plaintext in TLS 1.3.
fn record(len: u16) -> Vec<u8> {
    let [high, low] = (len + 17).to_be_bytes();
    let mut record = vec![23, 3, 3, high, low];
    record.resize(usize::from(len) + 22, 0xaa);
    record
}

fn binder() -> (Binder, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Binder::new(counters.clone()), counters)
}

fn object_of(carried: Option<Carried>) -> Option<TlsObject> {
    carried.map(|carried| carried.object)
}

fn sends(binder: &mut Binder, n: u64, len: u16) -> Option<TlsObject> {
    let record = record(len);
    object_of(binder.sent(&send(n, &record, record.len() as u32), Some(17)))
}

#[test]
fn an_operation_within_the_call_binds_and_a_read_without_one_follows() {
    let (mut binder, _) = binder();
    let write = call(1, Direction::Out, b"abc", Some(key(4)));
    assert_eq!(binder.call(&write), Placement::Within(key(4), Plain::of(&write)));
    // Bytes that the library had read before.
    let read = call(1, Direction::In, b"rest", None);
    assert_eq!(binder.call(&read), Placement::Within(key(4), Plain::of(&read)));
    // The next connection, at the same address.
    let next = call(1, Direction::Out, b"abc", Some(key(5)));
    assert_eq!(binder.call(&next), Placement::Within(key(5), Plain::of(&next)));
}

#[test]
fn the_send_after_a_write_binds_and_reads_held_so_far_are_given_back() {
    let (mut binder, _) = binder();
    let read = call(1, Direction::In, b"request", None);
    assert_eq!(binder.call(&read), Placement::Held);
    assert_eq!(sends(&mut binder, 9, 7), None, "a read binds nothing");
    assert_eq!(binder.call(&call(1, Direction::Out, b"answer", None)), Placement::Held);
    assert_eq!(binder.sent(&send(9, b"log line\n", 9), None), None, "no record of TLS");
    assert_eq!(sends(&mut binder, 4, 6), Some(object(1)));
    let held: Vec<_> = binder.take_held(object(1)).into_iter().map(|plain| plain.bytes.into_owned()).collect();
    assert_eq!(held, [b"request".to_vec(), b"answer".to_vec()]);
    let read = call(1, Direction::In, b"next", None);
    assert_eq!(binder.call(&read), Placement::Apart(key(4), Plain::of(&read)));
    // A later write of a bound object is carried by its socket and binds nothing else.
    binder.call(&call(1, Direction::Out, b"answer", None));
    assert_eq!(sends(&mut binder, 4, 6), None);
    assert_eq!(sends(&mut binder, 8, 6), None);
}

#[test]
fn a_write_in_the_send_that_ends_the_handshake_binds() {
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, b"request", None));
    binder.call(&call(2, Direction::Out, b"other request", None));
    // Change cipher spec, Finished, the write.
    let bytes = [&[20, 3, 3, 0, 1, 1], &record(52)[..], &record(7)].concat();
    for cut in 0..bytes.len() - 24 {
        assert_eq!(object_of(binder.sent(&send(4, &bytes[..cut], bytes.len() as u32), Some(17))), None, "the first {cut} bytes");
    }
    assert_eq!(object_of(binder.sent(&send(4, &bytes, bytes.len() as u32), Some(17))), Some(object(1)));
}

#[test]
fn ten_connections_interleaved_on_one_thread_find_their_sockets() {
    for order in [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [3, 7, 0, 9, 1, 8, 2, 6, 4, 5]] {
        let (mut binder, _) = binder();
        for n in 0..10_u64 {
            let body = vec![b'x'; 100 + n as usize];
            assert_eq!(binder.call(&call(n, Direction::In, b"request", None)), Placement::Held);
            assert_eq!(binder.call(&call(n, Direction::Out, &body, None)), Placement::Held);
        }
        for n in order {
            assert_eq!(sends(&mut binder, n + 1, 100 + n as u16), Some(object(n)), "{order:?}");
        }
        for n in 0..10 {
            assert!(matches!(binder.call(&call(n, Direction::In, b"more", None)), Placement::Apart(socket, _) if socket == key(n + 1)));
        }
    }
}

#[test]
fn writes_of_one_length_go_in_order() {
    let (mut binder, _) = binder();
    for n in 0..10 {
        binder.call(&call(n, Direction::Out, b"hello", None));
    }
    for n in 0..10 {
        assert_eq!(sends(&mut binder, n + 1, 5), Some(object(n)));
    }
}

#[test]
fn versions_lengths_and_padding() {
    for (write, record, bound) in
        [(100, 117, true), (100, 124, true), (100, 116, true), (20_000, 16_384 + 17, true), (100, 160, true), (100, 90, true)]
    {
        let (mut binder, _) = binder();
        binder.call(&TlsCall { total_len: write, ..call(1, Direction::Out, b"", None) });
        let [high, low] = u16::try_from(record).unwrap().to_be_bytes();
        // A single candidate is enough, whatever the length; among several the length decides.
        assert_eq!(binder.sent(&send(4, &[23, 3, 3, high, low], 30_000), None).is_some(), bound, "{write} in {record}");
    }
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, &[0; 50], None));
    binder.call(&call(2, Direction::Out, &[0; 60], None));
    assert_eq!(sends(&mut binder, 4, 99), None, "two candidates and neither fits");
}

#[test]
fn an_address_used_again_moves_to_the_new_socket() {
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, b"first", None));
    assert_eq!(sends(&mut binder, 4, 5), Some(object(1)));
    // The close was not seen; the library has a new connection at the address.
    binder.call(&call(1, Direction::Out, b"second", None));
    assert_eq!(sends(&mut binder, 5, 6), Some(object(1)));
    assert!(matches!(binder.call(&call(1, Direction::In, b"x", None)), Placement::Apart(socket, _) if socket == key(5)));
}

#[test]
fn a_closed_socket_ends_the_binding() {
    let (mut binder, counters) = binder();
    binder.call(&call(1, Direction::Out, b"first", None));
    assert_eq!(sends(&mut binder, 4, 5), Some(object(1)));
    binder.take_held(object(1));
    binder.closed(key(4).sock);
    assert_eq!(binder.call(&call(1, Direction::In, b"another", None)), Placement::Held);
    assert_eq!(counters.tls_bytes_unplaced.get(), 0);
    binder.expire(HOLD_NS * 2);
    assert_eq!(counters.tls_bytes_unplaced.get(), 7);
    assert!(binder.take_held(object(1)).is_empty());
}

#[test]
fn what_is_held_is_bounded_and_its_length_is_kept() {
    let (mut binder, _) = binder();
    let piece = vec![0; 16_000];
    for _ in 0..100 {
        assert_eq!(binder.call(&call(1, Direction::In, &piece, None)), Placement::Held);
    }
    let held = binder.take_held(object(1));
    assert!(held.iter().map(|plain| plain.bytes.len()).sum::<usize>() <= TLS_HELD_BYTES);
    assert_eq!(held.iter().map(Plain::len).sum::<u64>(), 1_600_000);
    assert!(held.len() < TLS_HELD_BYTES / piece.len() + 4);
    assert_eq!(binder.objects[&object(1)].held_bytes, 0);
}

#[test]
fn a_full_table_forgets_the_unplaced_first() {
    let (mut binder, counters) = binder();
    binder.call(&call(1, Direction::Out, b"bound", None));
    assert_eq!(sends(&mut binder, 4, 5), Some(object(1)));
    for ssl in 2..TLS_OBJECTS as u64 + 2 {
        binder.call(&call(ssl, Direction::In, b"x", None));
    }
    assert!(binder.objects.len() <= TLS_OBJECTS);
    assert!(counters.tls_objects_evicted.get() > 0);
    assert!(matches!(binder.call(&call(1, Direction::In, b"x", None)), Placement::Apart(socket, _) if socket == key(4)));
}

#[test]
fn a_demand_is_told_once_and_only_for_the_sockets_own_object() {
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, b"abc", Some(key(4))));
    assert_eq!(binder.demand(object(1), key(4), Capture::Head), None, "the kernel does so unasked");
    assert_eq!(binder.demand(object(1), key(4), Capture::Full), Some(Capture::Full));
    assert_eq!(binder.demand(object(1), key(4), Capture::Full), None);
    assert_eq!(binder.demand(object(1), key(5), Capture::Count), None, "another socket's connection");
    assert_eq!(binder.demand(object(2), key(4), Capture::Full), None, "an object that is not known");
    assert_eq!(binder.demand(object(1), key(4), Capture::Head), Some(Capture::Head));
    assert_eq!(binder.take_stale(), []);
}

#[test]
fn another_socket_begins_anew_with_what_was_asked_for() {
    for capture in [Capture::Off, Capture::Count, Capture::Full] {
        // Within the calls.
        let (mut binder, _) = binder();
        binder.call(&call(1, Direction::Out, b"abc", Some(key(4))));
        binder.demand(object(1), key(4), capture);
        binder.call(&call(1, Direction::Out, b"abc", Some(key(5))));
        assert_eq!(binder.take_stale(), [object(1)], "{capture:?}");
        assert_eq!(binder.take_stale(), []);
        // The former connection's late end changes nothing, and the new one's need is news.
        assert_eq!(binder.demand(object(1), key(4), Capture::Head), None);
        assert_eq!(binder.demand(object(1), key(5), capture), Some(capture));
        binder.closed(key(4).sock);
        assert_eq!(binder.demand(object(1), key(5), capture), None, "still asked for");
        // By the send that follows.
        binder.call(&call(1, Direction::Out, b"hello", None));
        assert_eq!(sends(&mut binder, 6, 5), Some(object(1)));
        assert_eq!(binder.take_stale(), [object(1)], "{capture:?}");
        // By the close.
        binder.demand(object(1), key(6), capture);
        binder.closed(key(6).sock);
        assert_eq!(binder.take_stale(), [object(1)], "{capture:?}");
    }
}

#[test]
fn another_objects_socket_and_a_full_table_leave_nothing_behind() {
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, b"abc", Some(key(4))));
    binder.demand(object(1), key(4), Capture::Full);
    binder.call(&call(2, Direction::Out, b"abc", Some(key(4))));
    assert_eq!(binder.take_stale(), [object(1)]);
    binder.demand(object(2), key(4), Capture::Count);
    for ssl in 3..TLS_OBJECTS as u64 + 3 {
        binder.call(&call(ssl, Direction::Out, b"x", Some(key(ssl + 2))));
    }
    assert!(binder.take_stale().contains(&object(2)));
}

#[test]
fn the_send_tells_which_socket_had_the_address_before_and_how_many_writes_waited() {
    let (mut binder, _) = binder();
    binder.call(&call(1, Direction::Out, b"first", None));
    assert_eq!(sends(&mut binder, 4, 5), Some(object(1)));
    binder.call(&call(1, Direction::Out, b"head", None));
    binder.call(&call(1, Direction::Out, b"the body", None));
    let record = record(4);
    let carried = binder.sent(&send(5, &record, record.len() as u32), Some(17));
    assert_eq!(carried, Some(Carried { object: object(1), former: Some(key(4)), writes: 2 }));
}

#[test]
fn what_is_held_in_alternating_directions_is_bounded_too() {
    let (mut binder, counters) = binder();
    for n in 0..200_000_u32 {
        let direction = if n % 2 == 0 { Direction::In } else { Direction::Out };
        binder.call(&call(1, direction, b"x", None));
    }
    let held = binder.take_held(object(1));
    assert!(held.len() <= TLS_HELD_BYTES / size_of::<Plain<'_>>() + TLS_WRITES_UNSENT, "{}", held.len());
    assert_eq!(held.iter().map(Plain::len).sum::<u64>() + counters.tls_bytes_unplaced.get(), 200_000);
    assert_eq!(held.iter().map(|plain| plain.bytes.len() as u64).sum::<u64>() + counters.tls_bytes_cut.get(), 200_000);
}
