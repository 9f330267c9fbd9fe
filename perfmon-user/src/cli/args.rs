//! Arguments as typed, unchecked: values are text, so that `config` can report all problems at once.
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};
use clap_complete::Shell;

use super::examples;

/// See what the services on this host are doing, without touching their code.
#[derive(Parser, Debug)]
#[command(name = "perfmon", version, max_term_width = 100, after_help = examples::PERFMON)]
pub(super) struct Args {
    #[command(subcommand)]
    pub command: CliCommand,
}

#[derive(Subcommand, Debug)]
pub(super) enum CliCommand {
    /// Watch processes: live table, HTTP API, dashboard, alerts, history
    Run(RunArgs),
    /// Show the live screen of a running perfmon
    Top(TopArgs),
    /// Show what this host allows and what perfmon can see of each target
    Check(CheckArgs),
    /// Record raw kernel events to a file, which then holds captured bytes with their secrets
    Record(RecordArgs),
    /// Analyse a recording; needs no privileges
    Replay(ReplayArgs),
    /// List, acknowledge, resolve and silence the alerts of a running perfmon
    #[command(after_help = examples::ALERTS)]
    Alerts {
        #[command(subcommand)]
        action: AlertsCommand,
    },
    /// Write a performance report from the history on disk
    Report(ReportArgs),
    /// Show or check the configuration
    #[command(after_help = examples::CONFIG)]
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Print shell completions
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page (roff; view it with `perfmon man | man -l -`)
    #[command(after_help = examples::MAN)]
    Man {
        /// Print the page of this command instead of the main page
        command: Option<String>,
    },
}

#[derive(Group, Debug, Default)]
#[command(next_help_heading = "Targets (any of several; none means everything)")]
pub(super) struct TargetArgs {
    /// Watch this process and its children
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pid: Vec<String>,
    /// Watch processes whose executable or script matches
    #[arg(long, value_name = "GLOB")]
    pub exe: Vec<String>,
    /// Watch the process that listens on this TCP port
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub port: Vec<String>,
    /// Watch the processes of a container
    #[arg(long, value_name = "ID_OR_NAME")]
    pub container: Vec<String>,
    /// Watch the processes of a control group and those below it
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Watch every process
    #[arg(long)]
    pub all: bool,
    /// Do not watch the children of watched processes
    #[arg(long)]
    pub no_follow: bool,
    /// Wait for targets that do not exist yet
    #[arg(long)]
    pub wait: bool,
}

#[derive(Group, Debug, Default)]
#[command(next_help_heading = "General")]
pub(super) struct GeneralArgs {
    /// Configuration file [default: /etc/perfmon/perfmon.toml when it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log level on standard error: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

#[derive(Group, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureArgs {
    /// How socket operations are captured: auto, 1 (socket tracepoints), 2 (exits of socket functions), 3 (every system call) [default: auto]
    #[arg(long, value_name = "TIER")]
    pub capture_tier: Option<String>,
    /// Stop after this time, like 30s or 5m
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
}

#[derive(Group, Debug)]
#[command(after_help = examples::RUN)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub targets: TargetArgs,
    #[command(flatten)]
    pub capture: CaptureArgs,
    #[command(flatten)]
    pub general: GeneralArgs,
    /// Address of the HTTP server, or unix:/PATH; several with commas; port 0 takes a free one [default: 127.0.0.1:9911]
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub listen: Option<String>,
    /// Append every record to a file, one JSON object per line; - is standard output
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub jsonl: Option<String>,
    /// Begin a new file of records at this size, like 100MB, and keep three more: PATH.1, PATH.2, PATH.3
    #[arg(long, value_name = "SIZE", help_heading = "Output")]
    pub jsonl_max: Option<String>,
    /// File of the history on disk [default: /var/lib/perfmon/perfmon.db]
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub db: Option<String>,
    /// Keep no history on disk
    #[arg(long, help_heading = "Output")]
    pub no_store: bool,
    /// Live table: auto (on a terminal only), table (plain lines elsewhere), none [default: auto]
    #[arg(long, value_name = "HOW", help_heading = "Output")]
    pub ui: Option<String>,
    /// What has to hold of the whole run, like 'endpoint "GET /users/{id}" p95 < 200ms'; exit status 4 when it does not
    #[arg(long = "assert", value_name = "EXPR", help_heading = "Command")]
    pub assertions: Vec<String>,
    /// File for the results of --assert in JUnit's form
    #[arg(long, value_name = "FILE", help_heading = "Command")]
    pub junit: Option<PathBuf>,
    /// Start this command, watch it, and exit with its status when it ends
    #[arg(last = true, value_name = "CMD", help_heading = "Command")]
    pub command: Vec<OsString>,
}

#[derive(Group, Debug)]
#[command(after_help = examples::TOP)]
pub(super) struct TopArgs {
    /// URL of the running perfmon: http://, https:// or unix:/PATH [default: the configured address]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// File of the certificates (PEM) to trust at an https:// URL [default: this host's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::CHECK)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub targets: TargetArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// List every process and every kernel program
    #[arg(long)]
    pub all_processes: bool,
    /// Capture tier to check: auto, 1, 2, 3 [default: auto]
    #[arg(long, value_name = "TIER")]
    pub capture_tier: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::RECORD)]
pub(super) struct RecordArgs {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Serve HTTP at this address while recording; port 0 takes a free one [default: no HTTP]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    #[command(flatten)]
    pub targets: TargetArgs,
    #[command(flatten)]
    pub capture: CaptureArgs,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::REPLAY)]
pub(super) struct ReplayArgs {
    /// File written by `perfmon record`
    pub file: PathBuf,
    /// Append every record to a file, one JSON object per line; - is standard output
    #[arg(long, value_name = "PATH")]
    pub jsonl: Option<String>,
    /// Begin a new file of records at this size, like 100MB, and keep three more: PATH.1, PATH.2, PATH.3
    #[arg(long, value_name = "SIZE")]
    pub jsonl_max: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
pub(super) struct ServerArgs {
    /// URL of the running perfmon: http://, https:// or unix:/PATH [default: the configured address]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// File of the certificates (PEM) to trust at an https:// URL [default: this host's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::REPORT)]
pub(super) struct ReportArgs {
    /// Period: day or week, ending now [default: day]
    #[arg(long, value_name = "PERIOD")]
    pub period: Option<String>,
    /// Start of the period, like 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Format: html, md, json [default: md]
    #[arg(long, value_name = "FORM")]
    pub format: Option<String>,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// File of the history on disk [default: the configured one]
    #[arg(long, value_name = "PATH")]
    pub db: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
pub(super) struct TestRulesArgs {
    /// Start, like 2026-01-31 or 2026-01-31T12:00:00Z [default: a day ago]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// File of the history on disk [default: the configured one]
    #[arg(long, value_name = "PATH")]
    pub db: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
pub(super) struct DecisionArgs {
    /// Id of the alert, or its first characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// Who acknowledges or resolves it [default: your user name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Reason, or what is being done about it
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum SilenceCommand {
    /// List the silences in force
    #[command(after_help = examples::SILENCE_LIST)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End a silence
    #[command(after_help = examples::SILENCE_DELETE)]
    Delete {
        /// Its id, as `perfmon alerts silence list` shows it
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Group, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct SilenceArgs {
    #[command(subcommand)]
    pub command: Option<SilenceCommand>,
    /// Name of the rule [default: any]
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Scope, as `perfmon alerts list` shows it [default: any]
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Alerts that match, like severity=warning, rule!=disk*, service=~shop|blog; repeatable, all have to hold
    #[arg(long = "match", value_name = "MATCHER")]
    pub matchers: Vec<String>,
    /// How long, like 30m or 2h
    #[arg(long = "for", value_name = "TIME", required = true)]
    pub duration: Option<String>,
    /// Who creates it [default: your user name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Reason
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum AlertsCommand {
    /// List open alerts and the latest resolved ones
    #[command(after_help = examples::ALERTS_LIST)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Acknowledge a firing alert, which stops its escalation
    #[command(after_help = examples::ALERTS_ACK)]
    Ack(DecisionArgs),
    /// Resolve an alert; it does not fire again until its condition has been false
    #[command(after_help = examples::ALERTS_RESOLVE)]
    Resolve(DecisionArgs),
    /// Silence the alerts of a rule, of a scope or that match for some time; list and end silences
    #[command(after_help = examples::ALERTS_SILENCE)]
    Silence(SilenceArgs),
    /// Show who acknowledged, resolved, silenced and tested what, newest first
    #[command(after_help = examples::ALERTS_AUDIT)]
    Audit {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Judge the configured rules on the stored history: what would have fired
    #[command(after_help = examples::ALERTS_TEST_RULES)]
    TestRules(TestRulesArgs),
    /// Send a test alert to one channel, or to all
    #[command(after_help = examples::ALERTS_TEST)]
    Test {
        /// Name of the channel
        channel: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum ConfigAction {
    /// Print the effective configuration and where each value came from
    #[command(after_help = examples::CONFIG_PRINT)]
    Print {
        #[command(flatten)]
        general: GeneralArgs,
    },
    /// List the keys of the configuration: what each takes, its default, its environment variable
    #[command(after_help = examples::CONFIG_KEYS)]
    Keys {
        /// Only this key and those below it, like alerts or capture.tier
        name: Option<String>,
    },
    /// Report every problem in a configuration file and the environment
    #[command(after_help = examples::CONFIG_CHECK)]
    Check {
        /// File to check [default: /etc/perfmon/perfmon.toml when it exists]
        file: Option<PathBuf>,
    },
}
