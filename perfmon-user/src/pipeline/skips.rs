//! Programs that the kernel skipped: bytes passed without an event, on a connection that nobody names. What may lack them is told as inferred.
//! TCP sockets count their bytes, so the gap shows with the next event of its direction: what began before the skip was noticed, and what
//! comes after a gap. Unix sockets and TLS libraries count none: whatever comes before the connection is believed again. It is, when an
//! exchange left nothing under way, inside TLS a second later: until then answers may belong to neighbours.
//! Misses: MPTCP and TLS in the kernel, whose bytes are not counted either; requests that were skipped of a client that does not wait for its
//! answers, and with HTTP/1 or commands may get them told with a later request.
use crate::stream::Content;
use crate::track::Connection;

use super::build::BuildContext;
use super::session::Session;

/// What is known of skipped programs.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Skips {
    /// How often they were noticed, and 1, up to [`TIMES`]; then from 2 on again.
    times: u16,
    /// When they were noticed last: bytes of before may be missing.
    noticed_ns: u64,
}

/// So many are told apart, for connections to stay small.
const TIMES: u16 = i16::MAX as u16;

impl Default for Skips {
    fn default() -> Self {
        Self { times: 1, noticed_ns: 0 }
    }
}

impl Skips {
    /// Programs were skipped before `now_ns`.
    pub(in crate::pipeline) fn notice(&mut self, now_ns: u64) {
        (self.times, self.noticed_ns) = (if self.times < TIMES { self.times + 1 } else { 2 }, now_ns);
    }
}

/// What a connection's bytes say of skips: the number of those of which nothing is missing any more, 0 before the first bytes; and whether
/// a gap came after a later one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Belief(u16);

/// So long after a skip writes of TLS libraries and their sends have found each other again.
const TLS_QUIET_NS: u64 = 1_000_000_000;

/// The bit of a gap.
const GAP: u16 = TIMES + 1;

impl Belief {
    fn has_gap(self) -> bool {
        self.0 & GAP != 0
    }

    fn is_whole(self, skips: Skips) -> bool {
        self.0 == skips.times
    }
}

/// Whether the kernel counts the connection's bytes, so that gaps show.
fn is_counted(connection: &Connection<Session>) -> bool {
    !connection.unix && connection.state.cipher.is_none()
}

/// Bytes of a connection, perhaps its first, or a gap. Before the first ones nothing is missing that was not told.
pub(super) fn pass(connection: &mut Connection<Session>, content: Content<'_>, time_ns: u64, context: &BuildContext<'_>) {
    let (skips, belief) = (context.skips, &mut connection.state.belief);
    if belief.0 == 0 {
        belief.0 = skips.times - u16::from(time_ns < skips.noticed_ns);
    }
    if !belief.is_whole(skips) && matches!(content, Content::Lost(_) | Content::Unknown) {
        belief.0 |= GAP;
    }
}

/// Whether bytes of an exchange that ends now may be missing.
pub(super) fn may_lack_bytes(connection: &Connection<Session>, start_ns: u64, context: &mut BuildContext<'_>) -> bool {
    let belief = connection.state.belief;
    context.is_fresh = start_ns >= context.skips.noticed_ns;
    belief.has_gap() || !context.is_fresh || !(is_counted(connection) || belief.is_whole(context.skips))
}

/// After bytes that ended exchanges.
pub(super) fn settle(connection: &mut Connection<Session>, time_ns: u64, context: &BuildContext<'_>) {
    let skips = context.skips;
    if connection.state.belief.is_whole(skips) || time_ns < skips.noticed_ns || connection.state.is_busy() {
        return;
    }
    let is_whole = match &connection.state.cipher {
        // A library's writes wait for the sends that carry them, and those may be what was skipped.
        Some(cipher) => {
            let waits = cipher.object.is_none_or(|object| context.binder.waiting_writes(object) > 0) || cipher.has_unsent();
            context.is_fresh && !waits && time_ns - skips.noticed_ns >= TLS_QUIET_NS
        }
        None => context.is_fresh || connection.unix,
    };
    if is_whole {
        connection.state.belief = Belief(skips.times);
    }
}
