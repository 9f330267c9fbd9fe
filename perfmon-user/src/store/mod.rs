//! store: to come.
