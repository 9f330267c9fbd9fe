//! Tool rows.
use std::sync::Arc;

use super::other;
use super::work::{self, WorkAccumulator, WorkSeries};
use crate::aggregate::snapshot::{ToolRow, Window, WorkTotals};
use crate::record::Tool;

/// Which tool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ToolKey {
    service: Arc<str>,
    tool_name: Arc<str>,
    source: &'static str,
    server: Option<Arc<str>>,
}

impl ToolKey {
    /// Of a record.
    pub fn new(tool: &Tool) -> Self {
        Self { service: tool.origin.service.clone(), tool_name: tool.tool_name.clone(), source: tool.source, server: tool.server.clone() }
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { tool_name: other(), server: None, ..self.clone() }
    }
}

/// Adds an execution to a slice.
pub fn add(tool: &Tool, accumulator: &mut WorkAccumulator) {
    let status = tool.success.map(|success| if success { "success" } else { "error" });
    work::add(accumulator, tool.execution_time_ms, status, None, None);
}

/// The row in a window.
pub fn tool_row(key: &ToolKey, row: &WorkSeries, window: Window) -> ToolRow {
    let figures = row.figures(window);
    ToolRow {
        service: key.service.clone(),
        tool_name: key.tool_name.clone(),
        source: key.source,
        server: key.server.clone(),
        count: figures.counts.count,
        errors: figures.counts.errors,
        error_rate: figures.failed(),
        latency: figures.time(),
    }
}

/// Adds the executions of a window to its totals.
pub fn add_totals<'a>(rows: impl Iterator<Item = (&'a ToolKey, &'a WorkSeries)>, window: Window, totals: &mut WorkTotals) {
    for (_, row) in rows {
        totals.tool_calls += row.figures(window).counts.count;
        totals.tool_errors += row.figures(window).counts.errors;
    }
}
