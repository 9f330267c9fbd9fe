//! The thread that samples the host and the watched processes once a second and sends the samples to the hub.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::counters::Counters;
use crate::heartbeat::{self, BEAT};
use crate::host::Sampler;

use super::capture::WatchedTargets;
use super::hub::Batch;

/// Length of an interval, in beats.
const INTERVAL: u32 = 2;

/// The start of the first interval: so that the host's figures are there with the first answer, which comes after the programs are attached.
pub fn begin() -> Sampler {
    let mut sampler = Sampler::new();
    sampler.sample(clock::wall_now(), &[]);
    sampler
}

/// The sample of the host that ends the first interval.
pub fn first(sampler: &mut Sampler) -> Batch {
    Batch { records: sampler.sample(clock::wall_now(), &[]), gauges: None, seats: None }
}

/// Samples until the sender of `stop` is dropped.
pub fn run(
    mut sampler: Sampler,
    watched: &watch::Receiver<WatchedTargets>,
    batches: &mpsc::Sender<Batch>,
    counters: &Arc<Counters>,
    stop: &Receiver<()>,
) {
    let mut beats = 0;
    while stop.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
        heartbeat::beat();
        beats += 1;
        if beats % INTERVAL != 0 {
            continue;
        }
        let subjects = watched.borrow().subjects.clone();
        let batch = Batch { records: sampler.sample(clock::wall_now(), &subjects), gauges: None, seats: None };
        if let Err(mpsc::error::TrySendError::Full(_)) = batches.try_send(batch) {
            counters.batches_dropped.inc();
        }
    }
}
