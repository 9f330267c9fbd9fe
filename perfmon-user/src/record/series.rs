//! Which series a record belongs to: its kind, and the values of the kind's labels. A key is copied into several tables each second, so that a
//! copy is one more reference, and its hash is taken once.
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::custom::CustomMetric;
use super::kind::{LABELS, RecordKind, SeriesLabel};
use super::{Disk, Record};

/// Label of stored series: name of the business metric.
pub const METRIC: &str = "custom.metric";
/// The same: hash of its definition.
pub const DEFINITION: &str = "custom.definition";

/// One series: a kind of record and the values of its labels, in the order of [`RecordKind::labels`].
#[derive(Clone, PartialEq, Eq)]
pub struct SeriesKey(Arc<SeriesParts>);

/// Some labels of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(u8);

const _: () = assert!(LABELS <= 8);

impl LabelSet {
    /// Every label.
    pub const ALL: Self = Self(u8::MAX);

    /// Those of a kind's that are `wanted`.
    pub fn of(kind: RecordKind, wanted: impl Fn(&str) -> bool) -> Self {
        let numbered = kind.labels().iter().enumerate();
        Self(numbered.filter(|(_, label)| wanted(label.name)).fold(0, |set, (index, _)| set | 1 << index))
    }

    /// These and others.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `other` is part of it.
    pub fn has(self, other: Self) -> bool {
        self.with(other) == self
    }
}

/// What a key consists of.
#[derive(PartialEq, Eq)]
pub struct SeriesParts {
    /// Of the others; first, since it differs where they differ.
    hash: u64,
    /// Kind of record.
    pub kind: RecordKind,
    labels: [Option<Arc<str>>; LABELS],
    /// The business metric whose series it is: the labels are the metric's.
    custom: Option<&'static CustomMetric>,
}

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Deref for SeriesKey {
    type Target = SeriesParts;

    fn deref(&self) -> &SeriesParts {
        &self.0
    }
}

impl fmt::Debug for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels().map(|(label, value)| (label.name, value));
        f.debug_tuple(self.kind.name()).field(&labels.collect::<Vec<_>>()).finish()
    }
}

impl SeriesKey {
    fn new(kind: RecordKind, labels: [Option<Arc<str>>; LABELS], custom: Option<&'static CustomMetric>) -> Self {
        let hash = FxBuildHasher.hash_one((kind, &labels, custom));
        Self(Arc::new(SeriesParts { hash, kind, labels, custom }))
    }

    /// The series of a record; `None` when it is none of those that are counted.
    pub fn of(record: &Record) -> Option<Self> {
        let kind = RecordKind::of(record)?;
        Some(Self::new(kind, values(kind.labels(), record), None))
    }

    /// The series of a record in a business metric.
    pub fn of_custom(custom: &'static CustomMetric, record: &Record) -> Self {
        Self::new(RecordKind::Custom, values(custom.labels(), record), Some(custom))
    }

    /// Of a business metric: the series of no label, which is there from the start.
    pub fn without_labels(custom: &'static CustomMetric) -> Self {
        Self::new(RecordKind::Custom, Default::default(), Some(custom))
    }

    /// The series of a file system.
    pub fn of_disk(disk: &Disk) -> Self {
        let kind = RecordKind::Disk;
        Self::new(kind, std::array::from_fn(|index| Some(kind.labels().get(index)?.of_disk(disk)?.text())), None)
    }

    /// The series with these labels, as a history has it; unknown labels are left out.
    pub fn with(kind: RecordKind, value: impl Fn(&str) -> Option<Arc<str>>) -> Self {
        let custom = value(METRIC).zip(value(DEFINITION)).filter(|_| kind == RecordKind::Custom);
        let custom = custom.and_then(|(name, definition)| CustomMetric::known(&name, &definition));
        let names = custom.map_or(kind.labels(), CustomMetric::labels);
        Self::new(kind, std::array::from_fn(|index| value(names.get(index)?.name)), custom)
    }

    /// The host's.
    pub fn system() -> Self {
        Self::new(RecordKind::System, Default::default(), None)
    }

    /// The series of all that have the same values in these labels.
    pub fn part(&self, labels: LabelSet) -> Self {
        if labels == LabelSet::ALL {
            return self.clone();
        }
        let value = |index: usize| if labels.has(LabelSet(1 << index)) { self.labels[index].clone() } else { None };
        Self::new(self.kind, std::array::from_fn(value), self.custom)
    }

    /// The overflow series of the same side and service.
    pub fn other(&self) -> Self {
        Self::new(self.kind, self.others(), self.custom)
    }

    /// The overflow series of the same side, for all services that have none.
    pub fn other_services(&self) -> Self {
        let mut labels = self.others();
        let named = self.names().iter().zip(&mut labels);
        named.filter(|(label, _)| label.name == "service").for_each(|(_, value)| *value = Some("(other)".into()));
        Self::new(self.kind, labels, self.custom)
    }

    fn others(&self) -> [Option<Arc<str>>; LABELS] {
        std::array::from_fn(|index| match self.names().get(index).map(|label| label.name) {
            Some("side" | "service") => self.labels[index].clone(),
            Some(_) => self.labels[index].as_ref().map(|_| "(other)".into()),
            None => None,
        })
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
