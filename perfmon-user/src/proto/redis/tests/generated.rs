//! Generated connections: any commands in any pipelines, cut anywhere, come to exact counts; any bytes at all to no panic and little memory.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn answer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"+OK\r\n".to_vec()),
        Just(b"-WRONGTYPE no\r\n".to_vec()),
        Just(b":12\r\n".to_vec()),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*0\r\n".to_vec()),
        Just(b"*2\r\n*1\r\n:1\r\n*-1\r\n".to_vec()),
        Just(b"%1\r\n+k\r\n*2\r\n#t\r\n,1.5\r\n".to_vec()),
        Just(b"|1\r\n+k\r\n+v\r\n*2\r\n*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n_\r\n".to_vec()),
        Just(b"!3\r\nERR\r\n".to_vec()),
        Just(b"=7\r\ntxt:abc\r\n".to_vec()),
        vec(any::<u8>(), 0..300).prop_map(|text| [format!("${}\r\n", text.len()).into_bytes(), text, b"\r\n".to_vec()].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pipelines_cut_anywhere(
        rounds in vec(vec((answer(), "[a-z]{0,200}"), 1..10), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        server: bool,
    ) {
        let (asks, answers) = if server { (IN, OUT) } else { (OUT, IN) };
        let mut commands = RedisCommands::default();
        for round in &rounds {
            for (direction, wire) in [
                (asks, round.iter().flat_map(|(_, value)| command(&["SET", "k:1", value])).collect::<Vec<_>>()),
                (answers, round.iter().flat_map(|(answer, _)| answer.clone()).collect()),
            ] {
                let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).chain([0, wire.len()]).collect();
                places.sort_unstable();
                for pair in places.windows(2) {
                    commands.bytes(direction, &wire[pair[0]..pair[1]]);
                }
            }
        }
        let expected: usize = rounds.iter().map(Vec::len).sum();
        prop_assert_eq!(commands.told.len(), expected);
        let stats = commands.parser.take_stats();
        prop_assert_eq!((stats.desyncs, stats.orphans), (0, 0));
        let errors = rounds.iter().flatten().filter(|(answer, _)| matches!(answer[0], b'-' | b'!')).count();
        prop_assert_eq!(commands.told.iter().filter(|command| command.error.is_some()).count(), errors);
        prop_assert!(commands.told.iter().all(|command| command.server == server && !command.inferred && command.end_ns.is_some()));
    }

    #[test]
    fn anything_at_all(steps in vec((any::<bool>(), 0..8u8, vec(any::<u8>(), 0..40)), 0..80)) {
        let mut commands = RedisCommands::default();
        commands.bytes(IN, &command(&["PING"]));
        for (incoming, kind, bytes) in &steps {
            let content = match kind {
                0 => Content::Gap(bytes.len() as u64),
                1 => Content::Lost(bytes.len() as u64 * 1_000),
                2 => Content::Unknown,
                3 => Content::Bytes(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"),
                4 => Content::Bytes(b"*3\r\n+OK\r\n$5\r\n"),
                _ => Content::Bytes(bytes),
            };
            commands.content(if *incoming { IN } else { OUT }, content);
            prop_assert!(commands.parser.heap_bytes() < 64 << 10);
        }
        commands.end_at(commands.now_ns, Ending::Forgotten);
        prop_assert!(!commands.parser.is_open());
    }
}
