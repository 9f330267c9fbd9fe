//! Configuration. In: a TOML file, the environment, flags, in rising order of precedence. Out: a checked [`Config`] with the origin of each
//! value, or all problems at once. Does not use serde, which stops at the first error and loses line numbers.
//!
//! To add a key: a field in `settings.rs` and an entry in `keys.rs` (or a separate file of keys, listed there); the file, the environment,
//! `config print` and docs/configuration.md follow.
mod alert_keys;
mod alerts;
mod channel_keys;
mod channels;
mod damping_keys;
mod document;
mod duration;
mod export;
mod export_keys;
mod file;
mod http_keys;
mod jsonl_keys;
mod key;
mod keys;
mod listen;
mod metric_keys;
mod node;
mod origin;
mod print;
mod report_keys;
mod settings;
mod size;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub use alerts::{AlertRule, Alerts};
pub use document::{document, keys};
pub use duration::parse as parse_duration;
pub use export::{Export, ExportTarget, Secret, Signal};
pub use listen::ListenAddress;
pub use metric_keys::BusinessMetrics;
pub use node::ConfigNode;
pub use origin::{ConfigProblem, SettingOrigin};
pub use print::{changed, print};
pub use report_keys::ReportSettings;
pub use settings::{
    CaptureSettings, Config, Display, EndpointRuleEntry, Http, Jsonl, LogLevel, ServiceRuleEntry, StoreSettings, TargetSpec, Targets,
    TierSetting, Ui,
};

use key::{Key, flatten, join, unknown};
use keys::KEYS;
use node::{Checked, Fault, RawValue};

/// The configuration file used when none is named.
pub const DEFAULT_PATH: &str = "/etc/perfmon/perfmon.toml";
const ENV_PREFIX: &str = "PERFMON_";

/// A configuration file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A value given by a flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Path of the key.
    pub path: &'static str,
    /// The flag as typed.
    pub name: &'static str,
    /// The value.
    pub node: ConfigNode,
}

/// Everything that may set a key.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<File>,
    /// The environment; names that do not start with `PERFMON_` are ignored.
    pub env: Vec<(String, String)>,
    /// Flags.
    pub flags: Vec<Flag>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Origin of each value that is not a default, by path.
    pub origins: BTreeMap<&'static str, SettingOrigin>,
}

/// Reads the named file, or the default one when it exists.
pub fn read_file(named: Option<&Path>) -> Result<Option<File>, ConfigProblem> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let shown = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(File { path: shown, text })),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigProblem::new(shown, format!("cannot be read: {error}"))),
    }
}

/// Checks everything that was given.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigProblem>> {
    load_into(Config::default(), sources)
}

/// The same for a command that asks a perfmon or reads its history.
pub fn load_to_ask(sources: &Sources) -> Result<Loaded, Vec<ConfigProblem>> {
    load_into(Config { asks_only: true, ..Config::default() }, sources)
}

fn load_into(config: Config, sources: &Sources) -> Result<Loaded, Vec<ConfigProblem>> {
    let mut loading = Loading { loaded: Loaded { config, origins: BTreeMap::new() }, problems: Vec::new() };
    if let Some(file) = &sources.file {
        loading.file(file);
    }
    loading.standard_env(&sources.env);
    loading.env(&sources.env);
    loading.flags(&sources.flags);
    if loading.problems.is_empty() {
        // Whatever was read first: rules name metrics of the same configuration.
        let Config { alerts, metrics, .. } = &mut loading.loaded.config;
        alerts.resolve(&metrics.compiled);
        let Loaded { config, origins } = &loading.loaded;
        let mut problems = settings::contradictions(config, origins);
        problems.sort_by_key(|problem| line_of(problem, origins));
        loading.problems.extend(problems);
    }
    if loading.problems.is_empty() { Ok(loading.loaded) } else { Err(loading.problems) }
}

/// The line in the file of the setting that a contradiction names.
fn line_of(problem: &ConfigProblem, origins: &BTreeMap<&'static str, SettingOrigin>) -> Option<usize> {
    let path = problem.place.split(' ').next()?;
    match origins.get(path)? {
        SettingOrigin::File { line, .. } => Some(*line),
        _ => None,
    }
}

struct Loading {
    loaded: Loaded,
    problems: Vec<ConfigProblem>,
}

impl Loading {
    fn file(&mut self, file: &File) {
        let (root, errors) = file::parse(&file.text);
        if !errors.is_empty() {
            self.problems
                .extend(errors.into_iter().map(|error| ConfigProblem::new(format!("{}:{}", file.path, error.line), error.message)));
            return;
        }
        let RawValue::Table(table) = &root.value else { return };
        let mut faults = Vec::new();
        let found = flatten(KEYS, table, "", &mut faults);
        let mut problems: Vec<_> = faults.into_iter().map(|fault| (fault.line, in_file(file, "", fault))).collect();
        for (key, node) in found {
            let origin = SettingOrigin::File { path: file.path.as_str().into(), line: node.line.unwrap_or(1) };
            if let Err(faults) = self.set(key, node, origin) {
                problems.extend(faults.into_iter().map(|fault| (fault.line, in_file(file, key.about.path, fault))));
            }
        }
        problems.sort_by_key(|(line, _)| *line);
        self.problems.extend(problems.into_iter().map(|(_, problem)| problem));
    }

    fn env(&mut self, env: &[(String, String)]) {
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
            let names: Vec<String> = KEYS.iter().map(|key| key.about.env()).collect();
            match KEYS.iter().find(|key| key.about.env() == *name) {
                Some(key) => {
                    let set = self.set(key, &ConfigNode::word(value.as_str()), SettingOrigin::Env(name.as_str().into()));
                    self.problems.extend(set.err().into_iter().flatten().map(|fault| outside(name, fault)));
                }
                None => self.problems.push(ConfigProblem::new(name, unknown(name, names.iter().map(String::as_str)))),
            }
        }
    }

    /// Variables that other programs know too; those with perfmon's own names win.
    fn standard_env(&mut self, env: &[(String, String)]) {
        for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(variable) = export_keys::standard(name) else { continue };
            match (variable.set)(&mut self.loaded.config.export, value) {
                Ok(()) => {
                    variable.key.map(|key| self.loaded.origins.insert(key, SettingOrigin::Env(name.as_str().into())));
                }
                Err(message) => self.problems.push(ConfigProblem::new(name, message)),
            }
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        if flags.iter().any(|flag| Targets::selects(flag.path)) {
            self.loaded.config.targets.select_none();
            self.loaded.origins.retain(|path, _| !Targets::selects(path));
        }
        for flag in flags {
            if let Some(key) = KEYS.iter().find(|key| key.about.path == flag.path) {
                let set = self.set(key, &flag.node, SettingOrigin::Flag(flag.name));
                self.problems.extend(set.err().into_iter().flatten().map(|fault| outside(flag.name, fault)));
            }
        }
    }

    fn set(&mut self, key: &Key<Config>, node: &ConfigNode, origin: SettingOrigin) -> Checked<()> {
        (key.set)(&mut self.loaded.config, node)?;
        self.loaded.origins.insert(key.about.path, origin);
        Ok(())
    }
}

fn in_file(file: &File, path: &str, fault: Fault) -> ConfigProblem {
    let line = fault.line.map_or(String::new(), |line| format!(":{line}"));
    let key = if path.is_empty() { fault.key } else { join(path, &fault.key) };
    ConfigProblem::new(format!("{}{line}: {key}", file.path), fault.message)
}

fn outside(name: &str, fault: Fault) -> ConfigProblem {
    let place = if fault.key.is_empty() { name.to_string() } else { format!("{name}: {}", fault.key) };
    ConfigProblem::new(place, fault.message)
}
