//! Questions for names: the time until the answer, by name and code (semantic-conventions, `docs/dns/dns-metrics.md`). Questions without an
//! answer have no time and are counted apart.
use std::sync::Arc;

use super::metric_set::MetricSet;
use super::series::{SeriesKind, SeriesSums, SumKey};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::exponential::Distribution;
use crate::export::otlp::instrument as of;
use crate::record::Dns;

/// Key of a series of questions; `None`: the overflow series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LookupKey(Option<KnownLookup>);

/// The name that was asked for, and the code unless it is `NOERROR`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KnownLookup {
    name: Arc<str>,
    error: Option<Arc<str>>,
}

impl LookupKey {
    /// The series of a question.
    pub fn of(question: &Dns) -> Self {
        let error = Some(&question.rcode).filter(|rcode| &***rcode != "NOERROR");
        Self(Some(KnownLookup { name: question.name.clone(), error: error.cloned() }))
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        match &self.0 {
            Some(known) => attributes.add("dns.question.name", &*known.name).maybe("error.type", known.error.as_deref()),
            None => attributes.add("otel.metric.overflow", true),
        };
        attributes
    }
}

impl SumKey for LookupKey {
    const KIND: SeriesKind = SeriesKind::Lookup;

    fn overflow() -> Self {
        Self(None)
    }
}

/// What a series of questions counted.
#[derive(Debug, Default)]
pub struct LookupSums {
    duration: Distribution,
    unanswered: u64,
}

impl SeriesSums for LookupSums {
    fn is_empty(&self) -> bool {
        self.duration.is_empty() && self.unanswered == 0
    }

    fn clear(&mut self) {
        self.duration.clear();
        self.unanswered = 0;
    }
}

impl LookupSums {
    /// Counts a question.
    pub fn add(&mut self, question: &Dns) {
        match question.response_time_ms {
            Some(time) => self.duration.record(time.0),
            None => self.unanswered += 1,
        }
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, key: &LookupKey, metric_set: &mut MetricSet) {
        let attributes = key.attributes().take();
        if self.unanswered > 0 {
            metric_set.count(&of::DNS_UNANSWERED, self.unanswered, attributes.clone());
        }
        metric_set.distribution(&of::DNS_DURATION, &self.duration, attributes);
    }
}
