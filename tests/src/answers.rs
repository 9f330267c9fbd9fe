//! What a client counted, and records against it.
use crate::record::Request;

/// Answers and bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Answers {
    /// What records say.
    fn told(records: &[Request]) -> Self {
        Self { count: records.len() as u64, bytes: records.iter().filter_map(|r| r.response_size).sum() }
    }
}

/// Fails unless each record is exact and complete, and they are what the client counted.
pub fn assert_exact(records: &[Request], expected: Answers, whose: &str) {
    let odd: Vec<_> = records.iter().filter(|r| r.quality != "exact" || r.error.is_some() || r.missing_bytes > 0).take(3).collect();
    assert!(odd.is_empty(), "{whose}: {odd:#?}");
    assert_eq!(Answers::told(records), expected, "{whose}");
}
