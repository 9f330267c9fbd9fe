//! Reads files that belong to other processes: what /proc tells of them, and files below their roots. In: a process, a file, a limit.
//! Out: bytes, or a [`Refusal`] that is counted. A [`Reader`] has each file read by a worker process and stops waiting after a second,
//! since the observed process can make a read hang for ever. The rules of opening stand in `open`. It does not know what the bytes mean.
mod open;
mod owner;
mod reader;
mod refusal;
mod request;
mod worker;

pub use owner::Owner;
pub use reader::Reader;
pub use refusal::{InspectorReport, Refusal, RefusedFile};
pub use worker::{WORKER, worker};
