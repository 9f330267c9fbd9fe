//! The checked configuration, its defaults and its contradictions. Each stage gets only its part.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::alerts::{self, Alerts};
use super::export::{Export, Secret};
use super::http_keys;
use super::listen::ListenAddress;
use super::metric_keys::BusinessMetrics;
use super::report_keys::{self, ReportSettings};
use super::{ConfigProblem, SettingOrigin};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// It is that of a command that asks a perfmon or reads its history: secrets of channels may be missing, who asks may not be allowed to read them.
    pub asks_only: bool,
    /// Addresses of the HTTP server; never empty.
    pub listen: Vec<ListenAddress>,
    /// Where records go as lines of JSON.
    pub jsonl: Option<Jsonl>,
    /// Size in bytes at which their file is rotated.
    pub jsonl_max: Option<u64>,
    /// File of the history on disk.
    pub db: PathBuf,
    /// No history on disk.
    pub no_store: bool,
    /// How much history is kept, and how long.
    pub store: StoreSettings,
    /// Output on the terminal.
    pub ui: Ui,
    /// Run time, unless unlimited.
    pub duration: Option<Duration>,
    /// Least severe level that is logged.
    pub log: LogLevel,
    /// What is captured.
    pub capture: CaptureSettings,
    /// What records keep.
    pub records: RecordSettings,
    /// Host and processes are sampled.
    pub resources: bool,
    /// Which processes are watched.
    pub targets: Targets,
    /// Who may ask the HTTP server.
    pub http: Http,
    /// Telemetry receivers.
    pub export: Export,
    /// The user's own endpoint templates.
    pub endpoints: Vec<EndpointRuleEntry>,
    /// The user's own service names.
    pub services: Vec<ServiceRuleEntry>,
    /// Privileges that are not needed are given up.
    pub hardening: bool,
    /// Alerts are judged.
    pub alerting: bool,
    /// Alert rules and notifications.
    pub alerts: Alerts,
    /// Scheduled reports.
    pub reports: ReportSettings,
    /// The user's own metrics.
    pub metrics: BusinessMetrics,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            asks_only: false,
            listen: vec![ListenAddress::USUAL],
            jsonl: None,
            jsonl_max: None,
            db: PathBuf::from("/var/lib/perfmon/perfmon.db"),
            no_store: false,
            store: StoreSettings::default(),
            ui: Ui::Auto,
            duration: None,
            log: LogLevel::Info,
            capture: CaptureSettings::default(),
            records: RecordSettings::default(),
            resources: true,
            hardening: true,
            alerting: true,
            targets: Targets::default(),
            http: Http::default(),
            export: Export::default(),
            endpoints: Vec::new(),
            services: Vec::new(),
            alerts: Alerts::default(),
            reports: ReportSettings::default(),
            metrics: BusinessMetrics::default(),
        }
    }
}

impl Config {
    /// For a run that may stand beside another perfmon with the same configuration: it keeps no history, writes no records, notifies nobody and
    /// sends no telemetry a second time.
    pub fn beside_another(&self) -> Self {
        let alerts = Alerts { channels: Vec::new(), escalation: Vec::new(), ..self.alerts.clone() };
        let reports = ReportSettings { channels: Vec::new(), ..self.reports.clone() };
        Self { no_store: true, jsonl: None, alerting: false, export: Export::default(), alerts, reports, ..self.clone() }
    }

    /// What to show, knowing whether standard output is a terminal.
    pub fn display(&self, terminal: bool) -> Display {
        match (self.ui, terminal) {
            (Ui::None, _) => Display::Nothing,
            (_, _) if self.jsonl == Some(Jsonl::Stdout) => Display::Nothing,
            (_, true) => Display::Screen,
            (Ui::Table, false) => Display::Lines,
            (Ui::Auto, false) => Display::Nothing,
        }
    }
}

/// Destination of `--jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jsonl {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Jsonl {
    /// As the user writes it.
    pub fn name(&self) -> String {
        match self {
            Self::Stdout => "-".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// `--ui`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ui {
    /// The screen on a terminal, nothing elsewhere.
    Auto,
    /// The screen on a terminal, plain lines elsewhere.
    Table,
    /// Nothing.
    None,
}

/// Output on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// The live table.
    Screen,
    /// A plain table now and then.
    Lines,
    /// Nothing.
    Nothing,
}

/// History on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Maximum size of the file; beyond it the oldest content is removed.
    pub max_bytes: u64,
    /// How long figures of ten seconds are kept.
    pub keep_seconds: Duration,
    /// How long figures of a minute are kept.
    pub keep_minutes: Duration,
    /// How long figures of an hour are kept.
    pub keep_hours: Duration,
    /// How long single records are kept.
    pub keep_records: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { max_bytes: 1 << 30, keep_seconds: days(1), keep_minutes: days(14), keep_hours: days(400), keep_records: days(31) }
    }
}

/// Least severe level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Data lost or stopped.
    Error,
    /// Degraded but working.
    Warn,
    /// What perfmon does.
    Info,
    /// For debugging.
    Debug,
    /// Everything.
    Trace,
}

/// How operations on sockets are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierSetting {
    /// The cheapest that this kernel allows.
    Auto,
    /// The kernel's tracepoints for socket operations.
    One,
    /// The exit of the kernel's socket functions.
    Two,
    /// The tracepoint for all system calls.
    Three,
}

/// What is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureSettings {
    /// How operations on sockets are seen.
    pub tier: TierSetting,
    /// Size of the ring between kernel and perfmon, in MiB, a power of two; else as the host's cores and memory ask for.
    pub ring_mib: Option<u32>,
    /// Bytes of a request that are captured.
    pub request_budget: u32,
    /// Bytes of an answer that are captured.
    pub response_budget: u32,
    /// Bytes of each further operation.
    pub operation_head: u32,
    /// Plaintext of TLS libraries is read.
    pub tls: bool,
    /// Bodies of model calls are read.
    pub models: bool,
    /// Return probes on TLS libraries that cannot be probed otherwise.
    pub return_probes: bool,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            tier: TierSetting::Auto,
            ring_mib: None,
            request_budget: 65_536,
            response_budget: 131_072,
            operation_head: 512,
            tls: true,
            models: true,
            return_probes: false,
        }
    }
}

/// What records keep of what passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSettings {
    /// Paths are kept whole, with parameters and tokens.
    pub raw_paths: bool,
}

/// One way to name processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSpec {
    /// A process.
    Pid(u32),
    /// Processes whose executable or script matches.
    Exe(String),
    /// Whoever listens on the TCP port.
    Port(u16),
    /// A container, by id or name.
    Container(String),
    /// A control group and those below it.
    Cgroup(String),
}

/// Which processes are watched; several are combined with "or", none means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Process ids.
    pub pid: Vec<u32>,
    /// Globs on executables and scripts.
    pub exe: Vec<String>,
    /// Listening ports.
    pub port: Vec<u16>,
    /// Container ids or names.
    pub container: Vec<String>,
    /// Paths of control groups.
    pub cgroup: Vec<String>,
    /// Everything, regardless of the other targets.
    pub all: bool,
    /// Children of watched processes are watched too.
    pub follow: bool,
    /// A target that does not exist yet is waited for.
    pub wait: bool,
}

impl Default for Targets {
    fn default() -> Self {
        Self { pid: vec![], exe: vec![], port: vec![], container: vec![], cgroup: vec![], all: false, follow: true, wait: false }
    }
}

impl Targets {
    /// The targets as one list; empty means every process.
    pub fn specs(&self) -> Vec<TargetSpec> {
        if self.all {
            return Vec::new();
        }
        let pids = self.pid.iter().map(|pid| TargetSpec::Pid(*pid));
        let exes = self.exe.iter().cloned().map(TargetSpec::Exe);
        let ports = self.port.iter().map(|port| TargetSpec::Port(*port));
        let containers = self.container.iter().cloned().map(TargetSpec::Container);
        let cgroups = self.cgroup.iter().cloned().map(TargetSpec::Cgroup);
        pids.chain(exes).chain(ports).chain(containers).chain(cgroups).collect()
    }

    /// True for keys that select processes, as opposed to options of the selection.
    pub(super) fn selects(path: &str) -> bool {
        matches!(path, "targets.pid" | "targets.exe" | "targets.port" | "targets.container" | "targets.cgroup" | "targets.all")
    }

    /// Clears the selection: targets on the command line replace those of the file and the environment.
    pub(super) fn select_none(&mut self) {
        *self = Self { follow: self.follow, wait: self.wait, ..Self::default() };
    }
}

/// Who may ask the HTTP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Host names, besides `localhost`, that requests may use.
    pub hosts: Vec<String>,
    /// Token that a question from another machine must carry; needed when `listen` is not a loopback address.
    pub token: Option<Secret>,
    /// File that it was read from, or that this user may not read.
    pub token_file: Option<PathBuf>,
    /// Users of this host, by name or number, that read and act without a token.
    pub allow_users: Vec<String>,
    /// Groups of this host, by name or number, with such users.
    pub allow_groups: Vec<String>,
    /// Every user of this host may read.
    pub open_loopback: bool,
    /// File of the server's certificate; with it the server speaks HTTPS.
    pub tls_cert: Option<PathBuf>,
    /// File of its private key.
    pub tls_key: Option<PathBuf>,
    /// File of the certificates that are trusted when another perfmon is asked.
    pub tls_ca: Option<PathBuf>,
}

/// A template for paths; the user's rules win over what perfmon finds itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointRuleEntry {
    /// Only for this service; all when absent.
    pub service: Option<String>,
    /// Only for this method; all when absent.
    pub method: Option<String>,
    /// The template, for example `/shop/{slug}/reviews`.
    pub pattern: String,
}

/// A service name for processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRuleEntry {
    /// The name.
    pub name: String,
    /// Glob on the executable or script.
    pub exe: Option<String>,
    /// A TCP port that the process listens on.
    pub port: Option<u16>,
}

/// Finds settings that contradict each other.
pub(super) fn contradictions(config: &Config, origins: &BTreeMap<&'static str, SettingOrigin>) -> Vec<ConfigProblem> {
    let place = |path: &str| origins.get(path).map_or(path.to_string(), |origin| format!("{path} ({origin})"));
    let mut problems = Vec::new();
    problems.extend(http_keys::token_contradiction(origins));
    let has_token = config.http.token.is_some() || config.http.token_file.is_some();
    for address in config.listen.iter().filter(|address| !address.is_local() && !has_token) {
        let message = format!(
            "{address} can be reached from other machines, so a token is needed: set http.token (PERFMON_HTTP__TOKEN) or http.token_file, or listen on 127.0.0.1"
        );
        problems.push(ConfigProblem::new(place("listen"), message));
    }
    match (&config.http.tls_cert, &config.http.tls_key) {
        (Some(_), None) => problems.push(ConfigProblem::new(place("http.tls_cert"), "needs its private key: set http.tls_key")),
        (None, Some(_)) => problems.push(ConfigProblem::new(place("http.tls_key"), "needs the certificate: set http.tls_cert")),
        _ => {}
    }
    if config.ui == Ui::Table && config.jsonl == Some(Jsonl::Stdout) {
        problems
            .push(ConfigProblem::new(place("jsonl"), "records and the table would share standard output; name a file, or use --ui none"));
    }
    if let (Some(Jsonl::Stdout) | None, Some(_)) = (&config.jsonl, config.jsonl_max) {
        let what = if config.jsonl.is_some() { "standard output cannot be rotated" } else { "there is no file to rotate" };
        problems.push(ConfigProblem::new(place("jsonl_max"), format!("{what}; name a file with jsonl (--jsonl PATH), or leave this out")));
    }
    if let Err(faults) = config.export.targets() {
        problems.extend(faults.into_iter().map(|(path, message)| ConfigProblem::new(place(path), message)));
    }
    for (index, rule) in config.services.iter().enumerate() {
        if rule.exe.is_some() == rule.port.is_some() {
            let message = format!("entry {} ({}) needs exactly one of exe and port", index + 1, rule.name);
            problems.push(ConfigProblem::new(place("services"), message));
        }
    }
    problems.extend(report_keys::contradictions(&config.reports, &config.alerts, place));
    problems.extend(alerts::contradictions(&config.alerts, place));
    problems.extend(alerts::custom_problems(&config.alerts, &config.metrics.compiled, place));
    problems
}
