//! Reads another perfmon through its HTTP API: a thread polls once a second, so that a slow answer never delays a key. Only the table on the
//! screen is read; a key that changes table or window is answered at once.
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::model::{ScreenModel, ShownHost, ShownTotals};
use super::samples::GraphSample;
use super::screen::{ScreenSource, Shown, ShownTable};
use super::view::Tab;
use crate::aggregate::snapshot::Window;
use crate::outbound::{self, PerfmonAgent, TrustError, TrustedRoots};

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);
/// What changes slowly or costs much is read once in so many rounds.
const ROUNDS: u32 = 5;
/// Seconds of a point of the history.
const HISTORY_STEP_S: u64 = 10;

/// Why another perfmon cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nothing answers there.
    #[error("no perfmon answers at {url} ({source}); start one with `perfmon run`, or give its address with --url")]
    Unreachable {
        /// Requested URL.
        url: String,
        /// What went wrong.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server requires a token.
    #[error("the perfmon at {url} requires a token: set PERFMON_HTTP__TOKEN")]
    Unauthorized {
        /// Requested URL.
        url: String,
    },
    /// The server does not admit this user.
    #[error("the perfmon at {url} does not let this user in: use sudo, or have its operator list the user in http.allow_users")]
    NotAdmitted {
        /// Requested URL.
        url: String,
    },
    /// The port speaks HTTPS.
    #[error("the perfmon at {url} speaks HTTPS: write https:// in the URL")]
    NeedsTls {
        /// Requested URL.
        url: String,
    },
    /// The trusted certificates cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The thread could not be started.
    #[error("cannot start the polling thread")]
    Thread(#[from] std::io::Error),
}

/// Another perfmon.
pub struct RemoteSource {
    wanted: WantedView,
    wishes: Sender<WantedView>,
    models: Receiver<Result<ScreenModel, String>>,
}

/// What is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WantedView {
    window: Window,
    /// All tables without one.
    tab: Option<Tab>,
}

impl RemoteSource {
    /// Sends one request to check that a perfmon answers, then polls. `url` is `http://host:port`, `https://host:port` or
    /// `unix:/path`.
    pub fn connect(url: &str, roots: &TrustedRoots, token: Option<&str>) -> Result<Self, RemoteError> {
        let client = ApiClient::new(url, roots, token)?;
        let wanted = WantedView { window: Window::Minute, tab: None };
        client.totals(Window::Minute).map_err(|error| match error {
            ureq::Error::StatusCode(400) => RemoteError::NeedsTls { url: url.into() },
            ureq::Error::StatusCode(401) => RemoteError::Unauthorized { url: url.into() },
            ureq::Error::StatusCode(403) => RemoteError::NotAdmitted { url: url.into() },
            error => RemoteError::Unreachable { url: url.into(), source: Box::new(error) },
        })?;
        let (sender, models) = channel();
        let (wishes, wished) = channel();
        std::thread::Builder::new().name("remote".into()).spawn(move || follow(client, wanted, &wished, &sender))?;
        Ok(Self { wanted, wishes, models })
    }

    fn want(&mut self, wanted: WantedView) {
        if self.wanted != wanted {
            self.wanted = wanted;
            // Fails when the thread has ended: then no model comes either, and `poll` gives none.
            self.wishes.send(wanted).ok();
        }
    }
}

impl ScreenSource for RemoteSource {
    fn poll(&mut self, window: Window) -> Option<Shown> {
        self.want(WantedView { window, ..self.wanted });
        let mut newest = None;
        let mut earlier = Vec::new();
        for mut model in self.models.try_iter() {
            earlier.append(&mut model.as_mut().map(|model| std::mem::take(&mut model.earlier)).unwrap_or_default());
            newest = Some(model);
        }
        Some(Shown(newest?.map(|model| ScreenModel { earlier, ..model })))
    }

    fn look_at(&mut self, table: ShownTable) {
        self.want(WantedView { tab: Some(table.0), ..self.wanted });
    }
}

/// Polls until the source is dropped.
fn follow(mut client: ApiClient, mut wanted: WantedView, wished: &Receiver<WantedView>, models: &Sender<Result<ScreenModel, String>>) {
    loop {
        let model = client.model(wanted);
        let model = model.map_err(|error| format!("{} does not answer ({error}); the figures are the last ones it sent", client.url));
        if models.send(model).is_err() {
            return;
        }
        match wished.recv_timeout(EVERY) {
            Ok(newer) => wanted = wished.try_iter().last().unwrap_or(newer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct ApiClient {
    way: PerfmonAgent,
    url: String,
    authorization: Option<String>,
    round: u32,
    host: Option<ShownHost>,
    events_lost: u64,
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

#[derive(Deserialize)]
struct HistoryReply {
    points: Vec<HistoryValue>,
}

#[derive(Deserialize)]
struct HistoryValue {
    time: crate::record::WallTime,
    value: Option<f64>,
}

impl ApiClient {
    fn new(url: &str, roots: &TrustedRoots, token: Option<&str>) -> Result<Self, TrustError> {
        Ok(Self {
            way: outbound::direct(url, roots, TIMEOUT)?,
            url: url.into(),
            authorization: token.map(|token| format!("Bearer {token}")),
            round: 0,
            host: None,
            events_lost: 0,
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ureq::Error> {
        let mut request = self.way.agent.get(format!("{}/api/v1/{path}", self.way.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.call()?;
        match answer.status() {
            status if status.is_success() => answer.body_mut().read_json(),
            status => Err(ureq::Error::StatusCode(status.as_u16())),
        }
    }

    fn items<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ureq::Error> {
        Ok(self.get::<Items<T>>(path)?.items)
    }

    fn totals(&self, window: Window) -> Result<ShownTotals, ureq::Error> {
        self.get(&format!("summary?window={}", window_name(window)))
    }

    fn model(&mut self, wanted: WantedView) -> Result<ScreenModel, ureq::Error> {
        let first = self.round == 0;
        self.slow_changes()?;
        let totals = self.totals(wanted.window)?;
        let minute = if wanted.window == Window::Minute { totals.clone() } else { self.totals(Window::Minute)? };
        let newest = GraphSample {
            second: minute.time.0 / 1_000_000_000,
            rate: Some(minute.rate_now_per_second),
            p95_ms: minute.p95_ms,
            cpu_percent: self.host.as_ref().and_then(|host| host.cpu_percent),
        };
        let mut model = ScreenModel {
            totals,
            host: self.host.clone(),
            findings: self.items("findings")?,
            firing: self.items("alerts?state=firing")?,
            events_lost: self.events_lost,
            only: wanted.tab,
            earlier: if first { self.earlier() } else { Vec::new() },
            newest: Some(newest),
            ..ScreenModel::default()
        };
        let tables: &[Tab] = wanted.tab.as_ref().map_or(&Tab::ALL, std::slice::from_ref);
        tables.iter().try_for_each(|tab| self.table(*tab, wanted.window, &mut model))?;
        self.round = self.round.wrapping_add(1);
        Ok(model)
    }

    fn slow_changes(&mut self) -> Result<(), ureq::Error> {
        self.host = self.get::<SystemReply>("system?window=1m")?.latest;
        if self.round.is_multiple_of(ROUNDS) {
            self.events_lost = self.get::<SelfReply>("self")?.targets.iter().map(|target| target.events_lost).sum();
        }
        Ok(())
    }

    fn table(&self, tab: Tab, window: Window, model: &mut ScreenModel) -> Result<(), ureq::Error> {
        let in_window = |rows: &str| format!("{rows}?window={}", window_name(window));
        match tab {
            Tab::Endpoints => model.endpoints = self.items(&in_window("endpoints"))?,
            Tab::Destinations => model.destinations = self.items(&in_window("destinations"))?,
            Tab::Databases => model.queries = self.items(&in_window("databases"))?,
            Tab::Pools => model.pools = self.items("pools")?,
            Tab::Names => model.names = self.items(&in_window("dns"))?,
            Tab::Models => model.models = self.items(&in_window("llm"))?,
            Tab::Agents => {
                model.agents = self.items(&in_window("agents"))?;
                model.tools = self.items(&in_window("tools"))?;
                model.workflows = self.items(&in_window("workflows"))?;
            }
            Tab::Processes => model.processes = self.items("processes")?,
            // They are read for the head as well.
            Tab::Findings => {}
            Tab::Alerts => model.alerts = self.items("alerts")?,
        }
        Ok(())
    }

    /// The last hour of the graphs, from the history on disk; empty where that perfmon keeps none.
    fn earlier(&self) -> Vec<GraphSample> {
        let points = |metric: &str| self.get::<HistoryReply>(&format!("history?metric={metric}&step={HISTORY_STEP_S}s"));
        let metrics = ["request.count&side=server", "request.response_time_ms.p95&side=server", "system.cpu_percent"];
        let [Ok(counts), Ok(p95), Ok(cpu)] = metrics.map(points) else { return Vec::new() };
        let by_time = |reply: &HistoryReply, time| reply.points.iter().find(|point| point.time == time).and_then(|point| point.value);
        // The last step is not over.
        let past = &counts.points[..counts.points.len().saturating_sub(1)];
        let samples = past.iter().map(|point| GraphSample {
            second: point.time.0 / 1_000_000_000,
            rate: point.value.map(|count| count / HISTORY_STEP_S as f64),
            p95_ms: by_time(&p95, point.time),
            cpu_percent: by_time(&cpu, point.time),
        });
        samples.flat_map(|sample| (0..HISTORY_STEP_S).map(move |more| GraphSample { second: sample.second + more, ..sample })).collect()
    }
}

fn window_name(window: Window) -> &'static str {
    match window {
        Window::Minute => "1m",
        Window::FiveMinutes => "5m",
        Window::Hour => "1h",
    }
}
