//! `perfmon config print`: the effective configuration as valid TOML, each value with its origin. Secrets are shown as set, never their
//! value.
use super::keys::KEYS;
use super::{Config, Loaded};

/// The text.
pub fn print(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut table = "";
    for key in KEYS {
        let (level, name) = key.about.path.rsplit_once('.').unwrap_or(("", key.about.path));
        if level != table {
            text.push_str(&format!("\n[{level}]\n"));
            table = level;
        }
        let origin = loaded.origins.get(key.about.path).map_or("default".to_string(), ToString::to_string);
        text.push_str(&match (key.show)(&loaded.config) {
            Some(_) if key.about.secret => format!("# {name} is set, not shown  # {origin}\n"),
            Some(value) => format!("{name} = {value}  # {origin}\n"),
            None => format!("# {name} is not set\n"),
        });
    }
    text
}

/// Paths of the settings that differ.
pub fn changed(before: &Config, after: &Config) -> Vec<&'static str> {
    KEYS.iter().filter(|key| (key.show)(before) != (key.show)(after)).map(|key| key.about.path).collect()
}

/// The default of a key in TOML.
pub(super) fn default_of(show: fn(&Config) -> Option<String>) -> Option<String> {
    show(&Config::default())
}
