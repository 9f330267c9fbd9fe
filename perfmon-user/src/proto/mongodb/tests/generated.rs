//! Generated connections: any documents, cut anywhere, come to exact counts; any bytes at all, and any documents with any bytes changed, to no panic and
//! little memory.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(|number| element(16, "number", &number.to_le_bytes())),
        any::<f64>().prop_map(|number| element(1, "double", &number.to_le_bytes())),
        "[a-z]{0,200}".prop_map(|value| text("text", &value)),
        vec(any::<u8>(), 0..50).prop_map(|bytes| element(5, "binary", &[&(bytes.len() as u32).to_le_bytes()[..], &[0], &bytes].concat())),
        Just(element(10, "null", &[])),
        Just(element(7, "id", &[9; 12])),
        Just(element(8, "truth", &[1])),
        Just(element(11, "expression", b"secret.*\0i\0")),
        Just(element(19, "decimal", &[1; 16])),
        Just(element(255, "least", &[])),
        Just(element(15, "code", &[25, 0, 0, 0, 2, 0, 0, 0, b'x', 0, 15, 0, 0, 0, 16, b'a', 0, 1, 0, 0, 0, 0, 0, 0, 0])),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|all| inside("inner", &all)),
            vec(inner, 0..5).prop_map(|all| element(4, "list", &document(&all)))
        ]
    })
}

fn pieces(wire: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).chain([0, wire.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| wire[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_documents_cut_anywhere(
        rounds in vec((vec(value(), 0..6), 0..9_usize), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        server: bool,
    ) {
        let (asks, answers) = if server { (IN, OUT) } else { (OUT, IN) };
        let mut commands = MongoCommands::default();
        for ((filter, count), id) in rounds.iter().zip(1..) {
            let request = msg(id, 0, 0, &[text("find", "orders"), inside("filter", filter), text("$db", "shop")]);
            for (direction, wire) in [(asks, request), (answers, found(id, *count))] {
                for piece in pieces(&wire, &cuts) {
                    commands.bytes(direction, &piece);
                }
            }
        }
        let told: Vec<_> = commands.told.iter().map(|command| (command.rows, command.database.as_deref(), command.inferred)).collect();
        let expected: Vec<_> = rounds.iter().map(|(_, count)| (Some(*count as u64), Some("shop"), false)).collect();
        prop_assert_eq!(told, expected);
        prop_assert!(commands.told.iter().all(|command| !command.query.as_deref().unwrap_or_default().contains("secret")));
        let stats = commands.parser.take_stats();
        prop_assert_eq!((stats.desyncs, stats.orphans), (0, 0));
    }

    #[test]
    fn anything_at_all(
        steps in vec((any::<bool>(), 0..8_u8, vec(any::<u8>(), 0..40), vec(value(), 0..4), any::<prop::sample::Index>()), 0..60),
    ) {
        let mut commands = MongoCommands::default();
        commands.bytes(IN, &find(1));
        for (incoming, kind, bytes, elements, place) in &steps {
            let mut wire = msg(2, u32::from(!incoming), 0, &[&[text("find", "x")][..], elements].concat());
            if let (Some(byte), 4..) = (bytes.first(), kind) {
                let at = place.index(wire.len());
                wire[at] = *byte;
            }
            let content = match kind {
                0 => Content::Gap(bytes.len() as u64),
                1 => Content::Lost(bytes.len() as u64 * 1_000),
                2 => Content::Unknown,
                3 => Content::Bytes(bytes),
                _ => Content::Bytes(&wire),
            };
            commands.content(if *incoming { IN } else { OUT }, content);
            prop_assert!(commands.parser.heap_bytes() < 64 << 10);
        }
        commands.end_at(commands.now_ns, Ending::Forgotten);
        prop_assert!(!commands.parser.is_open());
    }
}
