//! The newest records, for `/api/v1/records`. All kinds together are kept as the batches in which they arrived, at most
//! `limits::RECENT_RECORDS` records; every kind but `request` also has its own ring, so that a flood of requests does not displace the few
//! findings. Requests are not copied.
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use crate::limits;
use crate::record::{Category, Record, RecordBatch, SpareBatches, WallTime};

/// The newest records.
#[derive(Default)]
pub(super) struct Recent(Mutex<Rings>);

#[derive(Default)]
struct Rings {
    /// Oldest batch first.
    batches: VecDeque<RecordBatch>,
    /// Records in them.
    count: usize,
    /// Oldest record first.
    by_kind: HashMap<&'static str, VecDeque<Arc<Record>>>,
}

/// Selects records.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordFilter<'a> {
    pub kind: Option<&'a str>,
    pub service: Option<&'a str>,
    pub since: Option<WallTime>,
    pub slow: bool,
    /// Fields of the records and their texts.
    pub fields: Vec<(&'a str, &'a str)>,
}

/// A kept record, alone or in its batch.
#[derive(Debug)]
pub(super) enum RecentRecord {
    Alone(Arc<Record>),
    Batch(RecordBatch, usize),
}

impl RecentRecord {
    pub fn record(&self) -> &Record {
        match self {
            Self::Alone(record) => record,
            Self::Batch(batch, index) => &batch[*index],
        }
    }
}

impl Serialize for RecentRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record().serialize(serializer)
    }
}

impl RecordFilter<'_> {
    fn takes(&self, record: &Record) -> bool {
        let slow =
            || matches!(record, Record::Request(request) if request.performance_category == Some(Category::Slow) || request.is_error());
        self.kind.is_none_or(|kind| kind == record.kind())
            && self.since.is_none_or(|since| record.time() >= since)
            && self.service.is_none_or(|service| *record.origin().service == *service)
            && (!self.slow || slow())
            && self.fields.iter().all(|(name, text)| has(record, name, text))
    }
}

/// Whether the field of a record has this text; a record without the field has not.
fn has(record: &Record, name: &str, text: &str) -> bool {
    let found: Option<&str> = match (record, name) {
        (Record::Request(r), "span_id") => return r.span_id.to_string() == text,
        (Record::Llm(r), "span_id") => return r.span_id.to_string() == text,
        (Record::Request(r), "destination") => r.destination.as_deref(),
        (Record::Request(r), "method") => r.method.as_deref(),
        (Record::Request(r), "endpoint") => r.endpoint.as_deref(),
        (Record::Llm(r), "destination") => r.destination.as_deref(),
        (Record::Llm(r), "request_model") => r.request_model.as_deref(),
        (Record::Llm(r), "agent_run_id") => r.agent_run_id.as_deref(),
        (Record::Llm(r), "trace_id") => r.trace_id.as_deref(),
        (Record::Agent(r), "agent_run_id") => Some(&r.agent_run_id),
        (Record::Agent(r), "agent_type") => r.agent_type.as_deref(),
        (Record::Tool(r), "tool_name") => Some(&r.tool_name),
        (Record::Tool(r), "agent_run_id") => r.agent_run_id.as_deref(),
        (Record::Workflow(r), "workflow_name") => Some(&r.workflow_name),
        (Record::Db(r), "destination") => r.destination.as_deref(),
        (Record::Db(r), "operation") => r.operation.as_deref(),
        (Record::Db(r), "query_id") => r.query_id.as_deref(),
        (Record::Db(r), "system") => Some(r.system),
        (Record::Workflow(r), "trace_id") => r.trace_id.as_deref(),
        _ => None,
    };
    found == Some(text)
}

impl Recent {
    /// Keeps a batch; those that are too old become spare.
    pub fn push(&self, batch: &RecordBatch, spare: &SpareBatches) {
        if batch.is_empty() {
            return;
        }
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in batch.iter().filter(|record| !matches!(record, Record::Request(_))) {
            let ring = rings.by_kind.entry(record.kind()).or_default();
            if ring.len() == limits::RECENT_PER_KIND {
                ring.pop_front();
            }
            ring.push_back(Arc::new(record.clone()));
        }
        rings.count += batch.len();
        rings.batches.push_back(batch.clone());
        while rings.count > limits::RECENT_RECORDS && rings.batches.len() > 1 {
            if let Some(oldest) = rings.batches.pop_front() {
                rings.count -= oldest.len();
                spare.give(oldest);
            }
        }
    }

    /// How many match, and the newest `limit` of them, newest first.
    pub fn select(&self, wanted: &RecordFilter<'_>, limit: usize) -> (usize, Vec<RecentRecord>) {
        let matching: Vec<RecentRecord> = match wanted.kind {
            Some(kind) if kind != "request" => {
                let ring = self.of_kind(kind);
                ring.into_iter().rev().filter(|record| wanted.takes(record)).map(RecentRecord::Alone).collect()
            }
            _ => {
                let batches: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).batches.iter().rev().cloned().collect();
                let newest = batches.iter().flat_map(|batch| (0..batch.len()).rev().map(move |index| (batch, index)));
                newest
                    .filter(|(batch, index)| wanted.takes(&batch[*index]))
                    .map(|(batch, index)| RecentRecord::Batch(batch.clone(), index))
                    .collect()
            }
        };
        let total = matching.len();
        (total, matching.into_iter().take(limit).collect())
    }

    /// The records of a kind other than `request`, oldest first.
    pub fn of_kind(&self, kind: &str) -> Vec<Arc<Record>> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rings.by_kind.get(kind).map(|ring| ring.iter().cloned().collect()).unwrap_or_default()
    }
}
