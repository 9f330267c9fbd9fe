//! Which series a record belongs to, and when it ended: the two coordinates of its cell.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::metric::RecordKind;
use crate::record::{Millis, Record, Request, Side};

/// Most labels of a kind.
const LABELS: usize = 5;

/// One series: a kind of record and the values of its labels, in the order of [`RecordKind::labels`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// Kind of record.
    pub kind: RecordKind,
    labels: [Option<Arc<str>>; LABELS],
}

impl SeriesKey {
    /// The series of a record; `None` when it is none of those that are counted.
    pub fn of(record: &Record) -> Option<Self> {
        let (kind, labels) = match record {
            Record::Request(request) if request.counts() => (RecordKind::Request, of_request(request)),
            Record::Llm(call) => {
                let model = call.request_model.clone();
                let service = Some(call.origin.service.clone());
                (RecordKind::Llm, [Some(side(call.side)), service, Some(call.provider.clone()), model, call.destination.clone()])
            }
            Record::Agent(run) => (RecordKind::Agent, [Some(run.origin.service.clone()), run.agent_type.clone(), None, None, None]),
            Record::Tool(run) => {
                let service = Some(run.origin.service.clone());
                (RecordKind::Tool, [service, Some(run.tool_name.clone()), Some(run.source.into()), run.server.clone(), None])
            }
            Record::Workflow(run) => {
                (RecordKind::Workflow, [Some(run.origin.service.clone()), Some(run.workflow_name.clone()), None, None, None])
            }
            Record::Process(process) => {
                let pid = process.origin.pid.to_string();
                (RecordKind::Process, [Some(process.origin.service.clone()), Some(pid.into()), None, None, None])
            }
            Record::System(_) => return Some(Self::system()),
            Record::Request(_) | Record::Db(_) | Record::Dns(_) | Record::Finding(_) | Record::Alert(_) => return None,
        };
        Some(Self { kind, labels })
    }

    /// The host's.
    pub fn system() -> Self {
        Self { kind: RecordKind::System, labels: Default::default() }
    }

    /// The overflow series of the same side and service.
    pub fn other(&self) -> Self {
        let names = self.kind.labels();
        let labels = std::array::from_fn(|index| match names.get(index) {
            Some(&"side" | &"service") => self.labels[index].clone(),
            Some(_) => self.labels[index].as_ref().map(|_| "(other)".into()),
            None => None,
        });
        Self { kind: self.kind, labels }
    }

    /// Its service, if it is one's.
    pub fn service(&self) -> Option<Arc<str>> {
        let index = self.kind.labels().iter().position(|name| *name == "service")?;
        self.labels[index].clone()
    }

    /// Labels that are known, as a JSON object.
    pub fn to_json(&self) -> String {
        let known = self.kind.labels().iter().zip(&self.labels).filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        serde_json::to_string(&known.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }
}

fn of_request(request: &Request) -> [Option<Arc<str>>; LABELS] {
    let service = Some(request.origin.service.clone());
    let method = request.method.clone();
    match request.side {
        Side::Server => [Some(side(Side::Server)), service, method, request.endpoint.clone(), None],
        Side::Client => {
            let destination = request.destination.as_ref().or(request.host.as_ref()).unwrap_or(&request.peer);
            [Some(side(Side::Client)), service, None, None, Some(destination.clone())]
        }
    }
}

fn side(side: Side) -> Arc<str> {
    match side {
        Side::Server => "server".into(),
        Side::Client => "client".into(),
    }
}

/// When a record ended, seconds since 1970: the time at which it counts.
pub fn ended_s(record: &Record) -> u64 {
    let lasted = match record {
        Record::Request(request) => request.response_time_ms,
        Record::Db(command) => command.response_time_ms,
        Record::Dns(question) => question.response_time_ms,
        Record::Llm(call) => call.response_time_ms,
        Record::Agent(run) => Some(run.execution_time_ms),
        Record::Tool(run) => run.execution_time_ms,
        Record::Workflow(run) => Some(run.execution_time_ms),
        // An interval belongs to the cell in which it started, so that a cell of ten seconds holds ten of them.
        Record::Process(_) | Record::System(_) | Record::Finding(_) | Record::Alert(_) => None,
    };
    record.time().0.saturating_add(lasted.unwrap_or(Millis(0)).0) / 1_000_000_000
}
