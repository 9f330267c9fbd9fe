//! What the terminal can show: colours or none, braille dots and lines or ASCII alone. In: values of environment variables; out: styles.
//! Specifications: no-color.org; locale(7) for the character set.
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::Span;

/// Borders of a terminal without line characters.
const ASCII: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// Terminals without colours, and those whose font has no braille.
const MONOCHROME: [&str; 5] = ["vt100", "vt102", "vt220", "dumb", "xterm-mono"];
const NO_BRAILLE: [&str; 1] = ["linux"];

/// Highlighting of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Warn,
    Bad,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub(super) colours: bool,
    pub(super) braille: bool,
}

impl Look {
    /// Of the values of `NO_COLOR`, of the first that is set of `LC_ALL`, `LC_CTYPE`, `LANG`, and of `TERM`.
    pub fn new(no_color: Option<&str>, locale: Option<&str>, term: Option<&str>) -> Self {
        let term = term.unwrap_or("");
        let monochrome = MONOCHROME.contains(&term);
        let locale = locale.unwrap_or("").to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        Self { colours: no_color.is_none_or(str::is_empty) && !monochrome, braille: utf8 && !monochrome && !NO_BRAILLE.contains(&term) }
    }

    /// How a value is highlighted; without colours a bad one is bold.
    pub(super) fn style(self, tone: Tone) -> Style {
        match (tone, self.colours) {
            (Tone::Plain, _) => Style::new(),
            (Tone::Warn, true) => Style::new().fg(Color::Yellow),
            (Tone::Bad, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (_, false) => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// A highlighted text.
    pub(super) fn span(self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    /// A colour where there are colours.
    pub(super) fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// Characters of boxes.
    pub(super) fn border(self) -> border::Set<'static> {
        if self.braille { border::PLAIN } else { ASCII }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let look = |no_color, locale, term| {
            let look = Look::new(no_color, locale, term);
            (look.colours, look.braille)
        };
        assert_eq!(look(None, Some("en_US.UTF-8"), Some("xterm-256color")), (true, true));
        assert_eq!(look(Some(""), Some("C.utf8"), None), (true, true));
        assert_eq!(look(Some("1"), Some("C.UTF-8"), Some("xterm")), (false, true));
        assert_eq!(look(None, Some("C.UTF-8"), Some("vt100")), (false, false));
        assert_eq!(look(None, Some("C.UTF-8"), Some("linux")), (true, false));
        assert_eq!((look(None, Some("POSIX"), None), look(None, None, None)), ((true, false), (true, false)));
    }
}
