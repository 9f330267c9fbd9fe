//! Units of the records: durations are nanoseconds, serialised as milliseconds with three decimals; times are nanoseconds since 1970,
//! serialised as RFC 3339 in UTC.
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// Id of an exchange; JSON: 16 hexadecimal digits. A number, so that a record needs no allocation for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub u64);

impl std::fmt::Display for SpanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpanId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Mixes a number into an id: one round of SplitMix64 (Steele, Lea, Flood 2014).
pub fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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

impl std::str::FromStr for WallTime {
    type Err = NotATime;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let part = |range: std::ops::Range<usize>| {
            let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or(NotATime)
        };
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let (hour, minute, second, nanoseconds) = (part(11..13)?, part(14..16)?, part(17..19)?, part(20..29)?);
        let days = u64::try_from(days_from_civil(year as i64, month as i64, day as i64)).map_err(|_| NotATime)?;
        let time = Self(((days * 24 + hour) * 3_600 + minute * 60 + second) * 1_000_000_000 + nanoseconds);
        // Accepts the text only if serialising the time gives it back, separators and ranges included.
        if time.to_string() == text { Ok(time) } else { Err(NotATime) }
    }
}

/// The text is not a time as serialised in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

impl std::fmt::Display for NotATime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a time in UTC with nanoseconds, like 2026-01-31T12:00:00.000000000Z")
    }
}

impl std::error::Error for NotATime {}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The inverse of `civil_from_days`, from the same paper.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + day_of_era - 719_468
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
    fn times_read_back_and_nothing_else_does() {
        for ns in [0, 951_782_400_000_000_007, 1_795_341_599_123_456_789, 4_102_444_799_999_999_999] {
            assert_eq!(WallTime(ns).to_string().parse(), Ok(WallTime(ns)));
        }
        for text in [
            "",
            "2026-11-22T09:59:59Z",
            "2026-13-22T09:59:59.123456789Z",
            "2026-02-30T00:00:00.000000000Z",
            "2026-11-22 09:59:59.123456789Z",
        ] {
            assert_eq!(text.parse::<WallTime>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn span_ids_are_sixteen_digits() {
        assert_eq!(serde_json::to_string(&SpanId(0xab)).unwrap(), r#""00000000000000ab""#);
        assert_eq!(SpanId(u64::MAX).to_string(), "ffffffffffffffff");
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(serde_json::to_string(&Millis(1_234_567)).unwrap(), "1.235");
        assert_eq!(serde_json::to_string(&Millis(499)).unwrap(), "0.0");
    }
}
