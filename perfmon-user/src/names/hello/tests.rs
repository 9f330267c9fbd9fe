//! Hellos made here, whole, cut at every place, in pieces of every size, and garbage.
use super::*;

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

fn said(pieces: &[&[u8]]) -> Option<Said> {
    let mut hello = Hello::default();
    for piece in pieces {
        hello.push(piece);
    }
    hello.give_up();
    hello.take()
}

fn named(name: &str) -> Option<Said> {
    Some(Said::Client { server_name: Some(name.to_owned()) })
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
        assert!(said == named("api.example.test") || matches!(said, None | Some(Said::Client { server_name: None })), "{len}: {said:?}");
    }
    // The name alone is enough.
    assert_eq!(said(&[&hello[..hello.len() - 10]]), named("api.example.test"));
}

#[test]
fn no_name_and_wrong_names() {
    assert_eq!(said(&[&client(None, 10)]), Some(Said::Client { server_name: None }));
    for wrong in ["", "a b", "ü.test", "x\"y"] {
        assert_eq!(said(&[&client(Some(wrong), 10)]), Some(Said::Client { server_name: None }), "{wrong}");
    }
}

#[test]
fn what_versions_and_ciphers_add_to_a_record() {
    for (cipher, is_13, overhead) in [(0x1302, true, 22), (0xc030, false, 29), (0xcca8, false, 21)] {
        assert_eq!(said(&[&server(cipher, is_13)]), Some(Said::Server { overhead }), "{cipher:x}");
    }
}

#[test]
fn garbage_is_silence_and_bounded() {
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n", &[22, 3, 1, 0, 0], &[22; 100], &[0xff; 9_000]] {
        assert_eq!(said(&[garbage]), None);
    }
    let mut hello = Hello::default();
    for _ in 0..1_000 {
        hello.push(&[22, 3, 1, 0xff, 0xff]);
        assert!(hello.bytes.len() <= LONGEST);
    }
    assert!(hello.is_over());
}
