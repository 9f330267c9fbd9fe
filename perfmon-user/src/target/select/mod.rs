//! Which processes are watched. In: targets, /proc at the start, then exec, fork, listen and exit as the kernel tells them. Out: process
//! ids to watch and to unwatch. The kernel watches each process that executes a program or begins to listen until this module unwatches it,
//! so that the first byte of a matching process is seen. perfmon itself is never watched.
//!
//! A process is watched when a target matches it, and with `follow` also when its parent is watched. With `--all` the kernel needs no
//! list: then there are no actions. Without `follow` a child that executes nothing still matches what its parent matched (same
//! executable, container, group and listening sockets), except `--pid`.
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::container::ContainerNames;
use super::listen::Listeners;
use super::matcher::{Candidate, Matcher, World, cgroup_exists};
use super::root::ProcRoot;
use super::{Executed, Problem, Target};
use crate::inspect::ForeignReader;

/// An action for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Report this process's events.
    Watch(u32),
    /// Do not report them.
    Unwatch(u32),
}

/// Chooses processes.
#[derive(Debug)]
pub struct Selector {
    proc: ProcRoot,
    containers: ContainerNames,
    own: u32,
    targets: Vec<(Target, Matcher)>,
    ports: Vec<u16>,
    wrong: Vec<Problem>,
    follow: bool,
    wait: bool,
    all: bool,
    watched: HashMap<u32, WatchedProcess>,
}

/// A watched process and the targets that it matches.
#[derive(Clone, Debug)]
struct WatchedProcess {
    /// Positions of the targets that match it or an ancestor; never empty.
    targets: Vec<usize>,
    /// With the pid, its identity; `None` when it was gone already.
    start_time: Option<u64>,
}

impl Selector {
    /// No target at all means [`Target::All`]. `follow`: children of watched processes too. `wait`: targets may come later.
    pub fn new(targets: Vec<Target>, follow: bool, wait: bool, reader: ForeignReader) -> Self {
        Self::with(ProcRoot::new(reader.clone()), ContainerNames::new(reader), targets, follow, wait)
    }

    fn with(proc: ProcRoot, containers: ContainerNames, targets: Vec<Target>, follow: bool, wait: bool) -> Self {
        let targets = if targets.is_empty() { vec![Target::All] } else { targets };
        let ports = targets.iter().filter_map(|target| if let Target::Port(port) = target { Some(*port) } else { None }).collect();
        let all = targets.contains(&Target::All);
        let (mut ready, mut wrong) = (Vec::new(), Vec::new());
        for target in targets {
            match Matcher::new(&target) {
                Ok(matcher) => ready.push((target, matcher)),
                Err(problem) => wrong.push(problem),
            }
        }
        Self { proc, containers, own: std::process::id(), targets: ready, ports, wrong, follow, wait, all, watched: HashMap::new() }
    }

    /// Whether every process is watched, so that the kernel needs no list.
    pub fn watches_all(&self) -> bool {
        self.all
    }

    /// The processes to begin with, in ascending order. Call [`Selector::rescan`] once the probes are attached, for those that began
    /// in between.
    ///
    /// # Errors
    /// Everything that is wrong with the targets, at once.
    pub fn check(&mut self) -> Result<Vec<u32>, Vec<Problem>> {
        self.watched = self.scan();
        let mut problems = self.wrong.clone();
        problems.extend(self.targets.iter().filter(|(target, _)| self.is_own(target)).map(|(target, _)| Problem {
            target: target.to_string(),
            what: "this is perfmon itself".to_owned(),
            mend: "choose another process".to_owned(),
        }));
        if !self.wait {
            let absent = self.absent().filter(|(target, _)| !self.is_own(target));
            problems.extend(absent.map(|(target, matcher)| Problem {
                target: target.to_string(),
                what: what_is_missing(target, matcher),
                mend: mend(target),
            }));
        }
        if problems.is_empty() { Ok(self.pids()) } else { Err(problems) }
    }

    /// Looks at all processes again, for events that were lost: what is new to watch. Forgets what is gone.
    pub fn rescan(&mut self) -> Vec<Action> {
        if self.all {
            return Vec::new();
        }
        let found = self.scan();
        let proc = &self.proc;
        self.watched.retain(|pid, watched| {
            proc.life(*pid).is_some_and(|life| !life.zombie && watched.start_time.is_none_or(|start| start == life.start_time))
        });
        let mut actions = Vec::new();
        for (pid, watched) in found {
            if self.watched.insert(pid, watched).is_none() {
                actions.push(Action::Watch(pid));
            }
        }
        actions.sort_unstable();
        actions
    }

    /// A process executed a program.
    pub fn on_exec(&mut self, executed: &Executed<'_>) -> Vec<Action> {
        let pid = executed.pid;
        if self.all || pid == self.own {
            return Vec::new();
        }
        let before = self.watched.remove(&pid);
        let inherited = match &before {
            Some(watched) => self.inherited(watched, |target| self.follow || matches!(target, Target::Pid { .. })),
            // The fork event may have been lost.
            None if self.follow => self.watched.get(&executed.parent).map(|parent| parent.targets.clone()).unwrap_or_default(),
            None => Vec::new(),
        };
        let targets = merged(inherited, self.matching(pid, Some(executed)));
        if targets.is_empty() {
            return vec![Action::Unwatch(pid)];
        }
        self.watch(pid, targets);
        if before.is_some() { Vec::new() } else { vec![Action::Watch(pid)] }
    }

    /// A process was created.
    pub fn on_fork(&mut self, pid: u32, parent: u32) -> Vec<Action> {
        // What is known under this pid is an earlier process.
        self.watched.remove(&pid);
        if self.all {
            return Vec::new();
        }
        // The parent was judged after the fork: the kernel has put its child on the list.
        let Some(watched) = self.watched.get(&parent) else { return vec![Action::Unwatch(pid)] };
        let targets = self.inherited(watched, |target| self.follow || !matches!(target, Target::Pid { .. }));
        if targets.is_empty() {
            return vec![Action::Unwatch(pid)];
        }
        self.watch(pid, targets);
        // With `follow` the kernel has done it itself.
        if self.follow { Vec::new() } else { vec![Action::Watch(pid)] }
    }

    /// A process began to listen on a TCP port.
    pub fn on_listen(&mut self, pid: u32, port: u16) -> Vec<Action> {
        if self.all || pid == 0 || pid == self.own {
            return Vec::new();
        }
        let on_port: Vec<usize> = self.positions(|target| *target == Target::Port(port));
        let before = self.watched.get(&pid).map(|watched| watched.targets.clone());
        let targets = merged(before.clone().unwrap_or_default(), on_port);
        if targets.is_empty() {
            return vec![Action::Unwatch(pid)];
        }
        self.watch(pid, targets);
        if before.is_some() {
            return Vec::new();
        }
        let children = if self.follow { self.watch_descendants(pid) } else { Vec::new() };
        std::iter::once(Action::Watch(pid)).chain(children).collect()
    }

    /// A process whose beginning was not seen.
    pub fn judge(&mut self, pid: u32) -> Vec<Action> {
        if self.all || pid == self.own || self.watched.contains_key(&pid) {
            return Vec::new();
        }
        let targets = self.matching(pid, None);
        if targets.is_empty() {
            return vec![Action::Unwatch(pid)];
        }
        self.watch(pid, targets);
        vec![Action::Watch(pid)]
    }

    /// A process ended.
    pub fn on_exit(&mut self, pid: u32) {
        self.watched.remove(&pid);
    }

    /// Targets that no running process matches at present, in words.
    pub fn missing(&self) -> Vec<String> {
        self.absent().map(|(target, matcher)| format!("{target}: {}", what_is_missing(target, matcher))).collect()
    }

    /// Whether a process is watched.
    pub fn is_watched(&self, pid: u32) -> bool {
        self.all || self.watched.contains_key(&pid)
    }

    /// The watched processes, in ascending order.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.watched.keys().copied().collect();
        pids.sort_unstable();
        pids
    }

    fn is_own(&self, target: &Target) -> bool {
        *target == Target::Pid { pid: self.own }
    }

    fn absent(&self) -> impl Iterator<Item = (&Target, &Matcher)> {
        let seen: HashSet<usize> = self.watched.values().flat_map(|watched| watched.targets.iter().copied()).collect();
        let targets = self.targets.iter().enumerate();
        targets
            .filter(move |(at, (target, _))| !seen.contains(at) && *target != Target::All)
            .map(|(_, (target, matcher))| (target, matcher))
    }

    fn positions(&self, which: impl Fn(&Target) -> bool) -> Vec<usize> {
        self.targets.iter().enumerate().filter(|(_, (target, _))| which(target)).map(|(at, _)| at).collect()
    }

    fn inherited(&self, watched: &WatchedProcess, which: impl Fn(&Target) -> bool) -> Vec<usize> {
        watched.targets.iter().copied().filter(|at| which(&self.targets[*at].0)).collect()
    }

    fn watch(&mut self, pid: u32, targets: Vec<usize>) {
        let start_time = self.proc.life(pid).map(|life| life.start_time);
        self.watched.insert(pid, WatchedProcess { targets, start_time });
    }

    /// Positions of the targets that match a process by itself.
    fn matching(&mut self, pid: u32, executed: Option<&Executed<'_>>) -> Vec<usize> {
        let mut world = World { containers: &mut self.containers, listeners: Listeners::new(&self.proc, &self.ports) };
        let candidate = Candidate::new(&self.proc, pid, executed);
        matching(&self.targets, &candidate, &mut world)
    }

    /// All processes that are to be watched now.
    fn scan(&mut self) -> HashMap<u32, WatchedProcess> {
        let mut world = World { containers: &mut self.containers, listeners: Listeners::new(&self.proc, &self.ports) };
        let (mut found, mut parents) = (HashMap::new(), Vec::new());
        for pid in self.proc.pids().into_iter().filter(|pid| *pid != self.own) {
            let Some(life) = self.proc.life(pid).filter(|life| !life.zombie) else { continue };
            parents.push((pid, life.parent, life.start_time));
            let targets = matching(&self.targets, &Candidate::new(&self.proc, pid, None), &mut world);
            if !targets.is_empty() {
                found.insert(pid, WatchedProcess { targets, start_time: Some(life.start_time) });
            }
        }
        if self.follow && !self.all {
            spread(&mut found, &parents);
        }
        found
    }

    /// The children that a process had before it was watched.
    fn watch_descendants(&mut self, pid: u32) -> Vec<Action> {
        let Some(root) = self.watched.get(&pid).cloned() else { return Vec::new() };
        let lives = self.proc.pids().into_iter().filter(|pid| *pid != self.own).filter_map(|pid| Some((pid, self.proc.life(pid)?)));
        let parents: Vec<(u32, u32, u64)> = lives.map(|(pid, life)| (pid, life.parent, life.start_time)).collect();
        let mut family = HashMap::from([(pid, root)]);
        spread(&mut family, &parents);
        family.remove(&pid);
        let mut actions = Vec::new();
        for (child, watched) in family {
            if self.watched.insert(child, watched).is_none() {
                actions.push(Action::Watch(child));
            }
        }
        actions.sort_unstable();
        actions
    }
}

fn matching(targets: &[(Target, Matcher)], candidate: &Candidate<'_>, world: &mut World<'_>) -> Vec<usize> {
    targets.iter().enumerate().filter(|(_, (_, matcher))| matcher.matches(candidate, world)).map(|(at, _)| at).collect()
}

/// Gives each watched process's targets to its descendants. `parents`: (pid, parent, start time).
fn spread(watched: &mut HashMap<u32, WatchedProcess>, parents: &[(u32, u32, u64)]) {
    let mut children: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
    for (pid, parent, start_time) in parents {
        children.entry(*parent).or_default().push((*pid, *start_time));
    }
    let mut open: Vec<u32> = watched.keys().copied().collect();
    while let Some(pid) = open.pop() {
        let Some(targets) = watched.get(&pid).map(|watched| watched.targets.clone()) else { continue };
        for (child, start_time) in children.get(&pid).into_iter().flatten() {
            let entry = watched.entry(*child).or_insert(WatchedProcess { targets: Vec::new(), start_time: Some(*start_time) });
            let known = entry.targets.len();
            entry.targets = merged(std::mem::take(&mut entry.targets), targets.clone());
            if entry.targets.len() > known {
                open.push(*child);
            }
        }
    }
}

fn merged(mut a: Vec<usize>, b: Vec<usize>) -> Vec<usize> {
    a.extend(b);
    a.sort_unstable();
    a.dedup();
    a
}

fn what_is_missing(target: &Target, matcher: &Matcher) -> String {
    match (target, matcher) {
        (Target::Pid { pid }, _) => format!("there is no process {pid}"),
        (Target::Exe(glob), _) if glob.contains('/') => "no running process has an executable or script with such a path".to_owned(),
        (Target::Exe(_), _) => "no running process has an executable or script of this name".to_owned(),
        (Target::Port(port), _) => format!("nothing listens on TCP port {port}"),
        (Target::Container(_), _) => "no process runs in a container with this id or name".to_owned(),
        (Target::Cgroup(_), Matcher::Cgroup(group)) if !cgroup_exists(group, Path::new("/sys/fs/cgroup")) => {
            "this control group does not exist".to_owned()
        }
        (Target::Cgroup(_) | Target::All, _) => "no process is in this control group".to_owned(),
    }
}

fn mend(target: &Target) -> String {
    let look = match target {
        Target::Pid { .. } => "`pgrep -a NAME` finds one",
        Target::Exe(glob) if glob.contains('/') => "`*` does not cross a slash, `**` does",
        Target::Exe(_) => "`ps -e` lists the names",
        Target::Port(_) => "`ss -ltn` lists the ports",
        Target::Container(_) => "`docker ps`, `podman ps` or `machinectl` list them",
        Target::Cgroup(_) | Target::All => "`systemd-cgls` lists them",
    };
    format!("{look}; with --wait perfmon waits for it")
}

#[cfg(test)]
mod tests;
