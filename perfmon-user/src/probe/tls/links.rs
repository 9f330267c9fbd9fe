//! Closes probes' links without making anybody wait. The kernel takes a grace period of 0.1 s and more for each link, and as long for
//! many that are closed at the same time (multi-probe links; single ones wait for each other).
use std::os::fd::OwnedFd;
use std::thread::{Builder, JoinHandle};

use aya::programs::uprobe::UProbeLink;

/// Threads that close links at the same time.
const THREADS: usize = 64;

/// A link; dropping it takes its probes out of the library.
#[derive(Debug)]
#[expect(dead_code, reason = "they are held to be dropped")]
pub(super) enum TlsLink {
    /// All probes of a program in a file.
    Multi(OwnedFd),
    /// One probe.
    Single(UProbeLink),
}

/// Links on their way out.
#[derive(Default)]
pub(super) struct Closing {
    waiting: Vec<TlsLink>,
    thread: Option<JoinHandle<()>>,
}

impl Closing {
    /// Closes links in the background, one batch at a time: what comes while one is under way waits for the next call.
    pub(super) fn begin(&mut self, links: Vec<TlsLink>) {
        self.waiting.extend(links);
        if self.waiting.is_empty() || self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let links = std::mem::take(&mut self.waiting);
        // Without a thread the links are closed here, dropped with the closure.
        self.thread = Builder::new().name("close-links".into()).spawn(move || close(links)).ok();
    }

    /// Closes what is left, and waits.
    pub(super) fn wait(&mut self) {
        close(std::mem::take(&mut self.waiting));
        if let Some(thread) = self.thread.take() {
            // Closing a descriptor cannot panic.
            thread.join().ok();
        }
    }
}

/// Drops all, many at the same time.
pub(in crate::probe) fn close<T: Send>(links: Vec<T>) {
    let share = links.len().div_ceil(THREADS).max(1);
    let mut links = links.into_iter();
    std::thread::scope(|scope| {
        loop {
            let batch: Vec<T> = links.by_ref().take(share).collect();
            if batch.is_empty() {
                break;
            }
            // A thread that cannot be had drops its batch here.
            // Its stack has the usual size: the allocator and thread-local variables take more than a small one has, now and then.
            Builder::new().spawn_scoped(scope, move || drop(batch)).ok();
        }
    });
}
