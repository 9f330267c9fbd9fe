//! Cells of a range → one cell a step. In: cells in any order, those of a step mostly one after the other; out: their sums. Distributions of the
//! step at hand are added up by bucket; a step of a single cell is that cell.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::cell_reader::CellPart;
use crate::aggregate::DenseHistogram;
use crate::record::metric::Field;
use crate::series::Cell;

/// The sums so far.
pub(super) struct StepSums {
    /// The field of which distributions are added up by bucket; `None`: whatever a cell has is merged.
    field: Option<&'static Field>,
    /// By start, and by what is kept apart.
    steps: BTreeMap<u64, BTreeMap<i64, Cell>>,
    /// The step at hand.
    at: Option<(u64, i64)>,
    /// Its sum, of so many cells.
    sum: Cell,
    cells: u32,
    /// Its distribution when it has more than one cell.
    shape: DenseHistogram,
}

impl StepSums {
    /// Of what is read of each cell.
    pub fn of(part: CellPart) -> Self {
        let field = match part {
            CellPart::Whole => None,
            CellPart::Field(field) => field,
        };
        Self { field, steps: BTreeMap::new(), at: None, sum: Cell::default(), cells: 0, shape: DenseHistogram::default() }
    }

    /// Adds a cell of the step that begins at `start`; takes it when it is the first.
    pub fn add(&mut self, start: u64, apart: i64, cell: &mut Cell) {
        if self.at != Some((start, apart)) {
            self.settle();
            self.at = Some((start, apart));
        }
        self.cells += 1;
        match self.field {
            _ if self.cells == 1 => self.sum = std::mem::take(cell),
            None => self.sum.merge(cell),
            Some(field) => {
                if self.cells == 2 {
                    self.sum.distribution(field).into_iter().for_each(|shape| self.shape.add(shape));
                }
                cell.distribution(field).into_iter().for_each(|shape| self.shape.add(shape));
                self.sum.merge_as(cell, false);
            }
        }
    }

    /// All of them.
    pub fn finish(mut self) -> BTreeMap<u64, BTreeMap<i64, Cell>> {
        self.settle();
        self.steps
    }

    fn settle(&mut self) {
        let Some((start, apart)) = self.at.take() else { return };
        if let Some(field) = self.field.filter(|_| self.cells > 1) {
            self.sum.set_distribution(field, self.shape.take());
        }
        self.cells = 0;
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
                    sums.add(*start, *apart, &mut cell(times));
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
