//! Records in, snapshots out. One task owns the [`Aggregate`]; it is pure: no clock, no tokio.
pub mod snapshot;
