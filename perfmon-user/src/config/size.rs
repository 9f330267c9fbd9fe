//! Sizes in bytes: `64KiB`, `100MB`, `1.5GB`, or a plain number of bytes. `KB` is 1,000 and `KiB` 1,024 bytes.

/// Units, largest first: the last that divides a size is how it is shown.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];
const HOW: &str = "write it like 100MB, 64MiB or 1GB";

/// Parses a size; the error names the problem and the syntax.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| HOW.to_string())?;
    let unit = unit.trim();
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes);
    let factor = if unit.is_empty() { 1 } else { known.ok_or_else(|| format!("{unit:?} is not a unit; {HOW}"))? };
    let bytes = number * factor as f64;
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err("it is too large".into()) }
}

/// Writes a size so that `parse` reads the same.
pub fn show(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| "0B".into(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("100MB", 100_000_000),
            ("100 mb", 100_000_000),
            ("64KiB", 65_536),
            ("1.5GB", 1_500_000_000),
            ("4096", 4_096),
            ("7B", 7),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(parse(&show(bytes)), Ok(bytes), "{text}");
        }
        assert_eq!([show(100_000_000), show(65_536), show(1_500), show(0)], ["100MB", "64KiB", "1500B", "0B"]);
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_mend() {
        for (text, mend) in
            [("", "100MB"), ("much", "100MB"), ("10 files", "not a unit"), ("-1MB", "100MB"), ("99999999999TB", "too large")]
        {
            let why = parse(text).unwrap_err();
            assert!(why.contains(mend), "{text}: {why}");
        }
    }
}
