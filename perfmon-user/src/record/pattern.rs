//! Patterns of the configuration: `*` stands for any text. One definition for alert rules, endpoint rules and business metrics.

/// Whether `pattern`, in which `*` stands for any text, matches all of `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    let (middle, end) = tail.rsplit_once('*').map_or(("", tail), |(middle, end)| (middle, end));
    let Some(mut rest) = rest.strip_suffix(end) else { return false };
    for piece in middle.split('*') {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        let cases = [("*", "", true), ("/a/*", "/a/b", true), ("/a/*", "/b", false), ("*/b", "/a/b", true), ("a*b*c", "axxbyyc", true)];
        for (pattern, text, fits) in cases.into_iter().chain([("a*b*c", "axxbyy", false), ("ab", "abc", false), ("a*a", "a", false)]) {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(matches("a*b*c", "a-b-c") && matches("*x*", "axb") && matches("a**b", "ab"));
        assert!(!matches("a*b*c", "a-c") && !matches("ab*ba", "aba") && !matches("a", "b"));
    }
}
