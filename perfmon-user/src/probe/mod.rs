//! probe: to come.
