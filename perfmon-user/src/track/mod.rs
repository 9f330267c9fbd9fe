//! track: to come.
