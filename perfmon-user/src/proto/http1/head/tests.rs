//! Heads beside httparse, which reads each of them to the letter: the same first line, fields and length, or none.
use httparse::{EMPTY_HEADER, ParserConfig, Status};
use proptest::prelude::*;

use super::*;
use crate::proto::http1::line::METHOD_BYTES;

/// What a parser says of a head.
type Told = Option<(usize, String, u8, Vec<(String, Vec<u8>)>)>;

fn ours(side: MessageSide, bytes: &[u8]) -> Told {
    after(&mut LastLines::default(), side, bytes)
}

fn after(last: &mut LastLines, side: MessageSide, bytes: &[u8]) -> Told {
    let told = parse(side, bytes, last, |head| {
        let line = match head.line {
            FirstLine::Request { method, target } => format!("{method} {target}"),
            FirstLine::Response { status } => status.to_string(),
        };
        (head.len, line, head.minor, head.headers.iter().map(|header| (header.name.to_string(), header.value.to_vec())).collect())
    });
    match told {
        Parsed::Whole(told) => Some(told),
        Parsed::Partial | Parsed::Malformed(_) => None,
    }
}

/// By httparse, of the mended copy; `sound` is what it leaves to its caller.
fn reference(side: MessageSide, bytes: &[u8]) -> Told {
    let end = find_end(bytes, &mut 0)?;
    let (mut headers, mut config) = (vec![EMPTY_HEADER; HEADERS], ParserConfig::default());
    config.allow_multiple_spaces_in_request_line_delimiters(true).allow_multiple_spaces_in_response_status_delimiters(true);
    config.ignore_invalid_headers_in_requests(true).ignore_invalid_headers_in_responses(true);
    let copy = mend(&bytes[..end]);
    let (line, minor, headers) = match side {
        MessageSide::Request => {
            let mut request = httparse::Request::new(&mut headers);
            let whole = config.parse_request(&mut request, &copy).is_ok_and(|status| status.is_complete());
            let sound = whole && request.method?.len() <= METHOD_BYTES;
            sound.then_some(())?;
            (format!("{} {}", request.method?, request.path?), request.version?, request.headers)
        }
        MessageSide::Response => {
            let mut response = httparse::Response::new(&mut headers);
            let Ok(Status::Complete(_)) = config.parse_response(&mut response, &copy) else { return None };
            let sound = (100..=999).contains(&response.code?);
            sound.then_some(())?;
            (response.code?.to_string(), response.version?, response.headers)
        }
    };
    Some((end, line, minor, headers.iter().map(|header| (header.name.to_string(), header.value.to_vec())).collect()))
}

/// A line of a head, mostly sound.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n")];
    let text = prop_oneof![
        8 => "[A-Za-z-]{1,20}:[ \t]{0,2}[ -~]{0,30}",
        2 => "(host|Content-Length|transfer-encoding|User-Agent|Upgrade):[ -~]{0,12}",
        1 => "[ \t]{1,3}[ -~]{0,20}",
        1 => "[ -~]{1,20}",
        1 => "x-[a-z]{1,4}:[a-z]{0,3}[\u{1}\u{7f}\u{e9}]{1,2}",
    ];
    (text, end).prop_map(|(text, end)| format!("{text}{end}").into_bytes())
}

fn first(side: MessageSide) -> impl Strategy<Value = String> {
    let sound = match side {
        MessageSide::Request => "(GET|POST|PATCH|M-SEARCH) {1,2}[!-~]{1,20} {1,2}HTTP/1[.][01]\r?\n",
        MessageSide::Response => "HTTP/1[.][01] {1,2}[0-9]{3}( [ -~\u{e9}]{0,12})?\r?\n",
    };
    let odd = match side {
        MessageSide::Request => "[A-Z(]{0,34} {0,2}[!-~\u{e9}\u{1}]{0,6} {0,2}HTTP/[12][.][0-2] ?\r?\n",
        MessageSide::Response => "HTTP/[12][.][0-2] {0,2}[0-9]{0,4}[ -~\u{1}]{0,3}\r?\n",
    };
    prop_oneof![4 => sound, 1 => odd]
}

fn head(side: MessageSide) -> impl Strategy<Value = Vec<u8>> {
    (first(side), prop::collection::vec(line(), 0..12), any::<prop::sample::Index>(), prop_oneof![7 => Just(false), 1 => Just(true)])
        .prop_map(|(first, lines, at, cut)| {
            let mut head = first.into_bytes();
            lines.iter().for_each(|line| head.extend(line));
            head.extend(b"\r\nbody");
            head.truncate(if cut { at.index(head.len()) } else { head.len() });
            head
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn requests_are_read_as_the_grammar_says(head in head(MessageSide::Request)) {
        prop_assert_eq!(ours(MessageSide::Request, &head), reference(MessageSide::Request, &head), "{}", head.escape_ascii());
    }

    #[test]
    fn answers_are_read_as_the_grammar_says(head in head(MessageSide::Response)) {
        prop_assert_eq!(ours(MessageSide::Response, &head), reference(MessageSide::Response, &head), "{}", head.escape_ascii());
    }

    #[test]
    fn any_bytes_are_a_head_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for side in [MessageSide::Request, MessageSide::Response] {
            prop_assert_eq!(ours(side, &bytes), reference(side, &bytes));
        }
    }
}

/// What the parser itself takes from a head.
fn fields(last: &mut LastLines, bytes: &[u8]) -> Option<(Fields, [Option<Vec<u8>>; 3])> {
    match parse(MessageSide::Request, bytes, last, |head| {
        (*head.fields, [head.host(), head.user_agent(), head.traceparent()].map(|value| value.map(<[u8]>::to_vec)))
    }) {
        Parsed::Whole(fields) => Some(fields),
        Parsed::Partial | Parsed::Malformed(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Few different heads, so that most were there before; those of a neighbour evict them.
    #[test]
    fn a_head_that_is_remembered_is_the_head_that_is_read(
        heads in prop::collection::vec(head(MessageSide::Request), 1..5),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..40),
    ) {
        let mut lasts = [LastLines::default(), LastLines::default()];
        for (index, other) in order {
            let (bytes, last) = (index.get(&heads), &mut lasts[usize::from(other)]);
            prop_assert_eq!(after(last, MessageSide::Request, bytes), ours(MessageSide::Request, bytes), "{}", bytes.escape_ascii());
            prop_assert_eq!(fields(last, bytes), fields(&mut LastLines::default(), bytes));
        }
    }
}

#[test]
fn values_are_those_of_the_head_itself() {
    let mut last = LastLines::default();
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nAccept: a\r\nHost:  shop \r\nuser-agent: probe\r\ntraceparent: 00-1\r\n\r\n").into_bytes()
    };
    let expected = [Some(b"shop".to_vec()), Some(b"probe".to_vec()), Some(b"00-1".to_vec())];
    for target in ["/", "/longer/than/before", "/x"] {
        assert_eq!(fields(&mut last, &head(target)).map(|fields| fields.1), Some(expected.clone()), "{target}");
    }
    assert!(last.find(b"Accept: a\r\nHost:  shop \r\nuser-agent: probe\r\ntraceparent: 00-1\r\n\r\nrest").is_some());
    assert_eq!(last.find(b"Accept: a\r\n"), None);
}

#[test]
fn a_folded_line_of_blanks_keeps_its_neighbours() {
    let head = b"GET / HTTP/1.1\r\n folded first\r\nA: 1\r\n \t\r\n 2\r\nHost: h\r\n\r\n";
    let told = ours(MessageSide::Request, head).unwrap();
    assert_eq!(told.3, [("A".into(), b"1 2".to_vec()), ("Host".into(), b"h".to_vec())]);
    assert_eq!(told.0, head.len());
}

#[test]
fn heads_have_a_limit_of_fields() {
    let of = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(fields));
    assert!(ours(MessageSide::Request, of(HEADERS).as_bytes()).is_some());
    assert_eq!(ours(MessageSide::Request, of(HEADERS + 1).as_bytes()), None);
}
