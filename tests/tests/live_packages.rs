//! What `cargo xtask dist` makes of a real perfmon: the unit's hardening by systemd's own judgement, the packaged configuration and command
//! started by hand, a root folder with nothing but perfmon in it. Contents, scripts and reproducibility are tested in xtask, with a
//! stand-in; an installation under systemd was tried in a virtual machine (docs/install.md).
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::need::{self, Need, missing};
use perfmon_tests::perfmon::binary;
use perfmon_tests::process::Running;
use perfmon_tests::{free_port, wait_until, wire, workspace};
use perfmon_user::clock::boot_now_ns;

/// What `systemd-analyze security` may say of the unit at most, of 10. perfmon runs as root and with CAP_SYS_ADMIN, which alone are worth 0.7.
const EXPOSURE: f64 = 3.8;

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    Ok(text)
}

/// The unit as it is installed.
fn unit() -> Result<String> {
    Ok(std::fs::read_to_string(workspace().join("packaging/systemd/perfmon.service"))?)
}

/// Values of a setting of the unit.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_finds_no_fault_with_the_unit() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("systemd-analyze")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perfmon.service");
    // It wants the program to be there.
    std::fs::write(&file, unit()?.replace("/usr/bin/perfmon", &binary().canonicalize()?.display().to_string()))?;
    let faults = said(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file))?;
    assert_eq!(faults, "");
    let judged = said(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(&file))?;
    let exposure = judged.lines().find_map(|line| line.split_once("Overall exposure level for perfmon.service: ")?.1.split(' ').next());
    let exposure: f64 = exposure.context("systemd-analyze security gives no level")?.parse()?;
    assert!(exposure <= EXPOSURE, "{exposure}:\n{judged}");
    Ok(())
}

/// What a run keeps must not be missing in the unit.
#[test]
fn the_unit_leaves_perfmon_what_it_needs() -> Result<()> {
    let unit = unit()?;
    let bounding = settings(&unit, "CapabilityBoundingSet").join(" ");
    let page = std::fs::read_to_string(workspace().join("docs/privileges.md"))?;
    let always = page.lines().filter(|line| line.starts_with("| `CAP_") && (line.contains("| always |") || line.contains("`capture.tls`")));
    let always: Vec<&str> = always.filter_map(|line| line.split('`').nth(1)).collect();
    assert!(always.len() >= 7, "{always:?}");
    for capability in always {
        assert!(bounding.split(' ').any(|name| name == capability), "{capability} is not in {bounding}");
    }
    for (name, value) in [("Type", "notify"), ("StateDirectory", "perfmon"), ("RuntimeDirectory", "perfmon"), ("ProtectSystem", "strict")] {
        assert_eq!(settings(&unit, name), [value]);
    }
    assert_eq!(settings(&unit, "ExecReload"), ["/bin/sh -c 'kill -HUP $$MAINPID'"]);
    Ok(())
}

/// A started service: the command of the unit in a root folder of its own.
struct Service {
    running: Running,
    port: u16,
    notified: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Service {
    /// Starts the unit's command with the packaged configuration; `set` gives further lines of the environment.
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let notified = UnixDatagram::bind(folder.path().join("notify"))?;
        notified.set_read_timeout(Some(std::time::Duration::from_secs(20)))?;
        let group =
            std::fs::read_to_string("/etc/group")?.lines().next().and_then(|line| line.split(':').next()).unwrap_or("root").to_owned();
        // This host has no group of the package.
        let config =
            std::fs::read_to_string(workspace().join("packaging/perfmon.toml"))?.replace("[\"perfmon\"]", &format!("[\"{group}\"]"));
        std::fs::write(folder.path().join("perfmon.toml"), config)?;
        let unit = unit()?;
        let words: Vec<&str> = settings(&unit, "ExecStart").first().context("no ExecStart")?.split(' ').skip(1).collect();
        let mut command = need::as_root("setsid");
        command.args(["env", "--default-signal=HUP", &format!("NOTIFY_SOCKET={}", folder.path().join("notify").display())]);
        command.arg(format!("PERFMON_LISTEN=127.0.0.1:{port}")).arg(format!("PERFMON_DB={}", folder.path().join("perfmon.db").display()));
        command.arg(binary()).args(words).arg("--config").arg(folder.path().join("perfmon.toml"));
        let running = Running::start(&mut command, &folder.path().join("log"))?;
        Ok(Self { running, port, notified, folder })
    }

    /// The next message to the service manager.
    fn told(&self) -> Result<String> {
        let mut message = [0; 512];
        let length = self.notified.recv(&mut message).with_context(|| format!("nothing was told:\n{}", self.running.log()))?;
        Ok(String::from_utf8_lossy(&message[..length]).into_owned())
    }
}

#[test]
fn the_service_answers_two_seconds_after_its_start_and_says_so() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let mut service = Service::start()?;
    let ready = service.told()?;
    assert!(
        ready.starts_with("READY=1\n") && ready.contains(&format!("STATUS=Watching; the page is at http://127.0.0.1:{}/", service.port)),
        "{ready}"
    );
    let asked = boot_now_ns();
    let health = wire::get(service.port, "/health/performance")?;
    let took = (boot_now_ns() - asked) / 1_000_000;
    assert!(health.status == 200 && took < 2000, "status {} after {took} ms", health.status);
    assert_eq!(wire::get(service.port, "/")?.status, 200);
    let pid = perfmon_tests::perfmon::own_pid(&service.running)?;
    let config = service.folder.path().join("perfmon.toml");
    let text = std::fs::read_to_string(&config)?.replace("#response_time_p95_ms = 1000", "response_time_p95_ms = 250");
    std::fs::write(&config, text)?;
    perfmon_tests::process::signal(pid, "HUP")?;
    let reread = wait_until(5, || Ok(service.running.log().contains("alerts.thresholds.response_time_p95_ms").then_some(())))?;
    assert!(reread.is_some(), "SIGHUP was not obeyed:\n{}", service.running.log());
    perfmon_tests::process::signal(pid, "TERM")?;
    assert!(service.told()?.starts_with("STOPPING=1\n"));
    let status = service.running.wait(10)?.context("perfmon did not end on SIGTERM")?;
    assert!(status.success(), "{status}:\n{}", service.running.log());
    Ok(())
}

/// perfmon below a folder, with the libraries that it is linked to (a static one has none).
fn bare_root() -> Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    for folder in ["proc", "sys"] {
        std::fs::create_dir(root.path().join(folder))?;
    }
    std::fs::copy(binary(), root.path().join("perfmon"))?;
    for library in libraries()? {
        let place = root.path().join(library.strip_prefix("/")?);
        std::fs::create_dir_all(place.parent().context("a library has no folder")?)?;
        std::fs::copy(&library, place)?;
    }
    Ok(root)
}

fn libraries() -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(binary()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(|word| Path::new(word).to_owned());
    Ok(text.lines().filter_map(path).collect())
}

#[test]
fn an_empty_root_folder_with_proc_and_sys_is_enough() -> Result<()> {
    if missing(&[Need::Perfmon, Need::Program("unshare")]) {
        return Ok(());
    }
    let root = bare_root()?;
    let port = free_port()?;
    let script = "mount --rbind /proc $0/proc && mount --rbind /sys $0/sys && exec chroot $0 /perfmon run --ui none --no-store --listen 127.0.0.1:$1";
    let mut command = need::as_root("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(root.path()).arg(port.to_string());
    let log = tempfile::tempdir()?;
    let mut running = Running::start(&mut command, &log.path().join("log"))?;
    let ready = wait_until(20, || {
        ensure!(running.ended()?.is_none(), "perfmon ended:\n{}", running.log());
        Ok(wire::get(port, "/readyz").ok().filter(|answer| answer.status == 200))
    })?;
    ensure!(ready.is_some(), "not ready after 20 s:\n{}", running.log());
    assert_eq!(wire::get(port, "/health/performance")?.status, 200);
    assert_eq!(wire::get(port, "/")?.status, 200);
    // Time zones and certificates are not there; that they are missed is not an end.
    assert!(!running.log().contains("ERROR"), "{}", running.log());
    Ok(())
}
