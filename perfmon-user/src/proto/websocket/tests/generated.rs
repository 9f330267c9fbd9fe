//! Generated sessions: any messages, cut anywhere, come to exact counts; any losses of them to a lower bound and never to a violation;
//! any bytes at all to no panic.
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::stream::Failure;

/// A generated message: payloads of its frames, and the control frames between them.
#[derive(Clone, Debug)]
struct Spec {
    by_client: bool,
    kind: u8,
    compressed: bool,
    fragments: Vec<Vec<u8>>,
    controls: Vec<(bool, Vec<u8>)>,
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![6 => 0..10usize, 3 => 120..130usize, 2 => 250..400usize, 1 => 65_530..70_000usize];
    // A payload of frames is what a parser must not fall for.
    let tile = prop_oneof![vec(any::<u8>(), 1..40), Just(server(0x81, b"x")), Just(client(0x82, b"xy")), Just(vec![0])];
    (size, tile).prop_map(|(size, tile)| tile.into_iter().cycle().take(size).collect())
}

fn spec() -> impl Strategy<Value = Spec> {
    let controls = vec((any::<bool>(), vec(any::<u8>(), 0..126)), 0..3);
    (any::<bool>(), 1..3u8, any::<bool>(), vec(payload(), 1..4), controls)
        .prop_map(|(by_client, kind, compressed, fragments, controls)| Spec { by_client, kind, compressed, fragments, controls })
}

impl Spec {
    fn frames(&self) -> Vec<Vec<u8>> {
        let mut controls = self.controls.iter();
        let mut frames = Vec::new();
        for (index, payload) in self.fragments.iter().enumerate() {
            let opcode = if index == 0 { self.kind | if self.compressed { 0x40 } else { 0 } } else { 0 };
            let fin = if index + 1 == self.fragments.len() { 0x80 } else { 0 };
            frames.push(frame(fin | opcode, self.by_client, payload));
            frames.extend(controls.next().map(|(ping, payload)| frame(if *ping { 0x89 } else { 0x8a }, self.by_client, payload)));
        }
        frames
    }

    fn bytes(&self) -> u64 {
        self.fragments.iter().map(|payload| payload.len() as u64).sum()
    }
}

fn counts(specs: &[Spec], by_client: bool) -> (u64, u64) {
    let of_side = || specs.iter().filter(|spec| spec.by_client == by_client);
    (of_side().count() as u64, of_side().map(Spec::bytes).sum())
}

fn direction(by_client: bool, server_side: bool) -> Direction {
    if by_client == server_side { Direction::In } else { Direction::Out }
}

/// Bytes of one direction in order, cut at these places.
fn pieces<'a>(wire: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).chain([0, wire.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_cut_anywhere(specs in vec(spec(), 0..8), server_side: bool, cuts in vec(any::<prop::sample::Index>(), 0..30)) {
        let mut messages = Messages::new(server_side, true);
        for by_client in [true, false] {
            let wire: Vec<u8> = specs.iter().filter(|spec| spec.by_client == by_client).flat_map(Spec::frames).flatten().collect();
            for piece in pieces(&wire, &cuts) {
                messages.bytes(direction(by_client, server_side), piece);
            }
        }
        messages.bytes(direction(true, server_side), &client(0x88, b"\x03\xe8"));
        messages.end(Ending::Closed);
        let (of_client, of_server) = (counts(&specs, true), counts(&specs, false));
        prop_assert_eq!(messages.counts(), if server_side { [of_client, of_server] } else { [of_server, of_client] });
        let session = messages.session();
        prop_assert_eq!((session.failure, session.inferred, session.close_code), (None, false, Some(1000)));
        let wire: usize = specs.iter().flat_map(Spec::frames).map(|frame| frame.len()).sum();
        prop_assert_eq!(session.received.wire_bytes + session.sent.wire_bytes, wire as u64 + 8);
        let told: u64 = messages.told.iter().filter(|told| told.kind != FrameKind::Control).map(|told| told.payload_bytes).sum();
        prop_assert_eq!(told, of_client.1 + of_server.1);
    }

    #[test]
    fn no_loss_of_valid_traffic_is_a_violation(
        specs in vec(spec(), 1..10),
        server_side: bool,
        cuts in vec(any::<prop::sample::Index>(), 0..30),
        losses in vec(prop_oneof![5 => Just(0), 1 => 1..4u8], 40),
    ) {
        let mut messages = Messages::new(server_side, true);
        let mut losses = losses.iter().cycle();
        for by_client in [true, false] {
            let wire: Vec<u8> = specs.iter().filter(|spec| spec.by_client == by_client).flat_map(Spec::frames).flatten().collect();
            for piece in pieces(&wire, &cuts) {
                let content = match losses.next() {
                    Some(1) => Content::Gap(piece.len() as u64),
                    Some(2) => Content::Lost(piece.len() as u64),
                    Some(3) => Content::Unknown,
                    _ => Content::Bytes(piece),
                };
                messages.content(direction(by_client, server_side), content);
            }
        }
        messages.end(Ending::Closed);
        prop_assert_ne!(messages.session().failure, Some(Failure::Protocol));
    }

    #[test]
    fn lost_frames_leave_a_lower_bound(specs in vec(spec(), 1..10), lost in vec(prop::bool::weighted(0.3), 64)) {
        let mut messages = Messages::new(true, false);
        let (mut lost, mut any_lost) = (lost.iter().cycle(), false);
        // Payloads that are no frames: of those a frame is told by nothing.
        let specs: Vec<_> = specs.into_iter().map(|spec| Spec { compressed: false, by_client: true, fragments: spec.fragments.iter().map(|payload| vec![0x7e; payload.len()]).collect(), ..spec }).collect();
        for frame in specs.iter().flat_map(Spec::frames) {
            if *lost.next().unwrap() {
                any_lost = true;
                messages.content(Direction::In, Content::Lost(frame.len() as u64));
            } else {
                messages.bytes(Direction::In, &frame);
            }
        }
        messages.end(Ending::Closed);
        let (expected, found) = (counts(&specs, true), messages.counts()[0]);
        prop_assert!(found.0 <= expected.0 && found.1 <= expected.1, "{:?} of {:?}", found, expected);
        prop_assert_eq!(messages.session().inferred, any_lost);
        if !any_lost {
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn anything_at_all(steps in vec((any::<bool>(), 0..8u8, vec(any::<u8>(), 0..40)), 0..60), server_side: bool) {
        let mut messages = Messages::new(server_side, true);
        for (incoming, kind, bytes) in &steps {
            let direction = if *incoming { Direction::In } else { Direction::Out };
            let content = match kind {
                0 => Content::Gap(bytes.len() as u64),
                1 => Content::Lost(bytes.len() as u64 * 1_000),
                2 => Content::Unknown,
                _ => Content::Bytes(bytes),
            };
            messages.content(direction, content);
            prop_assert!(messages.parser.heap_bytes() < 2_000);
        }
        messages.end(Ending::Closed);
        prop_assert_eq!(messages.done.len(), 1);
    }
}
