//! Describes processes. In: /proc and the configured names; out: [`Description`]. Service name, in this order: a configured rule ·
//! `OTEL_SERVICE_NAME`, else `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, of its environment · the container's name or the systemd
//! unit · the program's name (`name`). A process that ended early is described by its exec event and by the container, unit
//! and environment of its parent, which it had inherited.
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inspect::{ForeignReader, Refusal};
use crate::record::{BlindSpot, Origin};
use crate::redact;

use super::cgroup::{Cgroups, Container};
use super::container::ContainerNames;
use super::listen::Listeners;
use super::matcher::{Candidate, Matcher, World};
use super::name::{self, Name};
use super::root::ProcRoot;
use super::{Executed, Problem, ServiceRule, SharedTlsLibrary, Target, blind_spot, runtime, tls};

/// Most ancestors that are searched for a worker's name.
const PARENTS: usize = 4;

/// Bytes of a service name.
const SERVICE_BYTES: usize = 128;

/// The description of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Pid, comm, service and container: what its records carry.
    pub origin: Arc<Origin>,
    /// Its executable, as its mount namespace names it.
    pub exe: Option<PathBuf>,
    /// What it has inside; empty when the process was gone.
    pub interior: Interior,
    /// Its control group, v2 before v1; `None` in the root group.
    pub cgroup: Option<Arc<str>>,
    /// Clock ticks between boot and its start: with the pid, its identity. `None` when the process was gone.
    pub start_time: Option<u64>,
}

/// What a process has inside when it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interior {
    /// `python` `node` `go` `jvm` `ruby` `php` `dotnet` `deno` `bun` `native`; `None` when the process was gone.
    pub runtime: Option<Arc<str>>,
    /// The shared TLS library that is mapped; libraries come later than the exec.
    pub tls: Option<SharedTlsLibrary>,
    /// What of it is not seen.
    pub not_seen: Vec<BlindSpot>,
}

impl Description {
    /// Coverage of its encrypted traffic, in words. `probed`: whether its shared OpenSSL took the probes, or why not.
    pub fn tls_outlook(&self, probed: Option<Result<(), &str>>) -> Cow<'static, str> {
        tls::outlook(self.interior.runtime.as_deref(), self.interior.tls.as_ref(), probed)
    }
}

/// Describes processes.
#[derive(Debug)]
pub struct Describer {
    proc: ProcRoot,
    containers: ContainerNames,
    rules: Vec<(Matcher, Arc<str>)>,
    ports: Vec<u16>,
    reads_io_uring: bool,
}

impl Describer {
    /// With the configured names.
    ///
    /// # Errors
    /// Every rule whose pattern is wrong.
    pub fn new(rules: &[ServiceRule], reader: ForeignReader) -> Result<Self, Vec<Problem>> {
        Self::with(ProcRoot::new(reader.clone()), ContainerNames::new(reader), rules)
    }

    pub(super) fn with(proc: ProcRoot, containers: ContainerNames, rules: &[ServiceRule]) -> Result<Self, Vec<Problem>> {
        let (mut ready, mut problems, mut ports) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules {
            match Matcher::new(&rule.target) {
                Ok(matcher) => ready.push((matcher, rule.service.clone())),
                Err(problem) => problems.push(problem),
            }
            if let Target::Port(port) = rule.target {
                ports.push(port);
            }
        }
        if problems.is_empty() { Ok(Self { proc, containers, rules: ready, ports, reads_io_uring: true }) } else { Err(problems) }
    }

    /// Whether hooks read what passes io_uring.
    #[must_use]
    pub fn with_io_uring_read(self, reads_io_uring: bool) -> Self {
        Self { reads_io_uring, ..self }
    }

    /// A running process; `None` when it is gone.
    pub fn describe(&mut self, pid: u32) -> Option<Description> {
        let proc = self.proc.clone();
        let life = proc.life(pid).filter(|life| !life.zombie)?;
        Some(self.build(&Candidate::new(&proc, pid, None), Some(life.start_time)))
    }

    /// A process that executed a program and may be gone already.
    pub fn describe_exec(&mut self, executed: &Executed<'_>) -> Description {
        let proc = self.proc.clone();
        let life = proc.life(executed.pid).filter(|life| !life.zombie);
        self.build(&Candidate::new(&proc, executed.pid, Some(executed)), life.map(|life| life.start_time))
    }

    /// A program that its process runs no longer.
    pub fn recall(&mut self, executed: &Executed<'_>) -> Description {
        let proc = self.proc.clone();
        self.build(&Candidate::gone(&proc, executed), None)
    }

    /// Whether a process's name can depend on the ports that it listens on.
    pub fn names_ports(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Start time of a running process, to tell it from an earlier one with its pid, and its name.
    pub fn identity(&self, pid: u32) -> Option<(u64, String)> {
        self.proc.life(pid).filter(|life| !life.zombie).map(|life| (life.start_time, life.comm))
    }

    /// What a process has mapped, as the text of /proc/PID/maps.
    ///
    /// # Errors
    /// Why it cannot be read; it is counted.
    pub fn maps(&self, pid: u32) -> Result<String, Refusal> {
        self.proc.maps(pid).map(|maps| String::from_utf8_lossy(&maps).into_owned())
    }

    /// What a process has inside now.
    pub fn look_inside(&self, pid: u32) -> Interior {
        let candidate = Candidate::new(&self.proc, pid, None);
        let not_seen = blind_spot::of_process(&self.proc, pid, self.reads_io_uring);
        if candidate.exe().is_none() {
            return Interior { not_seen, ..Interior::default() };
        }
        let mapped = self.proc.mapped_files(pid);
        let family = candidate.program(None, |program| program.family());
        let runtime = runtime::detect(family, &mapped, &|offset, length| self.proc.executable_range(pid, offset, length));
        Interior { runtime: Some(runtime.into()), tls: tls::find(&mapped), not_seen }
    }

    fn build(&mut self, candidate: &Candidate<'_>, start_time: Option<u64>) -> Description {
        let service = self.service(candidate, PARENTS);
        let cgroups = candidate.cgroups();
        let container = self.container(cgroups);
        let mut interior = if start_time.is_some() { self.look_inside(candidate.pid) } else { Interior::default() };
        if start_time.is_some() {
            interior.not_seen.extend(self.hidden_name(candidate));
        }
        if let Some(exe) = candidate.exe().filter(|exe| exe.to_str().is_none()) {
            self.proc.reader().refused(candidate.pid, exe, Refusal::NotUtf8);
        }
        Description {
            origin: Arc::new(Origin { pid: candidate.pid, comm: candidate.comm().into(), service: service.into(), container }),
            exe: candidate.exe().map(Path::to_owned),
            interior,
            cgroup: cgroups.path().map(Arc::from),
            start_time,
        }
    }

    fn container(&mut self, cgroups: &Cgroups) -> Option<Arc<str>> {
        match cgroups.container()? {
            Container::Machine(name) => Some(name.into()),
            Container::Id(id) => Some(self.containers.name(&id).unwrap_or_else(|| id.get(..12).unwrap_or(&id).into())),
        }
    }

    fn service(&mut self, candidate: &Candidate<'_>, parents: usize) -> String {
        let [service_name, attributes, flask_app] =
            candidate.env(&["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "FLASK_APP"]).try_into().unwrap_or_default();
        let from_environment =
            || service_name.or_else(|| resource_attribute(&attributes?, "service.name")).map(|name| name.trim().to_owned());
        let known = self.rule(candidate).or_else(from_environment).or_else(|| self.surroundings(candidate.cgroups()));
        let mut service = known.filter(|name| !name.is_empty()).unwrap_or_else(|| self.program(candidate, flask_app.as_deref(), parents));
        while service.len() > SERVICE_BYTES {
            service.pop();
        }
        service
    }

    /// What could name the process and was overwritten by itself, unless a configured rule names it.
    fn hidden_name(&mut self, candidate: &Candidate<'_>) -> Option<BlindSpot> {
        if candidate.is_told() || self.rule(candidate).is_some() {
            return None;
        }
        let is_hidden = || candidate.program(None, name::is_hidden).then_some(blind_spot::ARGUMENTS);
        blind_spot::of_environment(candidate.environ()).or_else(is_hidden)
    }

    fn rule(&mut self, candidate: &Candidate<'_>) -> Option<String> {
        let mut world = World { containers: &mut self.containers, listeners: Listeners::new(candidate.proc, &self.ports) };
        let rule = self.rules.iter().find(|(matcher, _)| matcher.matches(candidate, &mut world));
        rule.map(|(_, service)| service.to_string())
    }

    /// The name of an application container, the unit within a machine or on the host, the name of a machine.
    fn surroundings(&mut self, cgroups: &Cgroups) -> Option<String> {
        match cgroups.container() {
            Some(Container::Id(id)) => self.containers.name(&id).map(|name| name.to_string()),
            Some(Container::Machine(name)) => cgroups.unit().or(Some(name)),
            None => cgroups.unit(),
        }
    }

    fn program(&mut self, candidate: &Candidate<'_>, flask_app: Option<&str>, parents: usize) -> String {
        let otherwise = match candidate.program(flask_app, name::name) {
            Name::Own(name) if name.is_empty() => return "unknown".to_owned(),
            Name::Own(name) => return without_keys(name),
            Name::Parents(otherwise) => without_keys(otherwise),
        };
        match candidate.parent().filter(|_| parents > 0) {
            Some(parent) if is_same_program(candidate, parent) => self.service(&Candidate::new(candidate.proc, parent, None), parents - 1),
            _ => otherwise,
        }
    }
}

/// A name from a command line, which may hold a key.
fn without_keys(name: String) -> String {
    match redact::text(&name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(clean) => clean,
    }
}

/// A worker's parent runs the same executable; a worker that outlived its parent has another one.
fn is_same_program(candidate: &Candidate<'_>, parent: u32) -> bool {
    let parents = candidate.proc.exe(parent);
    parents.is_some() && (candidate.exe().is_none() || candidate.exe() == parents.as_deref())
}

/// A value of `key=value,key=value` with percent-encoding (OpenTelemetry, "Resource SDK", and W3C Baggage).
fn resource_attribute(text: &str, key: &str) -> Option<String> {
    let value = text.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.trim() == key)?.1.trim();
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()).filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
