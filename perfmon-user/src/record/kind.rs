//! The kinds of records that metrics are made of: one table of their names, the labels that form a series, and what counts as failed. The
//! history, `/metrics` and alert rules are views of it: a new kind has its row here and its fields in `record::metric`.
use std::borrow::Cow;
use std::sync::Arc;

use super::readable::RecordField;
use super::{Agent, Db, Disk, Dns, Finding, Llm, Pool, Process, Record, Request, Side, Tcp, Tool, Workflow};

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
    /// File systems in samples of the host.
    Disk = 8,
    /// Findings.
    Finding = 9,
    /// What business metrics count of other records.
    Custom = 10,
    /// Database commands.
    Db = 11,
    /// What only tests have.
    #[cfg(test)]
    MadeUp = 12,
    /// Connection pools.
    Pool = 13,
    /// Questions for names.
    Dns = 14,
    /// TCP of connections to a peer.
    Tcp = 15,
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

/// The value of a label in a record, as the record has it: reading it costs no allocation and touches no count of references.
#[derive(Clone, Copy, Debug)]
pub enum LabelText<'a> {
    /// A text of the record.
    Shared(&'a Arc<str>),
    /// One of few words.
    Word(&'static str),
    /// A number.
    Number(u64),
}

impl LabelText<'_> {
    /// Equal for values that are the same text in memory, or the same number.
    pub fn address(self) -> usize {
        match self {
            Self::Shared(text) => Arc::as_ptr(text).addr(),
            Self::Word(word) => word.as_ptr().addr(),
            Self::Number(number) => number as usize,
        }
    }

    /// As a text.
    pub fn text(self) -> Arc<str> {
        match self {
            Self::Shared(text) => text.clone(),
            Self::Word(word) => word.into(),
            Self::Number(number) => number.to_string().into(),
        }
    }
}

/// How the value is found in a record of its kind.
enum LabelValue {
    Request(fn(&Request) -> Option<LabelText<'_>>),
    Llm(fn(&Llm) -> Option<LabelText<'_>>),
    Agent(fn(&Agent) -> Option<LabelText<'_>>),
    Tool(fn(&Tool) -> Option<LabelText<'_>>),
    Workflow(fn(&Workflow) -> Option<LabelText<'_>>),
    Process(fn(&Process) -> Option<LabelText<'_>>),
    Disk(fn(&Disk) -> Option<LabelText<'_>>),
    Finding(fn(&Finding) -> Option<LabelText<'_>>),
    Db(fn(&Db) -> Option<LabelText<'_>>),
    Pool(fn(&Pool) -> Option<LabelText<'_>>),
    Dns(fn(&Dns) -> Option<LabelText<'_>>),
    Tcp(fn(&Tcp) -> Option<LabelText<'_>>),
    #[cfg(test)]
    MadeUp(fn(&Dns) -> Option<LabelText<'_>>),
    /// Of a business metric: a field of the records that it is made of.
    Custom(&'static RecordField),
}

impl std::fmt::Debug for SeriesLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SeriesLabel {
    /// A label that is a field of records.
    pub fn of_field(field: &'static RecordField, attribute: &'static str) -> Self {
        Self { name: field.name, attribute, value: LabelValue::Custom(field) }
    }

    /// The value of a file system.
    pub fn of_disk<'a>(&self, disk: &'a Disk) -> Option<LabelText<'a>> {
        if let LabelValue::Disk(value) = &self.value { value(disk) } else { None }
    }

    /// The value in a record.
    pub fn value<'a>(&self, record: &'a Record) -> Option<LabelText<'a>> {
        match (&self.value, record) {
            (LabelValue::Request(value), Record::Request(request)) => value(request),
            (LabelValue::Llm(value), Record::Llm(call)) => value(call),
            (LabelValue::Agent(value), Record::Agent(run)) => value(run),
            (LabelValue::Tool(value), Record::Tool(run)) => value(run),
            (LabelValue::Workflow(value), Record::Workflow(run)) => value(run),
            (LabelValue::Process(value), Record::Process(process)) => value(process),
            (LabelValue::Finding(value), Record::Finding(finding)) => value(finding),
            (LabelValue::Db(value), Record::Db(command)) => value(command),
            (LabelValue::Pool(value), Record::Pool(pool)) => value(pool),
            (LabelValue::Dns(value), Record::Dns(question)) => value(question),
            (LabelValue::Tcp(value), Record::Tcp(tcp)) => value(tcp),
            (LabelValue::Custom(field), record) => field.label(record),
            #[cfg(test)]
            (LabelValue::MadeUp(value), Record::Dns(question)) => value(question),
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
    ($($(#[$attribute:meta])? $kind:ident $name:literal $counted:literal $things:literal ($record:ident) { $($label:literal $convention:literal = $value:expr;)* })*) => {
        &[$($(#[$attribute])? KindRow {
            kind: RecordKind::$kind,
            name: $name,
            things: $things,
            counted: $counted,
            labels: &[$(SeriesLabel { name: $label, attribute: $convention, value: LabelValue::$kind(|$record| $value) },)*],
        },)*]
    };
}

static KINDS: &[KindRow] = kinds! {
    Request "request" "requests" "requests" (r) {
        "side" "side" = side(r.side);
        "service" "service.name" = text(&r.origin.service);
        "method" "http.request.method" = if r.side == Side::Server { maybe(&r.method) } else { None };
        "endpoint" "http.route" = if r.side == Side::Server { maybe(&r.endpoint) } else { None };
        "destination" "server.address" =
            if r.side == Side::Client { text(r.destination.as_ref().or(r.host.as_ref()).unwrap_or(&r.peer)) } else { None };
    }
    Llm "llm" "llm_calls" "model calls" (r) {
        "side" "side" = side(r.side);
        "service" "service.name" = text(&r.origin.service);
        "provider" "gen_ai.provider.name" = text(&r.provider);
        "request_model" "gen_ai.request.model" = maybe(&r.request_model);
        "destination" "server.address" = maybe(&r.destination);
    }
    Agent "agent" "agent_runs" "agent runs" (r) {
        "service" "service.name" = text(&r.origin.service);
        "agent_type" "gen_ai.agent.name" = maybe(&r.agent_type);
    }
    Tool "tool" "tool_calls" "tool calls" (r) {
        "service" "service.name" = text(&r.origin.service);
        "tool_name" "gen_ai.tool.name" = text(&r.tool_name);
        "source" "perfmon.tool.source" = Some(LabelText::Word(r.source));
        "server" "perfmon.tool.server" = maybe(&r.server);
    }
    Workflow "workflow" "workflows" "workflows" (r) {
        "service" "service.name" = text(&r.origin.service);
        "workflow_name" "gen_ai.workflow.name" = text(&r.workflow_name);
    }
    Process "process" "process_samples" "samples of processes" (r) {
        "service" "service.name" = text(&r.origin.service);
        "pid" "process.pid" = Some(LabelText::Number(u64::from(r.origin.pid)));
    }
    System "system" "system_samples" "samples of the host" (_r) {}
    Disk "disk" "disk_samples" "samples of file systems" (r) {
        "mount" "system.filesystem.mountpoint" = text(&r.mount);
    }
    Finding "finding" "findings" "findings" (r) {
        "service" "service.name" = text(&r.origin.service);
        "type" "perfmon.finding.type" = Some(LabelText::Word(r.kind_name));
        "severity" "perfmon.finding.severity" = Some(LabelText::Word(r.severity.name()));
        "scope" "perfmon.finding.scope" = text(&r.scope);
    }
    // Each business metric has labels of its own.
    Custom "custom" "custom_records" "records" (_r) {}
    // Texts of queries are in /api/v1/databases: each would be a series.
    Db "db" "db_commands" "database commands" (r) {
        "side" "side" = side(r.side);
        "service" "service.name" = text(&r.origin.service);
        "system" "db.system.name" = Some(LabelText::Word(r.system));
        "operation" "db.operation.name" = maybe(&r.operation);
        "destination" "server.address" = maybe(&r.destination);
    }
    #[cfg(test)]
    MadeUp "made_up" "made_up_things" "made-up things" (r) {
        "service" "service.name" = text(&r.origin.service);
        "word" "perfmon.made_up.word" = text(&r.qtype);
    }
    Pool "pool" "pool_samples" "samples of connection pools" (r) {
        "service" "service.name" = text(&r.origin.service);
        "pid" "process.pid" = Some(LabelText::Number(u64::from(r.origin.pid)));
        "system" "db.system.name" = Some(LabelText::Word(r.system));
        "destination" "server.address" = text(&r.destination);
    }
    // Names are in /api/v1/dns: each would be a series.
    Dns "dns" "dns_lookups" "questions for names" (r) {
        "service" "service.name" = text(&r.origin.service);
        "qtype" "dns.question.type" = text(&r.qtype);
        "rcode" "dns.response.code" = text(&r.rcode);
        "server" "server.address" = text(&r.server);
    }
    Tcp "tcp" "tcp_samples" "samples of TCP" (r) {
        "service" "service.name" = text(&r.origin.service);
        "system" "network.protocol.name" = Some(LabelText::Word(r.system));
        "destination" "server.address" = text(&r.destination);
    }
};

fn side(side: Side) -> Option<LabelText<'static>> {
    Some(LabelText::Word(side.name()))
}

fn text(text: &Arc<str>) -> Option<LabelText<'_>> {
    Some(LabelText::Shared(text))
}

fn maybe(known: &Option<Arc<str>>) -> Option<LabelText<'_>> {
    known.as_ref().map(LabelText::Shared)
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 14 + cfg!(test) as usize] = [
        Self::Request,
        Self::Llm,
        Self::Agent,
        Self::Tool,
        Self::Workflow,
        Self::Process,
        Self::System,
        Self::Disk,
        Self::Finding,
        Self::Custom,
        Self::Db,
        #[cfg(test)]
        Self::MadeUp,
        Self::Pool,
        Self::Dns,
        Self::Tcp,
    ];

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
            // Its later records tell of the same one.
            Record::Finding(finding) => (finding.open && finding.first_seen == finding.last_seen).then_some(Self::Finding),
            Record::Db(_) => Some(Self::Db),
            Record::Pool(_) => Some(Self::Pool),
            #[cfg(test)]
            Record::Dns(question) if question.name.starts_with(super::made_up::MADE_UP) => Some(Self::MadeUp),
            Record::Dns(_) => Some(Self::Dns),
            Record::Tcp(_) => Some(Self::Tcp),
            Record::Alert(_) => None,
        }
    }

    fn row(self) -> &'static KindRow {
        // A number may be free: the place of a row is its number or less.
        let last = KINDS.len().min(self as usize);
        KINDS[..last].iter().rev().find(|row| row.kind == self).unwrap_or(&KINDS[0])
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
        matches!(self, Self::Process | Self::System | Self::Disk | Self::Pool | Self::Tcp)
    }
}

impl Record {
    /// Whether it counts as failed.
    pub fn failed(&self) -> bool {
        match self {
            Self::Request(request) => request.is_error(),
            other => other.failure().is_some(),
        }
    }

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
