//! Scheduled reports in the store. Two records each, at the end of their period: a heading, written again when channels have it, and the
//! figures, from which every format is rendered when somebody asks. An id is the rhythm with the local date, like `daily-2026-11-27`.
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{PeriodVerdict, Report, ReportRhythm};
use crate::record::{Notified, WallTime};
use crate::store::{StoreError, StoreReader};

/// Headings in a list, at most.
const LISTED: usize = 1_000;
/// Reports whose period ends at the same time.
const AT_ONCE: usize = 8;

/// Names a scheduled report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportId {
    /// How often it is made.
    pub rhythm: ReportRhythm,
    /// Local date of its end.
    pub date: Date,
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.rhythm.name(), self.date)
    }
}

impl FromStr for ReportId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (rhythm, date) = text.split_once('-').ok_or(())?;
        let rhythm = [ReportRhythm::Daily, ReportRhythm::Weekly].into_iter().find(|known| known.name() == rhythm).ok_or(())?;
        let id = Self { rhythm, date: date.parse().map_err(drop)? };
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

/// What a list of reports shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportHeading {
    /// Its id.
    pub id: String,
    /// How often it is made.
    #[serde(rename = "type")]
    pub rhythm: ReportRhythm,
    /// Start of the period.
    pub from: WallTime,
    /// End of the period.
    pub to: WallTime,
    /// When it was made.
    pub made_at: WallTime,
    /// Time zone of its days, by IANA's name where it has one.
    pub timezone: Option<String>,
    /// Name of the host.
    pub host: Option<String>,
    /// How the period was.
    pub verdict: PeriodVerdict,
    /// The period in sentences.
    pub summary: Vec<String>,
    /// Channels that it was sent to.
    pub notified: Vec<Notified>,
}

impl ReportHeading {
    /// Kind of its record.
    pub const KIND: &'static str = "report";

    /// One line: what it is, and how the period was.
    pub fn title(&self) -> String {
        let on = self.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let rhythm = if self.rhythm == ReportRhythm::Daily { "Daily" } else { "Weekly" };
        format!("{rhythm} report{on}: {}", self.verdict.words())
    }

    /// The zone in which its times are shown.
    pub fn zone(&self) -> TimeZone {
        self.timezone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
    }
}

/// A report with its heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptReport {
    /// The heading.
    #[serde(flatten)]
    pub heading: ReportHeading,
    /// The figures.
    pub report: Report,
}

/// The figures as they are stored.
#[derive(Serialize, Deserialize)]
struct ReportBody<R> {
    id: String,
    report: R,
}

impl KeptReport {
    /// Kind of the record with the figures.
    pub const BODY_KIND: &'static str = "report_body";

    /// A new one.
    pub fn new(id: ReportId, report: Report, zone: &TimeZone, made_at: WallTime) -> Self {
        let heading = ReportHeading {
            id: id.to_string(),
            rhythm: id.rhythm,
            from: report.from,
            to: report.to,
            made_at,
            timezone: zone.iana_name().map(String::from),
            host: report.host.clone(),
            verdict: report.verdict,
            summary: report.summary.clone(),
            notified: Vec::new(),
        };
        Self { heading, report }
    }

    /// The figures as they are stored.
    ///
    /// # Errors
    /// Never in practice: all keys are text.
    pub fn body(&self) -> serde_json::Result<String> {
        serde_json::to_string(&ReportBody { id: self.heading.id.clone(), report: &self.report })
    }

    /// The stored report of this id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(reader: &StoreReader, id: &str) -> Result<Option<Self>, StoreError> {
        let Some(heading) = headings(reader)?.into_iter().find(|heading| heading.id == id) else { return Ok(None) };
        let bodies = reader.records(Self::BODY_KIND, heading.to, WallTime(heading.to.0.saturating_add(1)), AT_ONCE)?;
        let found = bodies.iter().filter_map(|json| serde_json::from_str::<ReportBody<Report>>(json).ok()).find(|body| body.id == id);
        Ok(found.map(|body| Self { heading, report: body.report }))
    }
}

/// Headings of all stored reports, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn headings(reader: &StoreReader) -> Result<Vec<ReportHeading>, StoreError> {
    let mut seen = BTreeSet::new();
    let kept = reader.records(ReportHeading::KIND, WallTime(0), WallTime(u64::MAX), LISTED)?;
    let headings = kept.iter().filter_map(|json| serde_json::from_str::<ReportHeading>(json).ok());
    // Of several with the same id the last one written comes first.
    Ok(headings.filter(|heading| seen.insert(heading.id.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        for text in ["daily-2026-11-27", "weekly-2026-03-02"] {
            assert_eq!(text.parse::<ReportId>().unwrap().to_string(), text);
        }
        for wrong in ["", "daily", "daily-", "hourly-2026-11-27", "daily-2026-13-01", "daily-2026-11-27T00:00", "daily-20261127"] {
            assert!(wrong.parse::<ReportId>().is_err(), "{wrong}");
        }
    }
}
