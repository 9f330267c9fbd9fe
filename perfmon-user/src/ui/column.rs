//! Columns of the tables: short formats of values, sort order, and the columns to drop on a narrow terminal. Times are in milliseconds;
//! unknown values are a dash.
use std::cmp::Ordering;

use super::look::Tone;
use crate::printable::printable;

/// Width between two columns.
const GAP: u16 = 1;

/// A column of rows `R`.
pub(super) struct Column<R> {
    pub title: &'static str,
    /// Characters; for the one flexible column the minimum.
    pub width: u16,
    /// Aligned left (text) or right (figures).
    pub left: bool,
    /// The rest of the line is this column's.
    pub flexible: bool,
    /// Which go first on a narrow terminal: the highest number; 0 stays.
    pub expendable: u8,
    /// Only on the live screen, where everything else has the width it needs.
    pub wide: bool,
    pub text: fn(&R) -> String,
    /// First sort order: figures largest first, names ascending.
    pub order: fn(&R, &R) -> Ordering,
    pub tone: fn(&R) -> Tone,
}

/// For columns without highlighting.
pub(super) fn plain<R>(_: &R) -> Tone {
    Tone::Plain
}

/// Indexes of the columns that fit, with their widths.
pub(super) fn fit<R>(columns: &[Column<R>], width: u16) -> Vec<(usize, u16)> {
    let mut kept: Vec<usize> = (0..columns.len()).filter(|index| !columns[*index].wide).collect();
    let needed = |kept: &[usize]| kept.iter().map(|index| columns[*index].width + GAP).sum::<u16>().saturating_sub(GAP);
    while needed(&kept) > width {
        let first = kept
            .iter()
            .enumerate()
            .filter(|(_, index)| columns[**index].expendable > 0)
            .max_by_key(|(_, index)| columns[**index].expendable);
        match first {
            Some((position, _)) => kept.remove(position),
            None => break,
        };
    }
    let spare = width.saturating_sub(needed(&kept));
    kept.into_iter().map(|index| (index, columns[index].width + if columns[index].flexible { spare } else { 0 })).collect()
}

/// Indexes of the columns that fill a line of the live screen, with their widths: those that fit, then text gets the width of its longest
/// value, then come the columns for wide terminals, and the rest is distributed over all.
pub(super) fn fill<R>(columns: &[Column<R>], rows: &[&R], width: u16) -> Vec<(usize, u16)> {
    let mut least: Vec<(usize, u16)> = fit(columns, width);
    let total = |kept: &[(usize, u16)]| kept.iter().map(|(_, width)| width + GAP).sum::<u16>().saturating_sub(GAP);
    least.iter_mut().filter(|(index, _)| columns[*index].flexible).for_each(|(index, width)| *width = columns[*index].width);
    let mut spare = width.saturating_sub(total(&least));
    let longest = |index: usize| rows.iter().map(|row| printed_width(&(columns[index].text)(row))).max().unwrap_or(0);
    let mut wanting: Vec<(usize, usize)> =
        least.iter().enumerate().filter(|(_, (index, _))| columns[*index].left).map(|(at, (index, _))| (at, longest(*index))).collect();
    // One character each in turn, so that a long text does not take the room of all others.
    while spare > 0 && !wanting.is_empty() {
        wanting.retain(|(at, longest)| usize::from(least[*at].1) < *longest);
        for (at, _) in &wanting {
            if spare > 0 {
                least[*at].1 += 1;
                spare -= 1;
            }
        }
    }
    for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.wide) {
        if column.width + GAP <= spare {
            spare -= column.width + GAP;
            let at = least.partition_point(|(kept, _)| *kept < index);
            least.insert(at, (index, column.width));
        }
    }
    let each = spare / least.len().max(1) as u16;
    let rest = spare - each * least.len() as u16;
    least.iter_mut().for_each(|(_, width)| *width += each);
    least.iter_mut().filter(|(index, _)| columns[*index].flexible).for_each(|(_, width)| *width += rest);
    least
}

/// Largest first, unknown last.
pub(super) fn largest(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY))
}

/// At most five characters: `0`, `12345`, `123k`, `1.2M`.
pub(super) fn count(value: u64) -> String {
    match value {
        0..=99_999 => value.to_string(),
        100_000..=999_999 => format!("{}k", value / 1_000),
        1_000_000..=99_999_999 => format!("{:.1}M", value as f64 / 1e6),
        _ => format!("{:.0}M", value as f64 / 1e6),
    }
}

/// A rate or the like, at most five characters: `0.02`, `9.51`, `12.3`, `1234`, `123k`.
pub(super) fn figure(value: f64) -> String {
    match value {
        _ if value < 9.995 => format!("{value:.2}"),
        _ if value < 99.95 => format!("{value:.1}"),
        _ => count(value.round() as u64),
    }
}

/// Milliseconds, at most six characters: `0.35`, `12.3`, `1234`, `12.3s`, `1234s`.
pub(super) fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < 9_999.5 => figure(value),
        Some(value) => format!("{}s", figure(value / 1_000.0)),
    }
}

/// US dollars, at most seven characters: `$0.0012`, `$3.45`, `$1234`; the smallest is `<$.0001`.
pub(super) fn money(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "$0".into(),
        Some(value) if value < 0.000_1 => "<$.0001".into(),
        Some(value) if value < 1.0 => format!("${value:.4}"),
        Some(value) if value < 999.995 => format!("${value:.2}"),
        Some(value) => format!("${}", count(value.round() as u64)),
    }
}

/// A number, or a dash.
pub(super) fn known(value: Option<u64>) -> String {
    value.map_or("-".into(), count)
}

/// A share from 0 to 1 in percent, at most five characters.
pub(super) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(share) if share < 0.0995 => format!("{:.1}", share * 100.0),
        Some(share) if share < 1.0 => format!("{:.0}", (share * 100.0).min(99.0)),
        Some(share) => format!("{:.0}", share * 100.0),
    }
}

/// Bytes: `512B`, `12.3M`, `1.50G`.
pub(super) fn bytes(value: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(size, _)| value >= *size) {
        Some((size, unit)) => format!("{}{unit}", figure(value as f64 / size as f64)),
        None => format!("{value}B"),
    }
}

/// A time span: `42s`, `3m05s`, `2h07m`, `3d04h`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Characters of a text when it is printed.
pub(super) fn printed_width(text: &str) -> usize {
    printable(text).text().chars().count()
}

/// Fits `text`, printable, into `width` characters; a longer text ends with `~`.
pub(super) fn cut(text: &str, width: usize) -> String {
    let clean = printable(text).text();
    if clean.chars().count() <= width {
        return clean.into_owned();
    }
    clean.chars().take(width.saturating_sub(1)).chain(['~']).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_at_every_size() {
        let mut value = 0.000_1;
        while value < 1e9 {
            assert!(figure(value).len() <= 5, "{value}: {}", figure(value));
            assert!(millis(Some(value)).len() <= 6, "{value}: {}", millis(Some(value)));
            assert!(count(value as u64).len() <= 5, "{value}: {}", count(value as u64));
            assert!(money(Some(value)).len() <= 7, "{value}: {}", money(Some(value)));
            assert!(percent(Some((value / 1e9).min(1.0))).len() <= 5);
            assert!(bytes(value as u64).len() <= 6, "{value}: {}", bytes(value as u64));
            value *= 1.01;
        }
    }

    /// A row is the text of its name.
    static TWO: [Column<&str>; 4] = [
        Column { flexible: true, ..column("NAME", 4, true, 0) },
        column("A", 3, false, 0),
        column("B", 3, false, 1),
        Column { wide: true, ..column("C", 3, false, 0) },
    ];

    const fn column(title: &'static str, width: u16, left: bool, expendable: u8) -> Column<&'static str> {
        Column {
            title,
            width,
            left,
            flexible: false,
            expendable,
            wide: false,
            text: |row| (*row).into(),
            order: |a, b| a.cmp(b),
            tone: plain,
        }
    }

    #[test]
    fn a_line_is_filled_at_every_width() {
        for width in 13..200 {
            let filled = fill(&TWO, &[&"long name"], width);
            assert_eq!(filled.iter().map(|(_, width)| width + GAP).sum::<u16>() - GAP, width, "{filled:?}");
        }
        assert_eq!(fill(&TWO, &[&"long name"], 8), [(0, 4), (1, 3)]);
        assert_eq!(fill(&TWO, &[&"long name"], 17), [(0, 9), (1, 3), (2, 3)]);
        assert_eq!(fill(&TWO, &[&"long name"], 21), [(0, 9), (1, 3), (2, 3), (3, 3)]);
    }

    #[test]
    fn values_are_written_as_people_read_them() {
        assert_eq!([0.351, 12.34, 999.6, 9_999.4, 12_345.0].map(|value| millis(Some(value))), ["0.35", "12.3", "1000", "9999", "12.3s"]);
        assert_eq!([millis(None), percent(None), money(None), known(None)], ["-", "-", "-", "-"]);
        assert_eq!(
            [0.0, 0.000_05, 0.012_34, 3.456, 1_234.5].map(|value| money(Some(value))),
            ["$0", "<$.0001", "$0.0123", "$3.46", "$1235"]
        );
        assert_eq!([0.0, 0.001, 0.0123, 0.5, 0.9999, 1.0].map(|share| percent(Some(share))), ["0", "0.1", "1.2", "50", "99", "100"]);
        assert_eq!([0.0, 59.9, 61.0, 7_620.0, 273_600.0].map(span), ["0s", "59s", "1m01s", "2h07m", "3d04h"]);
        assert_eq!([512, 12_900_000, 1_610_612_736].map(bytes), ["512B", "12.3M", "1.50G"]);
        assert_eq!((cut("abcdef", 4).as_str(), cut("abc", 4).as_str(), cut("a\u{1b}b", 9).as_str()), ("abc~", "abc", "a\\u{1b}b"));
    }
}
