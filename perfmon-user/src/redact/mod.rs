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

/// A text from outside that is no path (a name of a model or tool, a user agent): its tokens replaced.
pub fn text(text: &str) -> Cow<'_, str> {
    if !has_token(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    token::replace(text, &mut out);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
