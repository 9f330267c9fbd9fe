//! Endpoints named by the user's rules. A rule wins over form and learning.
use std::sync::Arc;

use thiserror::Error;

use super::template;
use crate::record::matches;

/// A rule of the configuration. In `pattern`, `{name}` and `*` stand for any text within a segment, a segment `**` for any number of
/// segments; in `service`, `*` stands for any text. The pattern is the endpoint's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRule {
    /// Only for this service; for all when `None`.
    pub service: Option<String>,
    /// Only for this method; for all when `None`.
    pub method: Option<String>,
    /// `/shop/{slug}/reviews`, `/static/**`, `/files/*.pdf`.
    pub pattern: String,
}

/// Error in a rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuleError {
    /// It can match no path.
    #[error("endpoint pattern {0:?} must begin with \"/\"")]
    NoSlash(String),
    /// `{` without `}` or the reverse.
    #[error("endpoint pattern {0:?} has a brace without its partner")]
    Brace(String),
}

impl EndpointRule {
    /// Checks the pattern.
    pub fn check(&self) -> Result<(), RuleError> {
        if !self.pattern.starts_with('/') {
            return Err(RuleError::NoSlash(self.pattern.clone()));
        }
        let balanced = self.pattern.split('/').all(|segment| glob(segment).is_some());
        if balanced { Ok(()) } else { Err(RuleError::Brace(self.pattern.clone())) }
    }
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules(Vec<CompiledRule>);

#[derive(Debug)]
struct CompiledRule {
    service: Option<String>,
    method: Option<String>,
    segments: Vec<String>,
    endpoint: Arc<str>,
}

impl Rules {
    /// Compiles the rules of the configuration in their order; leaves out those that [`EndpointRule::check`] refuses.
    pub fn new(rules: Vec<EndpointRule>) -> Self {
        Self(rules.into_iter().filter(|rule| rule.check().is_ok()).map(CompiledRule::new).collect())
    }

    /// The endpoint text of the first matching rule.
    pub fn find(&self, service: &str, method: &str, path: &str) -> Option<&Arc<str>> {
        if self.0.is_empty() {
            return None;
        }
        let path = template::origin_form(path)?;
        let segments: Vec<&str> = template::segments(path).collect();
        self.0.iter().find(|rule| rule.matches(service, method, &segments)).map(|rule| &rule.endpoint)
    }
}

impl CompiledRule {
    fn new(rule: EndpointRule) -> Self {
        let segments = template::segments(&rule.pattern).filter_map(glob).collect();
        Self { service: rule.service, method: rule.method, segments, endpoint: rule.pattern.into() }
    }

    fn matches(&self, service: &str, method: &str, segments: &[&str]) -> bool {
        self.service.as_deref().is_none_or(|pattern| matches(pattern, service))
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && all_match(&self.segments, segments)
    }
}

/// A pattern segment with each `{name}` as `*`; `None` for an unmatched brace.
fn glob(segment: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), segment);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, next) = after.split_once('}')?;
        if before.contains('}') || name.contains('{') {
            return None;
        }
        out.push_str(before);
        out.push('*');
        rest = next;
    }
    out.push_str(rest);
    (!rest.contains('}')).then_some(out)
}

/// Whether the patterns match all segments; on a mismatch the last `**` takes one segment more.
fn all_match(patterns: &[String], segments: &[&str]) -> bool {
    let (mut pattern, mut segment, mut retry) = (0, 0, None);
    while segment < segments.len() {
        match patterns.get(pattern) {
            Some(any) if any == "**" => {
                pattern += 1;
                retry = Some((pattern, segment));
            }
            Some(one) if matches(one, segments[segment]) => (pattern, segment) = (pattern + 1, segment + 1),
            _ => {
                let Some((after, taken)) = retry else { return false };
                (pattern, segment) = (after, taken + 1);
                retry = Some((after, segment));
            }
        }
    }
    patterns[pattern..].iter().all(|pattern| pattern == "**")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(service: Option<&str>, method: Option<&str>, pattern: &str) -> EndpointRule {
        EndpointRule { service: service.map(Into::into), method: method.map(Into::into), pattern: pattern.into() }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = Rules::new(vec![
            rule(Some("shop*"), Some("get"), "/shop/{slug}/reviews"),
            rule(None, None, "/files/*.pdf"),
            rule(None, None, "/static/**"),
            rule(None, None, "/a/**/z"),
        ]);
        let find = |service, method, path| rules.find(service, method, path).map(|endpoint| &**endpoint);
        assert_eq!(find("shop-1", "GET", "/shop/blue-shoes/reviews?page=2"), Some("/shop/{slug}/reviews"));
        assert_eq!(find("shop-1", "POST", "/shop/blue-shoes/reviews"), None);
        assert_eq!(find("web", "GET", "/shop/blue-shoes/reviews"), None);
        assert_eq!(find("web", "GET", "/files/report-2024.pdf"), Some("/files/*.pdf"));
        assert_eq!(find("web", "GET", "/files/report.txt"), None);
        assert_eq!(find("web", "GET", "/static/js/app.js"), Some("/static/**"));
        assert_eq!(find("web", "GET", "/static/"), Some("/static/**"));
        assert_eq!(find("web", "GET", "/a/z"), Some("/a/**/z"));
        assert_eq!(find("web", "GET", "/a/b/c/z"), Some("/a/**/z"));
        assert_eq!(find("web", "GET", "/a/b/c"), None);
        assert_eq!(find("web", "GET", "/a/z/z/b/z"), Some("/a/**/z"));
        assert_eq!(find("web", "CONNECT", "example.com:443"), None);
    }

    #[test]
    fn nonsense_is_told() {
        assert_eq!(rule(None, None, "users").check(), Err(RuleError::NoSlash("users".into())));
        for pattern in ["/{a", "/a}", "/{a/b}", "/{{a}}"] {
            assert_eq!(rule(None, None, pattern).check(), Err(RuleError::Brace(pattern.into())), "{pattern}");
        }
        assert_eq!(rule(None, None, "/{a}-{b}.json").check(), Ok(()));
    }
}
