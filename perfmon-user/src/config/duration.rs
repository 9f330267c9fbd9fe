//! Durations: `500ms`, `90s`, `5m`, `1h30m`, `1.5h`, `2d`. A number without a unit is an error.
use std::time::Duration;

/// Units, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a duration; the error names the problem and the syntax.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("write it like 90s, 5m or 2h".into());
    }
    let mut millis = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| "write it like 90s, 5m or 2h".to_string())?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match unit {
                "" if after.is_empty() => format!("the last number has no unit; write {text}s for seconds or {text}m for minutes"),
                "" => "write it like 90s, 5m or 2h".into(),
                _ => format!("{unit:?} is not a unit; use ms, s, m, h or d"),
            });
        };
        millis += number * *length as f64;
        rest = after;
    }
    Duration::try_from_secs_f64(millis / 1_000.0).map_err(|_| "it is too long".into())
}

/// Writes a duration so that `parse` reads the same.
pub fn show(duration: Duration) -> String {
    let mut left = duration.as_millis() as u64;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if left >= length {
            text.push_str(&format!("{}{unit}", left / length));
            left %= length;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse(&show(Duration::from_millis(millis))), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(show(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(show(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_mend() {
        for (text, mend) in [
            ("30", "30s"),
            ("", "90s"),
            ("5 minutes", "90s"),
            ("5min", "use ms, s, m, h or d"),
            ("s", "90s"),
            ("-5s", "90s"),
            ("1.2.3s", "90s"),
            ("999999999999999999d", "too long"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(mend), "{text}: {why}");
        }
    }
}
