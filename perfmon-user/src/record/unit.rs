//! Units of the records: durations are kept in nanoseconds and shown as milliseconds with three decimals, times are nanoseconds
//! since 1970 and shown as RFC 3339 in UTC.
use serde::{Serialize, Serializer};

/// A duration in nanoseconds; JSON: milliseconds, microsecond resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds as a number, rounded to microseconds.
    pub fn as_f64(self) -> f64 {
        ((self.0 + 500) / 1_000) as f64 / 1_000.0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

/// Wall-clock time, nanoseconds since 1970-01-01 UTC; JSON: RFC 3339 with nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl std::fmt::Display for WallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, second_of_day) = (self.0 / 86_400_000_000_000, self.0 / 1_000_000_000 % 86_400);
        let (year, month, day) = civil_from_days(days as i64);
        let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", self.0 % 1_000_000_000)
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Gregorian date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_nanoseconds() {
        assert_eq!(WallTime(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(WallTime(951_782_400_000_000_007).to_string(), "2000-02-29T00:00:00.000000007Z");
        assert_eq!(WallTime(1_795_341_599_123_456_789).to_string(), "2026-11-22T09:59:59.123456789Z");
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(serde_json::to_string(&Millis(1_234_567)).unwrap(), "1.235");
        assert_eq!(serde_json::to_string(&Millis(499)).unwrap(), "0.0");
    }
}
