//! Programs that the kernel skipped, of a client whose library uses the socket: what is told as exact has the figures of its own request.
use proptest::prelude::*;

use super::*;

/// One operation, the write of a request and the read of its answer by turns.
#[derive(Clone, Copy, Debug)]
struct Operation {
    /// The programs of the socket and of the library were skipped.
    skipped: (bool, bool),
    /// perfmon looks so much later, milliseconds.
    looks_after: u64,
    /// Nothing passes for so long before it, milliseconds.
    after: u64,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let skips = || prop::bool::weighted(0.08);
    let silence = prop_oneof![8 => Just(0), 1 => 0..2_000_u64];
    let operation = (skips(), skips(), 0..6_u64, silence);
    let made = |(socket, library, looks_after, after)| Operation { skipped: (socket, library), looks_after, after };
    prop::collection::vec(operation.prop_map(made), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exact_is_its_own(operations in operations()) {
        let mut host = Host::new();
        host.open(64, ROLE_CLIENT, 0);
        handshake(&mut host, 64, true);
        for (number, Operation { skipped: (socket, library), looks_after, after }) in operations.into_iter().enumerate() {
            host.now += after * 1_000_000;
            let size = 10 + number / 2;
            let (direction, plain) = match number % 2 {
                0 => (DIRECTION_OUT, format!("GET /{size} HTTP/1.1\r\nHost: h\r\n\r\n")),
                _ => (DIRECTION_IN, format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "b".repeat(size))),
            };
            let bytes = record(plain.as_bytes());
            match (socket, direction) {
                (true, _) => host.passed_unseen(64, direction, bytes.len()),
                (false, DIRECTION_OUT) => host.sent(64, &bytes),
                (false, _) => host.received(64, &bytes),
            }
            if socket {
                host.skipped(looks_after);
            }
            if library {
                host.skipped(looks_after);
            } else {
                call(&mut host, SSL, direction, plain.as_bytes(), if socket { 0 } else { 64 });
            }
        }
        for told in host.requests().into_iter().filter(|told| told.quality == Quality::Exact) {
            let size = told.path.as_deref().and_then(|path| path.trim_start_matches('/').parse().ok());
            prop_assert!(told.error.is_none() && told.response_size == size, "{told:?}");
        }
    }
}
