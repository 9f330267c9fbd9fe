//! One delivery over HTTP: headers, time-out, and the meaning of the answer (OTLP 1.x, "OTLP/HTTP Response"). Redirects are not followed,
//! since they would carry the token to another server. Secrets that an answer repeats are removed from messages.
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body, Error};

use super::envelope::Envelope;
use super::queue::DeliveryOutcome;
use crate::config::{ExportTarget, Signal};
use crate::outbound;
use crate::record::WallTime;
use crate::redact;

/// Bytes of an answer that are read.
const ANSWER_BYTES: u64 = 64 * 1024;
/// Shorter words of headers are not secrets; removing them would destroy the message.
const SECRET_BYTES: usize = 4;
/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// The way to a receiver.
#[derive(Debug)]
pub struct Poster {
    agent: Agent,
    target: ExportTarget,
}

impl Poster {
    /// To a receiver.
    pub fn new(target: ExportTarget) -> Self {
        Self { agent: outbound::agent(&target.url, target.timeout), target }
    }

    /// Who it is.
    pub fn target(&self) -> &ExportTarget {
        &self.target
    }

    /// Sends an envelope.
    pub fn send(&self, envelope: &Envelope, now: WallTime) -> DeliveryOutcome {
        let mut request = self.agent.post(&self.target.url).header(header::CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.target.headers {
            request = request.header(name, &value.0);
        }
        let sent = if self.target.gzip {
            request.header(header::CONTENT_ENCODING, "gzip").send(&envelope.gzipped[..])
        } else {
            request.send(&envelope.plain()[..])
        };
        match sent {
            Ok(answer) => self.judge(answer, now),
            Err(error) => DeliveryOutcome::Again { after: None, why: self.without_secrets(&unreached(&error)) },
        }
    }

    /// Requests a page with the receiver's headers; returns status and text.
    pub fn ask(&self, url: &str) -> Result<(StatusCode, String), String> {
        let mut request = self.agent.get(url);
        for (name, value) in &self.target.headers {
            request = request.header(name, &value.0);
        }
        let mut answer = request.call().map_err(|error| self.without_secrets(&unreached(&error)))?;
        Ok((answer.status(), self.without_secrets(&String::from_utf8_lossy(&body(&mut answer)))))
    }

    fn judge(&self, mut answer: Response<Body>, now: WallTime) -> DeliveryOutcome {
        let (status, after) = (answer.status(), retry_after(answer.headers(), now));
        let body = body(&mut answer);
        match status.as_u16() {
            200..=299 => {
                let (rejected, why) = partial(self.target.signal, &body).unwrap_or_default();
                DeliveryOutcome::Taken { rejected, why: (!why.is_empty() || rejected > 0).then(|| self.without_secrets(&why)) }
            }
            408 | 429 | 500..=599 => DeliveryOutcome::Again { after, why: self.said(status, &answer, &body) },
            413 => DeliveryOutcome::TooLarge,
            code => DeliveryOutcome::Refused { forbidden: matches!(code, 401 | 403), why: self.said(status, &answer, &body) },
        }
    }

    /// The status, and the text that came with it.
    fn said(&self, status: StatusCode, answer: &Response<Body>, body: &[u8]) -> String {
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let is_text = ["text/plain", "application/json"].iter().any(|text| kind.starts_with(text));
        let text = if is_text { String::from_utf8_lossy(body) } else { "".into() };
        let text: String = self.without_secrets(text.trim()).chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        if text.is_empty() { format!("answered {status}") } else { format!("answered {status}: {text}") }
    }

    /// Cuts out the values of the headers and their words, as in `Bearer …`, and whatever looks like a key: receivers repeat the path.
    fn without_secrets(&self, text: &str) -> String {
        let words = self.target.headers.iter().flat_map(|(_, value)| std::iter::once(&*value.0).chain(value.0.split_whitespace()));
        let cut = words.filter(|word| word.len() >= SECRET_BYTES).fold(text.to_string(), |text, word| text.replace(word, "…"));
        redact::text(&cut).into_owned()
    }
}

fn unreached(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "did not answer in time".into(),
        error => error.to_string(),
    }
}

/// What came of the answer's body.
fn body(answer: &mut Response<Body>) -> Vec<u8> {
    answer.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec().unwrap_or_default()
}

/// `Retry-After`: seconds or a date.
fn retry_after(headers: &HeaderMap, now: WallTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_nanosecond();
    Some(Duration::from_nanos(u64::try_from(date - i128::from(now.0)).unwrap_or(0)))
}

/// How many items of a delivery were refused, and why.
fn partial(signal: Signal, body: &[u8]) -> Option<(u64, String)> {
    let (rejected, why) = match signal {
        Signal::Traces => {
            let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_spans, partial.error_message)
        }
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_data_points, partial.error_message)
        }
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_log_records, partial.error_message)
        }
    };
    Some((u64::try_from(rejected).unwrap_or(0), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn secrets_are_cut_out_of_what_is_shown() {
        let headers = vec![("authorization".into(), Secret("Bearer hunter2".into())), ("x".into(), Secret("a".into()))];
        let (name, url, timeout) = ("otlp".into(), "http://localhost:1".into(), Duration::from_secs(1));
        let target = ExportTarget { name, signal: Signal::Logs, url, headers, timeout, gzip: true, check_url: None };
        let poster = Poster::new(target);
        assert_eq!(poster.without_secrets("no Bearer hunter2, not hunter2 at all"), "no …, not … at all");
        assert_eq!(poster.without_secrets("no /in/4eC39HqLyjWDarjtT1zdp7dc/v1 here"), "no /in/{token}/v1 here");
        assert!(!format!("{poster:?}").contains("hunter2"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = WallTime(1_795_341_599_000_000_000);
        for (text, seconds) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 10:00:09 GMT", Some(10)),
            ("Sun, 22 Nov 2020 10:00:09 GMT", Some(0)),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
