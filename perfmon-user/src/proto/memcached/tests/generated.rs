//! Generated connections: any commands in any pipelines, cut anywhere and with losses, come to exact counts or are told as inferred; any bytes
//! at all to no panic and little memory.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A command, its answer and the error's class.
fn exchange() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Option<&'static str>)> {
    let fixed = |asked: &'static [u8], answer: &'static [u8], error| Just((asked.to_vec(), answer.to_vec(), error));
    let value = |text: Vec<u8>| [format!("VALUE k:1 0 {}\r\n", text.len()).into_bytes(), text, b"\r\nEND\r\n".to_vec()].concat();
    let set = |text: Vec<u8>| [format!("set k:1 0 0 {}\r\n", text.len()).into_bytes(), text, b"\r\n".to_vec()].concat();
    prop_oneof![
        fixed(b"get k:1\r\n", b"END\r\n", None),
        fixed(b"delete k:1\r\n", b"DELETED\r\n", None),
        fixed(b"incr k:1 5\r\n", b"NOT_FOUND\r\n", None),
        fixed(b"incr k:1 x\r\n", b"CLIENT_ERROR invalid numeric delta argument\r\n", Some("CLIENT_ERROR")),
        fixed(b"mg k:1 v\r\n", b"VA 2\r\nhi\r\n", None),
        fixed(b"touch k:1 5\r\n", b"TOUCHED\r\n", None),
        fixed(b"bogus\r\n", b"ERROR\r\n", Some("ERROR")),
        vec(any::<u8>(), 0..300).prop_map(move |text| (b"get k:1\r\n".to_vec(), value(text), None)),
        vec(any::<u8>(), 0..300).prop_map(move |text| (set(text), b"STORED\r\n".to_vec(), None)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pipelines_cut_anywhere(
        rounds in vec(vec(exchange(), 1..10), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        lost in proptest::option::of(any::<prop::sample::Index>()),
        server: bool,
    ) {
        let (asks, answers) = if server { (IN, OUT) } else { (OUT, IN) };
        let mut commands = MemcachedCommands::default();
        commands.bytes(asks, b"set k 0 0 1\r\nx\r\n");
        commands.bytes(answers, b"STORED\r\n");
        let mut pieces = Vec::new();
        for round in &rounds {
            for (direction, wire) in [
                (asks, round.iter().flat_map(|(asked, ..)| asked.clone()).collect::<Vec<_>>()),
                (answers, round.iter().flat_map(|(_, answer, _)| answer.clone()).collect()),
            ] {
                let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).chain([0, wire.len()]).collect();
                places.sort_unstable();
                pieces.extend(places.windows(2).map(|pair| (direction, wire[pair[0]..pair[1]].to_vec())));
            }
        }
        let lost = lost.map(|lost| lost.index(pieces.len()));
        for (at, (direction, piece)) in pieces.iter().enumerate() {
            if lost == Some(at) {
                commands.content(*direction, Content::Lost(piece.len() as u64));
            } else {
                commands.bytes(*direction, piece);
            }
        }
        commands.end_at(commands.now_ns, Ending::Forgotten);
        let expected: Vec<_> = rounds.iter().flatten().collect();
        let errors = expected.iter().filter(|(.., error)| error.is_some()).count();
        let told = &commands.told[1..];
        let told_errors = told.iter().filter(|command| command.error.is_some() && !command.inferred).count();
        if lost.is_none() {
            prop_assert_eq!((told.len(), told_errors), (expected.len(), errors));
            prop_assert!(told.iter().all(|command| command.server == server && !command.inferred && command.end_ns.is_some()));
            let stats = commands.parser.take_stats();
            prop_assert_eq!((stats.desyncs, stats.orphans), (0, 0));
        } else {
            prop_assert!(told.len() <= expected.len() && told_errors <= errors);
        }
    }

    #[test]
    fn anything_at_all(steps in vec((any::<bool>(), 0..9u8, vec(any::<u8>(), 0..40)), 0..80)) {
        let mut commands = MemcachedCommands::default();
        commands.bytes(IN, b"set k 0 0 1\r\nx\r\n");
        for (incoming, kind, bytes) in &steps {
            let content = match kind {
                0 => Content::Gap(bytes.len() as u64),
                1 => Content::Lost(bytes.len() as u64 * 1_000),
                2 => Content::Unknown,
                3 => Content::Bytes(b"get k\r\nset k 0 0 30\r\nx"),
                4 => Content::Bytes(b"VALUE k 0 3\r\nabc\r\nEND\r\nVA 5"),
                5 => Content::Bytes(b"mg a q\r\nmg b q v\r\nset k 0 0 1 noreply\r\nx\r\nmn\r\n"),
                _ => Content::Bytes(bytes),
            };
            commands.content(if *incoming { IN } else { OUT }, content);
            prop_assert!(commands.parser.heap_bytes() < 128 << 10);
        }
        commands.end_at(commands.now_ns, Ending::Forgotten);
        prop_assert!(!commands.parser.is_open());
    }
}
