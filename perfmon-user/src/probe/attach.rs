//! Planned programs → attached programs, each with its own result: one that fails never takes the others down.
use aya::Ebpf;
use aya::programs::{ProgramError, RawTracePoint};

use super::plan::Planned;

/// What became of a program.
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

/// A program and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// Name of the program.
    pub name: &'static str,
    /// What became of it.
    pub state: ProbeState,
    /// Why, when it does not run.
    pub reason: Option<String>,
    /// Without it the tier cannot be used.
    pub needed: bool,
}

/// Loads and attaches the plan.
pub fn attach(ebpf: &mut Ebpf, plan: &[Planned]) -> Vec<ProbeReport> {
    plan.iter()
        .map(|planned| {
            let (state, reason) = match &planned.skip {
                Some(reason) => (ProbeState::Skipped, Some(reason.clone())),
                None => match attach_one(ebpf, planned) {
                    Ok(()) => (ProbeState::Attached, None),
                    Err(error) => {
                        tracing::debug!(program = planned.program, %error, "The kernel refused a program.");
                        (ProbeState::Failed, Some(explain(&error)))
                    }
                },
            };
            ProbeReport { name: planned.program, state, reason, needed: planned.needed }
        })
        .collect()
}

fn attach_one(ebpf: &mut Ebpf, planned: &Planned) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint = ebpf.program_mut(planned.program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach(planned.tracepoint)?;
    Ok(())
}

/// The error in a line: of the verifier's log, which tells the whole program, only the end says why.
pub(super) fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let verdict = log.lines().rev().find(|line| !line.trim().is_empty() && !is_statistics(line)).unwrap_or("no reason given");
            format!("the kernel's verifier refused it ({io_error}): {verdict}")
        }
        other => other.to_string(),
    }
}

fn is_statistics(line: &str) -> bool {
    ["processed ", "verification time", "stack depth"].iter().any(|start| line.starts_with(start))
}
