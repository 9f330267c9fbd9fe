//! Manual pages: what clap knows of a command, and the sections FILES, ENVIRONMENT and EXIT STATUS. Out: roff, as in man(7).
use clap::CommandFactory;
use clap_mangen::Man;

use super::args::Args;
use crate::config;

/// The page of a command, or of perfmon. The error says which commands there are.
pub(super) fn page(name: Option<&str>) -> Result<String, String> {
    let mut root = Args::command();
    root.build();
    let command = match name {
        None => &root,
        Some(name) => root.find_subcommand(name).ok_or_else(|| {
            let names: Vec<_> = root.get_subcommands().map(|command| command.get_name()).collect();
            format!("{name:?} is not a command; the commands are {}", names.join(", "))
        })?,
    };
    let mut text = Vec::new();
    render(command, &mut text).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn render(command: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    let source = format!("perfmon {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(title).section("1").source(source).manual("perfmon");
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(text)?;
    }
    for (heading, entries) in [("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXIT_STATUS)] {
        text.extend_from_slice(section(heading, entries).as_bytes());
    }
    if command.get_after_help().is_some() {
        text.extend_from_slice(examples(&command.get_after_help().map(ToString::to_string).unwrap_or_default()).as_bytes());
    }
    Ok(())
}

const FILES: &[(&str, &str)] = &[
    (
        config::DEFAULT_PATH,
        "The configuration, when it exists. `perfmon config keys` lists its keys, `perfmon config check` finds its problems.",
    ),
    (
        "/var/lib/perfmon/perfmon.db",
        "The history on disk (SQLite), private to the user who runs perfmon. --db or the key `db` names another file.",
    ),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "PERFMON_*",
        "Every key of the configuration: its path in upper case, __ between levels, like PERFMON_CAPTURE__TIER. Flags override it; it overrides the file.",
    ),
    ("PERFMON_ALERT_*", "Alert thresholds, like PERFMON_ALERT_RESPONSE_TIME_P95_MS."),
    ("LOGFIRE_TOKEN, LOGFIRE_BASE_URL, LOGFIRE_ENVIRONMENT, LOGFIRE_SEND_TO_LOGFIRE", "Telemetry to Logfire, with their usual meaning."),
    ("OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES", "Telemetry to any OTLP receiver, with their standard meaning."),
    ("NO_COLOR", "No colours, when set and not empty."),
];

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done. Also when the reader of standard output closed it."),
    ("1", "Failed while running."),
    ("2", "Wrong usage or configuration. Every problem is listed, before any probe is loaded."),
    ("3", "Not possible on this host or for this user. The message names what is missing and how to get it."),
    ("4", "An --assert does not hold."),
    ("130", "Ended at once by a second Ctrl-C."),
    ("other", "With -- CMD, the exit status of CMD."),
];

fn section(heading: &str, entries: &[(&str, &str)]) -> String {
    let entries = entries.iter().map(|(name, about)| format!(".TP\n\\fB{}\\fR\n{}\n", escaped(name), escaped(about)));
    format!(".SH \"{heading}\"\n{}", entries.collect::<String>())
}

/// The examples at the end of the help text, line by line as they stand.
fn examples(help: &str) -> String {
    let lines = help.lines().filter(|line| *line != "Examples:").map(|line| escaped(line.strip_prefix("  ").unwrap_or(line)));
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.collect::<Vec<_>>().join("\n"))
}

/// Text that roff takes for nothing else; a line must not begin with a dot or an apostrophe.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_the_sections_that_people_look_for() {
        for name in [None, Some("run"), Some("record"), Some("alerts")] {
            let text = page(name).unwrap();
            for part in [
                "\n.SH SYNOPSIS",
                "\n.SH \"FILES\"\n",
                "\n.SH \"ENVIRONMENT\"\n",
                "\n.SH \"EXIT STATUS\"\n",
                "\n.SH EXAMPLES\n",
                "perfmon.toml",
            ] {
                assert!(text.contains(part), "{name:?}: no {part} in {text}");
            }
            let broken = text.lines().find(|line| line.starts_with(".SH") && ![0, 2].contains(&line.matches('"').count()));
            assert_eq!(broken, None, "a quotation mark within a heading ends it");
        }
    }

    #[test]
    fn text_is_no_roff() {
        assert_eq!(escaped(".x -a \\b"), "\\&.x \\-a \\eb");
    }
}
