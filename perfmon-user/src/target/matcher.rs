//! Does a process match a target? `Candidate` is what can be known of a process, read when it is asked for and once; what the kernel
//! told at its exec stands in for what /proc no longer has.
use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use globset::GlobMatcher;

use super::cgroup::{Cgroups, Container};
use super::container::ContainerNames;
use super::listen::Listeners;
use super::name::{self, Program};
use super::root::{self, ProcRoot};
use super::{Executed, Problem, Target, compile_glob};

/// A process that is looked at.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub proc: &'a ProcRoot,
    pub pid: u32,
    executed: Option<&'a Executed<'a>>,
    /// The process is gone or another program: only the exec event and the parent tell.
    is_gone: bool,
    exe: OnceCell<Option<PathBuf>>,
    argv: OnceCell<Vec<String>>,
    environ: OnceCell<Vec<u8>>,
    cwd: OnceCell<Option<PathBuf>>,
    cgroups: OnceCell<Cgroups>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(proc: &'a ProcRoot, pid: u32, executed: Option<&'a Executed<'a>>) -> Self {
        let (exe, argv, environ, cwd, cgroups) = Default::default();
        Self { proc, pid, executed, is_gone: false, exe, argv, environ, cwd, cgroups }
    }

    /// A program that its process runs no longer.
    pub(super) fn gone(proc: &'a ProcRoot, executed: &'a Executed<'a>) -> Self {
        Self { is_gone: true, ..Self::new(proc, executed.pid, Some(executed)) }
    }

    fn look<T>(&self, look: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.is_gone { None } else { look() }
    }

    pub(super) fn exe(&self) -> Option<&Path> {
        self.exe.get_or_init(|| self.look(|| self.proc.exe(self.pid))).as_deref()
    }

    pub(super) fn argv(&self) -> &[String] {
        self.argv.get_or_init(|| match self.look(|| self.proc.argv(self.pid)) {
            Some(argv) if !argv.is_empty() => argv,
            _ => self.executed.map(Executed::arguments).unwrap_or_default(),
        })
    }

    /// Its exec event told arguments and the variables that name a service.
    pub(super) fn is_told(&self) -> bool {
        self.executed.is_some_and(|executed| !executed.argv.is_empty())
    }

    /// The environment that it was started with; empty where that cannot be read.
    pub(super) fn environ(&self) -> &[u8] {
        self.environ.get_or_init(|| self.look(|| self.proc.environ(self.pid)).unwrap_or_default())
    }

    pub(super) fn comm(&self) -> String {
        self.look(|| self.proc.comm(self.pid)).unwrap_or_else(|| self.executed.map_or("", |executed| executed.comm).to_owned())
    }

    pub(super) fn cwd(&self) -> Option<&Path> {
        self.cwd.get_or_init(|| self.look(|| self.proc.cwd(self.pid))).as_deref()
    }

    /// The parent, as far as is known.
    pub(super) fn parent(&self) -> Option<u32> {
        let told = self.executed.map(|executed| executed.parent);
        self.look(|| self.proc.life(self.pid)).map(|life| life.parent).or(told).filter(|parent| *parent > 0)
    }

    /// Its own; of a process that is gone already, those of its parent.
    pub(super) fn cgroups(&self) -> &Cgroups {
        self.cgroups.get_or_init(|| {
            let text = self.look(|| self.proc.cgroup(self.pid)).or_else(|| self.proc.cgroup(self.parent()?));
            Cgroups::parse(&text.unwrap_or_default())
        })
    }

    /// Variables of its environment: as its exec event told them, else as they are now; of a process that is gone already, those of
    /// its parent.
    pub(super) fn env(&self, names: &[&str]) -> Vec<Option<String>> {
        let told: Vec<Option<String>> =
            names.iter().map(|name| self.executed.and_then(|executed| root::variable(executed.env, name))).collect();
        if told.iter().any(Option::is_some) {
            return told;
        }
        let of_parent = || self.parent().and_then(|parent| self.proc.environ(parent)).unwrap_or_default();
        let environ = if self.exe().is_some() { Cow::Borrowed(self.environ()) } else { Cow::Owned(of_parent()) };
        names.iter().map(|name| root::variable(&environ, name)).collect()
    }

    /// Looks at it as a program.
    pub(super) fn program<T>(&self, flask_app: Option<&str>, look: impl FnOnce(&Program<'_>) -> T) -> T {
        let comm = self.comm();
        let read = |path: &Path| self.look(|| self.proc.own_file(self.pid, path));
        look(&Program { comm: &comm, exe: self.exe(), argv: self.argv(), cwd: self.cwd(), flask_app, read: &read })
    }
}

/// What matching may have to look up.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub containers: &'a mut ContainerNames,
    pub listeners: Listeners<'a>,
}

/// A target made ready.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Pid(u32),
    /// The pattern has a slash: full paths.
    Path(GlobMatcher),
    /// File names.
    File(GlobMatcher),
    Port(u16),
    Container(String),
    /// Begins with a slash, ends without.
    Cgroup(String),
    All,
}

impl Matcher {
    pub(super) fn new(target: &Target) -> Result<Self, Problem> {
        Ok(match target {
            Target::Pid { pid } => Self::Pid(*pid),
            Target::Exe(text) => {
                let wrong = |what| Problem { target: target.to_string(), what, mend: "quote it in the shell".to_owned() };
                let glob = compile_glob(text).map_err(wrong)?;
                if text.contains('/') { Self::Path(glob) } else { Self::File(glob) }
            }
            Target::Port(port) => Self::Port(*port),
            Target::Container(name) => Self::Container(name.clone()),
            Target::Cgroup(path) => Self::Cgroup(cgroup_path(path, Path::new("/sys/fs/cgroup"))),
            Target::All => Self::All,
        })
    }

    pub(super) fn matches(&self, candidate: &Candidate<'_>, world: &mut World<'_>) -> bool {
        match self {
            Self::Pid(pid) => candidate.pid == *pid,
            Self::Path(glob) => matches_path(glob, candidate),
            Self::File(glob) => matches_file(glob, candidate),
            Self::Port(port) => world.listeners.ports_of(candidate.pid).contains(port),
            Self::Container(wanted) => matches_container(wanted, candidate, world.containers),
            Self::Cgroup(group) => candidate.cgroups().is_in(group),
            Self::All => true,
        }
    }
}

fn matches_path(glob: &GlobMatcher, candidate: &Candidate<'_>) -> bool {
    if candidate.exe().is_some_and(|exe| glob.is_match(exe)) {
        return true;
    }
    candidate.program(None, |program| {
        let called = program.argv.first().filter(|called| called.starts_with('/') && !called.contains(' '));
        let script = || program.absolute(&name::script_of(program)?);
        called.is_some_and(|called| glob.is_match(called)) || script().is_some_and(|script| glob.is_match(script))
    })
}

fn matches_file(glob: &GlobMatcher, candidate: &Candidate<'_>) -> bool {
    candidate.program(None, |program| {
        if program.exe_name().into_iter().chain(program.called()).any(|name| glob.is_match(name)) {
            return true;
        }
        let Some(script) = name::script_of(program) else { return false };
        let file = script.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        glob.is_match(file) || glob.is_match(stem)
    })
}

fn matches_container(wanted: &str, candidate: &Candidate<'_>, names: &mut ContainerNames) -> bool {
    match candidate.cgroups().container() {
        Some(Container::Machine(name)) => name == wanted,
        Some(Container::Id(id)) => {
            let prefix = wanted.len() >= 4
                && wanted.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
                && id.starts_with(&wanted.to_ascii_lowercase());
            prefix || names.name(&id).as_deref() == Some(wanted)
        }
        None => false,
    }
}

/// The path within a hierarchy: without the mount point, and under v1 without the controller's directory.
fn cgroup_path(text: &str, mount: &Path) -> String {
    let inside = match Path::new(text).strip_prefix(mount) {
        Ok(rest) if mount.join("cgroup.procs").exists() => rest,
        // v1 and hybrid: a directory for each hierarchy.
        Ok(rest) => rest.components().next().and_then(|hierarchy| rest.strip_prefix(hierarchy).ok()).unwrap_or(rest),
        Err(_) => Path::new(text),
    };
    format!("/{}", inside.to_string_lossy().trim_matches('/'))
}

/// Whether any hierarchy has this group.
pub(super) fn cgroup_exists(group: &str, mount: &Path) -> bool {
    let inside = group.trim_start_matches('/');
    let hierarchies = std::fs::read_dir(mount).into_iter().flatten().flatten();
    mount.join(inside).is_dir() || hierarchies.into_iter().any(|hierarchy| hierarchy.path().join(inside).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::fixture::{Fixture, ID};

    fn matches(fixture: &Fixture, target: Target, pid: u32) -> bool {
        let proc = fixture.proc();
        let mut containers = ContainerNames::below(fixture.path(), fixture.reader());
        let mut world = World { containers: &mut containers, listeners: Listeners::new(&proc, &[]) };
        Matcher::new(&target).unwrap().matches(&Candidate::new(&proc, pid, None), &mut world)
    }

    #[test]
    fn globs_on_executables_and_scripts() {
        let fixture = Fixture::new();
        fixture.process(1, 0, "/usr/sbin/nginx", &["nginx: worker process"]);
        fixture.process(2, 1, "/usr/bin/python3.11", &["/usr/bin/python3", "/srv/shop/app.py"]);
        fixture.process(3, 1, "/usr/bin/python3.11", &["python3", "-m", "uvicorn", "shop.main:app"]);
        fixture.process(4, 1, "/usr/lib/jvm/17/bin/java", &["java", "-jar", "/opt/foo-1.2.jar"]);
        let table: &[(&str, &[u32])] = &[
            ("nginx", &[1]),
            ("python*", &[2, 3]),
            ("python3", &[2, 3]),
            ("python3.11", &[2, 3]),
            ("app.py", &[2]),
            ("app", &[2]),
            ("uvicorn", &[3]),
            ("foo-*", &[4]),
            ("/usr/sbin/nginx", &[1]),
            ("/usr/sbin/*", &[1]),
            ("/usr/*", &[]),
            ("/usr/**", &[1, 2, 3, 4]),
            ("/srv/shop/*.py", &[2]),
            ("/opt/*.jar", &[4]),
            ("{nginx,java}", &[1, 4]),
            ("ngin", &[]),
            ("*ngin?", &[1]),
        ];
        for (glob, expected) in table {
            let found: Vec<u32> = (1..=4).filter(|pid| matches(&fixture, Target::Exe((*glob).into()), *pid)).collect();
            assert_eq!(&found, expected, "{glob}");
        }
    }

    #[test]
    fn containers_by_id_prefix_and_name() {
        let fixture = Fixture::new();
        fixture.process(1, 0, "/usr/sbin/nginx", &["nginx"]);
        fixture.file("proc/1/cgroup", &format!("0::/system.slice/docker-{ID}.scope\n"));
        fixture.file(&format!("var/lib/docker/containers/{ID}/config.v2.json"), r#"{"Name":"/web"}"#);
        fixture.process(2, 0, "/usr/sbin/nginx", &["nginx"]);
        fixture.file("proc/2/cgroup", "0::/lxc.payload.box/system.slice/nginx.service\n");
        for (name, expected) in [
            (ID, [true, false]),
            (&ID[..12], [true, false]),
            (&ID[..4], [true, false]),
            (&ID[..3], [false, false]),
            ("web", [true, false]),
            ("box", [false, true]),
            ("we", [false, false]),
        ] {
            assert_eq!([1, 2].map(|pid| matches(&fixture, Target::Container(name.into()), pid)), expected, "{name}");
        }
    }

    #[test]
    fn cgroup_paths_with_and_without_mount_point() {
        let v2 = tempfile::tempdir().unwrap();
        std::fs::write(v2.path().join("cgroup.procs"), "").unwrap();
        std::fs::create_dir_all(v2.path().join("a.slice/b.service")).unwrap();
        let v1 = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(v1.path().join("memory/jobs")).unwrap();
        assert_eq!(cgroup_path(&format!("{}/a.slice/b.service", v2.path().display()), v2.path()), "/a.slice/b.service");
        assert_eq!(cgroup_path(&format!("{}/memory/jobs", v1.path().display()), v1.path()), "/jobs");
        assert_eq!(cgroup_path("a.slice/b.service/", v2.path()), "/a.slice/b.service");
        assert_eq!(cgroup_path("/a.slice", v2.path()), "/a.slice");
        assert!(cgroup_exists("/a.slice/b.service", v2.path()) && cgroup_exists("/jobs", v1.path()));
        assert!(!cgroup_exists("/c", v2.path()) && !cgroup_exists("/c", v1.path()));
    }
}
