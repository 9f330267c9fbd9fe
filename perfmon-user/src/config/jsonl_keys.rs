//! Keys of the records that are written as lines of JSON.
use std::path::PathBuf;

use super::key::{Key, show_text};
use super::keys::about;
use super::node::{Checked, ConfigNode, RawValue};
use super::settings::{Config, Jsonl};
use super::size;

/// Smallest file: room for some records.
const LEAST_BYTES: u64 = 4_096;

pub(super) const JSONL: Key<Config> = Key {
    about: about(
        "jsonl",
        Some("--jsonl"),
        "path or `-`",
        "File to which every record is appended, one JSON object a line; `-` is standard output.",
    ),
    set: |config, node| {
        node.text().map(|text| config.jsonl = Some(if text == "-" { Jsonl::Stdout } else { Jsonl::File(PathBuf::from(text)) }))
    },
    show: |config| {
        config.jsonl.as_ref().map(|jsonl| match jsonl {
            Jsonl::Stdout => show_text("-"),
            Jsonl::File(path) => show_text(&path.to_string_lossy()),
        })
    },
};

pub(super) const JSONL_MAX: Key<Config> = Key {
    about: about(
        "jsonl_max",
        Some("--jsonl-max"),
        "size from `4KiB`, like `100MB`",
        "Size at which the file of `jsonl` is renamed to `.1` and a new one begun; `.1` becomes `.2`, `.2` becomes `.3`, and `.3` is removed. No record is split or lost. Without it the file grows. Standard output and what is no regular file cannot rotate.",
    ),
    set: |config, node| bytes(node).map(|value| config.jsonl_max = Some(value)),
    show: |config| config.jsonl_max.map(|value| show_text(&size::show(value))),
};

fn bytes(node: &ConfigNode) -> Checked<u64> {
    let value = match &node.value {
        RawValue::Integer(number) => u64::try_from(*number).map_err(|_| "must not be negative".to_string()),
        _ => node.text().and_then(|text| size::parse(text).or_else(|why| node.fault(format!("{text:?}: {why}")))).map(Ok)?,
    };
    match value {
        Ok(value) if value >= LEAST_BYTES => Ok(value),
        Ok(value) => node.fault(format!("{} is too small; give {} or more", size::show(value), size::show(LEAST_BYTES))),
        Err(why) => node.fault(why),
    }
}
