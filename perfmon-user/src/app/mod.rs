//! Builds the stages, owns their channels and the order of shutdown. Everything a command does after argument parsing starts here.
mod access;
mod alerts;
mod ask;
mod capture;
mod check;
mod confinement;
mod display;
mod earlier;
mod ending;
mod gate;
mod hangup;
mod hub;
mod inspector;
mod libraries;
mod listeners;
mod logging;
mod options;
#[cfg(test)]
mod record_cost;
mod recorder;
mod replay;
mod report;
mod reports;
mod run;
mod sampler;
mod self_report;
mod service_manager;
mod supervisor;
mod telemetry;
mod top;
mod trial;

use std::process::ExitCode;

use crate::cli::{EXIT_USAGE, Invocation};
use crate::printable::{printable, printable_json};
use crate::probe::ProbeError;

use run::RunJob;

/// Failed while running.
const EXIT_FAILED: u8 = 1;
/// This host or this user cannot do it.
const EXIT_IMPOSSIBLE: u8 = 3;

/// Why a command ends without having done its work.
#[derive(Debug)]
enum CommandFailure {
    /// Wrong usage: every problem, one a line.
    Usage(Vec<String>),
    /// Not possible on this host or for this user.
    Impossible(Vec<String>),
    /// Went wrong on the way.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for CommandFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ProbeError> for CommandFailure {
    fn from(error: ProbeError) -> Self {
        Self::Impossible(vec![format!("{:#}", anyhow::Error::from(error))])
    }
}

impl CommandFailure {
    fn tell(&self) -> u8 {
        let (code, lines) = match self {
            Self::Usage(lines) => (EXIT_USAGE, lines.clone()),
            Self::Impossible(lines) => (EXIT_IMPOSSIBLE, lines.clone()),
            Self::Failed(error) => (EXIT_FAILED, vec![format!("{error:#}")]),
        };
        // Only perfmon's own text has several lines, the kernel's verdict on a program.
        for line in lines {
            let mut parts = line.split('\n');
            complain(&format!("perfmon: {}\n", printable(parts.next().unwrap_or_default())));
            parts.for_each(|part| complain(&format!("  {}\n", printable(part))));
        }
        code
    }
}

/// Runs the command.
pub fn start(invocation: Invocation) -> ExitCode {
    let result = match invocation {
        Invocation::Run { config, command, assertions, junit } => {
            let job = RunJob { command: &command, assertions: &assertions, junit: junit.as_deref(), ..RunJob::default() };
            run::run(&config, job)
        }
        Invocation::Record { config, output, serves } => {
            run::run(&config.beside_another(), RunJob { record_to: Some(&output), unserved: !serves, ..RunJob::default() })
        }
        Invocation::Replay { config, file } => replay::replay(&config, &file),
        Invocation::Check { config, json, all_processes } => check::check(&config, json, all_processes),
        Invocation::Alerts { url, config, action } => ask::alerts(&url, &config, &action),
        Invocation::TestRules { config, period, json } => trial::test_rules(&config, period, json),
        Invocation::Report { config, period, format, output } => report::report(&config, period, format, output.as_deref()),
        Invocation::Print(text) => print(&text),
        Invocation::Top { url, named, config } => top::top(&config, &url, named),
    };
    ExitCode::from(result.unwrap_or_else(|failure| failure.tell()))
}

/// Prints text to standard output; a closed reader is not an error.
fn print(text: &str) -> Result<u8, CommandFailure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("standard output cannot be written").into())
        }
        _ => Ok(0),
    }
}

/// The same with JSON, for a terminal as for a program.
fn print_json(json: &str) -> Result<u8, CommandFailure> {
    print(&format!("{}\n", printable_json(json)))
}

/// Prints text to standard error; without a reader it is lost.
fn complain(text: &str) {
    use std::io::Write;
    std::io::stderr().write_all(text.as_bytes()).ok();
}
