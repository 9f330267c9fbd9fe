//! The commands of Redis and what stands in their first arguments. A first word that is none of these is no command: arguments never become
//! names by mistake. Commands of modules have a point in their name.
use super::known::{CONTAINER, KEY_FIRST, KEYLESS};
use super::request::RequestText;

/// Longest first word of a command.
const NAME_BYTES: usize = 32;

/// What a command's first word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandName {
    /// The second word belongs to the name.
    Container,
    /// The first argument is a key.
    KeyFirst,
    /// It is not.
    Keyless,
    /// A module's command, whose first argument is a key or the name of an index.
    Module,
}

/// Looks up a first word, in upper case.
pub(super) fn look_up(name: &str) -> Option<CommandName> {
    let is_in = |list: &[&str]| list.binary_search(&name).is_ok();
    let is_module = || {
        let (module, command) = name.split_once('.')?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'.');
        (is_word(module) && is_word(command)).then_some(CommandName::Module)
    };
    match () {
        () if is_in(&KEY_FIRST) => Some(CommandName::KeyFirst),
        () if is_in(&KEYLESS) => Some(CommandName::Keyless),
        () if is_in(&CONTAINER) => Some(CommandName::Container),
        () => is_module(),
    }
}

/// A first word in upper case, if it is short enough; written into `upper`.
pub(super) fn upper<'a>(word: &[u8], upper: &'a mut [u8; NAME_BYTES]) -> Option<&'a str> {
    let room = upper.get_mut(..word.len())?;
    room.copy_from_slice(word);
    room.make_ascii_uppercase();
    std::str::from_utf8(room).ok()
}

/// Whether a word is a command's first one.
pub(super) fn is_known(word: &[u8]) -> bool {
    upper(word, &mut [0; NAME_BYTES]).is_some_and(|name| look_up(name).is_some())
}

/// Whether a word is the first one of a command with a key behind it.
pub(super) fn begins_with_key(word: &[u8]) -> bool {
    upper(word, &mut [0; NAME_BYTES]).and_then(look_up) == Some(CommandName::KeyFirst)
}

/// The texts of a command for records: operation, target and query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandTexts {
    /// `GET`, `CONFIG SET`; empty when it is not known.
    pub(super) operation: String,
    /// `GET user:?`; empty when it is not known.
    pub(super) query: String,
    /// `user`; empty when there is none.
    pub(super) target: String,
}

/// Arguments that a query shows one by one.
const SHOWN: u32 = 3;

impl CommandTexts {
    /// Writes the texts of a command; nothing of its arguments but a key's prefix, and the second word of a name.
    pub(super) fn write(&mut self, request: &RequestText) {
        let Self { operation, query, target } = self;
        for text in [&mut *operation, &mut *query, &mut *target] {
            text.clear();
        }
        let mut room = [0; NAME_BYTES];
        let Some(name) = upper(request.word(0), &mut room) else { return };
        let Some(kind) = look_up(name) else { return };
        operation.push_str(name);
        let mut words = 1;
        if kind == CommandName::Container
            && let Some(second) = upper(request.word(1), &mut [0; NAME_BYTES]).filter(|word| is_subcommand(word))
        {
            operation.push(' ');
            operation.push_str(second);
            words = 2;
        }
        if matches!(kind, CommandName::KeyFirst | CommandName::Module) {
            target.push_str(prefix(request.word(1)));
        }
        query.push_str(operation);
        let arguments = request.words.saturating_sub(words);
        for number in 0..arguments.min(SHOWN) {
            query.push(' ');
            if number == 0 && !target.is_empty() {
                query.push_str(target);
                query.push(':');
            }
            query.push('?');
        }
        if arguments > SHOWN {
            query.push_str(" ...");
        }
    }
}

/// Whether a word may be the second one of a name: `GETNAME`, `NO-EVICT`.
fn is_subcommand(word: &str) -> bool {
    !word.is_empty() && word.len() <= 16 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

/// The part of a key before its first colon, if it looks like the name of a kind of things: one word, no identifier.
pub(in crate::proto) fn prefix(key: &[u8]) -> &str {
    let Some(end) = key.iter().position(|byte| *byte == b':') else { return "" };
    let word = &key[..end];
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_plain = word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let is_name = (1..=24).contains(&word.len()) && word[0].is_ascii_alphabetic() && digits <= 2;
    if is_plain && is_name { std::str::from_utf8(word).unwrap_or_default() } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_their_names_short() {
        for list in [&KEY_FIRST[..], &KEYLESS, &CONTAINER] {
            assert!(list.is_sorted() && list.iter().all(|name| name.len() <= NAME_BYTES));
        }
        assert!(is_known(b"get") && is_known(b"JSON.GET") && is_known(b"Config"));
        assert!(!is_known(b"secret") && !is_known(b"a.1") && !is_known(b".") && !is_known(&[b'A'; 200]));
    }

    #[test]
    fn a_prefix_is_a_word_before_a_colon() {
        for (key, expected) in [
            (&b"user:123"[..], "user"),
            (b"v2.cart_items:9:x", "v2.cart_items"),
            (b"hunter2", ""),
            (b"f81d4fae:x", ""),
            (b"a b:c", ""),
            (b":x", ""),
            (b"\xff\xfe:x", ""),
            (b"abcdefghijklmnopqrstuvwxyz:x", ""),
        ] {
            assert_eq!(prefix(key), expected, "{}", key.escape_ascii());
        }
    }
}
