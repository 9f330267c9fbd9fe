//! A kind that only tests have, to show that a row of the table of kinds is all that a kind needs to be in every view: questions for names
//! that begin with `made-up.`. Its row and fields stand with the others.
use std::sync::Arc;

use super::{Dns, Millis, Origin, Quality, Record, WallTime};

/// How their names begin.
pub const MADE_UP: &str = "made-up.";

/// A record of the kind.
pub fn made_up(time: WallTime, origin: &Arc<Origin>, word: &str, ms: u64, rcode: &str) -> Record {
    Record::Dns(Box::new(Dns {
        time,
        origin: origin.clone(),
        name: format!("{MADE_UP}example").into(),
        qtype: word.into(),
        rcode: rcode.into(),
        server: "127.0.0.53:53".into(),
        attempts: 2,
        response_time_ms: Some(Millis(ms * 1_000_000)),
        quality: Quality::Exact,
    }))
}
