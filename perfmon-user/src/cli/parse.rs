//! Command line to [`Args`]. Every unknown argument is reported, not only the first: it is noted and removed, and the rest is parsed again.
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use super::args::Args;
use crate::config::ConfigProblem;

/// What came out.
pub(super) enum ParsedArgs {
    /// Parsed, apart from these problems.
    Args(Box<Args>, Vec<ConfigProblem>),
    /// Help or version was requested, or there were no arguments.
    Asked(Box<clap::Error>),
    /// Not understood.
    Wrong(Vec<ConfigProblem>),
}

pub(super) fn parse(mut argv: Vec<OsString>) -> ParsedArgs {
    let mut problems = Vec::new();
    loop {
        let error = match Args::try_parse_from(&argv) {
            Ok(args) => return ParsedArgs::Args(Box::new(args), problems),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if problems.is_empty() =>
            {
                return ParsedArgs::Asked(Box::new(error));
            }
            ErrorKind::InvalidSubcommand => problems.push(ConfigProblem::new("command line", unknown_command(&argv, &error))),
            _ => problems.push(ConfigProblem::new("command line", sentence(&error))),
        }
        if error.kind() != ErrorKind::UnknownArgument || !remove(&mut argv, &error) {
            return ParsedArgs::Wrong(problems);
        }
    }
}

/// Takes the unknown argument out, with its value if it seems to have one.
fn remove(argv: &mut Vec<OsString>, error: &clap::Error) -> bool {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return false };
    let name = |argument: &OsString| argument.to_string_lossy().split('=').next().map(String::from);
    let Some(index) = argv.iter().skip(1).position(|argument| name(argument).as_deref() == Some(unknown.as_str())) else { return false };
    let index = index + 1;
    let whole = argv.remove(index);
    let lone = !whole.to_string_lossy().contains('=') && unknown.starts_with('-');
    if lone && argv.get(index).is_some_and(|next| !next.to_string_lossy().starts_with('-')) {
        argv.remove(index);
    }
    true
}

/// The unknown command, the one that is probably meant, and all that there are.
fn unknown_command(argv: &[OsString], error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let unknown = text(ContextKind::InvalidSubcommand).unwrap_or_default();
    let root = Args::command();
    let mut group = &root;
    for word in argv.iter().skip(1).map(|word| word.to_string_lossy()).take_while(|word| *word != unknown) {
        group = group.find_subcommand(word.as_ref()).unwrap_or(group);
    }
    let of_group = if group.get_name() == root.get_name() { String::new() } else { format!(" of `perfmon {}`", group.get_name()) };
    let meant = text(ContextKind::SuggestedSubcommand).map_or(String::new(), |name| format!("; did you mean {name}?"));
    let line = |command: &clap::Command| {
        format!("\n    {:<12} {}", command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default())
    };
    let lines: String = group.get_subcommands().map(line).collect();
    format!("{unknown:?} is not a command{of_group}{meant}\n  Commands{of_group}:{lines}")
}

/// clap's message without its frame: problem and tip.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let body = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let parts: Vec<_> = body.map(|line| line.trim().trim_start_matches("error: ")).filter(|line| !line.is_empty()).collect();
    parts.join("; ")
}
