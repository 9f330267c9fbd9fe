//! Rows of names that services ask for, and the names that a resolver only tried because of its search list.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{WindowContext, other};
use crate::aggregate::accumulator::{Accumulator, counts};
use crate::aggregate::exchange::{latency, ratio};
use crate::aggregate::series::Series;
use crate::aggregate::snapshot::{NameRow, RcodeCounts, Window};
use crate::record::Dns;

counts! {
    /// Numbers of a set of questions; times in nanoseconds.
    NameCounts {
        sums {
            /// Questions.
            count,
            /// Times they were asked.
            attempts,
            /// Answered without an error.
            noerror,
            /// There is no such name.
            nxdomain,
            /// The server failed.
            servfail,
            /// The server refused.
            refused,
            /// No answer came.
            timeout,
            /// The resolver went on to another name of its search list.
            search_misses,
            /// Questions with an answer.
            timed,
            /// Sum of times.
            time_sum,
        }
        maxima {
            /// Longest question.
            time_max,
        }
    }
}

/// A row of questions.
pub type NameSeries = Series<NameCounts, 1>;

/// Which questions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    service: Arc<str>,
    name: Arc<str>,
    qtype: Arc<str>,
}

impl NameKey {
    /// Of a record.
    pub fn new(question: &Dns) -> Self {
        Self { service: question.origin.service.clone(), name: question.name.clone(), qtype: question.qtype.clone() }
    }

    /// Who asks, and for which name.
    pub fn name(&self) -> (&str, &str) {
        (&self.service, &self.name)
    }

    /// The overflow key of this service.
    pub fn other(&self) -> Self {
        Self { name: other(), qtype: other(), ..self.clone() }
    }
}

/// Adds a question to a slice.
pub fn add(question: &Dns, accumulator: &mut Accumulator<NameCounts, 1>) {
    let counts = &mut accumulator.counts;
    counts.count += 1;
    counts.attempts += u64::from(question.attempts);
    match &*question.rcode {
        "NOERROR" => counts.noerror += 1,
        "NXDOMAIN" => counts.nxdomain += 1,
        "SERVFAIL" => counts.servfail += 1,
        "REFUSED" => counts.refused += 1,
        "TIMEOUT" => counts.timeout += 1,
        _ => {}
    }
    if let Some(time) = question.response_time_ms {
        counts.timed += 1;
        counts.time_sum += time.0;
        counts.time_max = counts.time_max.max(time.0);
        accumulator.shapes[0].record(time.0);
    }
}

/// The row in a window.
pub fn name_row(key: &NameKey, row: &NameSeries, window: Window, view: &WindowContext) -> NameRow {
    let figures = row.figures(window);
    let counts = &figures.counts;
    let known = counts.noerror + counts.nxdomain + counts.servfail + counts.refused + counts.timeout;
    let rcodes = RcodeCounts {
        noerror: counts.noerror,
        nxdomain: counts.nxdomain,
        servfail: counts.servfail,
        refused: counts.refused,
        timeout: counts.timeout,
        other: counts.count.saturating_sub(known),
    };
    let errors = counts.count.saturating_sub(counts.noerror);
    NameRow {
        service: key.service.clone(),
        name: key.name.clone(),
        qtype: key.qtype.clone(),
        count: counts.count,
        errors,
        error_rate: ratio(errors, counts.count),
        rcodes,
        attempts: counts.attempts,
        search_misses: counts.search_misses,
        requests_per_minute: view.per_minute(counts.count),
        latency: latency(&figures.spreads[0], counts.time_sum, counts.time_max),
    }
}

/// A resolver goes on with its search list as soon as a name turns out not to exist; the host may be busy.
const NEXT_NS: u64 = 250_000_000;
/// Processes whose last miss is remembered; all are forgotten when there are more.
const PROCESSES: usize = 4_096;

/// The last name of each process and type that was not found.
#[derive(Debug, Default)]
pub struct NameSearches(FxHashMap<(u32, Arc<str>), Missed>);

#[derive(Debug)]
struct Missed {
    key: NameKey,
    answered_ns: u64,
}

impl NameSearches {
    /// Adds a question; the row of the name that the process only tried before this one, if there is one.
    pub fn add(&mut self, question: &Dns) -> Option<NameKey> {
        if self.0.len() > PROCESSES {
            self.0.clear();
        }
        let of = (question.origin.pid, question.qtype.clone());
        let missed = self.0.remove(&of).filter(|missed| {
            let waited = question.time.0.checked_sub(missed.answered_ns);
            waited.is_some_and(|waited| waited <= NEXT_NS) && is_next(&missed.key.name, &question.name)
        });
        if &*question.rcode == "NXDOMAIN" {
            let answered_ns = question.time.0 + question.response_time_ms.map_or(0, |time| time.0);
            self.0.insert(of, Missed { key: NameKey::new(question), answered_ns });
        }
        missed.map(|missed| missed.key)
    }
}

/// Whether two names are the same one with different ends, as a search list gives them: one is the beginning of the other, or the first label is
/// the same.
fn is_next(missed: &str, next: &str) -> bool {
    let first = |name: &str| name.split('.').next().map(str::to_owned);
    missed != next && first(missed) == first(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Millis, Origin, Quality, WallTime};

    fn question(name: &str, rcode: &str, at_ms: u64) -> Dns {
        Dns {
            time: WallTime(at_ms * 1_000_000),
            origin: Arc::new(Origin::unknown(7)),
            name: name.into(),
            qtype: "A".into(),
            rcode: rcode.into(),
            server: "127.0.0.53:53".into(),
            attempts: 1,
            response_time_ms: Some(Millis(1_000_000)),
            quality: Quality::Exact,
        }
    }

    #[test]
    fn the_names_of_a_search_list_are_misses_of_the_resolver() {
        let mut searches = NameSearches::default();
        let mut missed = |name, rcode, at_ms| searches.add(&question(name, rcode, at_ms)).map(|key| key.name.to_string());
        assert_eq!(missed("api.shop.svc.cluster.local", "NXDOMAIN", 10), None);
        assert_eq!(missed("api.svc.cluster.local", "NXDOMAIN", 12), Some("api.shop.svc.cluster.local".to_owned()));
        assert_eq!(missed("api", "NOERROR", 14), Some("api.svc.cluster.local".to_owned()));
        assert_eq!(missed("api", "NOERROR", 16), None, "it was found");
        assert_eq!(missed("www.one.example", "NXDOMAIN", 20), None);
        assert_eq!(missed("mail.one.example", "NXDOMAIN", 22), None, "another name");
        assert_eq!(missed("mail.two.example", "NOERROR", 500), None, "asked by somebody, later");
    }
}
