//! The routes that a client of the stream follows (`follow=`, `fields.ROUTE=`): at each snapshot the data of a `change` event for each route
//! whose answer is not what the client knows. A followed route gives what its `GET` gives, except that `/system` has no trend and
//! `/records` are the newest slow and failed requests.
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;

use super::HttpState;
use super::answer::ApiError;
use super::changes::{KnownAnswer, ListHead};
use super::fields::{NoFields, WantedFields};
use super::params::Params;
use super::recent::{RecentRecord, RecordFilter};
use super::self_report::SelfReport;
use super::summary::Summary;
use super::{custom_series, health, self_report};
use crate::aggregate::snapshot::{Snapshot, Window, WindowView};
use crate::limits;
use crate::record::{Record, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Health,
    Summary,
    SelfReport,
    System,
    Endpoints,
    Destinations,
    Databases,
    Names,
    Pools,
    Llm,
    Agents,
    Tools,
    Workflows,
    Metrics,
    Processes,
    Findings,
    Alerts,
    Records,
}

const ROUTES: [(&str, Route); 18] = [
    ("health", Route::Health),
    ("summary", Route::Summary),
    ("self", Route::SelfReport),
    ("system", Route::System),
    ("endpoints", Route::Endpoints),
    ("destinations", Route::Destinations),
    ("databases", Route::Databases),
    ("dns", Route::Names),
    ("pools", Route::Pools),
    ("llm", Route::Llm),
    ("agents", Route::Agents),
    ("tools", Route::Tools),
    ("workflows", Route::Workflows),
    ("metrics", Route::Metrics),
    ("processes", Route::Processes),
    ("findings", Route::Findings),
    ("alerts", Route::Alerts),
    ("records", Route::Records),
];

/// What answers are made from.
pub(super) struct FollowedState<'a> {
    pub state: &'a HttpState,
    pub snapshot: &'a Snapshot,
    /// perfmon's report on itself, when it is followed and could be made.
    pub report: Option<SelfReport>,
}

/// One followed route and what the client knows of it.
struct Followed {
    /// As the client named it.
    name: String,
    route: Route,
    window: Window,
    wanted: WantedFields,
    known: KnownAnswer,
}

/// All routes that a client follows.
#[derive(Default)]
pub(super) struct Follower(Vec<Followed>);

#[derive(Serialize)]
struct Latest<'a> {
    latest: &'a Option<Arc<System>>,
}

impl Follower {
    /// From `window`, `follow` and `fields.…`.
    pub fn new(params: Params) -> Result<(Window, Self), ApiError> {
        let field_params = ROUTES.map(|(name, _)| format!("fields.{name}"));
        let allowed: Vec<&str> = ["window", "follow"].into_iter().chain(field_params.iter().map(String::as_str)).collect();
        let params = params.only(&allowed)?;
        let window = params.window()?;
        let mut followed: Vec<Followed> = Vec::new();
        for name in params.text("follow").into_iter().flat_map(|names| names.split(',')) {
            let (route_name, own) = name.split_once('@').map_or((name, None), |(route, window)| (route, Some(window)));
            let Some((_, route)) = ROUTES.iter().find(|(known, _)| *known == route_name) else {
                let known = ROUTES.map(|(known, _)| known).join(", ");
                return Err(ApiError::parameter("follow", format!("{route_name:?} cannot be followed; routes are {known}")));
            };
            if followed.iter().any(|one| one.name == name) {
                return Err(ApiError::parameter("follow", format!("{name:?} is given more than once")));
            }
            let window = own.map_or(Ok(window), |own| Params::window_of("follow", own))?;
            let wanted = params.text(&format!("fields.{route_name}")).map(|names| names.split(',').map(String::from).collect());
            followed.push(Followed { name: name.to_string(), route: *route, window, wanted, known: KnownAnswer::default() });
        }
        Ok((window, Self(followed)))
    }

    /// The data of the events that bring the client up to date.
    pub fn changes(&mut self, now: &FollowedState<'_>) -> Vec<Vec<u8>> {
        self.0.iter_mut().filter_map(|followed| followed.change_or_none(now)).collect()
    }

    /// Whether perfmon's report on itself is followed.
    pub fn wants_report(&self) -> bool {
        self.0.iter().any(|followed| followed.route == Route::SelfReport)
    }

    /// The same for what need not wait for the next snapshot.
    pub fn urgent_changes(&mut self, now: &FollowedState<'_>) -> Vec<Vec<u8>> {
        let urgent = self.0.iter_mut().filter(|followed| followed.route == Route::Alerts);
        urgent.filter_map(|followed| followed.change_or_none(now)).collect()
    }
}

impl Followed {
    fn change_or_none(&mut self, now: &FollowedState<'_>) -> Option<Vec<u8>> {
        self.change(now).unwrap_or_else(|error| {
            tracing::error!(%error, route = self.name, "A followed route could not be written as JSON.");
            None
        })
    }

    fn change(&mut self, now: &FollowedState<'_>) -> Result<Option<Vec<u8>>, NoFields> {
        let FollowedState { state, snapshot, report } = now;
        match self.route {
            Route::Health => self.object(&health::health(snapshot, (state.parts.now)(), &(state.parts.degraded)())),
            Route::Summary => self.object(&Summary::of(snapshot, self.window, state.parts.alerts.firing())),
            Route::SelfReport => match report {
                Some(report) => self.object(&self_report::body(state, snapshot, report.clone())),
                None => Ok(None),
            },
            Route::System => self.object(&Latest { latest: &snapshot.system }),
            Route::Endpoints => self.rows(snapshot, |view| &view.endpoints, |row| (&row.service, &row.method, &row.endpoint)),
            Route::Destinations => self.rows(snapshot, |view| &view.destinations, |row| (&row.service, &row.destination)),
            Route::Databases => self.rows(
                snapshot,
                |view| &view.queries,
                |row| {
                    let of = (&row.service, row.side as u8, &row.system, &row.destination, &row.database);
                    (of, &row.operation, &row.target, &row.query, &row.query_id)
                },
            ),
            Route::Names => self.rows(snapshot, |view| &view.names, |row| (&row.service, &row.name, &row.qtype)),
            Route::Pools => self.list(&snapshot.pools, None, true, |pool| (pool.origin.pid, &pool.peer, pool.system)),
            Route::Llm => self.rows(
                snapshot,
                |view| &view.llm,
                |row| (&row.service, row.side as u8, &row.provider, &row.request_model, &row.destination),
            ),
            Route::Agents => self.rows(snapshot, |view| &view.agents, |row| (&row.service, &row.agent_type)),
            Route::Tools => self.rows(snapshot, |view| &view.tools, |row| (&row.service, &row.tool_name, row.source, &row.server)),
            Route::Workflows => self.rows(snapshot, |view| &view.workflows, |row| (&row.service, &row.workflow_name)),
            Route::Metrics => {
                let rows: Vec<_> = custom_series::rows(&state.custom).into_iter().map(Arc::new).collect();
                self.list(&rows, Some(custom_series::WINDOW_S), true, |row| &row.metric)
            }
            Route::Processes => self.list(&snapshot.processes, None, false, |row| row.origin.pid),
            Route::Findings => self.list(&snapshot.findings, None, true, |row| &row.finding_id),
            Route::Alerts => {
                let alerts: Vec<_> = state.parts.alerts.alerts().into_iter().map(Arc::new).collect();
                self.list(&alerts, None, true, |alert| &alert.alert_id)
            }
            Route::Records => self.records(state),
        }
    }

    fn object<T: Serialize>(&mut self, answer: &T) -> Result<Option<Vec<u8>>, NoFields> {
        self.known.object(&self.name, answer, &self.wanted)
    }

    /// Rows of the window.
    fn rows<'a, T: Serialize + 'a, K: Hash>(
        &mut self,
        snapshot: &'a Snapshot,
        rows: fn(&WindowView) -> &[Arc<T>],
        key: impl Fn(&'a T) -> K,
    ) -> Result<Option<Vec<u8>>, NoFields> {
        let rows = snapshot.window(self.window).map_or(&[][..], rows);
        self.list(rows, Some(self.window.seconds()), false, key)
    }

    fn list<'a, T: Serialize + 'a, K: Hash>(
        &mut self,
        rows: &'a [Arc<T>],
        window_s: Option<u64>,
        ordered: bool,
        key: impl Fn(&'a T) -> K,
    ) -> Result<Option<Vec<u8>>, NoFields> {
        let head = ListHead { name: &self.name, window_s, total: rows.len(), ordered };
        self.known.list(&head, rows.iter().take(limits::LIST_ITEMS).map(|row| &**row), key, &self.wanted)
    }

    /// The newest slow and failed requests.
    fn records(&mut self, state: &HttpState) -> Result<Option<Vec<u8>>, NoFields> {
        let filter = RecordFilter { kind: Some("request"), slow: true, ..RecordFilter::default() };
        let (_, found) = state.recent.select(&filter, limits::FOLLOWED_RECORDS);
        let head = ListHead { name: &self.name, window_s: None, total: found.len(), ordered: true };
        let span = |record: &RecentRecord| match record.record() {
            Record::Request(request) => Some((request.side as u8, request.span_id.0, request.time.0)),
            _ => None,
        };
        self.known.list(&head, found.iter(), span, &self.wanted)
    }
}
