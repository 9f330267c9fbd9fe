//! Text from outside on its way to a terminal, a log or the output of a command: names of processes, services and paths, errors of other
//! programs. In: any text; out: one line on which control characters, escape sequences, line breaks and marks that change the direction of
//! text stand as escapes (`\u{1b}`). JSON in, JSON of the same value out, on which they stand as its own escapes. Source: Unicode 16, UAX #9.
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

/// JSON that changes nothing around it when it is displayed. JSON escapes C0 controls itself; of the others, which stand in strings alone, this
/// does.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let is_raw = |c: char| c >= '\u{7f}' && is_escaped(c);
    let Some(first) = json.find(is_raw) else { return Cow::Borrowed(json) };
    let (clean, rest) = json.split_at(first);
    let mut text = String::from(clean);
    for c in rest.chars() {
        if is_raw(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
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

    #[test]
    fn json_keeps_its_value() {
        let json = "{\n  \"Ünïcode 漢字\": \"user\u{202e}gpj\u{9b}31m\u{7f}\u{e0041}\\\\\"\n}";
        let shown = printable_json(json);
        assert_eq!(shown, "{\n  \"Ünïcode 漢字\": \"user\\u202egpj\\u009b31m\\u007f\\udb40\\udc41\\\\\"\n}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(json));
        assert!(matches!(printable_json("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn json_of_any_text_keeps_its_value(text in "(\\PC|\\pC|\u{1b}|\\\\|\"){0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let shown = printable_json(&json);
            proptest::prop_assert!(!shown.contains(is_escaped));
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }

        #[test]
        fn nothing_passes(text in "(\\PC|\\pC|\u{1b}\\[[0-9]{1,2}[a-z]){0,40}") {
            let shown = printable(&text).to_string();
            proptest::prop_assert!(!shown.contains(is_escaped));
            proptest::prop_assert_eq!(printable(&shown).to_string(), shown.clone(), "what was escaped stays");
        }
    }
}
