//! alert: to come.
