//! `perfmon report`: from the history on disk to a file or standard output. Works with and without a running perfmon.
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use jiff::tz::TimeZone;

use crate::cli::{Period, ReportFormat};
use crate::clock;
use crate::config::Config;
use crate::printable::printable_json;
use crate::private_file::{self, Existing};
use crate::report::{self, Report, ReportPeriod};
use crate::store::{StoreError, StoreReader};

use super::{CommandFailure, options};

/// Makes the report.
pub fn report(config: &Config, period: Period, format: ReportFormat, output: Option<&Path>) -> Result<u8, CommandFailure> {
    let now = clock::wall_now().0 / 1_000_000_000;
    let (from, to) = match period {
        Period::Last(seconds) => (now.saturating_sub(seconds), now),
        Period::Range { from, to } => (from, to.unwrap_or(now)),
    };
    if from >= to {
        return Err(CommandFailure::Usage(vec!["--from: must be before now".into()]));
    }
    let reader = StoreReader::of_file(config.db.clone(), options::retention(config));
    let period = ReportPeriod::between(from, to);
    let made = report::collect(&reader, &period, now).map_err(|error| unreadable(config, error))?.on_host(&host());
    let custom = report::custom(&reader, &period, now, &config.metrics.compiled).map_err(|error| unreadable(config, error))?;
    let made = made.with_custom(custom);
    let text = render(&made, format, &config.reports.zone())?;
    match output {
        None => super::print(&text),
        Some(path) => {
            // As private as the history that it is made from.
            let file = private_file::open(path, Existing::Replaced);
            file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("-o {}", path.display()))?;
            Ok(0)
        }
    }
}

/// Name of this host.
pub(super) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn render(made: &Report, format: ReportFormat, zone: &TimeZone) -> anyhow::Result<String> {
    Ok(match format {
        ReportFormat::Html => made.html(zone),
        ReportFormat::Markdown => made.markdown(zone),
        ReportFormat::Json => printable_json(&serde_json::to_string_pretty(made)?).into_owned() + "\n",
    })
}

pub(super) fn unreadable(config: &Config, error: StoreError) -> CommandFailure {
    let path = config.db.display();
    match &error {
        _ if config.db.is_dir() => CommandFailure::Usage(vec![format!("{path} is a folder; --db takes the file of a history")]),
        StoreError::File { source, .. } if source.kind() == ErrorKind::NotFound => {
            CommandFailure::Usage(vec![format!("there is no history at {path}; `perfmon run` writes one, --db takes another file")])
        }
        StoreError::File { source, .. } if source.kind() == ErrorKind::PermissionDenied => CommandFailure::Impossible(vec![format!(
            "the history at {path} is private to its owner; run this as that user, with sudo for root's"
        )]),
        // The error's text repeats its causes.
        error => CommandFailure::Failed(anyhow::anyhow!("the history at {path} cannot be read: {error}")),
    }
}
