//! Command line, environment and configuration file in, an [`Invocation`] out: a checked command, text to print, or all problems at once
//! (exit 2). `args` holds the typed arguments, `config::Config` the checked settings. Starts nothing and loads no probe.
mod alerts;
mod args;
mod examples;
mod flags;
mod manual;
mod parse;
mod report;
#[cfg(test)]
mod tests;
mod url;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::alert::Assertion;
use crate::config::{self, Config, ConfigProblem, Sources};
use crate::printable::printable;
use crate::record::custom::{CustomMetrics, PREFIX};
pub use alerts::AlertsAction;
use args::{Args, CliCommand, ConfigAction, GeneralArgs};
use flags::Flags;
use parse::ParsedArgs;
pub use report::{Period, ReportFormat};
pub use url::Url;

/// Exit code of wrong usage or configuration.
pub const EXIT_USAGE: u8 = 2;

/// What to do.
#[derive(Debug)]
pub enum Invocation {
    /// `perfmon run`; `command` is empty without `-- CMD`.
    Run {
        /// Checked configuration.
        config: Box<Config>,
        /// Program and arguments after `--`. Without a named target, it and its children are the only target.
        command: Vec<OsString>,
        /// What has to hold of the whole run.
        assertions: Vec<Assertion>,
        /// File for the results of that.
        junit: Option<PathBuf>,
    },
    /// `perfmon top`.
    Top {
        /// Where perfmon serves.
        url: Url,
        /// Whether the user named it.
        named: bool,
        /// Checked configuration; its `http.token` is sent along.
        config: Box<Config>,
    },
    /// `perfmon check`.
    Check {
        /// Checked configuration.
        config: Box<Config>,
        /// Answer in JSON.
        json: bool,
        /// Every process and kernel program in a line of its own.
        all_processes: bool,
    },
    /// `perfmon record`.
    Record {
        /// Checked configuration.
        config: Box<Config>,
        /// File to write.
        output: PathBuf,
        /// With an HTTP server, at the configured address.
        serves: bool,
    },
    /// `perfmon replay`.
    Replay {
        /// Checked configuration.
        config: Box<Config>,
        /// File to read.
        file: PathBuf,
    },
    /// `perfmon alerts`.
    Alerts {
        /// Where perfmon serves.
        url: Url,
        /// Checked configuration; its `http.token` is sent along.
        config: Box<Config>,
        /// What to do.
        action: AlertsAction,
    },
    /// `perfmon alerts test-rules`.
    TestRules {
        /// Checked configuration; its rules are judged on its `db`.
        config: Box<Config>,
        /// Time to look at.
        period: Period,
        /// As JSON.
        json: bool,
    },
    /// `perfmon report`.
    Report {
        /// Checked configuration; its `db` is read.
        config: Box<Config>,
        /// Period of the report.
        period: Period,
        /// Its form.
        format: ReportFormat,
        /// File to write; standard output without.
        output: Option<PathBuf>,
    },
    /// Text for standard output; then exit.
    Print(String),
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Stop {
    /// Help or version.
    Help(Box<clap::Error>),
    /// All problems that the user must fix.
    Problems(Vec<ConfigProblem>),
}

impl Stop {
    /// Prints it where it belongs and returns the exit code.
    pub fn tell(&self) -> u8 {
        match self {
            Self::Help(error) => match error.print() {
                Err(failed) if failed.kind() != std::io::ErrorKind::BrokenPipe => 1,
                _ => error.exit_code() as u8,
            },
            Self::Problems(problems) => {
                // Without a reader it is lost.
                std::io::stderr().write_all(report(problems).as_bytes()).ok();
                EXIT_USAGE
            }
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Help(error) => error.fmt(f),
            Self::Problems(problems) => f.write_str(&problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    }
}

impl From<ConfigProblem> for Stop {
    fn from(problem: ConfigProblem) -> Self {
        Self::Problems(vec![problem])
    }
}

/// All problems as text for standard error.
pub fn report(problems: &[ConfigProblem]) -> String {
    let count = if problems.len() == 1 { "1 problem".to_string() } else { format!("{} problems", problems.len()) };
    // Only perfmon's own text has several lines, the list of commands: what the user wrote is quoted in it.
    let shown = |problem: &ConfigProblem| problem.to_string().split('\n').map(|line| format!("{}\n", printable(line))).collect::<String>();
    let lines: String = problems.iter().map(|problem| format!("  {}", shown(problem))).collect();
    let help = "`perfmon COMMAND --help` lists options, `perfmon config keys` the keys of the configuration.";
    format!("perfmon: {count}, nothing was started\n{lines}{help}\n")
}

/// Reads the command line (with the program's name first) and the environment.
pub fn read(argv: impl IntoIterator<Item = OsString>, env: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Invocation, Stop> {
    let (args, problems) = match parse::parse(argv.into_iter().collect()) {
        ParsedArgs::Args(args, problems) => (args, problems),
        ParsedArgs::Asked(error) => return Err(Stop::Help(error)),
        ParsedArgs::Wrong(problems) => return Err(Stop::Problems(problems)),
    };
    let env = env.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect();
    let mut reading = Reading { env, problems };
    let invocation = reading.command(args.command);
    match invocation {
        Some(invocation) if reading.problems.is_empty() => Ok(invocation),
        _ => Err(Stop::Problems(reading.problems)),
    }
}

/// How a configuration is checked.
type Load = fn(&Sources) -> Result<config::Loaded, Vec<ConfigProblem>>;

struct Reading {
    env: Vec<(String, String)>,
    problems: Vec<ConfigProblem>,
}

impl Reading {
    fn command(&mut self, command: CliCommand) -> Option<Invocation> {
        match command {
            CliCommand::Run(args) => {
                let config = self.config(&args.general, |flags| flags.run(&args));
                let custom = config.as_ref().map(|config| &config.metrics.compiled);
                let assertions = self.assertions(&args, custom);
                let config = config?;
                Some(Invocation::Run { config, command: args.command, assertions, junit: args.junit })
            }
            CliCommand::Top(args) => self.top(&args),
            CliCommand::Check(args) => {
                let config = self.config(&args.general, |flags| {
                    flags.targets(&args.targets);
                    flags.value("capture.tier", "--capture-tier", args.capture_tier.as_ref());
                })?;
                Some(Invocation::Check { config, json: args.json, all_processes: args.all_processes })
            }
            CliCommand::Record(args) => {
                let config = self.config(&args.general, |flags| {
                    flags.targets(&args.targets);
                    flags.capture(&args.capture);
                    flags.value("listen", "--listen", args.listen.as_ref());
                })?;
                Some(Invocation::Record { config, output: args.output, serves: args.listen.is_some() })
            }
            CliCommand::Replay(args) => {
                if let Err(error) = std::fs::File::open(&args.file) {
                    self.problems.push(ConfigProblem::new(args.file.display().to_string(), format!("cannot be read: {error}")));
                }
                let config = self.config(&args.general, |flags| {
                    flags.value("jsonl", "--jsonl", args.jsonl.as_ref());
                    flags.value("jsonl_max", "--jsonl-max", args.jsonl_max.as_ref());
                })?;
                Some(Invocation::Replay { config, file: args.file })
            }
            CliCommand::Alerts { action } => self.alerts(action),
            CliCommand::Report(args) => {
                let asked = report::read(&args, &jiff::tz::TimeZone::system(), &mut self.problems);
                let config = self.config_to_ask(&args.general, |flags| flags.value("db", "--db", args.db.as_ref()))?;
                let (period, format) = asked?;
                Some(Invocation::Report { config, period, format, output: args.output })
            }
            CliCommand::Config { action } => self.configuration(action),
            CliCommand::Completions { shell } => Some(Invocation::Print(completions(shell))),
            CliCommand::Man { command } => match manual::page(command.as_deref()) {
                Ok(text) => Some(Invocation::Print(text)),
                Err(why) => {
                    self.problems.push(ConfigProblem::new("man", why));
                    None
                }
            },
        }
    }

    /// What has to hold of a run, which needs an end.
    fn assertions(&mut self, args: &args::RunArgs, custom: Option<&CustomMetrics>) -> Vec<Assertion> {
        let mut fault = |flag: &str, why: String| self.problems.push(ConfigProblem::new(flag, why));
        if !args.assertions.is_empty() && args.command.is_empty() && args.capture.duration.is_none() {
            fault("--assert", "needs the end of a run: give --duration, or -- CMD".into());
        }
        if args.junit.is_some() && args.assertions.is_empty() {
            fault("--junit", "goes with --assert".into());
        }
        // Without a configuration it is not known which metrics it would have had.
        let known = |text: &&String| custom.is_some() || !text.contains(PREFIX);
        let custom = custom.cloned().unwrap_or_default();
        let read = args.assertions.iter().filter(known);
        read.filter_map(|text| Assertion::parse(text, &custom).map_err(|why| fault("--assert", why)).ok()).collect()
    }

    fn top(&mut self, args: &args::TopArgs) -> Option<Invocation> {
        let url = args.url.as_deref().map(Url::parse).transpose();
        let config = self.config_to_ask(&args.general, |flags| flags.value("http.tls_ca", "--ca", args.ca.as_ref()));
        match (url, config) {
            (Ok(url), Some(config)) => {
                let named = url.is_some();
                Some(Invocation::Top { url: url.unwrap_or_else(|| Url::of_configured(&config)), named, config })
            }
            (Ok(_), None) => None,
            (Err(why), _) => {
                self.problems.push(ConfigProblem::new("--url", why));
                None
            }
        }
    }

    fn sources(&mut self, file: Option<&Path>) -> Sources {
        let file = config::read_file(file).map_err(|problem| self.problems.push(problem)).ok().flatten();
        Sources { file, env: self.env.clone(), flags: Vec::new() }
    }

    fn load(&mut self, general: &GeneralArgs, fill: impl FnOnce(&mut Flags), load: Load) -> Option<config::Loaded> {
        let mut flags = Flags::default();
        flags.general(general);
        fill(&mut flags);
        let sources = Sources { flags: flags.into_vec(), ..self.sources(general.config.as_deref()) };
        load(&sources).map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn config(&mut self, general: &GeneralArgs, fill: impl FnOnce(&mut Flags)) -> Option<Box<Config>> {
        self.load(general, fill, config::load).map(|loaded| Box::new(loaded.config))
    }

    /// Of a command that asks a perfmon or reads its history.
    fn config_to_ask(&mut self, general: &GeneralArgs, fill: impl FnOnce(&mut Flags)) -> Option<Box<Config>> {
        self.load(general, fill, config::load_to_ask).map(|loaded| Box::new(loaded.config))
    }

    fn configuration(&mut self, action: ConfigAction) -> Option<Invocation> {
        match action {
            ConfigAction::Print { general } => {
                self.load(&general, |_| (), config::load).map(|loaded| Invocation::Print(config::print(&loaded)))
            }
            ConfigAction::Keys { name } => match config::keys(name.as_deref()) {
                Ok(text) => Some(Invocation::Print(text)),
                Err(why) => {
                    self.problems.push(ConfigProblem::new("config keys", why));
                    None
                }
            },
            ConfigAction::Check { file } => {
                let sources = self.sources(file.as_deref());
                let name = sources.file.as_ref().map_or(format!("{} (does not exist)", config::DEFAULT_PATH), |file| file.path.clone());
                config::load(&sources).map_err(|problems| self.problems.extend(problems)).ok()?;
                Some(Invocation::Print(format!("{name} and the environment: no problem found\n")))
            }
        }
    }
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "perfmon", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
