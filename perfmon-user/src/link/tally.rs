//! The sum of one request's calls so far.
use std::sync::Arc;

use crate::record::{Downstream, Millis, REPEATED_CALLS, RepeatedQuery};

use super::{Attempt, CallKind, OutgoingCall};

/// Different commands of a request that are counted apart; further ones are not looked at for repetition.
const QUERIES: usize = 8;
/// Different calls of a request that failed and whose next attempt is recognised.
const FAILED: usize = 8;

/// A sum.
#[derive(Debug, Default)]
pub(super) struct Tally {
    db: (u64, u64),
    http: (u64, u64),
    llm: (u64, u64),
    queries: Vec<(Arc<str>, Arc<str>, u32)>,
    /// Calls that failed and have not succeeded since, with the attempts so far.
    failed: Vec<(u64, u32)>,
    /// A call passed that may be this request's.
    is_unsure: bool,
}

impl Tally {
    pub(super) fn add(&mut self, call: &OutgoingCall<'_>) {
        let (calls, time_ns) = match call.kind {
            CallKind::Db => &mut self.db,
            CallKind::Http => &mut self.http,
            CallKind::Llm => &mut self.llm,
        };
        *calls += 1;
        *time_ns = time_ns.saturating_add(call.end_ns.map_or(0, |end_ns| end_ns.saturating_sub(call.start_ns)));
        let Some((id, text)) = call.query else { return };
        if let Some((.., times)) = self.queries.iter_mut().find(|(known, ..)| known == id) {
            *times += 1;
        } else if self.queries.len() < QUERIES {
            self.queries.push((id.clone(), text.clone(), 1));
        }
    }

    /// How many attempts of the same failed before this one.
    pub(super) fn resent(&mut self, attempt: Attempt) -> u32 {
        let known = self.failed.iter().position(|(what, _)| *what == attempt.what);
        let before = known.map_or(0, |at| self.failed.swap_remove(at).1);
        if attempt.failed && self.failed.len() < FAILED {
            self.failed.push((attempt.what, before + 1));
        }
        before
    }

    pub(super) fn doubt(&mut self) {
        self.is_unsure = true;
    }

    pub(super) fn downstream(self) -> Downstream {
        let most = self.queries.into_iter().max_by_key(|(.., times)| *times).filter(|(.., times)| *times >= REPEATED_CALLS);
        Downstream {
            db_calls: self.db.0,
            db_time_ms: Millis(self.db.1),
            http_calls: self.http.0,
            http_time_ms: Millis(self.http.1),
            llm_calls: self.llm.0,
            llm_time_ms: Millis(self.llm.1),
            complete: !self.is_unsure,
            repeated: most.map(|(query_id, query, calls)| RepeatedQuery { query_id, query, calls }),
        }
    }
}
