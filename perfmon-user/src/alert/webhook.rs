//! The webhook: an alert's record as JSON by POST (RFC 9110); any 2xx is taken as received. Redirects are not followed, and a URL, which
//! may hold a secret, appears in no error.
use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::redirect::Policy;

use crate::record::{Alert, Record};

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// Another status than 2xx.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Not reached.
    #[error("not reached: {0}")]
    Unreachable(String),
}

impl DeliveryError {
    /// Whether another attempt may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
            Self::TimedOut(_) | Self::Unreachable(_) => true,
        }
    }
}

/// The client that all webhooks share.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().user_agent(concat!("perfmon/", env!("CARGO_PKG_VERSION"))).redirect(Policy::none()).build()
}

/// One attempt.
pub(super) async fn post(client: &reqwest::Client, url: &str, alert: &Alert, timeout: Duration) -> Result<(), DeliveryError> {
    let record = Record::Alert(Box::new(alert.clone()));
    match client.post(url).timeout(timeout).json(&record).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(DeliveryError::Status(answer.status())),
        Err(error) if error.is_timeout() => Err(DeliveryError::TimedOut(timeout)),
        Err(error) => Err(DeliveryError::Unreachable(cause(&error.without_url()))),
    }
}

/// The innermost cause, which names no address.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
