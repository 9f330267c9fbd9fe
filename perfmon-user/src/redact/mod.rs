//! What must not leave perfmon although it passes in a name: tokens in paths and texts, passwords before a host. In: text from traffic;
//! out: the same text with `{token}` in place of each. The rule of what is a token is in `token`, nowhere else.
//!
//! Ids, dates, versions, hashes of up to 19 digits and words stay: they name things, and endpoints are grouped by them.
mod path;
mod token;

use std::borrow::Cow;

pub use self::path::{path, segment};
pub use self::token::{has_token, is_token};

/// What stands in place of a token.
pub const TOKEN: &str = "{token}";

/// A host without the user and password before it.
pub fn host(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The same for bytes.
pub fn host_bytes(authority: &[u8]) -> &[u8] {
    authority.rsplit(|byte| *byte == b'@').next().unwrap_or(authority)
}

/// A text from outside that is no path (a name of a model or tool, a user agent): its tokens, and passwords in URLs, replaced.
pub fn text(text: &str) -> Cow<'_, str> {
    let text = without_passwords(text);
    if !has_token(&text) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    token::replace(&text, &mut out);
    Cow::Owned(out)
}

/// A URL of the configuration as messages show it: without user, password, query and fragment, tokens in its path replaced.
pub fn url(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let (authority, path_text) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{}{}", host(authority), path(path_text))
}

/// `https://user:password@host` → `https://{token}@host`, wherever it stands in the text.
fn without_passwords(text: &str) -> Cow<'_, str> {
    let Some((before, after)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '>' | ')')).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let rest = without_passwords(rest);
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{before}://{TOKEN}@{host}{rest}")),
        None if matches!(rest, Cow::Owned(_)) => Cow::Owned(format!("{before}://{authority}{rest}")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
