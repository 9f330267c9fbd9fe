//! HTTP exchanges: durations and body sizes by method, status, route or destination. The duration of a streaming exchange is its first
//! byte, as in all figures of perfmon.
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::metric_set::MetricSet;
use super::series::{SeriesKind, SeriesSums, SumKey};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::exponential::Distribution;
use crate::export::otlp::failure::{self, ErrorType};
use crate::export::otlp::instrument as of;
use crate::record::{Request, Side, address};

/// Methods that are exported by name (RFC 9110, RFC 5789); others are `_OTHER`.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// Key of an HTTP series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpKey {
    side: Option<Side>,
    method: &'static str,
    secure: bool,
    status: Option<u16>,
    /// Server: the endpoint. Client: the destination.
    place: Option<Arc<str>>,
    failure: Option<ErrorType>,
    version: &'static str,
}

/// The method, if it is a known one.
pub fn method(method: Option<&str>) -> &'static str {
    METHODS.into_iter().find(|known| Some(*known) == method).unwrap_or("_OTHER")
}

/// `network.protocol.version`.
pub fn version(protocol: &str) -> &'static str {
    match protocol {
        "http/1.0" => "1.0",
        "h2" | "grpc" => "2",
        _ => "1.1",
    }
}

impl HttpKey {
    /// The series of a request.
    pub fn of(request: &Request) -> Self {
        let place = match request.side {
            Side::Server => &request.endpoint,
            Side::Client => &request.destination,
        };
        Self {
            side: Some(request.side),
            method: method(request.method.as_deref()),
            secure: request.tls,
            status: request.status_code,
            place: place.clone(),
            failure: failure::of(request),
            version: version(request.protocol),
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = Attributes::default();
        let Some(side) = self.side else { return attributes.add("otel.metric.overflow", true).take() };
        attributes
            .add("http.request.method", self.method)
            .add("url.scheme", if self.secure { "https" } else { "http" })
            .add("network.protocol.version", self.version)
            .maybe("http.response.status_code", self.status.map(u64::from))
            .maybe("error.type", self.failure.map(failure::name));
        match side {
            Side::Server => {
                attributes.maybe("http.route", self.place.as_deref());
            }
            Side::Client => {
                let place = self.place.as_deref().map(address);
                attributes.maybe("server.address", place.map(|(host, _)| host));
                attributes.maybe("server.port", place.and_then(|(_, port)| port));
            }
        }
        attributes.take()
    }
}

impl SumKey for HttpKey {
    const KIND: SeriesKind = SeriesKind::Http;

    fn overflow() -> Self {
        Self { side: None, method: "", secure: false, status: None, place: None, failure: None, version: "" }
    }
}

/// What a series counted.
#[derive(Debug, Default)]
pub struct HttpSums {
    server: Sides,
    client: Sides,
}

/// Exchanges that wait for their places in the distributions: together they touch less memory than one by one.
const NOTED: usize = 32;

#[derive(Debug, Default)]
struct Sides {
    noted: Vec<NotedExchange>,
    duration: Distribution,
    request_size: Distribution,
    response_size: Distribution,
    unmeasured: u64,
}

/// What distributions need of an exchange.
#[derive(Debug)]
struct NotedExchange {
    latency_ns: Option<u64>,
    request_size: Option<u64>,
    response_size: Option<u64>,
}

impl Sides {
    fn is_empty(&self) -> bool {
        let Self { noted, duration, request_size, response_size, unmeasured } = self;
        noted.is_empty() && *unmeasured == 0 && [duration, request_size, response_size].into_iter().all(Distribution::is_empty)
    }

    fn settle(&mut self) {
        for exchange in self.noted.drain(..) {
            match exchange.latency_ns {
                Some(latency) => self.duration.record(latency),
                None => self.unmeasured += 1,
            }
            exchange.request_size.into_iter().for_each(|size| self.request_size.record(size));
            exchange.response_size.into_iter().for_each(|size| self.response_size.record(size));
        }
    }
}

impl SeriesSums for HttpSums {
    fn is_empty(&self) -> bool {
        [&self.server, &self.client].into_iter().all(Sides::is_empty)
    }

    fn clear(&mut self) {
        for Sides { noted, duration, request_size, response_size, unmeasured } in [&mut self.server, &mut self.client] {
            noted.clear();
            [duration, request_size, response_size].into_iter().for_each(Distribution::clear);
            *unmeasured = 0;
        }
    }
}

impl HttpSums {
    /// Counts a request.
    pub fn add(&mut self, request: &Request) {
        let sums = match request.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        if sums.noted.len() >= NOTED {
            sums.settle();
        }
        let Request { request_size, response_size, .. } = *request;
        sums.noted.push(NotedExchange { latency_ns: request.latency().map(|latency| latency.0), request_size, response_size });
    }

    /// Adds the sums to the metric set. An overflow series may have both sides, any other has one.
    pub fn write(&mut self, key: &HttpKey, metric_set: &mut MetricSet) {
        [&mut self.server, &mut self.client].into_iter().for_each(Sides::settle);
        let attributes = key.attributes();
        for (sums, side) in [(&self.server, "server"), (&self.client, "client")] {
            if sums.unmeasured > 0 {
                let mut attributes_with_side = attributes.clone();
                attributes_with_side.extend(Attributes::default().add("perfmon.side", side).take());
                metric_set.count(&of::HTTP_UNMEASURED, sums.unmeasured, attributes_with_side);
            }
        }
        let [server, client] = [&self.server, &self.client];
        let distributions = [
            (&of::HTTP_SERVER_DURATION, &server.duration),
            (&of::HTTP_SERVER_REQUEST_SIZE, &server.request_size),
            (&of::HTTP_SERVER_RESPONSE_SIZE, &server.response_size),
            (&of::HTTP_CLIENT_DURATION, &client.duration),
            (&of::HTTP_CLIENT_REQUEST_SIZE, &client.request_size),
            (&of::HTTP_CLIENT_RESPONSE_SIZE, &client.response_size),
        ];
        metric_set.distributions(distributions, attributes);
    }
}
