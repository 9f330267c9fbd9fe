//! Which series a record belongs to: its kind, and the values of the kind's labels.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::custom::CustomMetric;
use super::kind::{LABELS, RecordKind, SeriesLabel};
use super::{Disk, Record};

/// Label of stored series: name of the business metric.
pub const METRIC: &str = "custom.metric";
/// The same: hash of its definition.
pub const DEFINITION: &str = "custom.definition";

/// One series: a kind of record and the values of its labels, in the order of [`RecordKind::labels`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// Kind of record.
    pub kind: RecordKind,
    labels: [Option<Arc<str>>; LABELS],
    /// The business metric whose series it is: the labels are the metric's.
    custom: Option<&'static CustomMetric>,
}

impl SeriesKey {
    /// The series of a record; `None` when it is none of those that are counted.
    pub fn of(record: &Record) -> Option<Self> {
        let kind = RecordKind::of(record)?;
        Some(Self { kind, labels: values(kind.labels(), record), custom: None })
    }

    /// The series of a record in a business metric.
    pub fn of_custom(custom: &'static CustomMetric, record: &Record) -> Self {
        Self { kind: RecordKind::Custom, labels: values(custom.labels(), record), custom: Some(custom) }
    }

    /// Of a business metric: the series of no label, which is there from the start.
    pub fn without_labels(custom: &'static CustomMetric) -> Self {
        Self { kind: RecordKind::Custom, labels: Default::default(), custom: Some(custom) }
    }

    /// The series of a file system.
    pub fn of_disk(disk: &Disk) -> Self {
        let kind = RecordKind::Disk;
        Self { kind, labels: std::array::from_fn(|index| Some(kind.labels().get(index)?.of_disk(disk)?.text())), custom: None }
    }

    /// The series with these labels, as a history has it; unknown labels are left out.
    pub fn with(kind: RecordKind, value: impl Fn(&str) -> Option<Arc<str>>) -> Self {
        let custom = value(METRIC).zip(value(DEFINITION)).filter(|_| kind == RecordKind::Custom);
        let custom = custom.and_then(|(name, definition)| CustomMetric::known(&name, &definition));
        let names = custom.map_or(kind.labels(), CustomMetric::labels);
        Self { kind, labels: std::array::from_fn(|index| value(names.get(index)?.name)), custom }
    }

    /// The host's.
    pub fn system() -> Self {
        Self { kind: RecordKind::System, labels: Default::default(), custom: None }
    }

    /// The overflow series of the same side and service.
    pub fn other(&self) -> Self {
        let labels = std::array::from_fn(|index| match self.names().get(index).map(|label| label.name) {
            Some("side" | "service") => self.labels[index].clone(),
            Some(_) => self.labels[index].as_ref().map(|_| "(other)".into()),
            None => None,
        });
        Self { kind: self.kind, labels, custom: self.custom }
    }

    /// The overflow series of the same side, for all services that have none.
    pub fn other_services(&self) -> Self {
        let mut others = self.other();
        let labels = self.names().iter().zip(&mut others.labels);
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
        self.names().iter().zip(self.labels.iter().map(Option::as_ref))
    }

    fn names(&self) -> &'static [SeriesLabel] {
        self.custom.map_or(self.kind.labels(), CustomMetric::labels)
    }

    /// The business metric whose series it is.
    pub fn custom(&self) -> Option<&'static CustomMetric> {
        self.custom
    }

    /// Labels that are known, as a JSON object.
    pub fn to_json(&self) -> String {
        let own = self.custom.into_iter().flat_map(|custom| [(METRIC, custom.name()), (DEFINITION, custom.definition())]);
        let known = self.labels().filter_map(|(label, value)| Some((label.name, &**value?))).chain(own);
        serde_json::to_string(&known.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }
}

fn values(labels: &[SeriesLabel], record: &Record) -> [Option<Arc<str>>; LABELS] {
    std::array::from_fn(|index| Some(labels.get(index)?.value(record)?.text()))
}
