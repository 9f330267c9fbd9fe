//! The webhook: an alert's record as JSON by POST (RFC 9110); any 2xx counts as received. Redirects are not followed, and a URL, which may
//! contain a secret, appears in no error. An attempt runs on its own thread, which is a stage while it runs and is not awaited at shutdown.
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::oneshot;
use ureq::http::StatusCode;
use ureq::{Agent, Error};

use crate::heartbeat::{Heartbeats, Patience};
use crate::outbound;
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
    #[error("could not be reached: {0}")]
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

/// A webhook.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    agent: Agent,
    url: String,
    timeout: Duration,
    stages: Heartbeats,
}

/// Name of the threads and their stages.
const THREAD: &str = "webhook";
/// An attempt whose thread does not end for this long after its time is over is given up.
const MARGIN: Duration = Duration::from_secs(1);

impl Webhook {
    /// At a URL; an attempt takes no longer than `timeout`.
    pub fn new(url: &str, timeout: Duration, stages: Heartbeats) -> Self {
        Self { agent: outbound::agent(url, timeout), url: url.into(), timeout, stages }
    }

    /// One attempt.
    pub async fn post(&self, alert: &Alert) -> Result<(), DeliveryError> {
        let (webhook, record) = (self.clone(), Record::Alert(Box::new(alert.clone())));
        let (sender, result) = oneshot::channel();
        // The receiver may be gone at shutdown.
        let attempt = move || {
            let stage = webhook.stages.add(THREAD, Patience::UNPACED);
            let run = stage.run_here();
            drop(sender.send(webhook.attempt(&record)));
            drop(run);
            webhook.stages.remove(&stage);
        };
        let started = Builder::new().name(THREAD.into()).spawn(attempt);
        started.map_err(|error| DeliveryError::Unreachable(error.to_string()))?;
        match tokio::time::timeout(self.timeout + MARGIN, result).await {
            Ok(ended) => ended.unwrap_or_else(|_| Err(DeliveryError::Unreachable("the attempt panicked".into()))),
            Err(_) => Err(DeliveryError::TimedOut(self.timeout)),
        }
    }

    fn attempt(&self, record: &Record) -> Result<(), DeliveryError> {
        match self.agent.post(&self.url).send_json(record) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(DeliveryError::Status(answer.status())),
            Err(Error::Timeout(_)) => Err(DeliveryError::TimedOut(self.timeout)),
            Err(Error::Io(error)) => Err(DeliveryError::Unreachable(error.to_string())),
            // Errors that contain the URL are reported without it.
            Err(Error::BadUri(_)) => Err(DeliveryError::Unreachable("its URL cannot be used".into())),
            Err(error) => Err(DeliveryError::Unreachable(error.to_string())),
        }
    }
}
