//! The `perfmon` binary.
fn main() {}
