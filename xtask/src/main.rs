//! perfmon tasks.
fn main() {}
