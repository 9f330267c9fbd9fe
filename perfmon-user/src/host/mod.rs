//! host: to come.
