use std::process::Stdio;

use super::*;

/// The test program started once more plays perfmon's part as launcher; run by itself this proves that other arguments are let through.
#[test]
fn acts_as_launcher() {
    let arguments: Vec<OsString> = std::env::args_os().skip_while(|argument| argument != LAUNCHER).collect();
    assert_eq!(launcher(["run".into(), LAUNCHER.into()].into_iter()), None);
    if let Some(status) = launcher(arguments.into_iter()) {
        std::process::exit(status);
    }
}

fn launch(command: &[&str], environment: &[(&str, &str)]) -> Launched {
    let mut launcher = Command::new(std::env::current_exe().unwrap());
    launcher.args(["--exact", "target::command::tests::acts_as_launcher", "--nocapture", "--", LAUNCHER]);
    launcher.env_remove("SUDO_UID").envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let command: Vec<OsString> = command.iter().map(OsString::from).collect();
    Launched::start_with(launcher, &command).unwrap()
}

fn output(launched: &mut Launched) -> String {
    let mut text = String::new();
    launched.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_program_begins_when_it_is_released_and_under_the_same_pid() {
    let marker = tempfile::tempdir().unwrap();
    let file = marker.path().join("began");
    let mut launched =
        launch(&["sh", "-c", "echo began > \"$0\"; echo pid=$$; read line; echo line=$line; exit 7", file.to_str().unwrap()], &[]);
    launched.child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!file.exists() && launched.status().unwrap().is_none());
    launched.release().unwrap();
    launched.release().unwrap();
    let text = output(&mut launched);
    assert_eq!(launched.wait().unwrap(), 7);
    assert!(text.contains(&format!("pid={}\n", launched.pid())) && text.contains("line=hello\n"), "{text}");
    assert_eq!(launched.status().unwrap(), Some(7));
    launched.terminate().unwrap();
}

#[test]
fn it_leaks_no_descriptor_into_the_program() {
    let mut launched = launch(&["sh", "-c", "ls -l /proc/$$/fd"], &[]);
    let gate = std::fs::read_link(format!("/proc/self/fd/{}", launched._read_end.as_raw_fd())).unwrap();
    launched.release().unwrap();
    let text = output(&mut launched);
    assert!(text.contains("pipe:[") && !text.contains(gate.to_str().unwrap()), "{text}");
    assert_eq!(launched.wait().unwrap(), 0);
}

#[test]
fn nothing_begins_when_perfmon_gives_up() {
    let mut launched = launch(&["sh", "-c", "echo began"], &[]);
    launched.gate = None;
    let text = output(&mut launched);
    assert!(!text.contains("began"), "{text}");
    assert_eq!(launched.wait().unwrap(), 1);
}

#[test]
fn a_signal_is_passed_on_and_told() {
    let mut launched = launch(&["sleep", "60"], &[]);
    launched.release().unwrap();
    launched.terminate().unwrap();
    assert_eq!(launched.wait().unwrap(), 128 + 15);
}

#[test]
fn under_sudo_it_runs_as_the_caller() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let sudo = [("SUDO_UID", "65534"), ("SUDO_GID", "65534"), ("SUDO_USER", "nobody"), ("HOME", "/root")];
    let mut launched = launch(&["sh", "-c", "echo $(id -u) $(id -g) $(id -G) $HOME sudo=$SUDO_UID"], &sudo);
    launched.release().unwrap();
    let text = output(&mut launched);
    assert!(text.contains("65534 65534 65534 /nonexistent sudo=\n") || text.contains("65534 65534 65534 / sudo=\n"), "{text}");
}

#[test]
fn wrong_programs_are_told_before_anything_starts() {
    let start = |command: &[&str]| Launched::start(&command.iter().map(OsString::from).collect::<Vec<_>>(), &[]).unwrap_err().to_string();
    assert!(start(&[]).starts_with("no program follows"));
    assert!(start(&["perfmon-no-such-program"]).contains("not found in PATH"));
    assert!(start(&["/nonexistent/x"]).starts_with("/nonexistent/x was not found; "));
    assert!(start(&["/etc/passwd"]).contains("cannot be executed"));
    assert!(start(&["/etc"]).contains("cannot be executed"));
    assert!(find_program("sh".as_ref(), "/nonexistent:/bin:/usr/bin".as_ref()).unwrap().ends_with("sh"));
}

#[test]
fn perfmons_own_secrets_are_not_inherited() {
    for name in
        ["PERFMON_HTTP__TOKEN", "LOGFIRE_TOKEN", "LOGFIRE_TOKEN_FILE", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
    {
        assert!(is_own_secret(name, "x"), "{name}");
    }
    for name in ["PATH", "HOME", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "LOGFIRE_ENVIRONMENT", "OPENAI_API_KEY"] {
        assert!(!is_own_secret(name, "x"), "{name}");
    }
    let keyed = "https://otlp.example/in/4eC39HqLyjWDarjtT1zdp7dc";
    assert!(is_own_secret("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", keyed) && is_own_secret("LOGFIRE_BASE_URL", "https://a:b@c"));
    assert!(!is_own_secret("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318") && !is_own_secret("OTHER", keyed));
}
