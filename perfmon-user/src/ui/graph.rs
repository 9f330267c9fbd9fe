//! A graph in characters: braille dots, two columns of four levels in each character, or ASCII. Pure: values in, lines of text out.
//! Specification: Unicode block Braille Patterns, U+2800.

/// Bits of the dots in the left and the right column of a braille character, from the bottom.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
/// ASCII characters from empty to full.
const LEVELS: [char; 4] = [' ', '.', ':', '#'];

/// Values that a character shows side by side.
pub(super) fn columns_per_character(braille: bool) -> usize {
    if braille { 2 } else { 1 }
}

/// Lines of a graph from the top, `height` of them. An unknown value is empty, a known one has a dot at least.
pub(super) fn graph(values: &[Option<f64>], top: f64, height: usize, braille: bool) -> Vec<String> {
    let steps = if braille { 4 } else { 3 };
    let level = |value: &Option<f64>| match value {
        None => 0,
        Some(value) if top > 0.0 => ((value / top * (height * steps) as f64).round() as usize).clamp(1, height * steps),
        Some(_) => 1,
    };
    let levels: Vec<usize> = values.iter().map(level).collect();
    let line = |row: usize| {
        let below = (height - 1 - row) * steps;
        let filled = |level: &usize| level.saturating_sub(below).min(steps);
        match braille {
            true => levels.chunks(2).map(|pair| braille_character(&pair.iter().map(filled).collect::<Vec<_>>())).collect(),
            false => levels.iter().map(|level| LEVELS[filled(level)]).collect(),
        }
    };
    (0..height).map(line).collect()
}

fn braille_character(filled: &[usize]) -> char {
    let bits = filled.iter().zip(DOTS).map(|(filled, dots)| dots[..*filled].iter().sum::<u32>()).sum::<u32>();
    // Blank instead of the empty pattern: some fonts draw it with hollow dots.
    if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braille_fills_from_the_bottom() {
        let values = [Some(0.0), Some(2.0), Some(4.0), Some(8.0), None, None];
        assert_eq!(graph(&values, 8.0, 2, true), [" ⢸ ", "⣠⣿ "]);
        assert_eq!(graph(&[Some(1.0)], 1.0, 1, true), ["⡇"]);
    }

    #[test]
    fn ascii_fills_from_the_bottom() {
        assert_eq!(graph(&[None, Some(0.0), Some(3.0), Some(6.0)], 6.0, 2, false), ["   #", " .##"]);
    }

    #[test]
    fn zero_is_seen_and_unknown_is_not() {
        assert_eq!(graph(&[Some(0.0), None], 0.0, 1, false), [". "]);
        assert_eq!(graph(&[], 1.0, 0, true), Vec::<String>::new());
    }
}
