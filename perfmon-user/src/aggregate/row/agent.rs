//! Agent rows.
use std::sync::Arc;

use super::other;
use super::work::{self, WorkAccumulator, WorkSeries};
use crate::aggregate::exchange::mean_ms;
use crate::aggregate::snapshot::{AgentRow, Window, WorkTotals};
use crate::record::Agent;

/// Which agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgentKey {
    service: Arc<str>,
    agent_type: Option<Arc<str>>,
}

impl AgentKey {
    /// Of a record.
    pub fn new(run: &Agent) -> Self {
        Self { service: run.origin.service.clone(), agent_type: run.agent_type.clone() }
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { service: self.service.clone(), agent_type: Some(other()) }
    }
}

/// Adds a run to a slice.
pub fn add(run: &Agent, accumulator: &mut WorkAccumulator) {
    work::add(accumulator, Some(run.execution_time_ms), Some(run.status), run.tokens_used, run.cost_usd);
    accumulator.counts.llm_calls += run.llm_calls;
    accumulator.counts.tools_called += run.tools_called;
}

/// The row in a window.
pub fn agent_row(key: &AgentKey, row: &WorkSeries, window: Window) -> AgentRow {
    let figures = row.figures(window);
    AgentRow {
        service: key.service.clone(),
        agent_type: key.agent_type.clone(),
        count: figures.counts.count,
        errors: figures.counts.errors,
        abandoned: figures.counts.abandoned,
        error_rate: figures.failed(),
        llm_calls: figures.counts.llm_calls,
        tools_called: figures.counts.tools_called,
        tokens_used: figures.tokens(),
        cost_usd: figures.cost_usd(),
        latency: figures.time(),
    }
}

/// Adds the runs of a window to its totals.
pub fn add_totals<'a>(rows: impl Iterator<Item = (&'a AgentKey, &'a WorkSeries)>, window: Window, totals: &mut WorkTotals) {
    let (mut time_sum, mut timed) = (0, 0);
    for (_, row) in rows {
        let figures = row.figures(window);
        totals.agent_runs += figures.counts.count;
        totals.agent_errors += figures.counts.errors;
        time_sum += figures.counts.time_sum;
        timed += figures.spreads[0].count;
    }
    totals.avg_agent_time_ms = mean_ms(time_sum, timed);
}
