//! Why a file of another process is not read, and how often that happened, for `/api/v1/self`.
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Refusals that are listed one by one; the oldest goes.
const LATEST: usize = 16;

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// There is no such file, or the process is gone. Not counted: that is the usual case.
    #[error("the file does not exist")]
    Absent,
    /// A FIFO, device, socket or folder, or a file that the kernel makes up.
    #[error("it is not a regular file")]
    Irregular,
    /// Longer than the limit for its kind.
    #[error("it is too large")]
    TooLarge,
    /// The process's own user may not read it.
    #[error("its process is not allowed to read it")]
    Forbidden,
    /// A loop of symbolic links, or a link that only the kernel can follow.
    #[error("its path cannot be resolved below the process's root")]
    Unresolvable,
    /// The read took longer than a second, or one of this process or user hangs already.
    #[error("reading it took too long")]
    TooSlow,
    /// Its text is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Reading failed otherwise.
    #[error("reading it failed")]
    Unreadable,
    /// The process that reads could not be started.
    #[error("the reading process could not be started")]
    NoWorker,
}

impl Refusal {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 9] = [
        Self::Absent,
        Self::Irregular,
        Self::TooLarge,
        Self::Forbidden,
        Self::Unresolvable,
        Self::TooSlow,
        Self::NotUtf8,
        Self::Unreadable,
        Self::NoWorker,
    ];

    /// Its name in `/api/v1/self`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Irregular => "irregular",
            Self::TooLarge => "too_large",
            Self::Forbidden => "forbidden",
            Self::Unresolvable => "unresolvable",
            Self::TooSlow => "too_slow",
            Self::NotUtf8 => "not_utf8",
            Self::Unreadable => "unreadable",
            Self::NoWorker => "no_worker",
        }
    }
}

/// What perfmon could not learn of other processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InspectorReport {
    /// Files that were not read, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// The latest ones, oldest first; one of each process, file and reason.
    pub latest: Vec<RefusedFile>,
    /// Workers that hang in a read.
    pub stuck_workers: u64,
}

/// A file that was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedFile {
    /// Process that it belongs to; 0 = a container engine's.
    pub pid: u32,
    /// The file.
    pub file: PathBuf,
    /// Why, in words.
    pub reason: String,
}

/// Counts refusals; shared by threads.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<(BTreeMap<&'static str, u64>, VecDeque<RefusedFile>)>);

impl RefusalLog {
    pub(super) fn add(&self, pid: u32, file: &Path, refusal: Refusal) {
        if refusal == Refusal::Absent {
            return;
        }
        let (counts, latest) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(refusal.name()).or_default() += 1;
        // serde writes paths that are UTF-8 only.
        let refused = RefusedFile { pid, file: file.to_string_lossy().into_owned().into(), reason: refusal.to_string() };
        if !latest.contains(&refused) {
            if latest.len() >= LATEST {
                latest.pop_front();
            }
            latest.push_back(refused);
        }
    }

    pub(super) fn report(&self, stuck_workers: u64) -> InspectorReport {
        let (counts, latest) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        InspectorReport { refusals: counts.clone(), latest: latest.iter().cloned().collect(), stuck_workers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_and_the_latest_listed_once() {
        let log = RefusalLog::default();
        log.add(1, Path::new("/a"), Refusal::Absent);
        for pid in 0..40 {
            log.add(pid, Path::new("/a"), Refusal::Irregular);
            log.add(pid, Path::new("/a"), Refusal::Irregular);
        }
        let report = log.report(0);
        assert_eq!(report.refusals, BTreeMap::from([("irregular", 80)]));
        assert_eq!(report.latest.iter().map(|refused| refused.pid).collect::<Vec<_>>(), (24..40).collect::<Vec<_>>());
    }
}
