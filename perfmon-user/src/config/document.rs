//! docs/configuration.md and `perfmon config keys`, generated from the table of keys. A test compares the file; `UPDATE_DOCS=1` rewrites it.
use super::Config;
use super::key::{About, Key, unknown};
use super::keys::KEYS;
use super::print::default_of;

const HEAD: &str = "# Configuration
perfmon reads a TOML file, then the environment, then flags; later sources override earlier ones. The file is `/etc/perfmon/perfmon.toml` when
it exists, or the one that `--config` names. Targets named by flags replace those of the file and the environment.

Unknown keys are errors, and all problems are reported at once with their lines. `perfmon config check` checks a file,
`perfmon config print` shows the effective values and the origin of each.

The environment variable of a key is `PERFMON_` and its path in upper case, with `__` between levels. Lists are separated by commas
or written as in TOML. Durations carry their unit: `500ms`, `90s`, `5m`, `2h`, `1h30m`, `2d`.

```toml
listen = \"127.0.0.1:9911\"

[targets]
exe = [\"nginx\", \"/opt/shop/*\"]
port = [8000]
wait = true

[[endpoints]]
pattern = \"/shop/{slug}/reviews\"
method = \"GET\"

[[services]]
name = \"checkout\"
port = 8443
```
";

/// The whole document.
pub fn document() -> String {
    let mut text = HEAD.to_string();
    KEYS.iter().for_each(|key| text.push_str(&section(key)));
    text
}

/// The sections of a key and those below it, or of all keys: for `perfmon config keys`.
pub fn keys(name: Option<&str>) -> Result<String, String> {
    let is_wanted = |path: &str| name.is_none_or(|name| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
    let sections: String = KEYS.iter().filter(|key| is_wanted(key.about.path)).map(section).collect();
    match sections.strip_prefix('\n') {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("{}: {}", name.unwrap_or_default(), unknown(name.unwrap_or_default(), KEYS.iter().map(|key| key.about.path)))),
    }
}

fn section(key: &Key<Config>) -> String {
    let about = &key.about;
    let mut text = format!("\n## `{}`\n{}\n\n", about.path, about.text);
    text.push_str(&format!("- takes: {}\n", about.takes));
    text.push_str(&match default_of(key.show) {
        Some(value) => format!("- default: `{value}`\n"),
        None => "- default: not set\n".to_string(),
    });
    text.push_str(&format!("- environment: `{}`\n", about.env()));
    if let Some(flag) = about.flag {
        text.push_str(&format!("- flag: `{flag}`\n"));
    }
    text.push_str(&entries(&(about.inner)()));
    text
}

fn entries(keys: &[About]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let rows: String = keys.iter().map(|key| format!("| `{}` | {} | {} |\n", key.path, key.takes, key.text)).collect();
    format!("\n| key of an entry | takes | meaning |\n|---|---|---|\n{rows}")
}
