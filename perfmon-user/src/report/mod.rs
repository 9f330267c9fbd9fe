//! report: to come.
