//! Workflow rows.
use std::sync::Arc;

use super::other;
use super::work::{self, WorkAccumulator, WorkSeries};
use crate::aggregate::snapshot::{Window, WorkTotals, WorkflowRow};
use crate::record::Workflow;

/// Which workflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkflowKey {
    service: Arc<str>,
    workflow_name: Arc<str>,
}

impl WorkflowKey {
    /// Of a record.
    pub fn new(run: &Workflow) -> Self {
        Self { service: run.origin.service.clone(), workflow_name: run.workflow_name.clone() }
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { service: self.service.clone(), workflow_name: other() }
    }
}

/// Adds a run to a slice.
pub fn add(run: &Workflow, accumulator: &mut WorkAccumulator) {
    work::add(accumulator, Some(run.execution_time_ms), Some(run.status), run.tokens_used, run.cost_usd);
    accumulator.counts.agents += run.agents;
    accumulator.counts.llm_calls += run.llm_calls;
    accumulator.counts.tools_called += run.tools_called;
}

/// The row in a window.
pub fn workflow_row(key: &WorkflowKey, row: &WorkSeries, window: Window) -> WorkflowRow {
    let figures = row.figures(window);
    WorkflowRow {
        service: key.service.clone(),
        workflow_name: key.workflow_name.clone(),
        count: figures.counts.count,
        errors: figures.counts.errors,
        abandoned: figures.counts.abandoned,
        error_rate: figures.failed(),
        agents: figures.counts.agents,
        llm_calls: figures.counts.llm_calls,
        tools_called: figures.counts.tools_called,
        tokens_used: figures.tokens(),
        cost_usd: figures.cost_usd(),
        latency: figures.time(),
    }
}

/// Adds the runs of a window to its totals.
pub fn add_totals<'a>(rows: impl Iterator<Item = (&'a WorkflowKey, &'a WorkSeries)>, window: Window, totals: &mut WorkTotals) {
    totals.workflows = rows.map(|(_, row)| row.figures(window).counts.count).sum();
}
