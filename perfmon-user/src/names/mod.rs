//! Names of the other end beside those that the protocol itself carries.
pub mod hello;
