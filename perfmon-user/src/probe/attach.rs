//! Planned programs → attached programs, each with its own result: one that fails never takes the others down.
use aya::Ebpf;
use aya::programs::{ProgramError, RawTracePoint};

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

/// Loads and attaches the plan. What stands in for a program that runs is skipped.
pub fn attach(ebpf: &mut Ebpf, plan: &[Planned]) -> Vec<ProbeReport> {
    let mut reports: Vec<ProbeReport> = Vec::with_capacity(plan.len());
    for planned in plan {
        let runs = |program: &str| reports.iter().any(|report| report.name == program && report.state == ProbeState::Attached);
        let (state, reason) = match (&planned.skip, planned.hook.job) {
            (Some(reason), _) => (ProbeState::Skipped, Some(reason.clone())),
            (None, Job::Instead(first)) if runs(first) => (ProbeState::Skipped, Some(format!("{first} runs"))),
            (None, _) => match attach_one(ebpf, planned.hook) {
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

fn attach_one(ebpf: &mut Ebpf, hook: &Hook) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint = ebpf.program_mut(hook.program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    if let HookPoint::RawTracepoint(name) = hook.point {
        program.attach(name)?;
    }
    Ok(())
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
