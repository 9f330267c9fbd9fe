//! Follows the tokens of a document through the tree of wanted paths and passes the values found to a [`Handler`].
use super::paths::{KEY, Paths};
use super::text::unescape;
use super::token::{JsonContainer, Scalar, Tokenizer, Visitor};

/// A value at a wanted path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JsonValue<'a> {
    /// An object or array begins.
    Begin(JsonContainer),
    /// It ends.
    End,
    /// A string, as far as it is kept, and its length on the wire.
    Text(&'a str, u64),
    /// Any other scalar.
    Scalar(Scalar<'a>),
}

impl JsonValue<'_> {
    /// A whole number ≥ 0; JSON may write one as `12.0`.
    pub fn as_u64(&self) -> Option<u64> {
        let JsonValue::Scalar(Scalar::Number(text)) = self else { return None };
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
        })
    }

    /// A number.
    pub fn as_f64(&self) -> Option<f64> {
        let JsonValue::Scalar(Scalar::Number(text)) = self else { return None };
        text.parse().ok()
    }
}

/// Receives the values found.
pub trait Handler<F> {
    /// A value at a wanted place.
    fn found(&mut self, field: F, value: JsonValue<'_>);
    /// Bytes of a digested place: raw strings and other scalars in order, keys not, 0xff after each scalar.
    fn digest(&mut self, bytes: &[u8]);
}

#[derive(Clone, Copy)]
struct Level {
    /// Node of the tree; `None`: nothing below is wanted by name.
    node: Option<u16>,
    digest: bool,
    array: bool,
}

/// A scanner of one document after another.
pub struct Scanner<F: 'static> {
    paths: &'static Paths<F>,
    tokens: Tokenizer,
    follow: Follow,
}

/// Where in the tree the tokens are.
#[derive(Default)]
struct Follow {
    open: Vec<Level>,
    /// Node that the key just read leads to.
    keyed: Option<u16>,
    /// Beginning of the key or string that is being read.
    kept: Vec<u8>,
    /// Its length so far.
    length: u64,
}

impl<F: Copy> Scanner<F> {
    /// A scanner for these paths.
    pub fn new(paths: &'static Paths<F>) -> Self {
        Self { paths, tokens: Tokenizer::default(), follow: Follow::default() }
    }

    /// Ready for the next document.
    pub fn reset(&mut self) {
        self.tokens.reset();
        self.follow.open.clear();
        self.follow.clear();
    }

    /// Takes bytes up to the end of the document, or up to where it breaks; returns how many.
    pub fn push(&mut self, bytes: &[u8], handler: &mut impl Handler<F>) -> usize {
        self.tokens.push(bytes, &mut Walk { paths: self.paths, follow: &mut self.follow, handler })
    }

    /// Handles the end of the input.
    pub fn finish(&mut self, handler: &mut impl Handler<F>) {
        self.tokens.finish(&mut Walk { paths: self.paths, follow: &mut self.follow, handler });
    }

    /// Whether the document is complete.
    pub fn is_done(&self) -> bool {
        self.tokens.is_done()
    }

    /// Whether the document is not JSON.
    pub fn is_broken(&self) -> bool {
        self.tokens.is_broken()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.tokens.heap_bytes() + self.follow.open.capacity() * size_of::<Level>() + self.follow.kept.capacity()
    }
}

impl Follow {
    fn keep(&mut self, raw: &[u8], most: usize) {
        self.length += raw.len() as u64;
        let room = most.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&raw[..raw.len().min(room)]);
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.length = 0;
    }
}

struct Walk<'a, F: 'static, H> {
    paths: &'static Paths<F>,
    follow: &'a mut Follow,
    handler: &'a mut H,
}

impl<F: Copy, H: Handler<F>> Walk<'_, F, H> {
    /// The level of the value that comes now.
    fn level(&self) -> Level {
        let (node, above) = match self.follow.open.last() {
            None => (Some(0), false),
            Some(level) if level.array => (level.node.and_then(|node| self.paths.element(node)), level.digest),
            Some(level) => (self.follow.keyed, level.digest),
        };
        let digest = node.and_then(|node| self.paths.node(node).digest).unwrap_or(above);
        Level { node, digest, array: false }
    }

    fn tell(&mut self, node: Option<u16>, value: JsonValue<'_>) {
        if let Some(field) = node.and_then(|node| self.paths.node(node).field) {
            self.handler.found(field, value);
        }
    }
}

impl<F: Copy, H: Handler<F>> Visitor for Walk<'_, F, H> {
    fn begin(&mut self, container: JsonContainer) {
        let mut level = self.level();
        level.array = container == JsonContainer::Array;
        self.follow.open.push(level);
        self.tell(level.node, JsonValue::Begin(container));
    }

    fn end(&mut self) {
        let node = self.follow.open.pop().and_then(|level| level.node);
        self.tell(node, JsonValue::End);
    }

    fn key(&mut self, raw: &[u8], last: bool) {
        let Some(parent) = self.follow.open.last().and_then(|level| level.node) else {
            self.follow.keyed = None;
            return;
        };
        self.follow.keep(raw, KEY);
        if last {
            let whole = self.follow.length <= KEY as u64;
            self.follow.keyed = if whole { self.paths.child(parent, unescape(&self.follow.kept).as_bytes()) } else { None };
            self.follow.clear();
        }
    }

    fn text(&mut self, raw: &[u8], last: bool) {
        let level = self.level();
        if level.digest {
            self.handler.digest(raw);
        }
        if let Some(node) = level.node {
            self.follow.keep(raw, self.paths.node(node).keep);
        }
        if last {
            if level.digest {
                self.handler.digest(&[0xff]);
            }
            let kept = std::mem::take(&mut self.follow.kept);
            self.tell(level.node, JsonValue::Text(&unescape(&kept), self.follow.length));
            self.follow.kept = kept;
            self.follow.clear();
        }
    }

    fn scalar(&mut self, scalar: Scalar<'_>) {
        let level = self.level();
        if level.digest {
            let text = match scalar {
                Scalar::Number(text) => text,
                Scalar::Bool(true) => "true",
                Scalar::Bool(false) => "false",
                Scalar::Null => "null",
            };
            self.handler.digest(text.as_bytes());
            self.handler.digest(&[0xff]);
        }
        self.tell(level.node, JsonValue::Scalar(scalar));
    }
}
