//! Commands since the last tick, added up by row. Commands of a row mostly have the same texts in memory, so that their sums are found by the
//! addresses of the texts, without a look at the texts; rows get the sums at the tick.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::query::{self, QueryCounts, QueryKey};
use crate::aggregate::accumulator::Accumulator;
use crate::record::{Db, Side};

/// Addresses of the texts of a command and its side; the entry's key keeps the texts alive.
type QueryAddresses = ([usize; 8], bool);

/// The commands.
#[derive(Debug, Default)]
pub struct QueryArrivals {
    by_texts: FxHashMap<QueryAddresses, u32>,
    entries: Vec<(QueryKey, Accumulator<QueryCounts, 1>)>,
}

impl QueryArrivals {
    /// Counts a command.
    pub fn add(&mut self, command: &Db) {
        let Self { by_texts, entries } = self;
        let place = *by_texts.entry(addresses(command)).or_insert_with(|| {
            entries.push((QueryKey::new(command), Accumulator::default()));
            entries.len() as u32 - 1
        });
        query::add(command, &mut entries[place as usize].1);
    }

    /// Hands each row's sums, in the order in which they began, to `each`; a row may come several times. There are none after it.
    pub fn drain(&mut self, each: impl FnMut((QueryKey, Accumulator<QueryCounts, 1>))) {
        self.by_texts.clear();
        self.entries.drain(..).for_each(each);
    }
}

fn addresses(command: &Db) -> QueryAddresses {
    let of = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| Arc::as_ptr(text).addr());
    let Db { destination, database, operation, target, query, query_id, .. } = command;
    let [destination, database, operation, target, query, query_id] = [destination, database, operation, target, query, query_id].map(of);
    let service = Arc::as_ptr(&command.origin.service).addr();
    let system = command.system.as_ptr().addr();
    ([service, system, destination, database, operation, target, query, query_id], command.side == Side::Server)
}
