//! TLS without keys. In: what sockets moved ([`crate::stream`]) and what TLS libraries told ([`crate::decode`]). Out: whether a stream is
//! TLS, what its hellos say in the clear, which socket a library's object belongs to, and sizes and times on the wire for plaintext.
//! It never looks into ciphertext. One grammar of records ([`record`]) under one bounds-checked reader ([`cursor`]) serves all of them.
//! RFC 8446 and RFC 5246; pure: no clock, no file, no table of connections (the pipeline joins both).
pub mod bind;
pub mod cursor;
mod handshake;
pub mod hello;
mod plain;
pub mod record;
pub mod sizes;

pub use bind::{Binder, Placement};
pub use plain::{Plain, TlsObject};
pub use sizes::EncryptedSide;
