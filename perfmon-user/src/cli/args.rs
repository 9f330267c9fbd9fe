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
    /// Watch processes and show, serve and write what they do
    Run(RunArgs),
    /// Show the live screen of a perfmon that is running
    Top(TopArgs),
    /// Show what this host allows and what can be seen of each target
    Check(CheckArgs),
    /// Write the raw kernel events of processes to a file
    Record(RecordArgs),
    /// Run a file of `perfmon record` through the same pipeline; needs no privileges
    Replay(ReplayArgs),
    /// List, acknowledge, resolve and silence the alerts of a perfmon that is running
    #[command(after_help = examples::ALERTS)]
    Alerts {
        #[command(subcommand)]
        action: AlertsCommand,
    },
    /// Make a performance report from the history on disk
    Report(ReportArgs),
    /// Show or check the configuration
    #[command(after_help = examples::CONFIG)]
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Print completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Shell to complete for
        shell: Shell,
    },
    /// Print the manual page, in roff
    #[command(after_help = examples::MAN)]
    Man {
        /// Command whose page is printed; the main page without
        command: Option<String>,
    },
}

#[derive(Group, Debug, Default)]
#[command(next_help_heading = "Targets (any of several; none means everything)")]
pub(super) struct TargetArgs {
    /// Watch this process, with its children
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pid: Vec<String>,
    /// Watch processes whose executable or script matches
    #[arg(long, value_name = "GLOB")]
    pub exe: Vec<String>,
    /// Watch whoever listens on this TCP port
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
    /// Least severe message on standard error: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
}

#[derive(Group, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureArgs {
    /// How socket operations are seen: auto, 1 (socket tracepoints), 3 (all system calls) [default: auto]
    #[arg(long, value_name = "TIER")]
    pub capture_tier: Option<String>,
    /// End after this time, like 30s or 5m
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
    /// Address of the HTTP server; port 0 takes a free one [default: 127.0.0.1:9911]
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub listen: Option<String>,
    /// Append every record to a file, one JSON object a line; - is standard output
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub jsonl: Option<String>,
    /// File of the history on disk [default: /var/lib/perfmon/perfmon.db]
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub db: Option<String>,
    /// Keep no history on disk
    #[arg(long, help_heading = "Output")]
    pub no_store: bool,
    /// Live table: auto (on a terminal), table (plain lines elsewhere), none [default: auto]
    #[arg(long, value_name = "HOW", help_heading = "Output")]
    pub ui: Option<String>,
    /// Start this command, watch it, and end with it and its status
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[derive(Group, Debug)]
#[command(after_help = examples::TOP)]
pub(super) struct TopArgs {
    /// Where perfmon serves [default: the configured address]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::CHECK)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub targets: TargetArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// List every process and every kernel program
    #[arg(long)]
    pub all_processes: bool,
    /// Capture tier to check: auto, 1, 3 [default: auto]
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
    /// Append every record to a file, one JSON object a line; - is standard output
    #[arg(long, value_name = "PATH")]
    pub jsonl: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
pub(super) struct ServerArgs {
    /// Where perfmon serves [default: the configured address]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub general: GeneralArgs,
}

#[derive(Group, Debug)]
#[command(after_help = examples::REPORT)]
pub(super) struct ReportArgs {
    /// The last day or week: day, week [default: day]
    #[arg(long, value_name = "PERIOD")]
    pub period: Option<String>,
    /// Start of the period, like 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End of the period [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Form: html, md, json [default: md]
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
pub(super) struct DecisionArgs {
    /// Id of the alert, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Who decides [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Why, or what is being done
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Group, Debug)]
pub(super) struct SilenceArgs {
    /// Name of the rule; any without
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Scope as the list shows it; any without
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// How long, like 30m or 2h
    #[arg(long = "for", value_name = "TIME")]
    pub duration: String,
    /// Who creates it [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Subcommand, Debug)]
pub(super) enum AlertsCommand {
    /// List open alerts and the last ones that are over
    #[command(after_help = examples::ALERTS_LIST)]
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Acknowledge a firing alert, which stops its escalation
    #[command(after_help = examples::ALERTS_ACK)]
    Ack(DecisionArgs),
    /// Resolve an alert; it stays quiet until its condition is false
    #[command(after_help = examples::ALERTS_RESOLVE)]
    Resolve(DecisionArgs),
    /// Silence the alerts of a rule or scope for a time
    #[command(after_help = examples::ALERTS_SILENCE)]
    Silence(SilenceArgs),
    /// Send a test alert to a channel, or to all
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
    /// Find all problems of a configuration file and the environment
    #[command(after_help = examples::CONFIG_CHECK)]
    Check {
        /// File to check [default: /etc/perfmon/perfmon.toml when it exists]
        file: Option<PathBuf>,
    },
}
