//! Selects and describes the watched processes. In: targets of the user ([`Target`]), /proc, and exec, fork, listen and exit events. Out:
//! process ids to watch ([`Selector`]), and a [`Description`] of each ([`Describer`]). Also starts the
//! program behind `--` ([`command`]). It loads nothing into the kernel and reads no clock.
mod blind_spot;
mod cgroup;
pub mod command;
mod container;
mod describe;
#[cfg(test)]
mod fixture;
mod listen;
mod matcher;
mod name;
mod root;
mod runtime;
mod select;
mod tls;

use std::fmt;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

pub use describe::{Describer, Description, Interior};
pub use select::{Action, Selector};
pub use tls::SharedTlsLibrary;

/// One thing that the user asked to watch; several are combined with "or".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `--pid N`.
    Pid {
        /// Process id on this host.
        pid: u32,
    },
    /// `--exe GLOB`. With a slash it is compared with full paths (`*` stops at a slash, `**` does not), without one with file names:
    /// of the executable, of the name it was called by, and for interpreters of the script (with and without its ending) or module.
    Exe(String),
    /// `--port N`: whoever listens on this TCP port.
    Port(u16),
    /// `--container ID_OR_NAME`: an id, at least 4 hex digits of its beginning, or the name of a container or machine.
    Container(String),
    /// `--cgroup PATH`: this control group and those below, in any hierarchy, with or without `/sys/fs/cgroup`.
    Cgroup(String),
    /// `--all`.
    All,
}

impl fmt::Display for Target {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid { pid } => write!(f, "--pid {pid}"),
            Self::Exe(glob) => write!(f, "--exe '{glob}'"),
            Self::Port(port) => write!(f, "--port {port}"),
            Self::Container(name) => write!(f, "--container {name}"),
            Self::Cgroup(path) => write!(f, "--cgroup {path}"),
            Self::All => f.write_str("--all"),
        }
    }
}

impl Target {
    /// `--pid`.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn parse_pid(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(pid) if (1..=i32::MAX as u32).contains(&pid) => Ok(Self::Pid { pid }),
            _ => Err(format!("`{text}` is not a process id; give a number like 1234 (`pgrep NAME` finds it), or use --exe")),
        }
    }

    /// `--exe`.
    ///
    /// # Errors
    /// As [`Target::parse_pid`].
    pub fn parse_exe(text: &str) -> Result<Self, String> {
        compile_glob(text).map(|_| Self::Exe(text.to_owned()))
    }

    /// `--port`.
    ///
    /// # Errors
    /// As [`Target::parse_pid`].
    pub fn parse_port(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(port) if port != 0 => Ok(Self::Port(port)),
            _ => Err(format!("`{text}` is not a port; give a number from 1 to 65535")),
        }
    }

    /// `--container`.
    ///
    /// # Errors
    /// As [`Target::parse_pid`].
    pub fn parse_container(text: &str) -> Result<Self, String> {
        match text.trim().trim_start_matches('/') {
            "" => Err("a container needs an id or a name".to_owned()),
            name => Ok(Self::Container(name.to_owned())),
        }
    }

    /// `--cgroup`.
    ///
    /// # Errors
    /// As [`Target::parse_pid`].
    pub fn parse_cgroup(text: &str) -> Result<Self, String> {
        match text.trim().trim_end_matches('/') {
            "" => Err("a control group needs a path such as /system.slice/nginx.service; for everything there is --all".to_owned()),
            path => Ok(Self::Cgroup(path.to_owned())),
        }
    }
}

fn compile_glob(text: &str) -> Result<GlobMatcher, String> {
    if text.is_empty() {
        return Err("an empty pattern matches nothing; give a name such as nginx or 'python*'".to_owned());
    }
    match GlobBuilder::new(text).literal_separator(true).build() {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(format!(
            "`{text}` is not a valid pattern: {}; `*`, `?`, `[ab]` and `{{a,b}}` are special, and a backslash escapes them",
            error.kind()
        )),
    }
}

/// Why a target cannot be watched, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The target as typed.
    pub target: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.target, self.what, self.mend)
    }
}

/// A service name from the configuration for what a target matches; the first rule that matches counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRule {
    /// Which processes.
    pub target: Target,
    /// Their service name.
    pub service: Arc<str>,
}

/// Facts of an exec event; the process may have ended since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executed<'a> {
    /// Process.
    pub pid: u32,
    /// Its parent, 0 = not known.
    pub parent: u32,
    /// Name after the exec.
    pub comm: &'a str,
    /// Arguments, each ended by NUL, maybe cut.
    pub argv: &'a [u8],
    /// Variables of its environment that name a service, `NAME=value` each ended by NUL.
    pub env: &'a [u8],
}

impl Executed<'_> {
    fn arguments(&self) -> Vec<String> {
        root::split_nul(self.argv)
    }
}

/// Reads the text of /proc/PID/cgroup, for the fuzz program.
#[cfg(feature = "fuzzing")]
pub fn read_cgroup(text: &str) {
    let groups = cgroup::Cgroups::parse(text);
    let _found = (groups.path(), groups.container(), groups.unit(), groups.is_in("/system.slice"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_checked() {
        assert_eq!(Target::parse_pid("12"), Ok(Target::Pid { pid: 12 }));
        assert_eq!(Target::parse_port("8080"), Ok(Target::Port(8080)));
        assert_eq!(Target::parse_exe("python*"), Ok(Target::Exe("python*".into())));
        assert_eq!(Target::parse_container("/web"), Ok(Target::Container("web".into())));
        assert_eq!(Target::parse_cgroup("/system.slice/"), Ok(Target::Cgroup("/system.slice".into())));
        for bad in ["", "0", "-1", "x", "4294967295", "1.5"] {
            assert!(Target::parse_pid(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "65536", "http"] {
            assert!(Target::parse_port(bad).is_err(), "{bad}");
        }
        for bad in ["", "a[", "{a"] {
            assert!(Target::parse_exe(bad).is_err(), "{bad}");
        }
        assert!(Target::parse_container(" ").is_err());
        assert!(Target::parse_cgroup("/").is_err());
    }
}
