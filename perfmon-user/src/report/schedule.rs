//! When scheduled reports are due: a local time of each day, or of one day of the week, in a time zone. Out: the last time that has passed,
//! with the period that its report covers. Days are those of the calendar, so a period is 23 or 25 hours long where the clocks change; a
//! time that the clocks skip is taken as much later, of one that comes twice the first counts. Reads no clock.
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// How often a scheduled report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportRhythm {
    /// Each day.
    Daily,
    /// Each week.
    Weekly,
}

impl ReportRhythm {
    /// As in ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
        }
    }
}

/// Period of a report and the one it is compared with; seconds since 1970, ends not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportPeriod {
    /// Start of the period before, which ends where this one starts.
    pub before: u64,
    /// Start.
    pub from: u64,
    /// End.
    pub to: u64,
}

impl ReportPeriod {
    /// From one time to another, compared with as long a time before.
    pub fn between(from: u64, to: u64) -> Self {
        Self { before: from.saturating_sub(to.saturating_sub(from)), from, to }
    }
}

/// A local time: of each day, or of one day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportTime {
    /// The day of the week; `None`: each day.
    pub weekday: Option<Weekday>,
    /// Hour and minute.
    pub time: Time,
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl ReportTime {
    /// A time of each day.
    pub fn daily(hour: i8, minute: i8) -> Self {
        Self { weekday: None, time: Time::constant(hour, minute, 0, 0) }
    }

    /// A time of one day of the week.
    pub fn weekly(weekday: Weekday, hour: i8, minute: i8) -> Self {
        Self { weekday: Some(weekday), ..Self::daily(hour, minute) }
    }

    /// The rhythm that it gives.
    pub fn rhythm(&self) -> ReportRhythm {
        if self.weekday.is_some() { ReportRhythm::Weekly } else { ReportRhythm::Daily }
    }

    /// The period whose report was due last at a time, and the local date of its end.
    pub fn last(&self, now: u64, zone: &TimeZone) -> Option<(Date, ReportPeriod)> {
        let now = i64::try_from(now).ok()?;
        let today = Timestamp::from_second(now).ok()?.to_zoned(zone.clone()).date();
        let at = |date: Date| date.to_datetime(self.time).to_zoned(zone.clone()).ok().map(|time| time.timestamp().as_second());
        // A clock set back at midnight may put today's local date a day ahead.
        let mut days = (0..=8).filter_map(|back| today.checked_sub(back.days()).ok());
        let date =
            days.find(|date| self.weekday.is_none_or(|weekday| date.weekday() == weekday) && at(*date).is_some_and(|due| due <= now))?;
        let length = if self.weekday.is_some() { 7 } else { 1 };
        let back = |days: i64| at(date.checked_sub(days.days()).ok()?).and_then(|second| u64::try_from(second).ok());
        Some((date, ReportPeriod { before: back(2 * length)?, from: back(length)?, to: back(0)? }))
    }
}

impl FromStr for ReportTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not a time like 07:00 or mon 07:00";
        let (day, time) = text.trim().rsplit_once(char::is_whitespace).map_or((None, text.trim()), |(day, time)| (Some(day.trim()), time));
        let weekday = match day {
            None => None,
            Some(day) => Some(WEEKDAYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(day)).ok_or(FORM)?.1),
        };
        let (hour, minute) = time.split_once(':').ok_or(FORM)?;
        let number = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let time = Time::new(number(hour).ok_or(FORM)?, number(minute).ok_or(FORM)?, 0, 0).map_err(|_| FORM)?;
        Ok(Self { weekday, time })
    }
}

impl fmt::Display for ReportTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = WEEKDAYS.iter().find(|(_, day)| Some(*day) == self.weekday) {
            write!(f, "{name} ")?;
        }
        write!(f, "{:02}:{:02}", self.time.hour(), self.time.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_second() as u64
    }

    fn due(time: &str, zone: &str, now: &str) -> (String, [String; 3]) {
        let zone = TimeZone::get(zone).unwrap();
        let (date, period) = time.parse::<ReportTime>().unwrap().last(second(now), &zone).unwrap();
        let utc = [period.before, period.from, period.to].map(|at| Timestamp::from_second(at as i64).unwrap().to_string());
        (date.to_string(), utc)
    }

    #[test]
    fn times_are_read_and_written() {
        for text in ["07:00", "mon 07:00", "sun 23:59", "00:00"] {
            assert_eq!(text.parse::<ReportTime>().unwrap().to_string(), text);
        }
        assert_eq!(" Fri  6:05 ".parse::<ReportTime>().unwrap().to_string(), "fri 06:05");
        for wrong in ["", "7", "24:00", "07:60", "monday 07:00", "07:00 mon", "+7:00", "07:00:00", "mon"] {
            assert!(wrong.parse::<ReportTime>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_due_time_is_that_of_the_local_calendar() {
        let (date, [before, from, to]) = due("07:00", "Europe/Berlin", "2026-11-27T06:00:00Z");
        assert_eq!((date.as_str(), before.as_str(), from.as_str()), ("2026-11-27", "2026-11-25T06:00:00Z", "2026-11-26T06:00:00Z"));
        assert_eq!(to, "2026-11-27T06:00:00Z");
        assert_eq!(due("07:00", "Europe/Berlin", "2026-11-27T05:59:59Z").0, "2026-11-26");
        // Already the 28th there.
        assert_eq!(due("00:30", "Pacific/Kiritimati", "2026-11-27T11:00:00Z").0, "2026-11-28");
        let (date, [before, from, to]) = due("mon 07:00", "America/New_York", "2026-11-27T12:00:00Z");
        assert_eq!((date.as_str(), to.as_str()), ("2026-11-23", "2026-11-23T12:00:00Z"));
        assert_eq!((before.as_str(), from.as_str()), ("2026-11-09T12:00:00Z", "2026-11-16T12:00:00Z"));
    }

    #[test]
    fn days_are_23_or_25_hours_long_where_the_clocks_change() {
        let hours = |now: &str, time: &str| {
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            let (_, period) = time.parse::<ReportTime>().unwrap().last(second(now), &zone).unwrap();
            ((period.to - period.from) / 3_600, (period.from - period.before) / 3_600)
        };
        assert_eq!(hours("2026-03-29T05:00:00Z", "07:00"), (23, 24));
        assert_eq!(hours("2026-03-30T05:00:00Z", "07:00"), (24, 23));
        assert_eq!(hours("2026-10-25T06:00:00Z", "07:00"), (25, 24));
        assert_eq!(hours("2026-03-30T05:00:00Z", "mon 07:00"), (7 * 24 - 1, 7 * 24));
        // 02:30 does not exist on that day: it is 03:30 summer time, 01:30 UTC.
        assert_eq!(due("02:30", "Europe/Berlin", "2026-03-29T01:29:59Z").0, "2026-03-28");
        let (date, [_, from, to]) = due("02:30", "Europe/Berlin", "2026-03-29T01:30:00Z");
        assert_eq!((date.as_str(), from.as_str(), to.as_str()), ("2026-03-29", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"));
        // 02:30 comes twice: the first counts, and the second makes no further report.
        assert_eq!(due("02:30", "Europe/Berlin", "2026-10-25T00:30:00Z").1[2], "2026-10-25T00:30:00Z");
        assert_eq!(due("02:30", "Europe/Berlin", "2026-10-25T01:30:00Z").1[2], "2026-10-25T00:30:00Z");
    }
}
