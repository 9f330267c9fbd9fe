//! Arguments of `perfmon report`: period and format.
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::ReportArgs;
use crate::config::ConfigProblem;

/// Period of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The last n seconds.
    Last(u64),
    /// From one time to another, seconds since 1970; without an end up to now.
    Range {
        /// Start.
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

/// Checks the arguments and reports all problems.
pub(super) fn read(args: &ReportArgs, zone: &TimeZone, problems: &mut Vec<ConfigProblem>) -> Option<(Period, ReportFormat)> {
    let before = problems.len();
    let mut fault = |name: &str, message: String| problems.push(ConfigProblem::new(name, message));
    let mut time = |name: &str, text: Option<&String>| text.and_then(|text| moment(text, zone).map_err(|why| fault(name, why)).ok());
    let (from, to) = (time("--from", args.from.as_ref()), time("--to", args.to.as_ref()));
    let period = match (args.period.as_deref(), from) {
        (None | Some("day"), None) => Some(Period::Last(DAY_S)),
        (Some("week"), None) => Some(Period::Last(7 * DAY_S)),
        (None, Some(from)) => Some(Period::Range { from, to }),
        (Some(_), Some(_)) => {
            fault("--period", "cannot be combined with --from".into());
            None
        }
        (Some(other), None) => {
            fault("--period", format!("{other:?} is not day or week; for any other period give --from and --to"));
            None
        }
    };
    if args.to.is_some() && args.from.is_none() {
        fault("--to", "requires --from".into());
    }
    if to.is_some() && to <= from && from.is_some() {
        fault("--from", "must be before --to".into());
    }
    let format = match args.format.as_deref() {
        None | Some("md") => Some(ReportFormat::Markdown),
        Some("html") => Some(ReportFormat::Html),
        Some("json") => Some(ReportFormat::Json),
        Some(other) => {
            fault("--format", format!("{other:?} is not one of html, md, json"));
            None
        }
    };
    period.zip(format).filter(|_| problems.len() == before)
}

/// A time to look at: from one time to another, the last day without either.
pub(super) fn period(from: Option<&String>, to: Option<&String>, zone: &TimeZone, problems: &mut Vec<ConfigProblem>) -> Option<Period> {
    let before = problems.len();
    let mut fault = |name: &str, message: String| problems.push(ConfigProblem::new(name, message));
    let mut time = |name: &str, text: Option<&String>| text.and_then(|text| moment(text, zone).map_err(|why| fault(name, why)).ok());
    let (from_s, to_s) = (time("--from", from), time("--to", to));
    if to.is_some() && from.is_none() {
        fault("--to", "requires --from".into());
    }
    if to_s.is_some() && to_s <= from_s && from_s.is_some() {
        fault("--from", "must be before --to".into());
    }
    let period = from_s.map_or(Period::Last(DAY_S), |from| Period::Range { from, to: to_s });
    (problems.len() == before).then_some(period)
}

/// A time as RFC 3339, or a date or a date with time in the zone; seconds since 1970.
fn moment(text: &str, zone: &TimeZone) -> Result<u64, String> {
    let local =
        || text.parse::<jiff::civil::DateTime>().ok().and_then(|time| time.to_zoned(zone.clone()).ok()).map(|time| time.timestamp());
    let time = text.parse::<Timestamp>().ok().or_else(local).and_then(|time| u64::try_from(time.as_second()).ok());
    time.ok_or_else(|| format!("{text:?} is not a time; write it like 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(period: Option<&str>, from: Option<&str>, to: Option<&str>, format: Option<&str>) -> ReportArgs {
        let text = |text: Option<&str>| text.map(String::from);
        let (period, from, to, format) = (text(period), text(from), text(to), text(format));
        ReportArgs { period, from, to, format, output: None, db: None, general: super::super::GeneralArgs::default() }
    }

    fn asked(args: &ReportArgs) -> Result<(Period, ReportFormat), Vec<String>> {
        let mut problems = Vec::new();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        read(args, &zone, &mut problems).ok_or_else(|| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn periods_and_forms_are_read() {
        assert_eq!(asked(&args(None, None, None, None)), Ok((Period::Last(86_400), ReportFormat::Markdown)));
        assert_eq!(asked(&args(Some("week"), None, None, Some("html"))), Ok((Period::Last(604_800), ReportFormat::Html)));
        let range = args(None, Some("1970-01-02"), Some("1970-01-02T00:00:00Z"), Some("json"));
        assert_eq!(asked(&range), Ok((Period::Range { from: 79_200, to: Some(86_400) }, ReportFormat::Json)));
        let open = args(None, Some("1970-01-02T02:00"), None, None);
        assert_eq!(asked(&open), Ok((Period::Range { from: 86_400, to: None }, ReportFormat::Markdown)));
    }

    #[test]
    fn every_problem_is_told() {
        let problems = asked(&args(Some("year"), Some("x"), Some("1900-01-01"), Some("pdf"))).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        for (wrong, part) in [
            (args(Some("day"), Some("2026-01-01"), None, None), "--period: cannot be combined with --from"),
            (args(None, None, Some("2026-01-01"), None), "--to: requires --from"),
            (args(None, Some("2026-01-02"), Some("2026-01-02"), None), "--from: must be before --to"),
        ] {
            let problems = asked(&wrong).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with(part), "{problems:?}");
        }
    }
}
