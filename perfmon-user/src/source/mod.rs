//! Where event bytes come from: the kernel's ring.
pub mod ring;
