//! Builds the snapshot from the figures of the series and from the requests in flight.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::concurrency::ExchangeInterval;
use super::endpoint::RowName;
use super::row::{self, UnderWay, WindowContext};
use super::snapshot::{EndpointRow, ServiceRow, Snapshot, Window, WindowView, WorkTotals};
use super::{Aggregate, interval};
use crate::record::WallTime;

/// A request under way without a row yet is shown when it is older: it may be hanging.
const HANGING_NS: u64 = 1_000_000_000;

/// Requests under way, by row.
#[derive(Debug, Default)]
pub(super) struct AllUnderWay {
    /// For the sweep of concurrency.
    pub intervals: Vec<ExchangeInterval>,
    rows: FxHashMap<u32, UnderWay>,
    services: FxHashMap<u32, UnderWay>,
    hanging: Vec<(RowName, UnderWay)>,
}

impl Aggregate {
    /// Finds the rows of the requests under way.
    pub(super) fn under_way(&mut self, now: WallTime) -> AllUnderWay {
        let mut all = AllUnderWay::default();
        let gauges = self.gauges.clone();
        for request in &gauges.in_flight {
            let age_ns = now.0.saturating_sub(request.since.0);
            let service = self.names.service_number(&request.origin.service);
            if let Some(service) = service {
                all.services.entry(service).or_default().add(age_ns);
            }
            match self.names.find(&request.origin, &request.method, &request.path) {
                Ok(place) => {
                    all.intervals.push(interval(request.since.0, 0, place));
                    all.rows.entry(place.row).or_default().add(age_ns);
                }
                Err(name) => {
                    all.intervals.extend(service.map(|service| ExchangeInterval {
                        start_ns: request.since.0,
                        end_ns: 0,
                        row: None,
                        service,
                    }));
                    all.hang(name, age_ns);
                }
            }
        }
        all
    }

    /// The snapshot at `now`, without findings.
    pub(super) fn snapshot(&self, now: WallTime, under_way: &AllUnderWay) -> Snapshot {
        Snapshot {
            time: now,
            uptime_s: self.clock.uptime_s(),
            windows: Window::ALL.iter().map(|&window| self.window(window, under_way)).collect(),
            system: self.host.system(),
            processes: self.host.processes(),
            pools: self.host.pools(),
            findings: Vec::new(),
            gauges: self.gauges.clone(),
            degraded: self.degraded.clone(),
        }
    }

    fn window(&self, window: Window, under_way: &AllUnderWay) -> WindowView {
        let covered_s = self.clock.covered_s(window);
        // A rate over less than a second means nothing.
        let view = WindowContext { covered_s: covered_s.max(1.0), latency_sum: self.totals.figures(window).counts.latency_sum };
        WindowView {
            window_s: window.seconds(),
            covered_s,
            totals: Arc::new(row::totals::totals(&self.totals, window, &view)),
            endpoints: self.endpoint_rows(window, &view, under_way),
            destinations: self.destination_rows(window, &view),
            services: self.service_rows(window, &view, under_way),
            queries: self.query_rows(window, &view),
            names: self.name_rows(window, &view),
            ..self.work(window, &view)
        }
    }

    fn endpoint_rows(&self, window: Window, view: &WindowContext, under_way: &AllUnderWay) -> Vec<Arc<EndpointRow>> {
        let hanging = under_way.hanging.iter().map(|(name, count)| row::endpoint::hanging_row(name.clone(), *count));
        let mut rows: Vec<Arc<EndpointRow>> = hanging.map(Arc::new).collect();
        for (number, row) in self.endpoints.rows() {
            let count = under_way.rows.get(number).copied().unwrap_or_default();
            if let Some(name) = self.names.name(*number).filter(|_| count.count > 0 || !row.figures(window).is_empty()) {
                rows.push(Arc::new(row::endpoint::endpoint_row(name, row, self.repeated.get(number), window, view, count)));
            }
        }
        row::endpoint::sort(&mut rows);
        rows
    }

    fn service_rows(&self, window: Window, view: &WindowContext, under_way: &AllUnderWay) -> Vec<Arc<ServiceRow>> {
        let mut rows: Vec<Arc<ServiceRow>> = Vec::new();
        for (number, row) in self.services.rows() {
            let count = under_way.services.get(number).copied().unwrap_or_default();
            if let Some((name, origin)) = self.names.service_name(*number).filter(|_| count.count > 0 || !row.figures(window).is_empty()) {
                rows.push(Arc::new(row::service::service_row(name, Some(origin.clone()), row, window, view, count)));
            }
        }
        rows.sort_by(|a, b| b.share_of_time.total_cmp(&a.share_of_time).then(b.count.cmp(&a.count)).then(a.service.cmp(&b.service)));
        rows
    }

    fn destination_rows(&self, window: Window, view: &WindowContext) -> Vec<Arc<super::snapshot::DestinationRow>> {
        let mut asked: FxHashMap<(&str, &str), Vec<&row::dns::NameSeries>> = FxHashMap::default();
        for (key, row) in self.dns.in_window(window) {
            asked.entry(key.name()).or_default().push(row);
        }
        let rows = self.destinations.in_window(window).map(|(key, row)| {
            let names = asked.get(&key.host()).map_or(&[][..], |rows| rows);
            let around = row::destination::Surroundings { tcp: self.tcp.get(key), names };
            Arc::new(row::destination::destination_row(key, row, around, window, view))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.service, &a.destination).cmp(&(&b.service, &b.destination))));
        rows
    }

    fn query_rows(&self, window: Window, view: &WindowContext) -> Vec<Arc<super::snapshot::QueryRow>> {
        let rows = self.queries.in_window(window).map(|(key, row)| Arc::new(row::query::query_row(key, row, window, view)));
        let mut rows: Vec<_> = rows.collect();
        let time = |row: &super::snapshot::QueryRow| row.time_total_ms.unwrap_or(0.0);
        rows.sort_by(|a, b| {
            let by_name = || (&a.service, &a.query, &a.destination).cmp(&(&b.service, &b.query, &b.destination));
            time(b).total_cmp(&time(a)).then(b.count.cmp(&a.count)).then_with(by_name)
        });
        rows
    }

    fn name_rows(&self, window: Window, view: &WindowContext) -> Vec<Arc<super::snapshot::NameRow>> {
        let rows = self.dns.in_window(window).map(|(key, row)| Arc::new(row::dns::name_row(key, row, window, view)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.service, &a.name, &a.qtype).cmp(&(&b.service, &b.name, &b.qtype))));
        rows
    }

    /// Rows and totals of model calls, agents, tools and workflows; the rest of the view is empty.
    fn work(&self, window: Window, view: &WindowContext) -> WindowView {
        let mut totals = WorkTotals::default();
        row::llm::add_totals(self.llm.in_window(window), window, &mut totals);
        row::agent::add_totals(self.agents.in_window(window), window, &mut totals);
        row::tool::add_totals(self.tools.in_window(window), window, &mut totals);
        row::workflow::add_totals(self.workflows.in_window(window), window, &mut totals);
        let llm = self.llm.in_window(window).map(|(key, row)| row::llm::llm_row(key, row, window, view));
        let agents = self.agents.in_window(window).map(|(key, row)| row::agent::agent_row(key, row, window));
        let tools = self.tools.in_window(window).map(|(key, row)| row::tool::tool_row(key, row, window));
        let workflows = self.workflows.in_window(window).map(|(key, row)| row::workflow::workflow_row(key, row, window));
        WindowView {
            work: Arc::new(totals),
            llm: busiest_first(llm, |row| (row.calls, [&row.service, &row.provider].map(Clone::clone))),
            agents: busiest_first(agents, |row| (row.count, [row.service.clone(), row.agent_type.clone().unwrap_or_default()])),
            tools: busiest_first(tools, |row| (row.count, [row.service.clone(), row.tool_name.clone()])),
            workflows: busiest_first(workflows, |row| (row.count, [row.service.clone(), row.workflow_name.clone()])),
            ..WindowView::default()
        }
    }
}

impl AllUnderWay {
    fn hang(&mut self, name: RowName, age_ns: u64) {
        if age_ns < HANGING_NS {
            return;
        }
        match self.hanging.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => count.add(age_ns),
            None => {
                let mut count = UnderWay::default();
                count.add(age_ns);
                self.hanging.push((name, count));
            }
        }
    }
}

/// Sorts by count, then by name.
fn busiest_first<T>(rows: impl Iterator<Item = T>, order: impl Fn(&T) -> (u64, [Arc<str>; 2])) -> Vec<Arc<T>> {
    let mut rows: Vec<Arc<T>> = rows.map(Arc::new).collect();
    rows.sort_by_cached_key(|row| {
        let (count, name) = order(row);
        (std::cmp::Reverse(count), name)
    });
    rows
}
