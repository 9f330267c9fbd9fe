//! Content of one series over one span of time: number of records and failures; for each numeric field the count, sum, minimum, maximum
//! and, for durations, the histogram. Cells merge without loss: a coarse cell equals the one that its records would give. Bytes: LEB128
//! integers; fields are stored with their ids from `record::metric`, so that new fields can be added and unknown ones are skipped; numbers
//! take as few bytes as possible, since cells are most of the file.
use crate::aggregate::varint::{self, VarintReader};
use crate::aggregate::{Bucket, DenseHistogram, Histogram};
use crate::record::Record;
use crate::record::metric::{Field, Measure, Metric, RecordKind, Statistic, Unit};

/// Set in the id of a field whose values are written by [`Values::write`]; absent in files of earlier versions.
const SHORT: u8 = 0x80;
/// Set beside the count: all values are equal, so sum and maximum are not written.
const SAME: u64 = 1;
/// Set beside the count: the histogram follows.
const SHAPED: u64 = 2;
/// How a number is written, in the low bits of its first integer.
const WHOLE: u64 = 0;
const IN_MILLIONTHS: u64 = 1;
const AS_IT_IS: u64 = 2;
const MILLIONTHS: f64 = 1e6;
/// An `f64` does not represent larger integers exactly.
const LARGEST_WHOLE: f64 = 9e15;

/// Values of one field.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    shape: Histogram,
}

impl Values {
    fn add(&mut self, value: f64, unit: Unit) {
        self.note(value, unit);
        self.shape.settle();
    }

    /// Counts a value; its distribution has to be settled.
    fn note(&mut self, value: f64, unit: Unit) {
        (self.min, self.max) = if self.count == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.count += 1;
        self.sum += value;
        if unit == Unit::Duration {
            // As in `merge`.
            self.sum = whole(self.sum * MILLIONTHS) / MILLIONTHS;
            self.shape.note(nanoseconds(value));
        }
    }

    /// Counts what `other` counted; its distribution only when `shaped`.
    fn merge(&mut self, other: &Self, shaped: bool) {
        self.merge_numbers(other, !other.shape.is_empty());
        if shaped {
            self.shape.merge(&other.shape);
        }
    }

    /// The same but for its distribution, which `other` may have.
    fn merge_numbers(&mut self, other: &Self, distributed: bool) {
        if self.count == 0 {
            (self.count, self.sum, self.min, self.max) = (other.count, other.sum, other.min, other.max);
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        if distributed {
            // Round to whole nanoseconds: digits from rounding errors would take space on disk.
            self.sum = whole(self.sum * MILLIONTHS) / MILLIONTHS;
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Takes away what `gone` counted, which is part of it; `rest` are the other parts.
    fn take_off<'a>(&mut self, gone: &Self, rest: impl Iterator<Item = &'a Self>) {
        if gone.count >= self.count {
            return self.reset();
        }
        self.count -= gone.count;
        self.sum -= gone.sum;
        if !gone.shape.is_empty() {
            // As in `merge`.
            self.sum = whole(self.sum * MILLIONTHS) / MILLIONTHS;
            self.shape.subtract(&gone.shape);
        }
        if gone.min <= self.min || gone.max >= self.max {
            let all = rest.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), part| (part.min.min(min), part.max.max(max)));
            (self.min, self.max) = all;
        }
    }

    /// Forgets everything but the memory of its distribution.
    fn reset(&mut self) {
        self.shape.clear();
        let shape = std::mem::take(&mut self.shape);
        *self = Self { shape, ..Self::default() };
    }

    fn write(&self, out: &mut Vec<u8>) {
        let same = self.min == self.max && self.sum == self.min * self.count as f64;
        let shaped = !self.shape.is_empty();
        varint::put(out, (self.count << 2) | (u64::from(shaped) * SHAPED) | (u64::from(same) * SAME));
        put_number(out, self.min);
        if !same {
            put_number(out, self.max);
            put_number(out, self.sum);
        }
        if shaped {
            self.shape.write(out);
        }
    }

    /// Reads what [`write`](Self::write) wrote when it is `short`, else what earlier versions wrote: every number whole.
    fn read(short: bool, reader: &mut VarintReader<'_>) -> Option<Self> {
        let (mut values, shaped) = Self::read_numbers(short, reader)?;
        if shaped {
            values.shape.absorb(reader)?;
        }
        Some(values)
    }

    /// The same without the distribution, and whether that follows.
    fn read_numbers(short: bool, reader: &mut VarintReader<'_>) -> Option<(Self, bool)> {
        let first = reader.next()?;
        let mut values = Self { count: first, ..Self::default() };
        if !short {
            (values.sum, values.min, values.max) = (number(reader)?, number(reader)?, number(reader)?);
            return Some((values, true));
        }
        (values.count, values.min) = (first >> 2, next_number(reader)?);
        (values.max, values.sum) = match first & SAME {
            0 => (next_number(reader)?, next_number(reader)?),
            _ => (values.min, values.min * values.count as f64),
        };
        Some((values, first & SHAPED != 0))
    }

    fn value(&self, statistic: Statistic) -> Option<f64> {
        let known = self.count > 0;
        match statistic {
            Statistic::Count => Some(self.count as f64),
            Statistic::Sum => Some(self.sum),
            Statistic::Mean => known.then(|| self.sum / self.count as f64),
            Statistic::Min => known.then_some(self.min),
            Statistic::Max => known.then_some(self.max),
            Statistic::Quantile(share) => self.shape.quantile(share).map(|ns| (ns as f64 / 1e6).clamp(self.min, self.max)),
        }
    }
}

/// Fields of a kind, with or without their distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// A bit for each, by its id.
    values: u32,
    distributions: u32,
}

impl FieldSet {
    /// Every field with everything.
    pub const ALL: Self = Self { values: u32::MAX, distributions: u32::MAX };

    /// What a metric is made of.
    pub fn of(metric: &Metric) -> Self {
        match metric.measure {
            Measure::Field(field, statistic) => {
                let values = 1 << field.id;
                Self { values, distributions: if matches!(statistic, Statistic::Quantile(_)) { values } else { 0 } }
            }
            Measure::Custom(_) => Self { values: u32::MAX, distributions: if metric.is_shaped() { u32::MAX } else { 0 } },
            Measure::Count | Measure::PerMinute | Measure::Errors | Measure::ErrorRate | Measure::Availability => Self::default(),
        }
    }

    /// The values of a field, without their distribution.
    pub fn of_values(field: &Field) -> Self {
        Self { values: 1 << field.id, distributions: 0 }
    }

    /// These and others.
    pub fn with(self, other: Self) -> Self {
        Self { values: self.values | other.values, distributions: self.distributions | other.distributions }
    }

    /// Whether `other` is part of it.
    pub fn has(self, other: Self) -> bool {
        self.with(other) == self
    }
}

/// Whether a field is in a set; the id of one that this version does not know may be beyond the bits.
fn is_in(set: u32, id: u8) -> bool {
    set.checked_shr(id.into()).map_or(set == u32::MAX, |rest| rest & 1 == 1)
}

/// The cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Records.
    pub count: u64,
    /// Of these, failed.
    pub errors: u64,
    /// By field id, ascending. Those without a value are memory for some.
    fields: Vec<(u8, Values)>,
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.errors) == (other.count, other.errors) && self.counted().eq(other.counted())
    }
}

impl Cell {
    /// Counts a record; whoever counted one after the other settles the cell before anybody reads it.
    pub fn note(&mut self, kind: RecordKind, record: &Record) {
        self.count += 1;
        self.errors += u64::from(record.failed());
        let mut from = 0;
        for field in Field::of(kind) {
            if let Some(value) = field.value(record) {
                self.values_from(&mut from, field.id).note(value, field.unit);
            }
        }
    }

    /// Puts what was noted into its places.
    pub fn settle(&mut self) {
        self.fields.iter_mut().for_each(|(_, values)| values.shape.settle());
    }

    /// Counts one thing of which `value` gives the fields.
    pub fn add_one(&mut self, kind: RecordKind, value: impl Fn(&Field) -> Option<f64>) {
        self.count += 1;
        Field::of(kind).for_each(|field| value(field).into_iter().for_each(|value| self.add_value(field, value)));
    }

    /// Counts a value that comes without a record.
    pub fn add_value(&mut self, field: &Field, value: f64) {
        self.values_of(field.id).add(value, field.unit);
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if self.fields.is_empty() {
            self.fields.reserve_exact(other.fields.len());
        }
        self.merge_part(other, FieldSet::ALL);
    }

    /// The same of some fields.
    pub fn merge_part(&mut self, other: &Self, part: FieldSet) {
        self.count += other.count;
        self.errors += other.errors;
        let mut from = 0;
        for (id, values) in other.counted().filter(|(id, _)| is_in(part.values, *id)) {
            self.values_from(&mut from, *id).merge(values, is_in(part.distributions, *id));
        }
    }

    /// Takes away what `gone` counted, which is part of it; `rest` are the other parts.
    pub fn take_off<'a>(&mut self, gone: &Self, rest: impl Iterator<Item = &'a Self> + Clone) {
        self.count = self.count.saturating_sub(gone.count);
        self.errors = self.errors.saturating_sub(gone.errors);
        let mut from = 0;
        for (id, values) in gone.counted() {
            let rest = rest.clone().filter_map(|part| part.values_at(*id));
            self.values_from(&mut from, *id).take_off(values, rest);
        }
    }

    /// Forgets everything but its memory.
    pub fn reset(&mut self) {
        (self.count, self.errors) = (0, 0);
        self.fields.iter_mut().for_each(|(_, values)| values.reset());
    }

    /// Fields with values.
    fn counted(&self) -> impl Iterator<Item = &(u8, Values)> {
        self.fields.iter().filter(|(_, values)| values.count > 0)
    }

    fn values_at(&self, id: u8) -> Option<&Values> {
        let at = self.fields.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.fields[at].1).filter(|values| values.count > 0)
    }

    /// The values of a field, for one after the other with ascending ids: `from` is where those of the next id may begin.
    fn values_from(&mut self, from: &mut usize, id: u8) -> &mut Values {
        while self.fields.get(*from).is_some_and(|(known, _)| *known < id) {
            *from += 1;
        }
        if self.fields.get(*from).is_none_or(|(known, _)| *known != id) {
            self.fields.insert(*from, (id, Values::default()));
        }
        &mut self.fields[*from].1
    }

    fn values_of(&mut self, id: u8) -> &mut Values {
        let at = match self.fields.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => at,
            Err(at) => {
                self.fields.insert(at, (id, Values::default()));
                at
            }
        };
        &mut self.fields[at].1
    }

    /// Number, sum and distribution of a field's values, as they were counted; `None` when there are none.
    pub fn values(&self, field: &Field) -> Option<(u64, f64, &Histogram)> {
        let Values { count, sum, shape, .. } = self.values_at(field.id)?;
        Some((*count, *sum, shape))
    }

    /// A statistic of a field; `None` where nothing is known.
    pub fn field(&self, field: &Field, statistic: Statistic) -> Option<f64> {
        match self.values_at(field.id) {
            Some(values) => values.value(statistic).map(|value| rounded(value, field.unit)),
            None => matches!(statistic, Statistic::Count | Statistic::Sum).then_some(0.0),
        }
    }

    /// The distribution of a field, where one is kept.
    pub fn distribution(&self, field: &Field) -> Option<&Histogram> {
        Some(&self.values_at(field.id)?.shape)
    }

    /// Sets the distribution of a field that has values.
    pub fn set_distribution(&mut self, field: &Field, shape: Histogram) {
        if let Ok(at) = self.fields.binary_search_by_key(&field.id, |(id, _)| *id) {
            self.fields[at].1.shape = shape;
        }
    }

    /// Its buckets.
    pub fn buckets(&self, field: &Field) -> impl Iterator<Item = Bucket> + '_ {
        self.distribution(field).into_iter().flat_map(Histogram::buckets)
    }

    /// The value of a metric for this cell, which spans `seconds`.
    pub fn value(&self, metric: &Metric, seconds: f64) -> Option<f64> {
        match metric.measure {
            Measure::Count => Some(self.count as f64),
            Measure::PerMinute => (seconds > 0.0).then(|| rounded(self.count as f64 * 60.0 / seconds, Unit::Duration)),
            Measure::Errors => Some(self.errors as f64),
            Measure::ErrorRate => self.error_rate(),
            Measure::Availability => self.error_rate().map(|rate| 1.0 - rate),
            Measure::Field(field, statistic) => self.field(field, statistic),
            Measure::Custom(custom) => self.custom(custom),
        }
    }

    /// Failed ÷ all.
    pub fn error_rate(&self) -> Option<f64> {
        (self.count > 0).then(|| self.errors as f64 / self.count as f64)
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for number in [self.count, self.errors, self.counted().count() as u64] {
            varint::put(&mut out, number);
        }
        for (id, values) in self.counted() {
            out.push(*id | SHORT);
            values.write(&mut out);
        }
        out
    }

    /// Counts, of the cell of these bytes, the records and one field, the distribution of which goes into `shape`; `None`, and nothing is
    /// counted, when what is read is damaged.
    pub fn add_part(&mut self, bytes: &[u8], wanted: Option<&Field>, shape: &mut DenseHistogram) -> Option<()> {
        let mut reader = VarintReader::new(bytes);
        let (count, errors) = (reader.next()?, reader.next()?);
        if let Some(wanted) = wanted {
            for _ in 0..reader.next()? {
                let id = reader.byte()?;
                let (values, shaped) = Values::read_numbers(id & SHORT != 0, &mut reader)?;
                if id & !SHORT == wanted.id {
                    if shaped {
                        shape.absorb(&mut reader)?;
                    }
                    self.values_of(wanted.id).merge_numbers(&values, shaped);
                    break;
                }
                if shaped {
                    Histogram::skip(&mut reader)?;
                }
            }
        }
        self.count += count;
        self.errors += errors;
        Some(())
    }

    /// The cell of these bytes; `None` when they are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = VarintReader::new(bytes);
        let mut cell = Self { count: reader.next()?, errors: reader.next()?, fields: Vec::new() };
        for _ in 0..reader.next()? {
            let id = reader.byte()?;
            let values = Values::read(id & SHORT != 0, &mut reader)?;
            match cell.values_of(id & !SHORT) {
                none if none.count == 0 => *none = values,
                known => known.merge(&values, true),
            }
        }
        reader.rest().is_empty().then_some(cell)
    }
}

/// Puts a number: a whole one or one of whole millionths in few bytes, any other in nine.
fn put_number(out: &mut Vec<u8>, number: f64) {
    let whole = |scale: f64| {
        let scaled = (number * scale).round();
        ((0.0..LARGEST_WHOLE).contains(&scaled) && scaled / scale == number).then_some(scaled as u64)
    };
    match (whole(1.0), whole(MILLIONTHS)) {
        (Some(whole), _) => varint::put(out, (whole << 2) | WHOLE),
        (None, Some(millionths)) => varint::put(out, (millionths << 2) | IN_MILLIONTHS),
        (None, None) => {
            varint::put(out, AS_IT_IS);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

fn next_number(reader: &mut VarintReader<'_>) -> Option<f64> {
    let first = reader.next()?;
    match first & 3 {
        WHOLE => Some((first >> 2) as f64),
        IN_MILLIONTHS => Some((first >> 2) as f64 / MILLIONTHS),
        AS_IT_IS => number(reader),
        _ => None,
    }
}

fn number(reader: &mut VarintReader<'_>) -> Option<f64> {
    let mut bytes = [0; 8];
    for byte in &mut bytes {
        *byte = reader.byte()?;
    }
    Some(f64::from_le_bytes(bytes)).filter(|number| number.is_finite())
}

/// Durations to a microsecond, other numbers as far as sums of them are free of rounding errors.
pub(super) fn rounded(value: f64, unit: Unit) -> f64 {
    let steps = if unit == Unit::Duration { 1e3 } else { 1e12 };
    if (value * steps).abs() < 9e15 { (value * steps).round() / steps } else { value }
}

fn nanoseconds(milliseconds: f64) -> u64 {
    whole(milliseconds * 1e6) as u64
}

/// Rounded; of numbers that are not negative, faster than `round`, which is a call on processors without SSE 4.1.
fn whole(number: f64) -> f64 {
    (number + 0.5) as i64 as f64
}
