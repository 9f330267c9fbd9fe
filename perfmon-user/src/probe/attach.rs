//! Planned programs → attached programs, each with its own result: one that fails never takes the others down.
use std::collections::HashMap;

use aya::programs::{FExit, Program, ProgramError, RawTracePoint};
use aya::{Btf, Ebpf};

use super::hooks::{Hook, HookPoint, Job};
use super::plan::Planned;

/// The state of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// It runs.
    Attached,
    /// The kernel refused it.
    Failed,
    /// It is not needed or not possible here.
    Skipped,
}

impl ProbeState {
    /// Its name in `check` and `/api/v1/self`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A program and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// Name of the program.
    pub name: &'static str,
    /// Its state.
    pub state: ProbeState,
    /// Why, when it does not run.
    pub reason: Option<String>,
    /// Without it the tier cannot be used.
    pub needed: bool,
}

/// Loads and attaches the plan. What stands in for a program that runs is skipped. The kernel verifies all programs before the first one is
/// attached: that takes seconds on a slow machine, in which some programs would run and others not.
pub fn attach(ebpf: &mut Ebpf, plan: &[Planned]) -> Vec<ProbeReport> {
    let is_planned = |program: &str| plan.iter().any(|planned| planned.hook.program == program && planned.skip.is_none());
    let is_certain = |planned: &&Planned| match planned.hook.job {
        Job::Instead(first) => planned.skip.is_none() && !first.iter().any(|first| is_planned(first)),
        Job::Capture(_) | Job::With(_) | Job::Always => planned.skip.is_none(),
    };
    let mut loader = Loader { ebpf, btf: None };
    let mut loaded: HashMap<&str, Result<(), ProgramError>> =
        plan.iter().filter(is_certain).map(|planned| (planned.hook.program, loader.load(planned.hook))).collect();
    let mut reports: Vec<ProbeReport> = Vec::with_capacity(plan.len());
    for planned in plan {
        let runs = |program: &str| reports.iter().any(|report| report.name == program && report.state == ProbeState::Attached);
        let (state, reason) = match (&planned.skip, planned.hook.job) {
            (Some(reason), _) => (ProbeState::Skipped, Some(reason.clone())),
            (None, Job::Instead(first)) if let Some(first) = first.iter().find(|first| runs(first)) => {
                (ProbeState::Skipped, Some(format!("{first} runs")))
            }
            (None, _) => match loaded
                .remove(planned.hook.program)
                .unwrap_or_else(|| loader.load(planned.hook))
                .and_then(|()| loader.attach(planned.hook))
            {
                Ok(()) => (ProbeState::Attached, None),
                Err(error) => {
                    tracing::debug!(program = planned.hook.program, %error, "The kernel refused a program.");
                    (ProbeState::Failed, Some(explain(&error)))
                }
            },
        };
        reports.push(ProbeReport { name: planned.hook.program, state, reason, needed: planned.needed });
    }
    reports
}

/// Loads and attaches single programs.
struct Loader<'a> {
    ebpf: &'a mut Ebpf,
    /// The kernel's types as aya wants them, once a program at a function's exit is loaded.
    btf: Option<Btf>,
}

impl Loader<'_> {
    fn load(&mut self, hook: &Hook) -> Result<(), ProgramError> {
        let HookPoint::FunctionExit(function) = hook.point else { return program::<RawTracePoint>(self.ebpf, hook)?.load() };
        let btf = match &mut self.btf {
            Some(btf) => btf,
            absent => absent.insert(Btf::from_sys_fs()?),
        };
        program::<FExit>(self.ebpf, hook)?.load(function, btf)
    }

    fn attach(&mut self, hook: &Hook) -> Result<(), ProgramError> {
        match hook.point {
            HookPoint::RawTracepoint(name) => program::<RawTracePoint>(self.ebpf, hook)?.attach(name).map(drop),
            HookPoint::FunctionExit(_) => program::<FExit>(self.ebpf, hook)?.attach().map(drop),
            HookPoint::Uprobe | HookPoint::TestRun => Ok(()),
        }
    }
}

fn program<'e, P>(ebpf: &'e mut Ebpf, hook: &Hook) -> Result<&'e mut P, ProgramError>
where
    &'e mut P: TryFrom<&'e mut Program, Error = ProgramError>,
{
    ebpf.program_mut(hook.program).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// The error in a line: of the verifier's log, which tells the whole program, only the end says why.
pub(super) fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            format!("the kernel's verifier refused it ({io_error}): {}", verdict(&verifier_log.to_string()))
        }
        other => other.to_string(),
    }
}

/// What the verifier says in the end.
pub(super) fn verdict(log: &str) -> &str {
    log.lines().rev().find(|line| !line.trim().is_empty() && !is_statistics(line)).unwrap_or("no reason given")
}

fn is_statistics(line: &str) -> bool {
    ["processed ", "verification time", "stack depth"].iter().any(|start| line.starts_with(start))
}
