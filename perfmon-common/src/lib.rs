//! Wire types between the kernel programs and user space: one definition each, integers and byte arrays only, size and
//! alignment asserted at compile time. `event` is what travels through the ring, `map` what stands in maps and globals.
//! Numbers become enums in `perfmon-user`'s `decode`; a number it does not know is an error there.
#![no_std]

pub mod event;
pub mod map;
pub mod tls;
#[cfg(feature = "user")]
mod user;
