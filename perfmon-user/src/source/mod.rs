//! source: to come.
