//! Reads files that belong to other processes: what /proc tells of them, and files below their roots. In: a process, a file, a limit.
//! Out: bytes, or a [`Refusal`] that is counted. A [`ForeignReader`] has each file read by a worker process and stops waiting after a second,
//! since the observed process can make a read hang for ever. The rules of opening stand in `open`. It does not know what the bytes mean.
mod open;
mod reader;
mod refusal;
mod request;
mod user;
mod worker;

pub use reader::ForeignReader;
pub use refusal::{InspectorReport, Refusal, RefusedFile};
pub use user::FileUser;
pub use worker::{WORKER, worker};
