//! The text of /proc/PID/cgroup → paths, container, systemd unit. Knows how docker, podman, containerd, CRI-O, Kubernetes, ECS,
//! LXC/LXD and systemd-nspawn name their groups under cgroup v1, v2 and both together (cgroups(7), systemd.unit(5)). Reads no file.
use procfs::{FromRead, ProcessCGroups};

/// Where a process is in the hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// Distinct paths: that of v2 first, then systemd's, then the rest.
    paths: Vec<String>,
}

/// The container that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// An application container, by its full id.
    Id(String),
    /// A system container or machine (LXC, LXD, systemd-nspawn), by its name; it has units of its own.
    Machine(String),
}

/// Services whose processes are not "of" the service: they start whatever a user wants.
const STARTERS: [&str; 10] = ["user@", "ssh", "sshd", "ssh@", "sshd@", "cron", "crond", "getty@", "serial-getty@", "console-getty"];

impl Cgroups {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(ProcessCGroups(mut groups)) = ProcessCGroups::from_read(text.as_bytes()) else { return Self::default() };
        let rank = |group: &procfs::ProcessCGroup| match group.controllers.first().map(String::as_str) {
            None => 0,
            Some("name=systemd") => 1,
            Some(_) => 2,
        };
        groups.sort_by_key(rank);
        let mut paths: Vec<String> = Vec::new();
        for group in groups {
            if group.pathname != "/" && !paths.contains(&group.pathname) {
                paths.push(group.pathname);
            }
        }
        Self { paths }
    }

    /// The path that tells most; `None` in the root group.
    pub(super) fn path(&self) -> Option<&str> {
        self.paths.first().map(String::as_str)
    }

    /// The innermost container.
    pub(super) fn container(&self) -> Option<Container> {
        self.locate().map(|(container, _)| container)
    }

    /// The systemd service that runs the process; none inside application containers.
    pub(super) fn unit(&self) -> Option<String> {
        match self.locate() {
            Some((Container::Id(_), _)) => None,
            Some((Container::Machine(_), below)) => find_unit(below),
            None => self.paths.iter().find_map(|path| find_unit(path)),
        }
    }

    /// The container, and the part of its path below it.
    fn locate(&self) -> Option<(Container, &str)> {
        self.paths.iter().find_map(|path| find_container(path))
    }

    /// Whether the process is in this group or below it, in any hierarchy. `group` begins with a slash and ends without.
    pub(super) fn is_in(&self, group: &str) -> bool {
        self.paths.iter().any(|path| path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// The innermost container of a path, and the part of the path below it.
fn find_container(path: &str) -> Option<(Container, &str)> {
    let mut end = path.len();
    while let Some(slash) = path[..end].rfind('/') {
        let (above, component, below) = (&path[..slash], &path[slash + 1..end], &path[end..]);
        if is_monitor(component) {
            return None;
        }
        if let Some(id) = application_id(above, component) {
            return Some((Container::Id(id.to_owned()), below));
        }
        if let Some(name) = machine_name(above, component) {
            return Some((Container::Machine(unescape(name)), below));
        }
        end = slash;
    }
    None
}

/// Groups of the processes that look after a container from outside.
fn is_monitor(component: &str) -> bool {
    ["libpod-conmon-", "crio-conmon-", "lxc.monitor"].iter().any(|prefix| component.starts_with(prefix))
}

/// `<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `…slice:cri-containerd:<id>`; ECS `<task>-<number>`; Garden `<uuid>`.
fn application_id<'a>(above: &str, component: &'a str) -> Option<&'a str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let last = name.rsplit(['-', ':']).next().unwrap_or(name);
    if last.len() == 64 && is_hex(last) {
        return Some(last);
    }
    let in_group = |group: &str| above.rsplit('/').any(|part| part == group);
    let ecs =
        |(task, number): (&str, &str)| task.len() == 32 && is_hex(task) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if in_group("ecs") && name.split_once('-').is_some_and(ecs) {
        return Some(name);
    }
    (above.ends_with("/garden") && name.len() == 36 && name.split('-').all(is_hex)).then_some(name)
}

/// `/lxc/NAME`, `lxc.payload.NAME`, `machine-NAME.scope`, `systemd-nspawn@NAME.service`.
fn machine_name<'a>(above: &str, component: &'a str) -> Option<&'a str> {
    let of_lxc = component
        .strip_prefix("lxc.payload.")
        .or_else(|| (above.ends_with("/lxc") || above.ends_with("/lxc.payload")).then_some(component));
    let of_machine = || component.strip_prefix("machine-")?.strip_suffix(".scope").filter(|name| !name.starts_with("qemu"));
    let of_nspawn = || component.strip_prefix("systemd-nspawn@")?.strip_suffix(".service");
    of_lxc.or_else(of_machine).or_else(of_nspawn).filter(|name| !name.is_empty())
}

/// The innermost service of a path that is one of its own right, without `.service`.
fn find_unit(path: &str) -> Option<String> {
    path.rsplit('/').find_map(|component| component.strip_suffix(".service").filter(|name| is_service(name))).map(unescape)
}

fn is_service(name: &str) -> bool {
    let starter = STARTERS.iter().any(|starter| if starter.ends_with('@') { name.starts_with(starter) } else { name == *starter });
    // `systemd-run` without a name: run-u12, run-r5f….
    let transient = name
        .strip_prefix("run-")
        .and_then(|rest| rest.strip_prefix(['u', 'r', 'p']))
        .is_some_and(|rest| rest.split('-').all(|part| is_hex(part.trim_start_matches('i'))));
    !starter && !transient
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd writes bytes that a unit name cannot hold as `\xHH`.
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        let (before, escape) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        match escape.get(2..4).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &escape[4..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = &escape[2..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
