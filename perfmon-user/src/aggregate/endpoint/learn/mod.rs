//! Learned parameters: a tree of the templates of one service and method. A position with many values that their form does not reveal
//! (`/users/alice`, `/users/bob`, …) folds: its children become one, `{id}` (files: `{id}.png`), and their rows merge.
//!
//! Large APIs have many literal segments too. These rules tell values from literals:
//! - New children keep coming: with few requests for each, a position folds beyond 30 children (100 for files and at the top level).
//! - The subtrees are alike: a leaf, or a next segment that a sibling also has. Not required beyond 60 children.
//! - A segment followed by a value (`/orders/{id}`) names a collection and stays literal; so does one with many more requests than most.
//! - Beyond 200 children all others fold, to bound the tree; of those that would stay, the 100 with most requests do.
//! - Files whose names already hold a value (`main.{id}.js`) are builds of the same thing: they fold beyond 5.
//! - Beside a sibling with a value, hexadecimal digits in its place are one too: `main.ccdffcb4.js`, whose digits alone might be a word.
use rustc_hash::FxHashMap;

use super::segment;
use super::template::{PARAMETER, file_name};

/// Children of a node that may stay literal.
const WORDS: usize = 30;
/// The same for files and at the top level.
const WORDS_AT_TOP: usize = 100;
/// Beyond this the subtrees need not be alike.
const ANY_SHAPE: usize = 60;
/// Beyond this everything folds.
const ANYTHING: usize = 200;
/// File names with a value in them that may stay.
const HASHED_FILES: usize = 5;
/// Requests from which on a child can be one that is seen often.
const OFTEN_HITS: u64 = 20;
/// Times the median of its siblings that such a child has.
const OFTEN_TIMES: u64 = 8;
/// Hexadecimal digits that are a value beside a sibling with one; without a number among them one more.
const HEX_DIGITS: usize = 7;
/// Mean requests for each child below which new children keep coming.
const FEW_HITS: u64 = 8;

/// Side effects of an insertion.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows merged into another row: (from, into), in this order.
    pub merged: Vec<(u32, u32)>,
    /// Rows with a new template.
    pub renamed: Vec<(u32, String)>,
}

/// The tree.
#[derive(Debug, Default)]
pub struct Tree {
    root: TreeNode,
}

#[derive(Debug, Default)]
struct TreeNode {
    children: FxHashMap<Box<str>, TreeNode>,
    row: Option<u32>,
    folded: Vec<Group>,
}

/// Children that may fold together: those with the same file extension, or all without one; names that hold a value apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    extension: Option<Box<str>>,
    hashed: bool,
}

impl Group {
    /// The group of a segment; `None` when the segment cannot become another value.
    fn of(segment: &str) -> Option<Self> {
        let file = file_name(segment);
        let hashed = segment.contains('{');
        let is_value = match file {
            Some((stem, _)) if hashed => stem == PARAMETER,
            None => hashed || segment.is_empty(),
            Some(_) => false,
        };
        (!is_value).then(|| Self { extension: file.map(|(_, extension)| extension.into()), hashed })
    }

    fn parameter(&self) -> String {
        self.extension.as_ref().map_or_else(|| PARAMETER.into(), |extension| format!("{PARAMETER}.{extension}"))
    }
}

impl Tree {
    /// The row of a template.
    pub fn find(&self, template: &str) -> Option<u32> {
        segments(template).try_fold(&self.root, |node, segment| node.child(segment))?.row
    }

    /// Inserts a template that [`find`](Self::find) did not find; learned parameters may change its text. `hits` returns the requests of a
    /// row.
    pub fn insert(&mut self, template: &str, row: u32, hits: &dyn Fn(u32) -> u64) -> Changes {
        let (mut node, mut name, mut grew_at) = (&mut self.root, String::new(), None);
        for segment in segments(template) {
            let key = node.key(segment);
            if !node.children.contains_key(&*key) {
                grew_at = grew_at.or(Some(name.len()));
            }
            name.push('/');
            name.push_str(&key);
            node = node.children.entry(key).or_default();
        }
        node.row = Some(row);
        let grown = grew_at.map(|length| name[..length].to_owned());
        let mut changes = Changes { merged: Vec::new(), renamed: vec![(row, name)] };
        if let Some(grown) = grown
            && let Some(node) = self.node_mut(&grown)
        {
            node.fold(&grown, hits, &mut changes);
        }
        changes
    }

    /// The node with this template; "" is the root.
    fn node_mut(&mut self, name: &str) -> Option<&mut TreeNode> {
        name.split('/').skip(1).try_fold(&mut self.root, |node, key| node.children.get_mut(key))
    }

    /// Removes a template by its current text.
    pub fn remove(&mut self, name: &str) {
        self.root.remove(segments(name));
    }

    /// True when the tree has no row.
    pub fn is_empty(&self) -> bool {
        self.root.row.is_none() && self.root.children.is_empty()
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.root.nodes()
    }
}

impl TreeNode {
    fn child(&self, segment: &str) -> Option<&Self> {
        self.children
            .get(segment)
            .or_else(|| self.children.get(&*self.parameter_for(segment)?))
            .or_else(|| self.children.get(self.hashed_like(segment)?))
    }

    /// The key of a segment among the children.
    fn key(&self, segment: &str) -> Box<str> {
        if self.children.contains_key(segment) {
            return segment.into();
        }
        let sibling = || self.hashed_like(segment).map(Box::from);
        self.parameter_for(segment).map(Box::from).or_else(sibling).unwrap_or_else(|| segment.into())
    }

    /// The child that has a value where this segment has hexadecimal digits, folded with others like it or not.
    fn hashed_like(&self, segment: &str) -> Option<&str> {
        let digits = |run: &[u8]| run.len() >= HEX_DIGITS && run[0].is_ascii_hexdigit();
        if !segment.as_bytes().chunk_by(|a, b| a.is_ascii_hexdigit() && b.is_ascii_hexdigit()).any(digits) || segment.contains('{') {
            return None;
        }
        let folded = || {
            let (stem, extension) = file_name(segment)?;
            let group = Group { extension: Some(extension.into()), hashed: true };
            let is_hashed = stem.split(['.', '-', '_']).skip(1).any(is_hashed);
            let key = self.children.get_key_value(&*group.parameter())?.0;
            (is_hashed && self.folded.contains(&group)).then_some(&**key)
        };
        self.children.keys().map(|key| &**key).find(|key| is_hashed_like(key, segment)).or_else(folded)
    }

    /// The parameter that replaces a segment when its group is folded.
    fn parameter_for(&self, segment: &str) -> Option<String> {
        if self.folded.is_empty() {
            return None;
        }
        let group = Group::of(segment)?;
        self.folded.contains(&group).then(|| group.parameter())
    }

    /// Folds the children that must be folded; `name` is the template of this node.
    fn fold(&mut self, name: &str, hits: &dyn Fn(u32) -> u64, changes: &mut Changes) {
        let mut groups: FxHashMap<Group, Vec<Box<str>>> = FxHashMap::default();
        for key in self.children.keys() {
            if let Some(group) = Group::of(key) {
                groups.entry(group).or_default().push(key.clone());
            }
        }
        for (group, keys) in groups {
            let keys = self.values(&group, keys, is_top(name), hits);
            if keys.is_empty() {
                continue;
            }
            let parameter = group.parameter();
            let mut merged = self.children.remove(&*parameter).unwrap_or_default();
            keys.iter().filter_map(|key| self.children.remove(key)).for_each(|child| merged.absorb(child, &mut changes.merged));
            let name = format!("{name}/{parameter}");
            merged.rename(&name, &mut changes.renamed);
            merged.fold(&name, hits, changes);
            self.children.insert(parameter.into(), merged);
            if !self.folded.contains(&group) {
                self.folded.push(group);
            }
        }
        self.join_hashed(name, changes);
    }

    /// Joins children with siblings that came later and have a value where they have hexadecimal digits.
    fn join_hashed(&mut self, name: &str, changes: &mut Changes) {
        let like = |key: &str| Some((Box::from(key), Box::from(self.hashed_like(key)?)));
        let joined: Vec<(Box<str>, Box<str>)> = self.children.keys().filter_map(|key| like(key)).collect();
        for (key, sibling) in joined {
            let Some(child) = self.children.remove(&key) else { continue };
            let into = self.children.entry(sibling.clone()).or_default();
            into.absorb(child, &mut changes.merged);
            into.rename(&format!("{name}/{sibling}"), &mut changes.renamed);
        }
    }

    /// The children among `keys` that are values by the rules above.
    fn values(&self, group: &Group, keys: Vec<Box<str>>, top: bool, hits: &dyn Fn(u32) -> u64) -> Vec<Box<str>> {
        if group.hashed {
            return if keys.len() > HASHED_FILES { keys } else { Vec::new() };
        }
        let allowed = if top || group.extension.is_some() { WORDS_AT_TOP } else { WORDS };
        if keys.len() <= allowed {
            return Vec::new();
        }
        let (candidates, requests) = self.candidates(keys, hits);
        if self.children.len() > ANYTHING {
            return candidates;
        }
        if candidates.len() <= allowed || requests > FEW_HITS * candidates.len() as u64 {
            return Vec::new();
        }
        if candidates.len() > ANY_SHAPE {
            return candidates;
        }
        let mut next: FxHashMap<Box<str>, usize> = FxHashMap::default();
        candidates.iter().flat_map(|key| self.children[key].children.keys()).for_each(|key| *next.entry(key.clone()).or_default() += 1);
        let alike = |node: &TreeNode| node.children.is_empty() || node.children.keys().any(|key| next[key] > 1);
        let alike: Vec<_> = candidates.into_iter().filter(|key| alike(&self.children[key])).collect();
        if alike.len() > allowed { alike } else { Vec::new() }
    }

    /// The children among `keys` that may be values, and their requests: not those that name a collection or are seen often.
    fn candidates(&self, keys: Vec<Box<str>>, hits: &dyn Fn(u32) -> u64) -> (Vec<Box<str>>, u64) {
        let mut counted: Vec<(u64, Box<str>)> = keys.into_iter().map(|key| (self.children[&key].hits(hits), key)).collect();
        counted.sort_unstable_by(|a, b| b.cmp(a));
        let often = OFTEN_HITS.max(OFTEN_TIMES * counted.get(counted.len() / 2).map_or(0, |(median, _)| *median));
        let mut kept = 0;
        counted.retain(|(requests, key)| {
            let stays = kept < WORDS_AT_TOP && (*requests >= often || self.children[key].is_collection());
            kept += usize::from(stays);
            !stays
        });
        let requests = counted.iter().map(|(requests, _)| requests).sum();
        (counted.into_iter().map(|(_, key)| key).collect(), requests)
    }

    fn is_collection(&self) -> bool {
        self.children.keys().any(|key| key.starts_with(PARAMETER))
    }

    fn hits(&self, hits: &dyn Fn(u32) -> u64) -> u64 {
        self.row.map_or(0, hits) + self.children.values().map(|child| child.hits(hits)).sum::<u64>()
    }

    fn absorb(&mut self, other: Self, merged: &mut Vec<(u32, u32)>) {
        match (self.row, other.row) {
            (Some(into), Some(from)) => merged.push((from, into)),
            (None, row) => self.row = row,
            (Some(_), None) => {}
        }
        for (key, child) in other.children {
            self.children.entry(key).or_default().absorb(child, merged);
        }
        for group in other.folded {
            if !self.folded.contains(&group) {
                self.folded.push(group);
            }
        }
    }

    fn rename(&self, name: &str, renamed: &mut Vec<(u32, String)>) {
        renamed.extend(self.row.map(|row| (row, name.to_owned())));
        self.children.iter().for_each(|(key, child)| child.rename(&format!("{name}/{key}"), renamed));
    }

    fn remove<'a>(&mut self, mut rest: impl Iterator<Item = &'a str>) {
        let Some(key) = rest.next() else {
            self.row = None;
            return;
        };
        if let Some(child) = self.children.get_mut(key) {
            child.remove(&mut rest as &mut dyn Iterator<Item = &'a str>);
            if child.row.is_none() && child.children.is_empty() {
                self.children.remove(key);
            }
        }
    }

    fn nodes(&self) -> usize {
        1 + self.children.values().map(Self::nodes).sum::<usize>()
    }
}

/// Keys of a template: the text after each `/`; the last one is empty after a trailing slash.
fn segments(template: &str) -> impl Iterator<Item = &str> {
    template.strip_prefix('/').unwrap_or(template).split('/')
}

/// Whether a segment is as a template's with hexadecimal digits for its value.
fn is_hashed_like(template: &str, segment: &str) -> bool {
    let Some((before, after)) = template.split_once(PARAMETER) else { return false };
    let value = segment.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    value.is_some_and(is_hashed)
}

fn is_hashed(piece: &str) -> bool {
    let least = HEX_DIGITS + usize::from(!piece.bytes().any(|byte| byte.is_ascii_digit()));
    piece.len() >= least && piece.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// True when the position is the top level of an API: only `api`, `rest` and versions before it.
fn is_top(name: &str) -> bool {
    name.split('/').all(|segment| matches!(segment, "" | "api" | "rest") || segment::is_version(segment))
}

#[cfg(test)]
mod tests;
