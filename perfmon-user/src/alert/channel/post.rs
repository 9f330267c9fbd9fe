//! POST of a body to a receiver (RFC 9110). Any 2xx is acceptance. Redirects are not followed, because they would carry the notification and
//! its secrets to another server. No error holds the URL or a key, also not where an answer repeats it.
use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body, Error};

use crate::outbound;
use crate::printable::printable;

/// Bytes of an answer that may stand in an error.
const SAID_BYTES: u64 = 200;
/// Parts of a URL from this length on may be a secret.
const SECRET_BYTES: usize = 6;
/// Longest time that a receiver may have perfmon wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Why a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum DeliveryError {
    /// Another status than 2xx.
    #[error("it answered {status}{said}")]
    Status {
        /// The status.
        status: StatusCode,
        /// What the answer said, after a colon.
        said: String,
        /// When the next attempt is welcome.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Not reached.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// The receiver cannot take it now.
    #[error("it cannot take it now: {0}")]
    Busy(String),
    /// The receiver does not take it.
    #[error("it was refused: {0}")]
    Refused(String),
}

impl DeliveryError {
    /// Whether another attempt may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            Self::TimedOut(_) | Self::Unreachable(_) | Self::Busy(_) => true,
            Self::Refused(_) => false,
        }
    }

    /// How long the receiver asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A receiver.
pub(super) struct Receiver {
    agent: Agent,
    url: String,
    timeout: Duration,
    /// What no error may hold.
    secrets: Vec<String>,
}

impl Receiver {
    /// At a URL, of which the path may be a secret; `key` is another one.
    pub fn new(url: &str, key: Option<&str>, timeout: Duration) -> Self {
        let uri: Option<Uri> = url.parse().ok();
        let parts = uri.iter().flat_map(|uri| {
            let path = uri.path_and_query().map_or("", |path| path.as_str()).split(['/', '?', '&', '=']);
            let user = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map_or("", |(user, _)| user);
            path.chain(user.split(':')).map(String::from).collect::<Vec<_>>()
        });
        let secrets = parts.filter(|part| part.len() >= SECRET_BYTES).chain(key.map(String::from)).collect();
        Self { agent: outbound::agent(url, timeout), url: url.into(), timeout, secrets }
    }

    /// One attempt with a JSON body.
    pub fn post_json(&self, body: &impl Serialize) -> Result<(), DeliveryError> {
        let body = serde_json::to_vec(body).map_err(|error| DeliveryError::Refused(error.to_string()))?;
        self.post("application/json", &[], &body)
    }

    /// One attempt.
    pub fn post(&self, content_type: &str, headers: &[(&str, String)], body: &[u8]) -> Result<(), DeliveryError> {
        let request = self.agent.post(&self.url).header("content-type", content_type);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        match request.send(body) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(self.refusal(answer)),
            Err(Error::Timeout(_)) => Err(DeliveryError::TimedOut(self.timeout)),
            Err(Error::Io(error)) => Err(DeliveryError::Unreachable(error.to_string())),
            // Errors that contain the URL are reported without it.
            Err(Error::BadUri(_)) => Err(DeliveryError::Refused("its URL cannot be used".into())),
            Err(error) => Err(DeliveryError::Unreachable(error.to_string())),
        }
    }

    fn refusal(&self, mut answer: Response<Body>) -> DeliveryError {
        let status = answer.status();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").and_then(|text| wanted_wait(text, header("date"))).map(|wait| wait.min(LONGEST_WAIT));
        if status.is_redirection() {
            let said = "; redirects are not followed, configure the URL that it leads to".into();
            return DeliveryError::Status { status, said, retry_after };
        }
        let mut bytes = Vec::new();
        // What cannot be read is left out.
        answer.body_mut().as_reader().take(SAID_BYTES).read_to_end(&mut bytes).ok();
        let said = printable(String::from_utf8_lossy(&bytes).trim()).to_string();
        let shown = !said.is_empty() && !said.starts_with('<') && !self.secrets.iter().any(|secret| said.contains(secret));
        DeliveryError::Status { status, said: if shown { format!(": {said}") } else { String::new() }, retry_after }
    }
}

/// What a `Retry-After` asks for: seconds, or a date, which is compared with that of the answer (RFC 9110, 10.2.3).
fn wanted_wait(text: &str, answered_at: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, from) = (httpdate::parse_http_date(text).ok()?, httpdate::parse_http_date(answered_at?).ok()?);
    Some(until.duration_since(from).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let date = Some("Fri, 27 Nov 2026 10:00:00 GMT");
        for (text, answered_at, seconds) in [
            ("120", None, Some(120)),
            ("Fri, 27 Nov 2026 10:01:30 GMT", date, Some(90)),
            ("Fri, 27 Nov 2026 09:00:00 GMT", date, Some(0)),
            ("Fri, 27 Nov 2026 10:01:30 GMT", None, None),
            ("soon", date, None),
        ] {
            assert_eq!(wanted_wait(text, answered_at), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
