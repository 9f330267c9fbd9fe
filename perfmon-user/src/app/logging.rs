//! Where perfmon's own messages go: standard error; while the live screen has the terminal, the last ones are kept and told at its end.
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogLevel;

/// Lines kept while the screen is on.
const KEPT: usize = 200;

/// Messages held back.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Held {
    /// Writes them to standard error.
    pub fn tell(&self) {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stderr = io::stderr().lock();
        for line in lines {
            if stderr.write_all(&line).is_err() {
                return;
            }
        }
    }
}

impl Write for Held {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Held {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Begins. `screen`: the terminal belongs to the live screen.
pub fn begin(level: LogLevel, screen: bool) -> Held {
    let held = Held::default();
    let colours = !screen && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_max_level(filter(level)).with_ansi(colours).with_target(false);
    // A second subscriber in one process (tests) is refused; the first one goes on.
    if screen { builder.with_writer(held.clone()).try_init().ok() } else { builder.with_writer(io::stderr).try_init().ok() };
    held
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
