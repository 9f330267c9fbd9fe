//! agent: to come.
