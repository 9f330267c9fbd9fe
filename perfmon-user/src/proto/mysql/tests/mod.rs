//! Tests of the parser as a whole; here is what they share.
