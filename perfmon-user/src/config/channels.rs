//! A notification channel as configured, and what does not fit together in it. What a type needs stands in `alert::ChannelType`.
use std::collections::BTreeMap;

use ureq::http::Uri;

use super::key::show_text;
use super::node::{Checked, ConfigNode};
use crate::alert::{Channel, ChannelOptions, ChannelType, OptionFault};

/// An entry of `alerts.channels`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelEntry {
    pub(super) name: String,
    pub(super) kind: Option<&'static ChannelType>,
    pub(super) options: ChannelOptions,
    /// Files and variables that secrets were read from, by the key that names them.
    pub(super) sources: BTreeMap<&'static str, String>,
    /// As `Config::asks_only`.
    pub(super) asks_only: bool,
    /// A secret is not for those who asked.
    pub(super) withheld: bool,
    pub(super) default: bool,
    pub(super) fallback: Option<String>,
    pub(super) quiet_end: bool,
    pub(super) max_per_minute: Option<u32>,
}

impl std::fmt::Debug for ChannelEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "channel {}", self.name)
    }
}

impl ChannelEntry {
    /// As the alert stage takes it; the log when its type is wrong, which is a fault.
    pub(super) fn channel(&self) -> Channel {
        let log = Channel::log();
        Channel {
            name: self.name.as_str().into(),
            kind: self.kind.unwrap_or(log.kind),
            options: self.options.clone(),
            default: self.default,
            fallback: self.fallback.as_deref().map(Into::into),
            send_resolved: !self.quiet_end,
            max_per_minute: self.max_per_minute,
        }
    }

    pub(super) fn faults(&self) -> Vec<OptionFault> {
        self.kind.filter(|_| !self.withheld).map(|kind| kind.faults(&self.options)).unwrap_or_default()
    }

    /// Scheme and host; the rest may be a secret.
    pub(super) fn shown_url(&self) -> Option<String> {
        let url: Uri = self.options.url.as_deref()?.parse().ok()?;
        let text = || Some(show_text(&format!("{}://{}/(not-shown)", url.scheme_str()?, url.host()?)));
        self.is_typed("url").then(text).flatten()
    }

    /// That a secret is set.
    pub(super) fn shown_secret(&self, key: &str, secret: &Option<String>) -> Option<String> {
        (secret.is_some() && self.is_typed(key)).then(|| show_text("(not-shown)"))
    }

    /// Names of the variables that secrets were read from.
    pub(super) fn secret_variables(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter(|(key, _)| key.ends_with("_env")).map(|(_, name)| name.as_str())
    }

    /// It stands in the configuration itself, not in a file or variable of its own.
    fn is_typed(&self, key: &str) -> bool {
        !self.sources.keys().any(|source| source.strip_suffix("_file").or(source.strip_suffix("_env")) == Some(key))
    }
}

/// Sets a secret, once.
pub(super) fn set_once(slot: &mut Option<String>, node: &ConfigNode, value: String) -> Checked<()> {
    if slot.is_some() {
        return node.fault("is given in two ways; keep one of the key itself, …_file and …_env");
    }
    *slot = Some(value);
    Ok(())
}

/// A file's text without line breaks at its end.
pub(super) fn read_file(node: &ConfigNode) -> Checked<String> {
    let path = node.text()?;
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => node.fault(format!("{path} is empty")),
        Ok(text) => Ok(text.trim().into()),
        Err(error) => node.fault(format!("{path}: {error}")),
    }
}

/// The value of a variable.
pub(super) fn read_variable(node: &ConfigNode) -> Checked<String> {
    let name = node.text()?;
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(value.trim().into()),
        _ => node.fault(format!("the environment variable {name} is not set")),
    }
}
