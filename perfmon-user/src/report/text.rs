//! Formats numbers and times.
use jiff::tz::TimeZone;

use crate::record::WallTime;

/// An unknown value.
pub const UNKNOWN: &str = "–";

/// A count, thousands apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds in the unit that suits.
pub fn time(ms: Option<f64>) -> String {
    match ms {
        None => UNKNOWN.into(),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) if ms < 120_000.0 => format!("{:.2} s", ms / 1_000.0),
        Some(ms) => format!("{:.1} min", ms / 60_000.0),
    }
}

/// A share, 0..1.
pub fn share(value: Option<f64>) -> String {
    value.map_or(UNKNOWN.into(), |value| format!("{:.2} %", value * 100.0))
}

/// A percentage, 0..100.
pub fn percent(value: Option<f64>) -> String {
    value.map_or(UNKNOWN.into(), |value| format!("{value:.1} %"))
}

/// A share in words for people: whole percents where that is enough.
pub fn plain_share(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || percent == 0.0 {
        format!("{percent:.0} %")
    } else if percent >= 1.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.2} %")
    }
}

/// Seconds in the unit that suits.
pub fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => days(s / 86_400.0),
    }
}

/// Days in words.
pub fn days(days: f64) -> String {
    match days {
        d if d < 1.5 => format!("{:.0} hours", d * 24.0),
        d if d < 10.0 => format!("{d:.1} days"),
        d => format!("{d:.0} days"),
    }
}

/// A number with the digits that it needs, thousands apart.
pub fn amount(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { count(value.round() as u64) }
}

/// Dollars; small sums keep their digits.
pub fn dollars(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.into(),
        Some(value) if value != 0.0 && value.abs() < 1.0 => format!("${value:.6}"),
        Some(value) => format!("${value:.2}"),
    }
}

/// Bytes.
pub fn bytes(value: Option<f64>) -> String {
    let Some(mut value) = value else { return UNKNOWN.into() };
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next();
    while value >= 1_024.0
        && let Some(next) = units.next()
    {
        value /= 1_024.0;
        unit = Some(next);
    }
    let unit = unit.unwrap_or_default();
    if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") }
}

/// How much more or less than before.
pub fn change(now: Option<f64>, before: Option<f64>) -> String {
    match (now, before) {
        (Some(now), Some(before)) if before > 0.0 => format!("{:+.1} %", (now / before - 1.0) * 100.0),
        _ => UNKNOWN.into(),
    }
}

/// A time in a zone, to the second.
pub fn moment(time: WallTime, zone: &TimeZone) -> String {
    let stamp = i128::from(time.0);
    jiff::Timestamp::from_nanosecond(stamp)
        .map_or_else(|_| time.to_string(), |stamp| stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// The same of a time in a record.
pub fn moment_of(rfc_3339: &str, zone: &TimeZone) -> String {
    match rfc_3339.parse::<jiff::Timestamp>() {
        Ok(stamp) => stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => rfc_3339.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([count(0), count(999), count(1_000), count(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([time(None), time(Some(1.234)), time(Some(345.6))], ["–", "1.23 ms", "346 ms"]);
        assert_eq!([time(Some(12_345.0)), time(Some(600_000.0))], ["12.35 s", "10.0 min"]);
        assert_eq!([bytes(Some(512.0)), bytes(Some(1_536.0)), bytes(Some(3e12))], ["512 B", "1.5 KiB", "2.7 TiB"]);
        assert_eq!([dollars(Some(0.000_123)), dollars(Some(12.345)), dollars(Some(0.0))], ["$0.000123", "$12.35", "$0.00"]);
        assert_eq!([change(Some(3.0), Some(2.0)), change(Some(1.0), Some(0.0)), change(None, Some(1.0))], ["+50.0 %", "–", "–"]);
    }
}
