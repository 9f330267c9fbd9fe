use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Number, Value as Json};

use super::*;

/// Builds the document again from its tokens.
#[derive(Default)]
struct Builder {
    open: Vec<(Json, String)>,
    key: Vec<u8>,
    text: Vec<u8>,
    root: Option<Json>,
}

fn string(raw: &[u8]) -> String {
    text::unescape(raw).into_owned()
}

impl Builder {
    fn value(&mut self, value: Json) {
        let key = string(&self.key);
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Json::Array(items), _)) => items.push(value),
            Some((Json::Object(map), _)) => {
                map.insert(key, value);
            }
            Some(_) => unreachable!(),
        }
    }
}

impl Visitor for Builder {
    fn begin(&mut self, container: JsonContainer) {
        let empty = if container == JsonContainer::Array { Json::Array(vec![]) } else { Json::Object(Map::new()) };
        self.open.push((empty, String::from_utf8(std::mem::take(&mut self.key)).unwrap()));
    }
    fn end(&mut self) {
        let (value, key) = self.open.pop().unwrap();
        self.key = key.into_bytes();
        self.value(value);
    }
    fn key(&mut self, raw: &[u8], last: bool) {
        if self.text.is_empty() {
            self.key.clear();
        }
        self.text.extend_from_slice(raw);
        if last {
            self.key = std::mem::take(&mut self.text);
        }
    }
    fn text(&mut self, raw: &[u8], last: bool) {
        self.text.extend_from_slice(raw);
        if last {
            let text = string(&std::mem::take(&mut self.text));
            self.value(Json::String(text));
        }
    }
    fn scalar(&mut self, scalar: Scalar<'_>) {
        self.value(match scalar {
            Scalar::Null => Json::Null,
            Scalar::Bool(value) => Json::Bool(value),
            Scalar::Number(text) => Json::Number(serde_json::from_str::<Number>(text).unwrap()),
        });
    }
}

fn parse(pieces: &[&[u8]]) -> Option<Json> {
    let (mut tokens, mut builder) = (Tokenizer::default(), Builder::default());
    for piece in pieces {
        let used = tokens.push(piece, &mut builder);
        assert!(used == piece.len() || tokens.is_done() || tokens.is_broken());
    }
    tokens.finish(&mut builder);
    builder.root.filter(|_| tokens.is_done())
}

fn json() -> impl Strategy<Value = Json> {
    let key = || prop_oneof![Just("a".to_owned()), Just("usage".to_owned()), any::<String>(), Just("\u{1F600}\"\\\n".to_owned())];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|n| Json::Number(n.into())),
        any::<f32>().prop_filter_map("finite", |n| Number::from_f64(f64::from(n)).map(Json::Number)),
        any::<String>().prop_map(Json::String),
        "[\\\\\"\u{0}-\u{1f}\u{1F600}x]{0,20}".prop_map(Json::String),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((key(), inner), 0..6).prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Escapes every character, as some encoders do.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let kind = chars.next().unwrap();
                out.extend(['\\', kind]);
                out.extend(chars.by_ref().take(if kind == 'u' { 4 } else { 0 }));
            }
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            _ if in_string => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            _ => out.push(c),
        }
    }
    out
}

proptest! {
    #[test]
    fn documents_are_read_as_serde_json_reads_them(value in json(), pretty: bool, escape: bool, cuts: Vec<prop::sample::Index>) {
        let mut text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        if escape {
            text = escaped(&text);
        }
        prop_assert_eq!(parse(&cut(text.as_bytes(), &cuts)), Some(serde_json::from_str::<Json>(&text).unwrap()));
    }

    #[test]
    fn damaged_documents_end_somehow(value in json(), damage: Vec<(prop::sample::Index, u8)>, cuts: Vec<prop::sample::Index>) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut scanner = Scanner::new(&PLACES);
        let mut found = Found::default();
        for piece in cut(&bytes, &cuts) {
            scanner.push(piece, &mut found);
        }
        scanner.finish(&mut found);
        prop_assert!(scanner.is_done() != scanner.is_broken());
    }

    #[test]
    fn wanted_places_are_found_wherever_they_stand(value in json(), cuts: Vec<prop::sample::Index>) {
        let document = serde_json::json!({ "x": value, "usage": { "n": value, "a": [value, { "n": value }] }, "list": [[value], []] });
        let bytes = serde_json::to_vec(&document).unwrap();
        let whole = scan(&[&bytes]);
        prop_assert_eq!(&scan(&cut(&bytes, &cuts)), &whole);
        let mut expected = vec![];
        push(&mut expected, "usage.n", document.pointer("/usage/n"));
        push(&mut expected, "usage.a[*].n", document.pointer("/usage/a/0/n"));
        push(&mut expected, "usage.a[*].n", document.pointer("/usage/a/1/n"));
        push(&mut expected, "list[*][*]", document.pointer("/list/0/0"));
        let mut seen = whole.scalars;
        // A map's order is that of its keys, so compare as sets with multiplicity.
        seen.sort();
        expected.sort();
        prop_assert_eq!(seen, expected);
    }
}

fn push(into: &mut Vec<(String, String)>, path: &str, value: Option<&Json>) {
    let Some(value) = value else { return };
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => into.push((path.to_owned(), value.to_string())),
        Json::String(text) => into.push((path.to_owned(), text.clone())),
        // A value inside "usage.a[0]" may itself have a key "n", counted by the caller.
        Json::Array(_) | Json::Object(_) => {}
    }
}

static PLACES: LazyLock<Paths<&'static str>> = LazyLock::new(|| {
    Paths::new(&[
        JsonPath::new("usage.n", "usage.n", 1 << 20),
        JsonPath::new("usage.a[*].n", "usage.a[*].n", 1 << 20),
        JsonPath::new("list[*][*]", "list[*][*]", 1 << 20),
        JsonPath::digested("list", "list"),
    ])
});

#[derive(Default, Debug, PartialEq)]
struct Found {
    scalars: Vec<(String, String)>,
    containers: usize,
    digest: Vec<u8>,
}

impl Handler<&'static str> for Found {
    fn found(&mut self, field: &'static str, value: JsonValue<'_>) {
        let text = match value {
            JsonValue::Begin(_) | JsonValue::End => {
                self.containers += 1;
                return;
            }
            JsonValue::Text(text, _) => text.to_owned(),
            JsonValue::Scalar(Scalar::Null) => "null".to_owned(),
            JsonValue::Scalar(Scalar::Bool(value)) => value.to_string(),
            JsonValue::Scalar(Scalar::Number(text)) => text.to_owned(),
        };
        self.scalars.push((field.to_owned(), text));
    }
    fn digest(&mut self, bytes: &[u8]) {
        self.digest.extend_from_slice(bytes);
    }
}

fn scan(pieces: &[&[u8]]) -> Found {
    let (mut scanner, mut found) = (Scanner::new(&PLACES), Found::default());
    for piece in pieces {
        scanner.push(piece, &mut found);
    }
    assert!(scanner.is_done());
    found
}

#[test]
fn broken_documents_are_broken() {
    for text in [
        "",
        "{",
        "[1,2",
        "{\"a\"}",
        "{a:1}",
        "[1,]",
        "{\"a\":1,}",
        "nul",
        "truee",
        "\"abc",
        "[}",
        "{]",
        "-x",
        "@",
        "[1 2]",
        ",",
        "{\"a\" 1}",
    ] {
        assert_eq!(parse(&[text.as_bytes()]), None, "{text}");
    }
    let deep = "[".repeat(token::DEPTH + 1);
    let mut tokens = Tokenizer::default();
    tokens.push(deep.as_bytes(), &mut Builder::default());
    assert!(tokens.is_broken());
}

#[test]
fn a_document_ends_where_it_ends() {
    let mut tokens = Tokenizer::default();
    let text = b"{\"a\":[1]}\n{\"b\":2}";
    assert_eq!(tokens.push(text, &mut Builder::default()), 9);
    assert!(tokens.is_done());
    tokens.reset();
    assert_eq!(tokens.push(&text[9..], &mut Builder::default()), 8);
    assert!(tokens.is_done());
}

#[test]
fn a_long_string_costs_no_memory_and_its_beginning_is_kept() {
    static LONG: LazyLock<Paths<()>> = LazyLock::new(|| Paths::new(&[JsonPath::new("kept", (), 8)]));
    struct Text(String, u64);
    impl Handler<()> for Text {
        fn found(&mut self, (): (), value: JsonValue<'_>) {
            if let JsonValue::Text(text, length) = value {
                (self.0, self.1) = (text.to_owned(), length);
            }
        }
        fn digest(&mut self, _: &[u8]) {}
    }
    let (mut scanner, mut text) = (Scanner::new(&LONG), Text(String::new(), 0));
    scanner.push(b"{\"long\":\"", &mut text);
    for _ in 0..1_000 {
        scanner.push(&[b'x'; 4_096], &mut text);
    }
    scanner.push(b"\",\"kept\":\"", &mut text);
    for _ in 0..1_000 {
        scanner.push(&[b'y'; 4_096], &mut text);
    }
    scanner.push(b"\"}", &mut text);
    assert!(scanner.is_done());
    assert_eq!((text.0.as_str(), text.1), ("yyyyyyyy", 4_096_000));
    assert!(scanner.heap_bytes() < 1_024, "{}", scanner.heap_bytes());
}

#[test]
fn the_digest_leaves_out_what_is_named() {
    static DIGEST: LazyLock<Paths<()>> = LazyLock::new(|| {
        Paths::new(&[JsonPath::digested("m[*]", ()), JsonPath::undigested("m[*].c[*].cache"), JsonPath::undigested("m[*].c[*].type")])
    });
    struct Digest(Vec<u8>);
    impl Handler<()> for Digest {
        fn found(&mut self, (): (), _: JsonValue<'_>) {}
        fn digest(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }
    let digest = |text: &str| {
        let mut digest = Digest(vec![]);
        Scanner::new(&DIGEST).push(text.as_bytes(), &mut digest);
        digest.0
    };
    let plain = digest(r#"{"m":[{"role":"user","c":"hi"}],"other":"x"}"#);
    assert_eq!(plain, b"user\xffhi\xff");
    assert_eq!(digest(r#"{"m":[{"role":"user","c":[{"type":"text","c":"hi","cache":{"type":"e","n":[1,true,"z"]}}]}]}"#), plain);
}
