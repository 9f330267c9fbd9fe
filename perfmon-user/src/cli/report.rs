//! What `perfmon report` is asked for: which period, in which form.
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::args::ReportArgs;
use crate::config::Problem;

/// The time that a report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// So many seconds up to now.
    Last(u64),
    /// From one time to another, seconds since 1970; without an end up to now.
    Range {
        /// Begin.
        from: u64,
        /// End.
        to: Option<u64>,
    },
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// A page.
    Html,
    /// Markdown.
    Markdown,
    /// For programs.
    Json,
}

const DAY_S: u64 = 86_400;

/// Checks it; every problem is told.
pub(super) fn read(args: &ReportArgs, zone: &TimeZone, problems: &mut Vec<Problem>) -> Option<(Period, ReportFormat)> {
    let before = problems.len();
    let mut fault = |name: &str, message: String| problems.push(Problem::new(name, message));
    let mut time = |name: &str, text: Option<&String>| text.and_then(|text| moment(text, zone).map_err(|why| fault(name, why)).ok());
    let (from, to) = (time("--from", args.from.as_ref()), time("--to", args.to.as_ref()));
    let period = match (args.period.as_deref(), from) {
        (None | Some("day"), None) => Period::Last(DAY_S),
        (Some("week"), None) => Period::Last(7 * DAY_S),
        (None, Some(from)) => Period::Range { from, to },
        (Some(_), Some(_)) => {
            fault("--period", "does not go with --from; give one of them".into());
            return None;
        }
        (Some(other), None) => {
            fault("--period", format!("{other:?} is none of day, week; for another one give --from and --to"));
            return None;
        }
    };
    if args.to.is_some() && args.from.is_none() {
        fault("--to", "needs --from".into());
    }
    if let Period::Range { from, to: Some(to) } = period
        && from >= to
    {
        fault("--from", "must be before --to".into());
    }
    let format = match args.format.as_deref() {
        None | Some("md") => ReportFormat::Markdown,
        Some("html") => ReportFormat::Html,
        Some("json") => ReportFormat::Json,
        Some(other) => {
            fault("--format", format!("{other:?} is none of html, md, json"));
            return None;
        }
    };
    (problems.len() == before).then_some((period, format))
}

/// A time as RFC 3339, or a date or a date with time in the zone; seconds since 1970.
fn moment(text: &str, zone: &TimeZone) -> Result<u64, String> {
    let local = || text.parse::<DateTime>().ok().and_then(|time| time.to_zoned(zone.clone()).ok()).map(|time| time.timestamp());
    let time = text.parse::<Timestamp>().ok().or_else(local).and_then(|time| u64::try_from(time.as_second()).ok());
    time.ok_or_else(|| format!("{text:?} is no time; write it like 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00Z"))
}
