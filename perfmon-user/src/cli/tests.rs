//! Command lines to invocations and problems.
use super::*;
use crate::config::{Jsonl, TargetSpec, TierSetting, Ui};

fn read_line(line: &str) -> Result<Invocation, Stop> {
    read_with(line, &[])
}

fn read_with(line: &str, env: &[(&str, &str)]) -> Result<Invocation, Stop> {
    read(words(line), env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

/// Words of a command line, single quotes respected.
fn words(line: &str) -> Vec<OsString> {
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(index, part)| match index % 2 {
            1 => vec![OsString::from(part)],
            _ => part.split_whitespace().map(OsString::from).collect(),
        })
        .collect()
}

fn problems(line: &str) -> Vec<String> {
    match read_line(line) {
        Err(Stop::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{line}: {other:?}"),
    }
}

fn all_commands() -> Vec<clap::Command> {
    let mut root = Args::command();
    root.build();
    let mut all = vec![root.clone()];
    let mut next = 0;
    while next < all.len() {
        all.extend(all[next].get_subcommands().filter(|command| command.get_name() != "help").cloned().collect::<Vec<_>>());
        next += 1;
    }
    all
}

#[test]
fn clap_finds_no_fault_with_the_definition() {
    Args::command().debug_assert();
}

#[test]
fn every_help_text_has_examples_that_parse() {
    let mut count = 0;
    for mut command in all_commands() {
        let help = command.render_help().to_string();
        let of_group = matches!(command.get_name(), "print") || help.contains("config check");
        let lines: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  perfmon ")).collect();
        assert!(!lines.is_empty() || of_group, "{} has no example:\n{help}", command.get_name());
        for line in lines {
            let line = format!("perfmon {}", line.split("   ").next().unwrap());
            assert!(matches!(parse::parse(words(&line)), ParsedArgs::Args(_, problems) if problems.is_empty()), "{line}");
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn every_flag_of_a_key_exists() {
    let help: String = all_commands().iter_mut().map(|command| command.render_help().to_string()).collect();
    let document = config::document();
    let flags: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("- flag: `")).map(|line| line.trim_end_matches('`')).collect();
    assert!(flags.len() >= 10);
    for flag in flags {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn a_full_run_is_read() {
    let line = "perfmon run --pid 1 --pid 2 --exe nginx --port 80 --container web --cgroup /a --wait --no-follow --listen [::1]:0 \
        --jsonl out --duration 30s --ui none --capture-tier 3 --no-store -- sh -c 'exit 3'";
    let Ok(Invocation::Run { config, command, .. }) = read_line(line) else { panic!("{line}") };
    let specs = [
        TargetSpec::Pid(1),
        TargetSpec::Pid(2),
        TargetSpec::Exe("nginx".into()),
        TargetSpec::Port(80),
        TargetSpec::Container("web".into()),
        TargetSpec::Cgroup("/a".into()),
    ];
    assert_eq!(config.targets.specs(), specs);
    assert!(config.targets.wait && !config.targets.follow && config.no_store);
    assert_eq!((config.ui, config.capture.tier, config.jsonl.clone()), (Ui::None, TierSetting::Three, Some(Jsonl::File("out".into()))));
    assert_eq!(command, ["sh", "-c", "exit 3"]);
}

#[test]
fn assertions_need_an_end_and_are_all_checked() {
    let Ok(Invocation::Run { assertions, junit, .. }) =
        read_line("perfmon run --assert 'endpoint \"GET /a\" p95 < 200ms' --assert 'error_rate < 1%' --junit out.xml -- true")
    else {
        panic!("it is right")
    };
    assert_eq!((assertions.len(), junit), (2, Some("out.xml".into())));
    assert!(read_line("perfmon run --duration 1s --assert 'error_rate < 1%'").is_ok());
    let found = problems("perfmon run --assert 'error_rat < 1%' --assert 'x'");
    for part in ["needs the end of a run", "the nearest names are", "has no comparison"] {
        assert!(found.iter().any(|line| line.contains(part)), "{part} is not in {found:#?}");
    }
    assert!(problems("perfmon run --junit out.xml -- true").iter().any(|line| line.contains("goes with --assert")));
}

#[test]
fn all_problems_are_listed_at_once() {
    let found = problems(
        "perfmon run --bogus 5 --pid abc --pid -3 --port 99999 --duration 30 --listen nowhere --ui fancy --other=1 --exe '[' --config /nonexistent.toml",
    );
    for part in [
        "--bogus",
        "--other",
        "--pid: \"abc\" is not an integer",
        "--pid: -3 is out of range",
        "--port: 99999 is out of range",
        "--duration: ",
        "--listen: ",
        "--ui: ",
        "--exe: \"[\" is not a glob",
        "/nonexistent.toml: cannot be read",
    ] {
        assert!(found.iter().any(|line| line.contains(part)), "{part} is not in {found:#?}");
    }
    assert_eq!(found.len(), 10, "{found:#?}");
    let text = report(&match read_line("perfmon run --pid x --port y") {
        Err(Stop::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    });
    assert!(text.starts_with("perfmon: 2 problems, nothing was started\n  --pid"), "{text}");
}

#[test]
fn a_near_miss_gets_a_tip() {
    assert!(problems("perfmon run --durration 3s")[0].contains("--duration"));
    assert!(problems("perfmon chekc")[0].contains("did you mean check?"));
    assert!(problems("perfmon record")[0].contains("--output"));
}

#[test]
fn an_unknown_command_lists_the_commands() {
    let text = &problems("perfmon foo")[0];
    for name in ["run", "top", "check", "record", "replay", "alerts", "report", "config", "completions", "man"] {
        assert!(text.lines().any(|line| line.starts_with(&format!("    {name} "))), "{name}: {text}");
    }
    let text = &problems("perfmon alerts foo")[0];
    assert!(text.contains("of `perfmon alerts`") && text.contains("    ack ") && !text.contains("    replay "), "{text}");
}

#[test]
fn the_help_of_a_command_shows_its_own_examples() {
    for (group, names) in [("alerts", &["list", "ack", "resolve", "silence", "test"][..]), ("config", &["print", "check", "keys"])] {
        for name in names {
            let Err(Stop::Help(error)) = read_line(&format!("perfmon {group} {name} --help")) else { panic!("{name}") };
            let help = error.render().to_string();
            let examples: Vec<_> = help.lines().filter(|line| line.starts_with("  perfmon ")).collect();
            let own = format!("  perfmon {group} {name}");
            assert!(!examples.is_empty() && examples.iter().all(|line| line.starts_with(&own)), "{name}: {examples:?}");
        }
    }
}

#[test]
fn errors_name_no_file_of_the_repository() {
    for line in ["perfmon foo", "perfmon run --nonsense", "perfmon man nonsense", "perfmon config keys nonsense"] {
        let Err(stop) = read_line(line) else { panic!("{line}") };
        let Stop::Problems(problems) = stop else { panic!("{line}") };
        assert!(!report(&problems).contains("docs/"), "{}", report(&problems));
    }
}

#[test]
fn the_environment_counts() {
    let Ok(Invocation::Check { config, json, .. }) = read_with("perfmon check --json", &[("PERFMON_TARGETS__PORT", "80"), ("OTHER", "x")])
    else {
        panic!()
    };
    assert!(json);
    assert_eq!(config.targets.specs(), [TargetSpec::Port(80)]);
    assert!(matches!(read_with("perfmon check", &[("PERFMON_NONSENSE", "1")]), Err(Stop::Problems(_))));
}

#[test]
fn top_asks_the_configured_address() {
    let Ok(Invocation::Top { url, named, .. }) = read_with("perfmon top", &[("PERFMON_LISTEN", "127.0.0.1:7")]) else { panic!() };
    assert_eq!((url.to_string().as_str(), named), ("http://127.0.0.1:7", false));
    assert!(problems("perfmon top --url ftp://x")[0].starts_with("--url: "));
}

#[test]
fn alerts_are_asked_for_by_url_or_configuration() {
    let Ok(Invocation::Alerts { url, action, .. }) = read_line("perfmon alerts ack 3f2a --by ops --note 'on it' --url http://localhost:7")
    else {
        panic!()
    };
    assert_eq!(url.to_string(), "http://localhost:7");
    assert_eq!(action, AlertsAction::Acknowledge { id: "3f2a".into(), by: Some("ops".into()), note: Some("on it".into()) });
    let env = [("PERFMON_LISTEN", "127.0.0.1:8"), ("SUDO_USER", "kim"), ("USER", "root")];
    let Ok(Invocation::Alerts { url, action, .. }) = read_with("perfmon alerts resolve 1", &env) else { panic!() };
    assert_eq!(url.to_string(), "http://127.0.0.1:8");
    assert_eq!(action, AlertsAction::Resolve { id: "1".into(), by: Some("kim".into()), note: None });
    let Ok(Invocation::Alerts { action, .. }) = read_line("perfmon alerts list --json") else { panic!() };
    assert_eq!(action, AlertsAction::List { json: true });
    assert!(problems("perfmon alerts list --url nowhere")[0].starts_with("--url: "));
    let Ok(Invocation::Alerts { action, .. }) = read_line("perfmon alerts silence list --json") else { panic!() };
    assert_eq!(action, AlertsAction::Silences { json: true });
    let Ok(Invocation::Alerts { url, action, .. }) = read_line("perfmon alerts silence delete 3f2a --url http://localhost:7") else {
        panic!()
    };
    assert_eq!((url.to_string().as_str(), action), ("http://localhost:7", AlertsAction::Unsilence { id: "3f2a".into() }));
    let found = problems("perfmon alerts silence --for 5 --url nowhere");
    assert!(found.iter().any(|line| line.starts_with("--for: ")) && found.iter().any(|line| line.contains("--rule")), "{found:?}");
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["perfmon --help", "perfmon run --help", "perfmon --version", "perfmon help run"] {
        let Err(Stop::Help(error)) = read_line(line) else { panic!("{line}") };
        assert_eq!(error.exit_code(), 0, "{line}");
    }
    let Err(Stop::Help(error)) = read_line("perfmon") else { panic!() };
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn completions_manual_and_configuration_are_text() {
    for (line, part) in [
        ("perfmon completions bash", "_perfmon()"),
        ("perfmon man", ".TH PERFMON"),
        ("perfmon man run", "capture\\-tier"),
        ("perfmon config print", "[capture]"),
        ("perfmon config check", "no problem found"),
        ("perfmon config keys", "## `listen`"),
        ("perfmon config keys alerts", "PERFMON_ALERT_CPU_USAGE"),
    ] {
        let Ok(Invocation::Print(text)) = read_line(line) else { panic!("{line}") };
        assert!(text.contains(part), "{line}: {text}");
    }
    assert!(problems("perfmon man nonsense")[0].contains("the commands are run, top"));
}

#[test]
fn a_bad_file_is_reported_by_config_check() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "listen = 5\n[capture]\nrng_mib = 1\n").unwrap();
    let found = problems(&format!("perfmon config check {}", file.path().display()));
    assert_eq!(found.len(), 2);
    assert!(found[0].contains(":1: listen: ") && found[1].contains(":3: capture.rng_mib: "), "{found:#?}");
}

#[test]
fn replay_needs_its_file() {
    assert!(problems("perfmon replay /nonexistent")[0].contains("cannot be read"));
}
