//! The kinds of records that metrics are made of: one table of their names, the labels that form a series, and what counts as failed. The
//! history, `/metrics` and alert rules are views of it: a new kind has its row here and its fields in `record::metric`.
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use super::{Agent, Llm, Process, Record, Request, Side, Tool, Workflow};

/// Kinds of records that metrics are made of. The numbers are kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// HTTP exchanges.
    Request = 1,
    /// Model calls.
    Llm = 2,
    /// Agent runs.
    Agent = 3,
    /// Tool executions.
    Tool = 4,
    /// Workflows.
    Workflow = 5,
    /// Samples of processes.
    Process = 6,
    /// Samples of the host.
    System = 7,
}

/// Most labels of a kind.
pub const LABELS: usize = 5;

/// What tells the series of a kind apart.
pub struct SeriesLabel {
    /// Name in the history.
    pub name: &'static str,
    /// Attribute of the OpenTelemetry conventions, or a name like it.
    pub attribute: &'static str,
    value: LabelValue,
}

/// How the value is found in a record of its kind.
enum LabelValue {
    Request(fn(&Request) -> Option<Arc<str>>),
    Llm(fn(&Llm) -> Option<Arc<str>>),
    Agent(fn(&Agent) -> Option<Arc<str>>),
    Tool(fn(&Tool) -> Option<Arc<str>>),
    Workflow(fn(&Workflow) -> Option<Arc<str>>),
    Process(fn(&Process) -> Option<Arc<str>>),
}

impl SeriesLabel {
    /// The value in a record.
    pub fn value(&self, record: &Record) -> Option<Arc<str>> {
        match (&self.value, record) {
            (LabelValue::Request(value), Record::Request(request)) => value(request),
            (LabelValue::Llm(value), Record::Llm(call)) => value(call),
            (LabelValue::Agent(value), Record::Agent(run)) => value(run),
            (LabelValue::Tool(value), Record::Tool(run)) => value(run),
            (LabelValue::Workflow(value), Record::Workflow(run)) => value(run),
            (LabelValue::Process(value), Record::Process(process)) => value(process),
            _ => None,
        }
    }
}

/// A row of the table.
struct KindRow {
    kind: RecordKind,
    name: &'static str,
    /// Its records in a sentence.
    things: &'static str,
    /// Its records in the name of a metric.
    counted: &'static str,
    labels: &'static [SeriesLabel],
}

macro_rules! kinds {
    ($($kind:ident $name:literal $counted:literal $things:literal ($record:ident) { $($label:literal $attribute:literal = $value:expr;)* })*) => {
        &[$(KindRow {
            kind: RecordKind::$kind,
            name: $name,
            things: $things,
            counted: $counted,
            labels: &[$(SeriesLabel { name: $label, attribute: $attribute, value: LabelValue::$kind(|$record| $value) },)*],
        },)*]
    };
}

static KINDS: &[KindRow] = kinds! {
    Request "request" "requests" "requests" (r) {
        "side" "side" = side(r.side);
        "service" "service.name" = Some(r.origin.service.clone());
        "method" "http.request.method" = if r.side == Side::Server { r.method.clone() } else { None };
        "endpoint" "http.route" = if r.side == Side::Server { r.endpoint.clone() } else { None };
        "destination" "server.address" = (r.side == Side::Client).then(|| r.destination.as_ref().or(r.host.as_ref()).unwrap_or(&r.peer).clone());
    }
    Llm "llm" "llm_calls" "model calls" (r) {
        "side" "side" = side(r.side);
        "service" "service.name" = Some(r.origin.service.clone());
        "provider" "gen_ai.provider.name" = Some(r.provider.clone());
        "request_model" "gen_ai.request.model" = r.request_model.clone();
        "destination" "server.address" = r.destination.clone();
    }
    Agent "agent" "agent_runs" "agent runs" (r) {
        "service" "service.name" = Some(r.origin.service.clone());
        "agent_type" "gen_ai.agent.name" = r.agent_type.clone();
    }
    Tool "tool" "tool_calls" "tool calls" (r) {
        "service" "service.name" = Some(r.origin.service.clone());
        "tool_name" "gen_ai.tool.name" = Some(r.tool_name.clone());
        "source" "perfmon.tool.source" = Some(r.source.into());
        "server" "perfmon.tool.server" = r.server.clone();
    }
    Workflow "workflow" "workflows" "workflows" (r) {
        "service" "service.name" = Some(r.origin.service.clone());
        "workflow_name" "gen_ai.workflow.name" = Some(r.workflow_name.clone());
    }
    Process "process" "process_samples" "samples of processes" (r) {
        "service" "service.name" = Some(r.origin.service.clone());
        "pid" "process.pid" = Some(r.origin.pid.to_string().into());
    }
    System "system" "system_samples" "samples of the host" (_r) {}
};

/// The words of the two sides, shared by all series.
static SIDES: LazyLock<[Arc<str>; 2]> = LazyLock::new(|| [Side::Server, Side::Client].map(|side| side.name().into()));

fn side(side: Side) -> Option<Arc<str>> {
    Some(SIDES[side as usize].clone())
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [Self::Request, Self::Llm, Self::Agent, Self::Tool, Self::Workflow, Self::Process, Self::System];

    /// The kind of a record; `None` when it belongs to no series.
    pub fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Request(request) => request.counts().then_some(Self::Request),
            Record::Llm(_) => Some(Self::Llm),
            Record::Agent(_) => Some(Self::Agent),
            Record::Tool(_) => Some(Self::Tool),
            Record::Workflow(_) => Some(Self::Workflow),
            Record::Process(_) => Some(Self::Process),
            Record::System(_) => Some(Self::System),
            Record::Db(_) | Record::Dns(_) | Record::Finding(_) | Record::Alert(_) => None,
        }
    }

    fn row(self) -> &'static KindRow {
        let row = &KINDS[self as usize - 1];
        debug_assert!(row.kind == self, "rows stand in the order of their numbers");
        row
    }

    /// As in the records.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its records in a sentence.
    pub fn things(self) -> &'static str {
        self.row().things
    }

    /// Its records in the name of a metric, like `llm_calls`.
    pub fn counted(self) -> &'static str {
        self.row().counted
    }

    /// Labels that identify a series of this kind.
    pub fn labels(self) -> &'static [SeriesLabel] {
        self.row().labels
    }

    /// Whether its records are intervals, and not things that happened and can fail.
    pub fn is_sample(self) -> bool {
        matches!(self, Self::Process | Self::System)
    }
}

impl Record {
    /// Why it counts as failed.
    pub fn failure(&self) -> Option<Cow<'_, str>> {
        let or_unnamed = |error: &Option<Arc<str>>| error.as_ref().map_or(Cow::Borrowed("error"), |error| Cow::Owned(error.to_string()));
        match self {
            Self::Request(r) if r.is_error() => Some(match (r.error, r.status_code) {
                (Some(error), _) => error.name().into(),
                (None, Some(status)) if status >= 500 => status.to_string().into(),
                (None, _) => format!("grpc {}", r.grpc_status.unwrap_or_default()).into(),
            }),
            Self::Llm(r) => r.error_type.as_deref().map(Cow::Borrowed),
            Self::Agent(r) if r.status == "error" => Some(or_unnamed(&r.error_type)),
            Self::Tool(r) if r.success == Some(false) => Some(or_unnamed(&r.error_type)),
            Self::Workflow(r) if r.status == "error" => Some("error".into()),
            Self::Db(r) => r.error.as_deref().map(Cow::Borrowed),
            Self::Dns(r) if &*r.rcode != "NOERROR" => Some((&*r.rcode).into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_row_and_few_labels() {
        for kind in RecordKind::ALL {
            assert!(kind.row().kind == kind && kind.labels().len() <= LABELS, "{kind:?}");
        }
    }
}
