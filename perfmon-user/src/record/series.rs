//! Which series a record belongs to: its kind, and the values of the kind's labels.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::kind::{LABELS, RecordKind, SeriesLabel};
use super::{Disk, Record};

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
        let kind = RecordKind::of(record)?;
        Some(Self { kind, labels: std::array::from_fn(|index| Some(kind.labels().get(index)?.value(record)?.text())) })
    }

    /// The series of a file system.
    pub fn of_disk(disk: &Disk) -> Self {
        let kind = RecordKind::Disk;
        Self { kind, labels: std::array::from_fn(|index| Some(kind.labels().get(index)?.of_disk(disk)?.text())) }
    }

    /// The series with these labels, as a history has it; unknown labels are left out.
    pub fn with(kind: RecordKind, value: impl Fn(&str) -> Option<Arc<str>>) -> Self {
        Self { kind, labels: std::array::from_fn(|index| value(kind.labels().get(index)?.name)) }
    }

    /// The host's.
    pub fn system() -> Self {
        Self { kind: RecordKind::System, labels: Default::default() }
    }

    /// The overflow series of the same side and service.
    pub fn other(&self) -> Self {
        let labels = std::array::from_fn(|index| match self.kind.labels().get(index).map(|label| label.name) {
            Some("side" | "service") => self.labels[index].clone(),
            Some(_) => self.labels[index].as_ref().map(|_| "(other)".into()),
            None => None,
        });
        Self { kind: self.kind, labels }
    }

    /// The overflow series of the same side, for all services that have none.
    pub fn other_services(&self) -> Self {
        let mut others = self.other();
        let labels = self.kind.labels().iter().zip(&mut others.labels);
        labels.filter(|(label, _)| label.name == "service").for_each(|(_, value)| *value = Some("(other)".into()));
        others
    }

    /// Its service, if it is one's.
    pub fn service(&self) -> Option<Arc<str>> {
        self.value("service").cloned()
    }

    /// The value of a label.
    pub fn value(&self, label: &str) -> Option<&Arc<str>> {
        self.labels().find(|(known, _)| known.name == label)?.1
    }

    /// Labels and their values.
    pub fn labels(&self) -> impl Iterator<Item = (&'static SeriesLabel, Option<&Arc<str>>)> {
        self.kind.labels().iter().zip(self.labels.iter().map(Option::as_ref))
    }

    /// Labels that are known, as a JSON object.
    pub fn to_json(&self) -> String {
        let known = self.labels().filter_map(|(label, value)| Some((label.name, value?)));
        serde_json::to_string(&known.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }
}
