//! target: to come.
