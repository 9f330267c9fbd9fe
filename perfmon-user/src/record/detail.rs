//! What tells the records of one series apart beyond its labels: status, failure, method and quality of requests, the failure of other
//! kinds. Views that show them (`/metrics`) read cells by detail; the history and alert rules add the cells of a series up. Few values
//! each, so that the cells of a second stay few.
use std::sync::Arc;

use super::{Failure, Quality, Record, Request};

/// Methods with a name of their own (RFC 9110, RFC 5789 and the `QUERY` draft).
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
/// Any other.
const OTHER_METHOD: &str = "_OTHER";

/// The detail of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestDetail {
    /// Number of its method: 0 for none, then those of `METHODS`, then any other.
    method: u8,
    /// Status.
    pub status: Option<u16>,
    /// Failure below HTTP.
    pub error: Option<Failure>,
    /// How far to trust it.
    pub quality: Quality,
    /// It is a connect() that failed.
    pub is_attempt: bool,
    /// Its destination is known; otherwise the label is the host or the peer.
    pub has_destination: bool,
}

impl RequestDetail {
    fn of(request: &Request) -> Self {
        // Each record comes by: comparisons with constants are cheaper than a search of the list.
        let number = |method: &str| match method {
            "GET" => 1,
            "HEAD" => 2,
            "POST" => 3,
            "PUT" => 4,
            "DELETE" => 5,
            "CONNECT" => 6,
            "OPTIONS" => 7,
            "TRACE" => 8,
            "PATCH" => 9,
            "QUERY" => 10,
            _ => METHODS.len() as u8 + 1,
        };
        Self {
            method: request.method.as_deref().map_or(0, number),
            status: request.status_code,
            error: request.error,
            quality: request.quality,
            is_attempt: request.is_attempt(),
            has_destination: request.destination.is_some(),
        }
    }

    /// The method, `_OTHER` for one without a name of its own.
    pub fn method(&self) -> Option<&'static str> {
        let index = usize::from(self.method).checked_sub(1)?;
        Some(METHODS.get(index).copied().unwrap_or(OTHER_METHOD))
    }

    /// As one number, different for different details.
    fn number(&self) -> u64 {
        let error = self.error.map_or(0, |error| error as u64 + 1);
        let flags = u64::from(self.is_attempt) | u64::from(self.has_destination) << 1 | u64::from(self.status.is_some()) << 2;
        u64::from(self.status.unwrap_or(0)) | u64::from(self.method) << 16 | error << 24 | (self.quality as u64) << 32 | flags << 40
    }
}

/// The detail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SeriesDetail {
    /// Of several details, which were too many, or of no record.
    #[default]
    Mixed,
    /// Of requests.
    Request(RequestDetail),
    /// Of other records: why they failed.
    Outcome(Option<Arc<str>>),
}

impl SeriesDetail {
    /// The detail of a record.
    pub fn of(record: &Record) -> Self {
        match record {
            Record::Request(request) => Self::Request(RequestDetail::of(request)),
            other => Self::Outcome(other.failure().map(|failure| Arc::from(&*failure))),
        }
    }

    /// A number that is different for records of one kind with different details; `None` for failures, which are texts.
    pub fn number(record: &Record) -> Option<u64> {
        match record {
            Record::Request(request) => Some(RequestDetail::of(request).number()),
            other => (!other.failed()).then_some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::request;

    #[test]
    fn each_method_with_a_name_is_read_back() {
        for method in METHODS.into_iter().chain([OTHER_METHOD, "BREW"]) {
            let Record::Request(mut record) = request(1, "shop", "/", 5, 200) else { unreachable!() };
            record.method = Some(method.into());
            let named = if method == "BREW" { OTHER_METHOD } else { method };
            assert_eq!(RequestDetail::of(&record).method(), Some(named));
        }
    }
}
