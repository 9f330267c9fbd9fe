//! Log messages while the screen is on. Standard error would corrupt the screen, so messages are buffered; the screen shows the newest, and
//! all are printed at its end. `Messages` is the `io::Write` of the log's subscriber.
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;

/// The newest messages; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Messages(Arc<Mutex<VecDeque<String>>>);

impl Messages {
    /// The newest message.
    pub fn newest(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).back().cloned()
    }

    /// Takes all out, oldest first.
    pub fn drain(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
            if kept.len() == limits::SCREEN_MESSAGES {
                kept.pop_front();
            }
            kept.push_back(line.to_string());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
