//! perfmon's log: standard error; while the live screen owns the terminal, messages are buffered and printed at its end. A message is one
//! line and printable, whatever names and errors of other programs are in it.
use std::fmt;
use std::io::{self, IsTerminal};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::config::LogLevel;
use crate::printable::printable;
use crate::ui::Messages;

/// Installs the logger. `screen`: messages go to the returned buffer.
pub fn begin(level: LogLevel, screen: bool) -> Messages {
    let messages = Messages::default();
    let colours = !screen && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_max_level(filter(level)).with_ansi(colours).with_target(false);
    // A message that cannot be written is lost; complaining about that on the same closed pipe would end the thread.
    let builder = builder.log_internal_errors(false).fmt_fields(PrintableFields);
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

/// Writes `message name=value …`, each value printable.
struct PrintableFields;

impl<'writer> FormatFields<'writer> for PrintableFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = FieldLine { writer, is_empty: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct FieldLine<'writer> {
    writer: Writer<'writer>,
    is_empty: bool,
    result: fmt::Result,
}

impl FieldLine<'_> {
    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.write_char(' ')?;
        }
        match (name, self.writer.has_ansi_escapes()) {
            ("message", _) => {}
            (name, true) => write!(self.writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
            (name, false) => write!(self.writer, "{name}=")?,
        }
        write!(self.writer, "{}", printable(value))
    }
}

impl Visit for FieldLine<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = self.write(field.name().trim_start_matches("r#"), &format!("{value:?}"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What one event is in the log.
    fn logged(event: impl FnOnce()) -> String {
        let messages = Messages::default();
        let kept = messages.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_target(false).fmt_fields(PrintableFields);
        tracing::subscriber::with_default(builder.with_writer(move || kept.clone()).finish(), event);
        messages.drain().join("\n")
    }

    #[test]
    fn names_from_outside_change_nothing_in_the_log() {
        let evil = "a\u{1b}[2J\nERROR forged \u{202e}";
        let shown = "a\\u{1b}[2J\\nERROR forged \\u{202e}";
        let line = logged(|| tracing::warn!(name = evil, error = %evil, "It said {evil}."));
        let expected = format!("WARN It said {shown}. name=\"{shown}\" error={shown}");
        assert!(line.ends_with(&expected), "{line}\n{expected}");
    }
}
