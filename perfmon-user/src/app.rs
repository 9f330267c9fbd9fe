//! app: to come.
