//! Where events come from: the kernel's ring, or a recording of it.
pub mod recording;
mod ring;

pub use ring::{Ring, WaitingEvents};
