//! Packages of a small stand-in for perfmon, which only prints: what they contain, that two runs give the same bytes, and what their scripts
//! do to another root folder. Packages of a real perfmon: tests/tests/live_packages.rs.
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

/// A release of the stand-in, below a folder.
fn release(folder: &Path, name: &str) -> Release {
    let program = folder.join("perfmon");
    std::fs::write(&program, "#!/bin/sh\necho \"perfmon 0.1.0 $*\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let binary = PackedBinary::stand_in(program);
    let content = PackageContent::gather(&binary, b"{}\n".to_vec(), b"texts\n".to_vec()).unwrap();
    let output = folder.join(name);
    empty(&output).unwrap();
    Release { binary, content, epoch: 1_700_000_000, output }
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("perfmon-dist-{name}-{}", std::process::id()));
        empty(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn packs_here(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| shell::find(program).is_none()).collect();
    assert!(missing.is_empty() || std::env::var("CI").as_deref() != Ok("true"), "nothing may be skipped here: no {missing:?}");
    if !missing.is_empty() {
        eprintln!("skipped: no {missing:?} (`cargo xtask test` installs them)");
    }
    missing.is_empty()
}

#[test]
fn two_runs_give_the_same_bytes() {
    if !packs_here(&["dpkg-deb", "rpmbuild"]) {
        return;
    }
    let folder = Folder::new("twice");
    let pack = |name: &str| {
        let release = release(&folder.0, name);
        let files = [tarball::pack(&release).unwrap(), deb::pack(&release).unwrap(), rpm::pack(&release).unwrap().unwrap()];
        let sums = checksums(&release.output, &files).unwrap();
        said(Command::new("sha256sum").args(["--check", "--strict"]).arg(&sums).current_dir(&release.output));
        std::fs::read_to_string(sums).unwrap()
    };
    let first = pack("one");
    // Times of files and of packers differ by more than their resolution.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(first, pack("two"));
    assert_eq!(first.lines().count(), 3, "{first}");
}

#[test]
fn the_debian_package_has_what_belongs_there() {
    if !packs_here(&["dpkg-deb"]) {
        return;
    }
    let folder = Folder::new("deb");
    let package = deb::pack(&release(&folder.0, "out")).unwrap();
    let listed = said(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for line in listed.lines() {
        assert!(line.contains(" root/root "), "{line}");
    }
    let has = |mode: &str, path: &str| listed.lines().any(|line| line.starts_with(mode) && line.ends_with(&format!(" ./{path}")));
    for path in [
        "etc/perfmon/perfmon.toml",
        "usr/lib/systemd/system/perfmon.service",
        "usr/lib/sysusers.d/perfmon.conf",
        "usr/share/man/man1/perfmon.1.gz",
        "usr/share/man/man1/perfmon-run.1.gz",
        "usr/share/bash-completion/completions/perfmon",
        "usr/share/zsh/vendor-completions/_perfmon",
        "usr/share/fish/vendor_completions.d/perfmon.fish",
        "usr/share/doc/perfmon/copyright",
        "usr/share/doc/perfmon/sbom.cdx.json",
        "usr/share/doc/perfmon/third-party-licences.txt.gz",
    ] {
        assert!(has("-rw-r--r--", path), "no {path} in\n{listed}");
    }
    assert!(has("-rwxr-xr-x", "usr/bin/perfmon") && has("drwx------", "etc/perfmon/credentials/"), "{listed}");
    let field = |name: &str| said(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name)).trim().to_owned();
    assert_eq!((field("Package"), field("Version"), field("Architecture")), ("perfmon".into(), "0.1.0".into(), "amd64".into()));
    assert!(!field("Depends").contains('@') && !field("Depends").contains("libc6"), "{}", field("Depends"));
    assert!(field("Installed-Size").parse::<u32>().unwrap() > 0);
    let of = |file: &str| said(Command::new("dpkg-deb").arg("--info").arg(&package).arg(file));
    assert_eq!(of("conffiles"), "/etc/perfmon/perfmon.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        let path = folder.0.join(script);
        std::fs::write(&path, of(script)).unwrap();
        said(Command::new("sh").arg("-n").arg(path));
    }
}

/// Paths below a folder that have to do with perfmon.
fn left(root: &Path) -> String {
    said(Command::new("find").current_dir(root).args([".", "-path", "*perfmon*", "-not", "-path", "./var/lib/dpkg/*"]))
}

fn another_root(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for path in ["etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        std::fs::create_dir_all(root.join(path)).unwrap();
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/gshadow", "root:*::\n"),
        ("var/lib/dpkg/status", ""),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
    root
}

#[test]
fn the_debian_package_is_installed_upgraded_and_purged() {
    if !packs_here(&["dpkg", "groupadd", "deb-systemd-helper"]) || !shell::is_root() {
        return;
    }
    let folder = Folder::new("purge");
    let package = deb::pack(&release(&folder.0, "out")).unwrap();
    let root = another_root(&folder.0);
    let dpkg = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", root.display())).args(["--force-depends", "--force-script-chrootless", "--force-confold"]);
        said(command.arg(format!("--log={}", folder.0.join("dpkg.log").display())).args(arguments))
    };
    dpkg(&["--install".as_ref(), package.as_ref()]);
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(read("etc/group").contains("perfmon:x:"), "{}", read("etc/group"));
    assert!(root.join("etc/systemd/system/multi-user.target.wants/perfmon.service").is_symlink(), "not enabled");
    std::fs::create_dir_all(root.join("var/lib/perfmon")).unwrap();
    std::fs::write(root.join("var/lib/perfmon/perfmon.db"), "history").unwrap();
    std::fs::write(root.join("etc/perfmon/perfmon.toml"), "# mine\n").unwrap();
    std::fs::write(root.join("etc/perfmon/credentials/http-token"), "secret").unwrap();
    dpkg(&["--install".as_ref(), package.as_ref()]);
    dpkg(&["--remove".as_ref(), "perfmon".as_ref()]);
    assert_eq!((read("etc/perfmon/perfmon.toml"), read("var/lib/perfmon/perfmon.db")), ("# mine\n".into(), "history".into()));
    assert!(!root.join("usr/bin/perfmon").exists());
    dpkg(&["--purge".as_ref(), "perfmon".as_ref()]);
    assert_eq!(left(&root), "");
    assert!(!read("etc/group").contains("perfmon") && !read("etc/gshadow").contains("perfmon"), "{}", read("etc/group"));
}

/// Without the scripts: they call systemctl, and getent of a root folder that has nothing.
#[test]
fn the_rpm_is_installed_upgraded_and_removed() {
    if !packs_here(&["rpm", "rpmbuild"]) || !shell::is_root() {
        return;
    }
    let folder = Folder::new("rpm");
    let package = rpm::pack(&release(&folder.0, "out")).unwrap().unwrap();
    let root = folder.0.join("root");
    std::fs::create_dir(&root).unwrap();
    let rpm = |arguments: &[&std::ffi::OsStr]| said(Command::new("rpm").arg("--root").arg(&root).args(arguments));
    let install = |how: &str| rpm(&[how.as_ref(), "--nodeps".as_ref(), "--noscripts".as_ref(), package.as_ref()]);
    install("--install");
    let listed = rpm(&["--query".as_ref(), "--list".as_ref(), "perfmon".as_ref()]);
    for path in listed.lines() {
        let file = root.join(path.trim_start_matches('/'));
        let mode = file.metadata().unwrap_or_else(|error| panic!("{path}: {error}")).permissions().mode() & 0o7777;
        let expected = match path {
            "/etc/perfmon/credentials" => 0o700,
            "/usr/bin/perfmon" => 0o755,
            _ if file.is_dir() => 0o755,
            _ => 0o644,
        };
        assert_eq!(mode, expected, "{path}");
    }
    assert!(listed.contains("/usr/share/man/man1/perfmon-run.1.gz\n") && listed.contains("/usr/lib/systemd/system/perfmon.service\n"));
    let query = |what: &str| rpm(&["--query".as_ref(), what.as_ref(), "perfmon".as_ref()]);
    assert_eq!(query("--configfiles"), "/etc/perfmon/perfmon.toml\n");
    assert!(query("--scripts").contains("groupadd --system perfmon"), "{}", query("--scripts"));
    rpm(&["--verify".as_ref(), "--nodeps".as_ref(), "--noscripts".as_ref(), "perfmon".as_ref()]);
    let configuration = root.join("etc/perfmon/perfmon.toml");
    std::fs::write(&configuration, "# mine\n").unwrap();
    rpm(&["--upgrade".as_ref(), "--force".as_ref(), "--nodeps".as_ref(), "--noscripts".as_ref(), package.as_ref()]);
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), "# mine\n", "an upgrade keeps the configuration");
    rpm(&["--erase".as_ref(), "--noscripts".as_ref(), "perfmon".as_ref()]);
    let kept = said(Command::new("find").current_dir(&root).args([".", "-path", "*perfmon*", "-type", "f"]));
    assert_eq!(kept, "./etc/perfmon/perfmon.toml.rpmsave\n");
}

#[test]
fn the_tarball_installs_and_removes_itself() {
    if !packs_here(&["groupadd"]) || !shell::is_root() {
        return;
    }
    let folder = Folder::new("tarball");
    let release = release(&folder.0, "out");
    let archive = tarball::pack(&release).unwrap();
    let root = another_root(&folder.0);
    said(Command::new("tar").arg("--extract").arg("--file").arg(archive).arg("--directory").arg(&folder.0));
    let script = |option: &[&str]| {
        said(Command::new("sh").arg(folder.0.join(release.binary.stem()).join("install.sh")).args(option).env("DESTDIR", &root))
    };
    script(&[]);
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(read("etc/systemd/system/perfmon.service").contains("ExecStart=/usr/local/bin/perfmon run"));
    assert!(!read("etc/systemd/system/perfmon.service").contains("/usr/bin/perfmon"));
    assert!(read("etc/group").contains("perfmon:x:") && root.join("usr/local/share/man/man1/perfmon-run.1").is_file());
    std::fs::write(root.join("etc/perfmon/perfmon.toml"), "# mine\n").unwrap();
    script(&[]);
    assert_eq!(read("etc/perfmon/perfmon.toml"), "# mine\n", "an upgrade keeps the configuration");
    script(&["--uninstall"]);
    assert!(root.join("etc/perfmon/perfmon.toml").is_file() && !root.join("usr/local/bin/perfmon").exists());
    script(&["--purge"]);
    assert_eq!(left(&root), "");
    assert!(!read("etc/group").contains("perfmon"));
}
