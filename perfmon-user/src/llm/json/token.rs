//! The grammar: bytes in any cut in, tokens out. Keeps one byte for each open container and at most 40 bytes of a number or word.
use memchr::memchr2;

/// Containers open at once; a deeper document is broken (serde_json's own limit is 128).
pub const DEPTH: usize = 256;
/// Longest number or word that is understood; a longer number is reported as null.
const WORD: usize = 40;

/// A kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonContainer {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

/// A value without parts, strings apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// As it stands in the text.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// Takes tokens. Strings come raw (escapes not undone) and in pieces; the last piece, which may be empty, says so.
pub trait Visitor {
    /// An object or array begins.
    fn begin(&mut self, container: JsonContainer);
    /// The innermost one ends.
    fn end(&mut self);
    /// A piece of a key.
    fn key(&mut self, raw: &[u8], last: bool);
    /// A piece of a string.
    fn text(&mut self, raw: &[u8], last: bool);
    /// Any other scalar.
    fn scalar(&mut self, scalar: Scalar<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenState {
    /// A value must come.
    Value,
    /// A value or `]`.
    FirstValue,
    /// A key must come.
    Key,
    /// A key or `}`.
    FirstKey,
    /// `:` must come.
    Colon,
    /// `,` or the end of the container.
    After,
    /// In a string, which is a key or not.
    Text { key: bool },
    /// After a backslash in a string.
    Escape { key: bool },
    /// In a number, `true`, `false` or `null`.
    Word,
    /// The document is complete.
    Done,
    /// The document is not JSON.
    Broken,
}

/// One document's state.
#[derive(Debug)]
pub struct Tokenizer {
    state: TokenState,
    open: Vec<JsonContainer>,
    word: [u8; WORD],
    word_len: usize,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self { state: TokenState::Value, open: Vec::new(), word: [0; WORD], word_len: 0 }
    }
}

impl Tokenizer {
    /// Ready for the next document.
    pub fn reset(&mut self) {
        self.state = TokenState::Value;
        self.open.clear();
        self.word_len = 0;
    }

    /// Whether the document is complete.
    pub fn is_done(&self) -> bool {
        self.state == TokenState::Done
    }

    /// Whether the document is not JSON.
    pub fn is_broken(&self) -> bool {
        self.state == TokenState::Broken
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.open.capacity()
    }

    /// Takes bytes up to the end of the document, or up to where it breaks; returns how many.
    pub fn push(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> usize {
        let mut at = 0;
        while at < bytes.len() && !matches!(self.state, TokenState::Done | TokenState::Broken) {
            at += match self.state {
                TokenState::Text { key } => self.text(&bytes[at..], key, visitor),
                TokenState::Escape { key } => {
                    self.piece(&bytes[at..=at], key, false, visitor);
                    self.state = TokenState::Text { key };
                    1
                }
                TokenState::Word => self.word(&bytes[at..], visitor),
                _ => {
                    self.structure(bytes[at], visitor);
                    1
                }
            };
        }
        at
    }

    /// Handles the end of the input: ends a number at the top level; anything else unfinished is broken.
    pub fn finish(&mut self, visitor: &mut impl Visitor) {
        if self.state == TokenState::Word && self.open.is_empty() {
            self.end_word(visitor);
        }
        if self.state != TokenState::Done {
            self.state = TokenState::Broken;
        }
    }

    fn text(&mut self, bytes: &[u8], key: bool, visitor: &mut impl Visitor) -> usize {
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.piece(bytes, key, false, visitor);
            return bytes.len();
        };
        if bytes[at] == b'\\' {
            self.piece(&bytes[..=at], key, false, visitor);
            self.state = TokenState::Escape { key };
        } else {
            self.piece(&bytes[..at], key, true, visitor);
            self.state = if key { TokenState::Colon } else { self.after_value() };
        }
        at + 1
    }

    fn piece(&self, raw: &[u8], key: bool, last: bool, visitor: &mut impl Visitor) {
        if key { visitor.key(raw, last) } else { visitor.text(raw, last) }
    }

    fn word(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> usize {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let len = bytes.iter().position(|byte| !is_part(byte)).unwrap_or(bytes.len());
        for &byte in &bytes[..len] {
            if self.word_len < WORD {
                self.word[self.word_len] = byte;
            }
            self.word_len += 1;
        }
        if len < bytes.len() {
            self.end_word(visitor);
        }
        len
    }

    fn end_word(&mut self, visitor: &mut impl Visitor) {
        let word = &self.word[..self.word_len.min(WORD)];
        let scalar = match word {
            b"true" => Scalar::Bool(true),
            b"false" => Scalar::Bool(false),
            b"null" => Scalar::Null,
            [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                match std::str::from_utf8(word) {
                    Ok(number) if self.word_len <= WORD => Scalar::Number(number),
                    _ => Scalar::Null,
                }
            }
            _ => {
                self.state = TokenState::Broken;
                return;
            }
        };
        visitor.scalar(scalar);
        self.state = self.after_value();
    }

    fn after_value(&self) -> TokenState {
        if self.open.is_empty() { TokenState::Done } else { TokenState::After }
    }

    /// A byte outside strings and words.
    fn structure(&mut self, byte: u8, visitor: &mut impl Visitor) {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return;
        }
        self.state = match (self.state, byte) {
            (TokenState::Value | TokenState::FirstValue, b'{') => self.begin(JsonContainer::Object, visitor),
            (TokenState::Value | TokenState::FirstValue, b'[') => self.begin(JsonContainer::Array, visitor),
            (TokenState::Value | TokenState::FirstValue, b'"') => TokenState::Text { key: false },
            (TokenState::Value | TokenState::FirstValue, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                (self.word[0], self.word_len) = (byte, 1);
                TokenState::Word
            }
            (TokenState::Key | TokenState::FirstKey, b'"') => TokenState::Text { key: true },
            (TokenState::Colon, b':') => TokenState::Value,
            (TokenState::FirstKey, b'}') | (TokenState::FirstValue, b']') => self.end(visitor),
            (TokenState::After, b',') if self.open.last() == Some(&JsonContainer::Object) => TokenState::Key,
            (TokenState::After, b',') => TokenState::Value,
            (TokenState::After, b'}') if self.open.last() == Some(&JsonContainer::Object) => self.end(visitor),
            (TokenState::After, b']') if self.open.last() == Some(&JsonContainer::Array) => self.end(visitor),
            _ => TokenState::Broken,
        };
    }

    fn begin(&mut self, container: JsonContainer, visitor: &mut impl Visitor) -> TokenState {
        if self.open.len() == DEPTH {
            return TokenState::Broken;
        }
        self.open.push(container);
        visitor.begin(container);
        if container == JsonContainer::Object { TokenState::FirstKey } else { TokenState::FirstValue }
    }

    fn end(&mut self, visitor: &mut impl Visitor) -> TokenState {
        self.open.pop();
        visitor.end();
        self.after_value()
    }
}
