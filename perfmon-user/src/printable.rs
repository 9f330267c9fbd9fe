//! Text from outside on its way to a terminal, a log or the output of a command: names of processes, services and paths, errors of other
//! programs. In: any text; out: one line on which control characters, escape sequences, line breaks and marks that change the direction of
//! text stand as escapes (`\u{1b}`). JSON has escapes of its own and does not pass here. Source: Unicode 16, UAX #9.
use std::borrow::Cow;
use std::fmt;

/// A text that changes nothing around it when it is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printable<'a>(&'a str);

/// A text as it may be printed.
pub fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

impl<'a> Printable<'a> {
    /// The escaped text.
    pub fn text(self) -> Cow<'a, str> {
        let Some(first) = self.0.find(is_escaped) else { return Cow::Borrowed(self.0) };
        let (clean, rest) = self.0.split_at(first);
        let mut text = String::from(clean);
        for c in rest.chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if is_escaped(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        Cow::Owned(text)
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

/// Characters that are not shown but change what is: controls, line and paragraph separators, direction and joining marks, tags.
fn is_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_surroundings_is_escaped() {
        for (text, shown) in [
            ("plain Ünïcode 漢字", "plain Ünïcode 漢字"),
            ("a\u{1b}[2Jb\u{7}", "a\\u{1b}[2Jb\\u{7}"),
            ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("user\u{202e}gpj.exe\u{2066}", "user\\u{202e}gpj.exe\\u{2066}"),
            ("a\u{2028}b\u{200f}\u{e0041}", "a\\u{2028}b\\u{200f}\\u{e0041}"),
        ] {
            assert_eq!(printable(text).to_string(), shown);
        }
        assert!(matches!(printable("plain").text(), Cow::Borrowed("plain")));
        assert_eq!(format!("{:<6}|{:>4}|", printable("a\n"), printable("b")), "a\\n   |   b|");
    }

    proptest::proptest! {
        #[test]
        fn nothing_passes(text in "(\\PC|\\pC|\u{1b}\\[[0-9]{1,2}[a-z]){0,40}") {
            let shown = printable(&text).to_string();
            proptest::prop_assert!(!shown.contains(is_escaped));
            proptest::prop_assert_eq!(printable(&shown).to_string(), shown.clone(), "what was escaped stays");
        }
    }
}
