//! Any bytes at all come to no panic and little memory.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_at_all(steps in vec((any::<bool>(), 0..12u8, vec(any::<u8>(), 0..40)), 0..80)) {
        let mut commands = opened();
        for (incoming, kind, bytes) in &steps {
            let valid = match kind {
                3 => query("select 1; select 'x'"),
                4 => complete("SELECT 1"),
                5 => [message(b'P', b"s\0select 1\0"), message(b'B', b"\0s\0"), message(b'E', b"\0")].concat(),
                6 => message(b'S', b""),
                7 => message(b'E', bytes),
                8 => message(bytes.first().copied().unwrap_or(b'D'), bytes),
                _ => bytes.clone(),
            };
            let content = match kind {
                0 => Content::Gap(bytes.len() as u64),
                1 => Content::Lost(bytes.len() as u64 * 1_000),
                2 => Content::Unknown,
                _ => Content::Bytes(&valid),
            };
            commands.content(if *incoming { IN } else { OUT }, content);
            prop_assert!(commands.parser.heap_bytes() < 128 << 10);
        }
        commands.end_at(commands.now_ns, Ending::Forgotten);
        prop_assert!(!commands.parser.is_open());
    }
}
