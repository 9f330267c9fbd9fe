//! Connections that could not be opened: a count by destination and reason. They have no duration among those of requests.
use std::sync::Arc;

use super::metric_set::MetricSet;
use super::series::{SeriesKind, SeriesSums, SumKey};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::instrument as of;
use crate::record::{Failure, Request, address};

/// Key of a series; of the overflow series without a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    destination: Option<Arc<str>>,
    failure: Option<Failure>,
}

impl AttemptKey {
    /// The series of an attempt.
    pub fn of(request: &Request) -> Self {
        Self { destination: request.destination.clone(), failure: request.error }
    }
}

impl SumKey for AttemptKey {
    const KIND: SeriesKind = SeriesKind::Attempt;

    fn overflow() -> Self {
        Self { destination: None, failure: None }
    }
}

/// Attempts of a series.
#[derive(Debug, Default)]
pub struct AttemptCount(u64);

impl SeriesSums for AttemptCount {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn clear(&mut self) {
        self.0 = 0;
    }
}

impl AttemptCount {
    /// Counts an attempt.
    pub fn add(&mut self) {
        self.0 += 1;
    }

    /// Adds the count to the metric set.
    pub fn write(&self, key: &AttemptKey, metric_set: &mut MetricSet) {
        let mut attributes = Attributes::default();
        match key.failure {
            None => {
                attributes.add("otel.metric.overflow", true);
            }
            Some(failure) => {
                let server = key.destination.as_deref().map(address);
                attributes
                    .add("error.type", failure.name())
                    .maybe("server.address", server.map(|(name, _)| name))
                    .maybe("server.port", server.and_then(|(_, port)| port));
            }
        }
        metric_set.count(&of::CONNECT_FAILURES, self.0, attributes.take());
    }
}
