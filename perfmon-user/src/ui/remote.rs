//! Reads another perfmon through its HTTP API: a thread polls once a second, so that a slow answer never delays a key.
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::model::{ScreenModel, ShownHost};
use super::screen::{ScreenSource, Shown};
use crate::aggregate::snapshot::Window;
use crate::outbound;

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why another perfmon cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing answers there.
    #[error("no perfmon answers at {url} ({source}); start one with `perfmon run`, or name another with --url")]
    Unreachable {
        /// Requested URL.
        url: String,
        /// What went wrong.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server requires a token.
    #[error("the perfmon at {url} wants its token: set PERFMON_HTTP__TOKEN")]
    Unauthorized {
        /// Requested URL.
        url: String,
    },
    /// The thread could not be started.
    #[error("the thread that asks could not be started")]
    Thread(#[from] std::io::Error),
}

/// Another perfmon.
pub struct RemoteSource {
    window: Arc<Mutex<Window>>,
    models: Receiver<Result<ScreenModel, String>>,
}

impl RemoteSource {
    /// Sends one request to check that a perfmon answers, then polls. `url` is `http://host:port`.
    pub fn connect(url: &str, token: Option<&str>) -> Result<Self, RemoteError> {
        let client = ApiClient::new(url, token);
        let window = Arc::new(Mutex::new(Window::Minute));
        client.model(Window::Minute).map_err(|error| match error {
            ureq::Error::StatusCode(401) => RemoteError::Unauthorized { url: url.into() },
            error => RemoteError::Unreachable { url: url.into(), source: Box::new(error) },
        })?;
        let (sender, models) = channel();
        let wanted = window.clone();
        std::thread::Builder::new().name("remote".into()).spawn(move || client.follow(&wanted, &sender))?;
        Ok(Self { window, models })
    }
}

impl ScreenSource for RemoteSource {
    fn poll(&mut self, window: Window) -> Option<Shown> {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = window;
        self.models.try_iter().last().map(Shown)
    }
}

struct ApiClient {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct SystemReply {
    latest: Option<ShownHost>,
}

#[derive(Deserialize)]
struct SelfReply {
    targets: Vec<SelfTarget>,
}

#[derive(Deserialize)]
struct SelfTarget {
    events_lost: u64,
}

impl ApiClient {
    fn new(url: &str, token: Option<&str>) -> Self {
        let agent = outbound::direct(TIMEOUT);
        Self { agent, url: url.trim_end_matches('/').into(), authorization: token.map(|token| format!("Bearer {token}")) }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ureq::Error> {
        let mut request = self.agent.get(format!("{}/api/v1/{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.call()?;
        match answer.status() {
            status if status.is_success() => answer.body_mut().read_json(),
            status => Err(ureq::Error::StatusCode(status.as_u16())),
        }
    }

    fn model(&self, window: Window) -> Result<ScreenModel, ureq::Error> {
        let window = match window {
            Window::Minute => "1m",
            Window::FiveMinutes => "5m",
            Window::Hour => "1h",
        };
        let own: SelfReply = self.get("self")?;
        Ok(ScreenModel {
            totals: self.get(&format!("summary?window={window}"))?,
            host: self.get::<SystemReply>(&format!("system?window={window}"))?.latest,
            endpoints: self.get::<Items<_>>(&format!("endpoints?window={window}"))?.items,
            destinations: self.get::<Items<_>>(&format!("destinations?window={window}"))?.items,
            processes: self.get::<Items<_>>("processes")?.items,
            findings: self.get::<Items<_>>("findings")?.items,
            events_lost: own.targets.iter().map(|target| target.events_lost).sum(),
        })
    }

    fn follow(&self, window: &Mutex<Window>, models: &Sender<Result<ScreenModel, String>>) {
        loop {
            let now = *window.lock().unwrap_or_else(PoisonError::into_inner);
            let model = self.model(now).map_err(|error| format!("{} does not answer: {error}", self.url));
            if models.send(model).is_err() {
                return;
            }
            std::thread::sleep(EVERY);
        }
    }
}
