//! Cells of a range → one cell a step. In: bytes of cells in any order, those of a step mostly one after the other; out: their sums. Of one
//! field the distributions are added up by bucket, straight from the bytes. Damaged cells are skipped.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::aggregate::DenseHistogram;
use crate::record::metric::Field;
use crate::series::Cell;

/// What of a cell is read.
#[derive(Clone, Copy)]
pub(super) enum CellPart {
    /// Everything.
    Whole,
    /// The counts, and one field.
    Field(Option<&'static Field>),
}

/// The sums so far.
pub(super) struct StepSums {
    part: CellPart,
    /// By start, and by what is kept apart.
    steps: BTreeMap<u64, BTreeMap<i64, Cell>>,
    /// The step at hand.
    at: Option<(u64, i64)>,
    /// Its sum, but for the distribution of the one field.
    sum: Cell,
    shape: DenseHistogram,
}

impl StepSums {
    /// Of what is read of each cell.
    pub fn of(part: CellPart) -> Self {
        Self { part, steps: BTreeMap::new(), at: None, sum: Cell::default(), shape: DenseHistogram::default() }
    }

    /// Adds a cell of the step that begins at `start`.
    pub fn add(&mut self, start: u64, apart: i64, cell: &[u8]) {
        if self.at != Some((start, apart)) {
            self.settle();
        }
        let added = match self.part {
            CellPart::Whole => Cell::from_bytes(cell).map(|cell| self.sum.merge(&cell)),
            CellPart::Field(field) => self.sum.add_part(cell, field, &mut self.shape),
        };
        if added.is_some() {
            self.at = Some((start, apart));
        }
    }

    /// All of them.
    pub fn finish(mut self) -> BTreeMap<u64, BTreeMap<i64, Cell>> {
        self.settle();
        self.steps
    }

    fn settle(&mut self) {
        let Some((start, apart)) = self.at.take() else { return };
        if let CellPart::Field(Some(field)) = self.part {
            self.sum.set_distribution(field, self.shape.take());
        }
        let sum = std::mem::take(&mut self.sum);
        match self.steps.entry(start).or_default().entry(apart) {
            Entry::Vacant(place) => drop(place.insert(sum)),
            Entry::Occupied(mut known) => known.get_mut().merge(&sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::metric::{RecordKind, Statistic};

    fn duration() -> &'static Field {
        Field::named(RecordKind::Request, "response_time_ms").unwrap()
    }

    fn cell(times: &[u64]) -> Cell {
        let mut cell = Cell::default();
        for time in times {
            cell.add_one(RecordKind::Request, |field| (field.id == duration().id).then_some(*time as f64 / 1e3));
        }
        cell
    }

    proptest! {
        #[test]
        fn sums_are_those_of_merging(cells in prop::collection::vec((0_u64..4, 0_i64..2, prop::collection::vec(0_u64..9_000_000, 0..20)), 0..40)) {
            for part in [CellPart::Whole, CellPart::Field(Some(duration()))] {
                let (mut sums, mut merged) = (StepSums::of(part), BTreeMap::<u64, BTreeMap<i64, Cell>>::new());
                for (start, apart, times) in &cells {
                    sums.add(*start, *apart, &cell(times).to_bytes());
                    sums.add(9, 9, &cell(times).to_bytes()[..1]);
                    merged.entry(*start).or_default().entry(*apart).or_default().merge(&cell(times));
                }
                let sums = sums.finish();
                prop_assert_eq!(sums.len(), merged.len());
                for (start, apart, _) in &cells {
                    let (sum, merged) = (&sums[start][apart], &merged[start][apart]);
                    prop_assert_eq!((sum.count, sum.errors), (merged.count, merged.errors));
                    prop_assert_eq!(sum.distribution(duration()), merged.distribution(duration()));
                    for statistic in [Statistic::Count, Statistic::Sum, Statistic::Min, Statistic::Max, Statistic::Quantile(0.95)] {
                        prop_assert_eq!(sum.field(duration(), statistic), merged.field(duration(), statistic));
                    }
                }
            }
        }
    }
}
