//! A key: its name, type, check and printed form. One table of keys serves the file, the environment, the flags, `config print` and
//! docs/configuration.md. An unknown key is a fault that names the nearest known one.
use super::node::{Checked, ConfigNode, Fault, RawValue, gather};

/// A key of `T`: of the whole configuration, or of one entry of a list of tables.
pub struct Key<T: 'static> {
    /// Documentation of the key.
    pub about: About,
    /// Checks a value and sets it.
    pub set: fn(&mut T, &ConfigNode) -> Checked<()>,
    /// The present value as TOML, `None` when it is not set.
    pub show: fn(&T) -> Option<String>,
}

/// The part of a key that does not depend on what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Path, levels joined by dots.
    pub path: &'static str,
    /// What values it takes, in words.
    pub takes: &'static str,
    /// What it does.
    pub text: &'static str,
    /// Flag of the command line, if it has one.
    pub flag: Option<&'static str>,
    /// Never shown.
    pub secret: bool,
    /// Keys of an entry, when the key takes a list of tables.
    pub inner: fn() -> Vec<About>,
}

impl About {
    /// The environment variable: `PERFMON_` and the path in upper case, `__` between levels; thresholds have shorter names.
    pub fn env(&self) -> String {
        match self.path.strip_prefix("alerts.thresholds.") {
            Some(name) => format!("PERFMON_ALERT_{}", name.to_uppercase()),
            None => format!("PERFMON_{}", self.path.replace('.', "__").to_uppercase()),
        }
    }
}

/// No keys inside.
pub fn leaf() -> Vec<About> {
    Vec::new()
}

/// Flattens a table to its known keys. A table that is not a key itself is a level of the path.
pub fn flatten<'k, 'n, T>(
    keys: &'k [Key<T>],
    table: &'n [(String, ConfigNode)],
    prefix: &str,
    faults: &mut Vec<Fault>,
) -> Vec<(&'k Key<T>, &'n ConfigNode)> {
    let mut found = Vec::new();
    for (name, node) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let level = format!("{path}.");
        if let Some(key) = keys.iter().find(|key| key.about.path == path) {
            found.push((key, node));
        } else if keys.iter().any(|key| key.about.path.starts_with(&level)) {
            match &node.value {
                RawValue::Table(inner) => found.extend(flatten(keys, inner, &path, faults)),
                _ => {
                    let message = format!("this is a table; write its keys below [{path}]");
                    faults.push(Fault { line: node.line, key: path, message });
                }
            }
        } else {
            let message = unknown(&path, keys.iter().map(|key| key.about.path));
            faults.push(Fault { line: node.line, key: path, message });
        }
    }
    found
}

/// A list of tables, each checked against `keys`; `required` are paths that every entry needs.
pub fn tables<T: Default>(node: &ConfigNode, keys: &'static [Key<T>], required: &[&str]) -> Checked<Vec<T>> {
    tables_from(node, keys, required, T::default)
}

/// The same, each table from what `new` makes.
pub fn tables_from<T>(node: &ConfigNode, keys: &'static [Key<T>], required: &[&str], new: impl Fn() -> T) -> Checked<Vec<T>> {
    let entries = node.list(|item| Ok(item.clone()))?;
    gather(entries.iter().map(|entry| one_table(entry, keys, required, new())))
}

fn one_table<T>(entry: &ConfigNode, keys: &'static [Key<T>], required: &[&str], mut value: T) -> Checked<T> {
    let RawValue::Table(table) = &entry.value else { return entry.fault("each entry is a table, like { pattern = \"…\" }") };
    let mut faults = Vec::new();
    let found = flatten(keys, table, "", &mut faults);
    for path in required {
        if !found.iter().any(|(key, _)| key.about.path == *path) {
            faults.push(Fault { line: entry.line, key: (*path).into(), message: "is missing".into() });
        }
    }
    for (key, node) in found {
        if let Err(more) = (key.set)(&mut value, node) {
            faults.extend(more.into_iter().map(|fault| Fault { key: join(key.about.path, &fault.key), ..fault }));
        }
    }
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

/// `a` and `b` with a dot between, where both are there.
pub fn join(a: &str, b: &str) -> String {
    if b.is_empty() { a.into() } else { format!("{a}.{b}") }
}

/// Names of a level that are listed when none of them is meant.
const LISTED_NAMES: usize = 12;
/// Likeness from which a name is probably meant, 0..1.
const LIKELY: f64 = 0.6;

/// The message on an unknown name: the name that is probably meant, else those of its level.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
    let (mut names, mut level) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for path in known {
        // The tables on the way to a key are names too.
        let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        for prefix in ends.map(|end| &path[..end]) {
            names.insert(prefix);
            let (its_parent, own) = prefix.rsplit_once('.').unwrap_or(("", prefix));
            if its_parent == parent {
                level.insert(own);
            }
        }
    }
    let likeness = |candidate: &str| {
        let same_level = candidate.rsplit_once('.').map_or("", |(parent, _)| parent) == parent;
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().replace('-', "_");
        let whole = strsim::normalized_damerau_levenshtein(name, candidate);
        if same_level { whole.min(strsim::normalized_damerau_levenshtein(&last(name), &last(candidate))) } else { whole }
    };
    // The tables above it are right.
    names.retain(|candidate| !name.strip_prefix(candidate).is_some_and(|rest| rest.starts_with('.')));
    let nearest = names.iter().map(|candidate| (likeness(candidate), *candidate)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, candidate)) if likeness >= LIKELY => format!("unknown; did you mean {candidate}?"),
        _ if !level.is_empty() && level.len() <= LISTED_NAMES => {
            format!("unknown; the names here are {}", level.into_iter().collect::<Vec<_>>().join(", "))
        }
        _ => "unknown; `perfmon config keys` lists every name".into(),
    }
}

/// A list of tables as an inline TOML array.
pub fn show_tables<T>(entries: &[T], keys: &[Key<T>]) -> Option<String> {
    let entry = |value: &T| {
        let fields: Vec<_> = keys.iter().filter_map(|key| (key.show)(value).map(|text| format!("{} = {text}", key.about.path))).collect();
        format!("{{ {} }}", fields.join(", "))
    };
    (!entries.is_empty()).then(|| format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(", ")))
}

/// Text as a TOML string.
pub fn show_text(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// Values as a TOML array, `None` when there are none.
pub fn show_list<T>(values: &[T], show: impl Fn(&T) -> String) -> Option<String> {
    (!values.is_empty()).then(|| format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(", ")))
}
