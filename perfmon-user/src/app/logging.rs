//! perfmon's log: standard error; while the live screen owns the terminal, messages are buffered and printed at its end.
use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

use crate::config::LogLevel;
use crate::ui::Messages;

/// Installs the logger. `screen`: messages go to the returned buffer.
pub fn begin(level: LogLevel, screen: bool) -> Messages {
    let messages = Messages::default();
    let colours = !screen && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_max_level(filter(level)).with_ansi(colours).with_target(false);
    // A message that cannot be written is lost; complaining about that on the same closed pipe would end the thread.
    let builder = builder.log_internal_errors(false);
    let kept = messages.clone();
    // A second subscriber in one process is refused; the first stays.
    if screen {
        builder.with_writer(move || kept.clone()).try_init().ok()
    } else {
        builder.with_writer(io::stderr).try_init().ok()
    };
    messages
}

/// Prints the messages buffered by the screen to standard error.
pub fn tell(messages: &Messages) {
    for message in messages.drain() {
        super::complain(&format!("{message}\n"));
    }
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
