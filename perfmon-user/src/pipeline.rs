//! The front half as one synchronous, pure function: events in, records and wishes out. No tokio, no aya, no clock, no file.
use std::sync::Arc;

use crate::counters::Counters;
use crate::decode::SocketKey;
use crate::proto::Demand;
use crate::record::{Gauges, Origin, Record};

/// What a push leaves.
#[derive(Debug, Default)]
pub struct Out {
    /// Finished records.
    pub records: Vec<Record>,
    /// What the pipeline wants of its surroundings.
    pub wishes: Vec<Wish>,
}

/// What the pipeline wants of its surroundings; granting a wish is not required for being right, only for being complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Change the capture mode of a socket.
    Capture(SocketKey, Demand),
    /// Say who this process is (`Pipeline::describe`).
    Describe(u32),
}
