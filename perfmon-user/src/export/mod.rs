//! export: to come.
