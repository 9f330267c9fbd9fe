//! http: to come.
