//! Hellos made here, whole, cut at every place, in pieces of every size, and garbage.
use super::super::record::{HEADER, RecordWalk};
use super::*;
use crate::heap::measured::{HeapMeter, assert_linear};
use crate::stream::Content;

fn vector(len_bytes: usize, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32).to_be_bytes();
    [&len[4 - len_bytes..], content].concat()
}

fn extension_bytes(number: u16, content: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &vector(2, content)].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let handshake = [&[kind][..], &vector(3, body)].concat();
    [&[22, 3, 1][..], &vector(2, &handshake)].concat()
}

/// A hello of a client that has `filler` bytes of key share before the name, as post-quantum ones have.
fn client(name: Option<&str>, filler: usize) -> Vec<u8> {
    let mut extensions = extension_bytes(51, &vec![7; filler]);
    if let Some(name) = name {
        let entry = [&[0][..], &vector(2, name.as_bytes())].concat();
        extensions.extend(extension_bytes(0, &vector(2, &entry)));
    }
    extensions.extend(extension_bytes(16, b"\0\x09\x08http/1.1"));
    let body =
        [&[3, 3][..], &[9; 32], &vector(1, &[5; 32]), &vector(2, &[0x13, 1, 0x13, 2]), &vector(1, &[0]), &vector(2, &extensions)].concat();
    record(1, &body)
}

fn server(cipher: u16, is_13: bool) -> Vec<u8> {
    let extensions = if is_13 { extension_bytes(43, &[3, 4]) } else { extension_bytes(0xff01, &[0]) };
    let body = [&[3, 3][..], &[9; 32], &vector(1, &[]), &cipher.to_be_bytes(), &[0], &vector(2, &extensions)].concat();
    record(2, &body)
}

fn read(hello: &mut Hello, pieces: &[Content<'_>]) {
    let mut walk = RecordWalk::default();
    for piece in pieces {
        walk.push(*piece, &mut |walked| hello.push(walked));
    }
}

fn said(pieces: &[&[u8]]) -> Option<HelloInfo> {
    let mut hello = Hello::default();
    read(&mut hello, &pieces.iter().map(|piece| Content::Bytes(piece)).collect::<Vec<_>>());
    hello.take()
}

fn named(name: &str) -> Option<HelloInfo> {
    Some(HelloInfo::Client { server_name: Some(name.to_owned()) })
}

#[test]
fn the_name_is_found_however_the_bytes_come() {
    let hello = client(Some("Api.Example.test"), 1_400);
    assert_eq!(said(&[&hello]), named("api.example.test"));
    for cut in 0..hello.len() {
        assert_eq!(said(&[&hello[..cut], &hello[cut..]]), named("api.example.test"), "cut at {cut}");
    }
    for size in [1, 5, 7, 1_000] {
        assert_eq!(said(&hello.chunks(size).collect::<Vec<_>>()), named("api.example.test"), "pieces of {size}");
    }
}

#[test]
fn a_cut_hello_tells_the_name_or_nothing() {
    let hello = client(Some("api.example.test"), 100);
    for len in 0..hello.len() {
        let said = said(&[&hello[..len]]);
        assert!(
            said == named("api.example.test") || matches!(said, None | Some(HelloInfo::Client { server_name: None })),
            "{len}: {said:?}"
        );
    }
    // The name alone is enough.
    assert_eq!(said(&[&hello[..hello.len() - 10]]), named("api.example.test"));
}

#[test]
fn byte_by_byte_takes_time_like_the_hello() {
    // Extensions without content: as many as there can be.
    let hello = |extensions: usize| {
        let extensions = extension_bytes(99, b"").repeat(extensions);
        let body = [&[3, 3][..], &[9; 32], &vector(1, &[]), &vector(2, &[0x13, 1]), &vector(1, &[0]), &vector(2, &extensions)].concat();
        record(1, &body)
    };
    let byte_by_byte =
        |hello: &Vec<u8>| assert_eq!(said(&hello.chunks(1).collect::<Vec<_>>()), Some(HelloInfo::Client { server_name: None }));
    assert_linear("extensions", 240, hello, byte_by_byte);
}

#[test]
fn no_name_and_wrong_names() {
    assert_eq!(said(&[&client(None, 10)]), Some(HelloInfo::Client { server_name: None }));
    for wrong in ["", "a b", "ü.test", "x\"y"] {
        assert_eq!(said(&[&client(Some(wrong), 10)]), Some(HelloInfo::Client { server_name: None }), "{wrong}");
    }
}

#[test]
fn what_versions_and_ciphers_add_to_a_record() {
    for (cipher, is_13, overhead) in [(0x1302, true, 22), (0xc030, false, 29), (0xcca8, false, 21)] {
        assert_eq!(said(&[&server(cipher, is_13)]), Some(HelloInfo::Server { overhead }), "{cipher:x}");
    }
}

#[test]
fn garbage_is_silence_and_bounded() {
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n", &[22, 3, 1, 0, 0], &[22; 100], &[0xff; 9_000]] {
        assert_eq!(said(&[garbage]), None);
    }
    let (mut hello, mut walk) = (Hello::default(), RecordWalk::default());
    // A hello of 16 MiB.
    walk.push(Content::Bytes(&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]), &mut |walked| hello.push(walked));
    for _ in 0..1_000 {
        walk.push(Content::Bytes(&[22, 3, 1, 0x3f, 0xff]), &mut |walked| hello.push(walked));
        assert!(hello.bytes.len() <= LONGEST);
    }
    assert!(hello.is_over());
    assert_eq!(hello.bytes.capacity(), 0);
}

#[test]
fn a_hello_may_be_spread_over_records() {
    let whole = client(Some("api.example.test"), 300);
    let message = &whole[HEADER..];
    for cut in 1..message.len() {
        let wire = [&[22, 3, 1][..], &vector(2, &message[..cut]), &[22, 3, 3], &vector(2, &message[cut..])].concat();
        assert_eq!(said(&[&wire]), named("api.example.test"), "cut at {cut}");
    }
    let wire = [&[22, 3, 1][..], &vector(2, &message[..9]), &[20, 3, 3, 0, 1, 1], &whole].concat();
    assert_eq!(said(&[&wire]), None, "another record stands between");
}

#[test]
fn a_gap_ends_it_and_leaves_what_was_said_before() {
    let whole = client(Some("api.example.test"), 100);
    for cut in 1..whole.len() {
        let mut hello = Hello::default();
        read(&mut hello, &[Content::Bytes(&whole[..cut]), Content::Gap(1), Content::Bytes(&whole[cut + 1..])]);
        assert!(hello.is_over(), "cut at {cut}");
        assert!(hello.take().is_none_or(|said| Some(said) == named("api.example.test")), "cut at {cut}");
    }
}

#[test]
fn lengths_that_contradict_one_another_say_nothing() {
    let mut whole = client(Some("api.example.test"), 10);
    // The session id would be longer than the hello.
    whole[HEADER + 4 + 34] = 255;
    assert_eq!(said(&[&whole]), None);
    let server_without_extensions = [&[3, 3][..], &[9; 32], &vector(1, &[]), &[0xc0, 0x30, 0]].concat();
    assert_eq!(said(&[&record(2, &server_without_extensions)]), Some(HelloInfo::Server { overhead: 29 }));
}

proptest::proptest! {
    #[test]
    fn changed_hellos_never_panic_and_every_split_agrees(
        changes in proptest::collection::vec((0_usize..300, 0_u8..), 0..8), cuts in proptest::collection::vec(0_usize..300, 0..5), is_server: bool,
    ) {
        let mut wire = if is_server { server(0xc030, false) } else { client(Some("api.example.test"), 100) };
        for (position, byte) in changes {
            let len = wire.len();
            wire[HEADER + position % (len - HEADER)] = byte;
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % wire.len()).chain([0, wire.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
        proptest::prop_assert_eq!(said(&pieces), said(&[&wire]));
    }
}

#[test]
fn a_hello_holds_what_it_kept_at_most() {
    let meter = HeapMeter::start();
    let mut hello = Hello::default();
    for _ in 0..3_000 {
        read(&mut hello, &[Content::Bytes(&record(1, &[0; 100])[..20])]);
        read(&mut hello, &[Content::Bytes(&[22, 3, 1, 0x40, 0]), Content::Bytes(&[0xff; 16_384])]);
        assert!(meter.held() <= 2 * LONGEST && meter.take_most() <= 4 * LONGEST);
    }
}
