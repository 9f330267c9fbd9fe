//! TOML text to nodes with line numbers. Reports every syntax error of the file with its line. Does not know the keys. Specification: TOML
//! 1.1.
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{ConfigNode, RawValue};

/// A syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// The parser's words.
    pub message: String,
}

/// Parses a whole file to its root table and the syntax errors in it.
pub fn parse(text: &str) -> (ConfigNode, Vec<SyntaxError>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = LineEnds::of(text);
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| SyntaxError { line: lines.line_of(error.span().map_or(0, |span| span.start)), message: error.message().to_string() })
        .collect();
    errors.sort_by_key(|error| error.line);
    let value = table(&lines, root.get_ref());
    (ConfigNode { line: Some(1), value }, errors)
}

/// Parses one value, as in an environment variable.
pub fn parse_value(text: &str) -> Result<ConfigNode, String> {
    let value = DeValue::parse(text).map_err(|error| error.message().to_string())?;
    let mut node = convert(&LineEnds::default(), &value);
    forget_lines(&mut node);
    Ok(node)
}

/// Where lines end.
#[derive(Default)]
struct LineEnds(Vec<usize>);

impl LineEnds {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end).collect())
    }

    fn line_of(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

fn table(lines: &LineEnds, entries: &DeTable<'_>) -> RawValue {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let mut node = convert(lines, value);
        node.line = Some(lines.line_of(key.span().start));
        (key.get_ref().to_string(), node)
    };
    RawValue::Table(entries.iter().map(entry).collect())
}

fn convert(lines: &LineEnds, value: &Spanned<DeValue<'_>>) -> ConfigNode {
    let raw = match value.get_ref() {
        DeValue::String(string) => RawValue::Text(string.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => RawValue::Integer(number),
            Err(_) => RawValue::Float(f64::INFINITY),
        },
        DeValue::Float(number) => RawValue::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => RawValue::Bool(*value),
        DeValue::Datetime(date) => RawValue::Date(date.to_string()),
        DeValue::Array(items) => RawValue::List(items.iter().map(|item| convert(lines, item)).collect()),
        DeValue::Table(entries) => table(lines, entries),
    };
    ConfigNode { line: Some(lines.line_of(value.span().start)), value: raw }
}

fn forget_lines(node: &mut ConfigNode) {
    node.line = None;
    match &mut node.value {
        RawValue::List(nodes) => nodes.iter_mut().for_each(forget_lines),
        RawValue::Table(entries) => entries.iter_mut().for_each(|(_, node)| forget_lines(node)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_carry_their_lines() {
        let (root, errors) = parse("listen = \"a\"\n\n[capture]\nring_mib = 0x10\n\n[[endpoints]]\npattern = \"/a\"\n");
        assert_eq!(errors, []);
        let RawValue::Table(entries) = root.value else { panic!("no table") };
        let find = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, node)| node.clone()).unwrap();
        assert_eq!(find("listen"), ConfigNode { line: Some(1), value: RawValue::Text("a".into()) });
        assert_eq!(
            find("capture").value,
            RawValue::Table(vec![("ring_mib".into(), ConfigNode { line: Some(4), value: RawValue::Integer(16) })])
        );
        let RawValue::List(items) = find("endpoints").value else { panic!("no list") };
        assert_eq!(
            items[0].value,
            RawValue::Table(vec![("pattern".into(), ConfigNode { line: Some(7), value: RawValue::Text("/a".into()) })])
        );
    }

    #[test]
    fn every_syntax_error_is_reported_with_its_line() {
        let (_, errors) = parse("a = \nb = 1\nc = [1,\nd = }\n");
        assert!(errors.len() >= 2, "{errors:?}");
        assert_eq!(errors[0].line, 1);
    }

    #[test]
    fn a_value_alone_has_no_line() {
        let node = parse_value("[{ pattern = '/a/{x}' }]").unwrap();
        assert_eq!(node.line, None);
        assert!(parse_value("[1,").is_err());
    }
}
