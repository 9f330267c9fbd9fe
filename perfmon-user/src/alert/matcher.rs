//! Matchers of silences: `severity=warning`, `rule!=cpu_usage`, `scope=/srv/*`, `service=~shop|blog`, `type!~cost.*`. In: text of a user; out:
//! whether an alert matches. `=` and `!=` compare the whole value, in which `*` stands for any characters; `=~` and `!~` take a regular
//! expression for the whole value. Names and operators are those of Prometheus' Alertmanager.
use std::fmt;
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::record::Alert;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 100_000;

/// A field of an alert, and how it is read.
type MatchedField = (&'static str, fn(&Alert) -> &str);

/// Fields that can be matched. A container that is not known is an empty text.
const MATCHED_FIELDS: [MatchedField; 7] = [
    ("rule", |alert| &alert.rule),
    ("scope", |alert| &alert.scope),
    ("severity", |alert| alert.severity.name()),
    ("type", |alert| &alert.kind_name),
    ("metric", |alert| &alert.metric),
    ("service", |alert| &alert.origin.service),
    ("container", |alert| alert.origin.container.as_deref().unwrap_or_default()),
];

/// Operators; one that begins with another stands before it.
const OPERATORS: [(&str, Operator); 4] = [
    ("=~", Operator { is_regex: true, negated: false }),
    ("!~", Operator { is_regex: true, negated: true }),
    ("!=", Operator { is_regex: false, negated: true }),
    ("=", Operator { is_regex: false, negated: false }),
];

#[derive(Clone, Copy, Debug)]
struct Operator {
    is_regex: bool,
    negated: bool,
}

/// One condition on an alert.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SilenceMatcher {
    text: Arc<str>,
    field: fn(&Alert) -> &str,
    pattern: Regex,
    negated: bool,
}

impl SilenceMatcher {
    /// Reads a matcher; the error says what is wrong and what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = || MATCHED_FIELDS.map(|(name, _)| name).join(", ");
        let end = text
            .find(['=', '!'])
            .ok_or_else(|| format!("{text:?} has no operator; write name=value, name!=value, name=~regex or name!~regex"))?;
        let (name, rest) = (text[..end].trim(), &text[end..]);
        let (_, field) = MATCHED_FIELDS
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("{name:?} is no field of alerts that can be matched; the fields are {}", names()))?;
        let (sign, operator) = OPERATORS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| format!("{text:?} has no operator; the operators are =, !=, =~ and !~"))?;
        let value = unquoted(rest[sign.len()..].trim());
        let pattern = if operator.is_regex { value.to_owned() } else { regex_lite::escape(value).replace("\\*", ".*") };
        let pattern = RegexBuilder::new(&format!("^(?:{pattern})$"))
            .dot_matches_new_line(true)
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| format!("{value:?} is no regular expression: {error}"))?;
        Ok(Self { text: text.into(), field, pattern, negated: operator.negated })
    }

    /// Whether an alert matches.
    pub fn covers(&self, alert: &Alert) -> bool {
        self.pattern.is_match((self.field)(alert)) != self.negated
    }
}

impl fmt::Display for SilenceMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SilenceMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for SilenceMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SilenceMatcher {}

impl TryFrom<String> for SilenceMatcher {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<SilenceMatcher> for String {
    fn from(matcher: SilenceMatcher) -> Self {
        matcher.text.as_ref().into()
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::judgement::test_alert;
    use crate::record::{Origin, Severity, WallTime};

    fn alert() -> Alert {
        let origin = Origin { service: "shop".into(), ..Origin::unknown(7) };
        let test = test_alert(WallTime(0));
        Alert { rule: "cpu_usage".into(), scope: "/srv/data".into(), severity: Severity::Warning, origin: Arc::new(origin), ..test }
    }

    #[test]
    fn each_form_matches_the_whole_value() {
        for (text, covers) in [
            ("rule=cpu_usage", true),
            ("rule=cpu", false),
            ("rule=cpu*", true),
            ("rule!=cpu*", false),
            ("rule != disk_usage", true),
            ("scope=/srv/*", true),
            ("scope=/srv", false),
            ("severity=warning", true),
            ("severity=\"critical\"", false),
            ("severity=~warning|critical", true),
            ("severity=~warn", false),
            ("severity!~crit.*", true),
            ("service=~sh[aeiou]p", true),
            ("type=performance", true),
            ("metric=test", true),
            ("container=", true),
            ("container!=", false),
        ] {
            assert_eq!(SilenceMatcher::parse(text).unwrap().covers(&alert()), covers, "{text}");
        }
    }

    #[test]
    fn what_is_no_matcher_is_refused_with_the_reason() {
        for (text, reason) in [
            ("cpu_usage", "has no operator"),
            ("colour=red", "the fields are rule, scope, severity"),
            ("rule!cpu", "the operators are"),
            ("rule=~(", "is no regular expression"),
            ("rule=~(a{1000}){1000}", "is no regular expression"),
        ] {
            let error = SilenceMatcher::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn it_is_stored_as_its_text() {
        let matcher = SilenceMatcher::parse("severity=~warn.*").unwrap();
        let json = serde_json::to_string(&matcher).unwrap();
        assert_eq!(json, "\"severity=~warn.*\"");
        assert_eq!(serde_json::from_str::<SilenceMatcher>(&json).unwrap(), matcher);
    }
}
