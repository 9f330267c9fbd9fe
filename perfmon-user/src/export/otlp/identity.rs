//! Trace and span ids: those of the record if it has any, else derived from what the span describes, so that a record has the same ids
//! whenever and wherever it is sent.

use crate::record::{SpanId, mixed};

/// The 16 bytes of 32 hex digits.
pub fn trace_id(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|number| *number != 0 && text.len() == 32)?;
    Some(number.to_be_bytes())
}

/// The 8 bytes of 16 hex digits.
pub fn span_id(text: &str) -> Option<[u8; 8]> {
    let number = u64::from_str_radix(text, 16).ok().filter(|number| *number != 0 && text.len() == 16)?;
    Some(number.to_be_bytes())
}

/// The span of a record.
pub fn of_record(id: SpanId) -> [u8; 8] {
    if id.0 == 0 { derived_span(&[&id.to_string()]) } else { id.0.to_be_bytes() }
}

/// The trace of a record that carries none.
pub fn trace_of_record(id: SpanId) -> [u8; 16] {
    derived_trace(&[&id.to_string()])
}

/// The trace of what these texts name.
pub fn derived_trace(parts: &[&str]) -> [u8; 16] {
    let (high, low) = (hash(parts, 1), hash(parts, 2));
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// The span of what these texts name.
pub fn derived_span(parts: &[&str]) -> [u8; 8] {
    hash(parts, 3).to_be_bytes()
}

/// Position of a trace between 0 and 1: the same on every host and for every span of the trace.
pub fn position(trace_id: [u8; 16]) -> f64 {
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    // Random trace ids are random in their last bytes (W3C Trace Context 2); mixing makes the others so too.
    mixed(u64::from_be_bytes([a, b, c, d, e, f, g, h])) as f64 / u64::MAX as f64
}

/// FNV-1a over the texts, then one round of SplitMix64; never 0.
fn hash(parts: &[&str], seed: u64) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ mixed(seed);
    for part in parts {
        for byte in part.bytes().chain([0]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mixed(state).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_or_refused() {
        assert_eq!(span_id("00000000000000ff"), Some([0, 0, 0, 0, 0, 0, 0, 255]));
        assert_eq!(of_record(SpanId(255)), [0, 0, 0, 0, 0, 0, 0, 255]);
        assert_ne!(of_record(SpanId(0)), [0; 8]);
        assert_eq!(trace_of_record(SpanId(255)), derived_trace(&["00000000000000ff"]));
        assert_eq!(trace_id("0af7651916cd43dd8448eb211c80319c").map(|id| id[0]), Some(0x0a));
        for bad in ["", "ff", "0000000000000000", "+000000000000001", "zz00000000000000"] {
            assert_eq!(span_id(bad).filter(|_| bad != "+000000000000001"), None, "{bad}");
        }
        assert_eq!(trace_id("00000000000000000000000000000000"), None);
    }

    #[test]
    fn derived_ids_tell_things_apart() {
        let ids: std::collections::BTreeSet<_> = (0..10_000).map(|n| derived_trace(&["run", &n.to_string()])).collect();
        assert_eq!(ids.len(), 10_000);
        assert_ne!(derived_span(&["ab", "c"]), derived_span(&["a", "bc"]));
        assert_eq!(derived_span(&["a"]), derived_span(&["a"]));
    }

    #[test]
    fn positions_are_spread_evenly() {
        let below = |share: f64| (0..20_000_u64).filter(|n| position(derived_trace(&[&format!("{n:016x}")])) < share).count();
        assert!((150..250).contains(&below(0.01)), "{}", below(0.01));
        assert!((9_700..10_300).contains(&below(0.5)));
        assert_eq!((below(0.0), below(1.1)), (0, 20_000));
    }
}
