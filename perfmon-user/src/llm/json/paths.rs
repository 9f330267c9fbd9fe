//! The wanted paths of a kind of document as a tree: `choices[*].delta.content` → field. Built once for each API.

/// Longest key that is compared; longer keys match no path.
pub const KEY: usize = 64;

/// Bytes of a string that a field keeps.
pub mod keep {
    /// Only whether there was any.
    pub const LENGTH: usize = 0;
    /// An identifier or word.
    pub const WORD: usize = 128;
    /// Something longer that is still an identifier.
    pub const LONG: usize = 512;
}

/// A wanted path.
#[derive(Clone, Copy, Debug)]
pub struct JsonPath<F: 'static> {
    /// `a.b[*].c`; `""` is the document itself.
    pub path: &'static str,
    /// The field there; `None` when only `digest` matters.
    pub field: Option<F>,
    /// Bytes of a string that are kept.
    pub keep: usize,
    /// Whether everything below goes into the digest; `None`: as above it.
    pub digest: Option<bool>,
}

impl<F> JsonPath<F> {
    /// A path whose strings are kept up to `keep` bytes.
    pub const fn new(path: &'static str, field: F, keep: usize) -> Self {
        Self { path, field: Some(field), keep, digest: None }
    }

    /// A path whose content is digested; the handler gets its begin, end and length only.
    pub const fn digested(path: &'static str, field: F) -> Self {
        Self { path, field: Some(field), keep: keep::LENGTH, digest: Some(true) }
    }

    /// A path that is excluded from the digest.
    pub const fn undigested(path: &'static str) -> Self {
        Self { path, field: None, keep: keep::LENGTH, digest: Some(false) }
    }

    /// The same path, excluded from the digest.
    pub const fn not_digested(mut self) -> Self {
        self.digest = Some(false);
        self
    }
}

#[derive(Debug)]
pub(super) struct Node<F> {
    keys: Vec<(&'static str, u16)>,
    element: Option<u16>,
    pub(super) field: Option<F>,
    pub(super) keep: usize,
    pub(super) digest: Option<bool>,
}

impl<F> Default for Node<F> {
    fn default() -> Self {
        Self { keys: Vec::new(), element: None, field: None, keep: 0, digest: None }
    }
}

/// The tree.
#[derive(Debug)]
pub struct Paths<F> {
    nodes: Vec<Node<F>>,
}

impl<F: Copy> Paths<F> {
    /// The tree of these paths; of two equal paths the later wins.
    pub fn new<'a>(places: impl IntoIterator<Item = &'a JsonPath<F>>) -> Self
    where
        F: 'static,
    {
        let mut paths = Self { nodes: vec![Node::default()] };
        for place in places {
            let at = place.path.split('.').filter(|step| !step.is_empty()).fold(0, |at, step| paths.descend(at, step));
            let node = &mut paths.nodes[usize::from(at)];
            (node.field, node.keep, node.digest) = (place.field, place.keep, place.digest);
        }
        paths
    }

    fn descend(&mut self, at: u16, step: &'static str) -> u16 {
        let (key, mut brackets) = step.split_at(step.find('[').unwrap_or(step.len()));
        let mut at = if key.is_empty() { at } else { self.key_node(at, key) };
        while let Some(rest) = brackets.strip_prefix("[*]") {
            at = self.element_node(at);
            brackets = rest;
        }
        assert!(brackets.is_empty(), "a path may contain only keys and [*]: {step}");
        at
    }

    fn key_node(&mut self, at: u16, key: &'static str) -> u16 {
        if let Some(child) = self.child(at, key.as_bytes()) {
            return child;
        }
        let child = self.add();
        self.nodes[usize::from(at)].keys.push((key, child));
        child
    }

    fn element_node(&mut self, at: u16) -> u16 {
        if let Some(child) = self.nodes[usize::from(at)].element {
            return child;
        }
        let child = self.add();
        self.nodes[usize::from(at)].element = Some(child);
        child
    }

    fn add(&mut self) -> u16 {
        self.nodes.push(Node::default());
        u16::try_from(self.nodes.len() - 1).expect("tables of places are written by hand and short")
    }

    pub(super) fn node(&self, at: u16) -> &Node<F> {
        &self.nodes[usize::from(at)]
    }

    pub(super) fn child(&self, at: u16, key: &[u8]) -> Option<u16> {
        self.node(at).keys.iter().find(|(name, _)| name.as_bytes() == key).map(|&(_, child)| child)
    }

    pub(super) fn element(&self, at: u16) -> Option<u16> {
        self.node(at).element
    }
}
