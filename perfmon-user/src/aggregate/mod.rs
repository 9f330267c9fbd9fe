//! Records in, snapshots out. One task owns the [`Aggregate`]: it adds every record, passes the pipeline's gauges and ticks once a second.
//! Pure: no clock, no tokio. A record counts when it arrives, in the slice that the last tick opened; late or irregular ticks cost
//! resolution, not counts.
//!
//! Server-side exchanges count in totals, services and endpoints, client-side ones in destinations, so an exchange with both ends on this
//! host counts once in each view and never twice in one. A record that is not a request (the end of a WebSocket) only adds its duration to
//! the streams of its endpoint.
mod accumulator;
mod arrivals;
mod concurrency;
pub mod endpoint;
mod exchange;
mod figures;
mod finding;
pub mod histogram;
mod host;
mod loss;
mod quota;
mod row;
mod sample;
mod series;
pub mod snapshot;
pub mod varint;
mod view;
mod window;

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use self::accumulator::CountSet;
use self::arrivals::{Arrivals, DenseSums};
use self::concurrency::{Concurrency, ExchangeInterval};
pub use self::endpoint::{EndpointRule, RuleError};
use self::endpoint::{EndpointSlot, Endpoints};
use self::exchange::{HttpCounts, HttpSeries, SHAPES, add_stream_end};
use self::figures::Merger;
use self::finding::{Detector, tracker::FindingTracker};
pub use self::histogram::{Bucket, DenseHistogram, FreshHistogram, Histogram};
use self::host::LatestSamples;
use self::loss::LossTable;
pub use self::quota::Quota;
use self::row::agent::AgentKey;
use self::row::destination::DestinationKey;
use self::row::dns::{NameCounts, NameKey, NameSearches};
use self::row::llm::{LlmCounts, LlmKey};
use self::row::query::{QueryCounts, QueryKey};
use self::row::query_arrivals::QueryArrivals;
use self::row::tcp::TcpCounts;
use self::row::tool::ToolKey;
use self::row::work::WorkCounts;
use self::row::workflow::WorkflowKey;
use self::series::{SeriesTable, Tick};
use self::snapshot::{Snapshot, Window};
use self::window::SliceClock;
use crate::limits;
use crate::record::{
    Degradation, Dns, Finding, Gauges, LostExchanges, Record, RepeatedQuery, Request, SeriesKey, Side, SpanId, WallTime, Workflow,
};

/// Rates are taken when this much time has passed since they last were: ticks come about once a second.
const SECOND_NS: u64 = 900_000_000;

/// Parameters of an [`Aggregate`].
#[derive(Clone, Debug, Default)]
pub struct AggregateOptions {
    /// Endpoint rules of the user; those that [`EndpointRule::check`] refuses are left out.
    pub endpoint_rules: Vec<EndpointRule>,
    /// Start of capture.
    pub now: WallTime,
}

/// What a tick gives.
#[derive(Clone, Debug)]
pub struct Ticked {
    /// State of all series.
    pub snapshot: Arc<Snapshot>,
    /// Findings that opened, changed or closed: records to publish.
    pub findings: Vec<Finding>,
    /// Exchanges that the full ring hid, found since the last tick, by series of requests.
    pub lost: Vec<(SeriesKey, u64)>,
    /// Requests since the last tick that went to rows `(other)` because their service has too many endpoints.
    pub endpoints_overflowed: u64,
    /// Records since the last tick that went to rows `(other)`, and findings refused for lack of space.
    pub rows_overflowed: u64,
}

/// Windowed rows of everything that was recorded.
#[derive(Debug)]
pub struct Aggregate {
    clock: SliceClock,
    names: Endpoints,
    endpoints: SeriesTable<u32, HttpCounts, SHAPES>,
    services: SeriesTable<u32, HttpCounts, SHAPES>,
    totals: HttpSeries,
    totals_merger: Merger<HttpCounts, SHAPES>,
    destinations: SeriesTable<DestinationKey, HttpCounts, SHAPES>,
    llm: SeriesTable<LlmKey, LlmCounts, 3>,
    agents: SeriesTable<AgentKey, WorkCounts, 1>,
    tools: SeriesTable<ToolKey, WorkCounts, 1>,
    workflows: SeriesTable<WorkflowKey, WorkCounts, 1>,
    queries: SeriesTable<QueryKey, QueryCounts, 1>,
    dns: SeriesTable<NameKey, NameCounts, 1>,
    /// TCP of the connections to a destination.
    tcp: SeriesTable<DestinationKey, TcpCounts, 0>,
    searches: NameSearches,
    /// Server-side exchanges since the last tick.
    served: Arrivals<EndpointSlot>,
    /// Client-side ones.
    asked: Arrivals<DestinationKey>,
    /// Database commands.
    commanded: QueryArrivals,
    /// Sums of a service and of all.
    sums: [DenseSums; 2],
    /// The last request of an endpoint within which a command came again and again.
    repeated: FxHashMap<u32, (RepeatedQuery, SpanId)>,
    losses: LossTable,
    /// The same of database commands.
    command_losses: LossTable,
    /// Exchanges that were found to be lost since the last tick, by series.
    lost: Vec<(SeriesKey, u64)>,
    concurrency: Concurrency,
    host: LatestSamples,
    gauges: Arc<Gauges>,
    degraded: Arc<[Degradation]>,
    detectors: Vec<Box<dyn Detector>>,
    tracker: FindingTracker,
    /// Time of the last tick.
    ticked: WallTime,
    /// Nanoseconds since rates were last taken.
    in_second_ns: u64,
}

impl Aggregate {
    /// Empty.
    pub fn new(options: AggregateOptions) -> Self {
        Self {
            clock: SliceClock::new(options.now),
            names: Endpoints::new(options.endpoint_rules),
            // The limits of both are kept by `names`.
            endpoints: SeriesTable::unbounded(),
            services: SeriesTable::unbounded(),
            totals: HttpSeries::default(),
            totals_merger: Merger::default(),
            destinations: SeriesTable::new(limits::DESTINATIONS, DestinationKey::other),
            llm: SeriesTable::new(limits::WORK_ROWS, LlmKey::other),
            agents: SeriesTable::new(limits::WORK_ROWS, AgentKey::other),
            tools: SeriesTable::new(limits::WORK_ROWS, ToolKey::other),
            workflows: SeriesTable::new(limits::WORK_ROWS, WorkflowKey::other),
            queries: SeriesTable::new(limits::QUERY_ROWS, QueryKey::other),
            dns: SeriesTable::new(limits::NAME_ROWS, NameKey::other),
            tcp: SeriesTable::new(limits::DESTINATIONS, DestinationKey::other),
            searches: NameSearches::default(),
            served: Arrivals::default(),
            asked: Arrivals::default(),
            commanded: QueryArrivals::default(),
            sums: Default::default(),
            repeated: FxHashMap::default(),
            losses: LossTable::default(),
            command_losses: LossTable::default(),
            lost: Vec::new(),
            concurrency: Concurrency::default(),
            host: LatestSamples::default(),
            gauges: Arc::default(),
            degraded: Arc::default(),
            detectors: finding::detectors(),
            tracker: FindingTracker::default(),
            ticked: options.now,
            in_second_ns: 0,
        }
    }

    /// Counts a record; sets the `endpoint` of a request.
    pub fn add(&mut self, record: &mut Record) {
        match record {
            Record::Request(request) if request.side == Side::Server => self.add_server(request),
            Record::Request(request) => self.add_client(request),
            Record::Llm(call) => row::llm::add(call, self.llm.row(LlmKey::new(call)).count()),
            Record::Agent(run) => row::agent::add(run, self.agents.row(AgentKey::new(run)).count()),
            Record::Tool(tool) => row::tool::add(tool, self.tools.row(ToolKey::new(tool)).count()),
            Record::Workflow(run) => self.add_workflow(run),
            Record::Process(process) => self.host.add_process(process, self.ticked),
            Record::System(system) => self.host.add_system(system),
            Record::Pool(pool) => self.host.add_pool(pool, self.ticked),
            Record::Db(command) => self.commanded.add(command),
            Record::Dns(question) => self.add_question(question),
            // Databases have no row there.
            Record::Tcp(tcp) if tcp.system == "http" => row::tcp::add(tcp, self.tcp.row(DestinationKey::of_tcp(tcp)).count()),
            Record::Tcp(_) | Record::Finding(_) | Record::Alert(_) => {}
        }
    }

    fn add_server(&mut self, request: &mut Request) {
        let slot = self.names.locate(request);
        self.follow_merged();
        if request.path.is_some() {
            request.endpoint = self.names.name(slot.row).map(|name| name.endpoint.clone());
        }
        if !request.counts() {
            return add_stream_end(request, self.endpoints.row(slot.row).amend());
        }
        let arrival = self.served.entry((slot.row as usize, slot.service as usize), || slot);
        if let Some(latency_ns) = arrival.sums.add(request) {
            arrival.samples.offer(latency_ns, request.time, request.span_id);
        }
        if let Some(query) = request.downstream.as_ref().and_then(|downstream| downstream.repeated.clone()) {
            self.repeated.insert(slot.row, (query, request.span_id));
        }
        if let Some(time) = request.response_time_ms {
            self.concurrency.ended(interval(request.time.0, request.time.0.saturating_add(time.0), slot));
        }
    }

    fn add_client(&mut self, request: &mut Request) {
        if let (Some(method), Some(path)) = (&request.method, &request.path) {
            let text = self.names.text_of(&request.origin.service, method, path, request.protocol == "grpc");
            request.endpoint = Some(text);
        }
        if request.counts() {
            let key = DestinationKey::addresses(request);
            self.asked.entry(key, || DestinationKey::new(request)).sums.add(request);
        }
    }

    fn add_question(&mut self, question: &Dns) {
        row::dns::add(question, self.dns.row(NameKey::new(question)).count());
        if let Some(missed) = self.searches.add(question) {
            self.dns.row(missed).amend().counts.search_misses += 1;
        }
    }

    fn add_workflow(&mut self, run: &mut Workflow) {
        if let Some((method, path)) = &run.inbound {
            let endpoint = self.names.text_of(&run.origin.service, method, path, false);
            run.workflow_name = format!("{method} {endpoint}").into();
        }
        row::workflow::add(run, self.workflows.row(WorkflowKey::new(run)).count());
    }

    /// Rows that were found to be one endpoint.
    fn follow_merged(&mut self) {
        for (from, into) in self.names.take_merged() {
            self.endpoints.merge(&from, into);
            if let Some(repeated) = self.repeated.remove(&from) {
                self.repeated.insert(into, repeated);
            }
            self.concurrency.merge(from, into);
            self.served.relabel(|slot| {
                let merged = slot.row == from;
                slot.row = if merged { into } else { slot.row };
                merged
            });
        }
    }

    /// Adds what came since the last tick to its rows.
    fn settle(&mut self) {
        let Self { served, asked, commanded, endpoints, services, totals, destinations, queries, sums: [of_service, of_all], .. } = self;
        let mut last = None;
        served.drain(
            |slot| slot.service,
            |arrival| {
                let EndpointSlot { row, service } = arrival.label;
                if let Some(former) = last.replace(service).filter(|former| *former != service) {
                    of_service.move_to(services.row(former).count_all(of_service.count()));
                }
                let row = endpoints.row(row);
                arrival.sums.add_to(row.count_all(arrival.sums.count()));
                row.samples().merge(&arrival.samples);
                services.row(service).samples().merge(&arrival.samples);
                arrival.sums.add_to_all(of_service);
                arrival.sums.add_to_all(of_all);
            },
        );
        if let Some(service) = last {
            of_service.move_to(services.row(service).count_all(of_service.count()));
            of_all.move_to(totals.count_all(of_all.count()));
        }
        asked.drain(
            |_| 0,
            |arrival| {
                let count = arrival.sums.count();
                arrival.sums.add_to(destinations.row_for(arrival.label.clone(), count).count_all(count));
            },
        );
        commanded.drain(|(key, sums)| {
            let count = sums.counts.count as u32;
            queries.row_for(key, count).count_all(count).merge(&sums);
        });
        self.settle_losses();
        self.settle_command_losses();
    }

    /// Adds the exchanges that the full ring hid since the last tick to rows, weighed by what was seen of each row in the last minute or,
    /// where that is nothing, in the last hour. Where no row of the service was seen yet, they wait for one.
    fn settle_losses(&mut self) {
        let Self { losses, lost: told, names, endpoints, services, totals, destinations, .. } = self;
        losses.settle(|service, lost| {
            let number = names.service_number(service);
            let asked_of = weights(destinations, |key| key.is_of(service), |counts| counts.count);
            let answered = match number {
                Some(_) => weights(endpoints, |row| names.name(*row).is_some_and(|name| name.service == *service), |counts| counts.count),
                None => Vec::new(),
            };
            if answered.is_empty() && asked_of.is_empty() {
                return lost;
            }
            // A connection whose beginning was not seen is that of a server, unless the process only asks.
            let (served, asked) =
                if answered.is_empty() { (lost.served, lost.asked + lost.unknown) } else { (lost.served + lost.unknown, lost.asked) };
            let mut rest = LostExchanges::default();
            match number.filter(|_| !answered.is_empty()) {
                Some(number) => {
                    services.row(number).lose(served);
                    totals.lose(served);
                    loss::shares(served, answered).for_each(|(row, share)| {
                        endpoints.row(row).lose(share);
                        told.extend(names.name(row).map(|name| (name.series(), share)));
                    });
                }
                None => rest.served = served,
            }
            if asked_of.is_empty() {
                rest.asked = asked;
            } else {
                loss::shares(asked, asked_of).for_each(|(key, share)| {
                    told.push((key.series(), share));
                    destinations.row(key).lose(share);
                });
            }
            rest
        });
    }

    /// The same of database commands.
    fn settle_command_losses(&mut self) {
        let Self { command_losses, queries, .. } = self;
        command_losses.settle(|service, lost| {
            let mut settle = |side: Side, lost: u64| {
                let of_side = weights(queries, |key| key.is_of(service, side), |counts| counts.count);
                let rest = if of_side.is_empty() { lost } else { 0 };
                loss::shares(lost, of_side).for_each(|(key, share)| queries.row(key).lose(share));
                rest
            };
            LostExchanges { unknown: 0, asked: settle(Side::Client, lost.asked), served: settle(Side::Server, lost.served) }
        });
    }

    /// Takes the pipeline's state of everything unfinished; call it before each tick.
    pub fn gauges(&mut self, gauges: Gauges) {
        self.losses.observe(&gauges.targets, |target| target.lost_by_role);
        self.command_losses.observe(&gauges.targets, |target| target.lost_commands);
        self.gauges = Arc::new(gauges);
    }

    /// Takes what does not work of perfmon itself; call it before each tick.
    pub fn degraded(&mut self, degraded: Arc<[Degradation]>) {
        self.degraded = degraded;
    }

    /// Ends the second. To be called once a second.
    pub fn tick(&mut self, now: WallTime) -> Ticked {
        self.settle();
        let under_way = self.under_way(now);
        self.sweep(&under_way.intervals);
        let from = self.clock.slice();
        self.in_second_ns += self.clock.advance(now);
        let second_s = (self.in_second_ns >= SECOND_NS).then(|| std::mem::take(&mut self.in_second_ns) as f64 / 1e9);
        self.tick_series(&Tick::new(now, from, &self.clock, second_s));
        self.ticked = now;
        let mut snapshot = self.snapshot(now, &under_way);
        let detections = self.detectors.iter().flat_map(|detector| detector.judge(&snapshot)).collect();
        let findings = self.tracker.judge(now, detections);
        snapshot.findings = self.tracker.open(now);
        Ticked {
            snapshot: Arc::new(snapshot),
            findings,
            lost: std::mem::take(&mut self.lost),
            endpoints_overflowed: self.names.take_overflowed(),
            rows_overflowed: self.take_overflowed(),
        }
    }

    fn tick_series(&mut self, tick: &Tick) {
        self.totals.tick(tick, &mut self.totals_merger);
        let idle = self.endpoints.tick(tick);
        idle.iter().for_each(|row| drop(self.repeated.remove(row)));
        self.names.forget(&idle);
        self.services.tick(tick);
        self.destinations.tick(tick);
        self.llm.tick(tick);
        self.agents.tick(tick);
        self.tools.tick(tick);
        self.workflows.tick(tick);
        self.queries.tick(tick);
        self.dns.tick(tick);
        self.tcp.tick(tick);
        self.host.expire(tick.now);
    }

    /// Notes how many requests were under way at once since the last tick.
    fn sweep(&mut self, under_way: &[ExchangeInterval]) {
        let peaks = self.concurrency.sweep(self.ticked.0, self.gauges.time.0, under_way);
        if peaks.total > 0 {
            self.totals.concurrency(peaks.total);
        }
        for (row, peak) in peaks.rows {
            self.endpoints.row(row).concurrency(peak);
        }
        for (service, peak) in peaks.services {
            self.services.row(service).concurrency(peak);
        }
    }

    fn take_overflowed(&mut self) -> u64 {
        self.destinations.take_overflowed()
            + self.llm.take_overflowed()
            + self.agents.take_overflowed()
            + self.tools.take_overflowed()
            + self.workflows.take_overflowed()
            + self.queries.take_overflowed()
            + self.dns.take_overflowed()
            + self.tcp.take_overflowed()
            + self.tracker.take_refused()
    }

    /// Bytes that the rows take, about.
    pub fn memory_bytes(&self) -> usize {
        self.endpoints.memory_bytes()
            + self.services.memory_bytes()
            + self.destinations.memory_bytes()
            + self.llm.memory_bytes()
            + self.agents.memory_bytes()
            + self.tools.memory_bytes()
            + self.workflows.memory_bytes()
            + self.queries.memory_bytes()
            + self.dns.memory_bytes()
            + self.tcp.memory_bytes()
            + self.names.memory_bytes()
    }
}

/// Rows of a table and how many exchanges were seen of each: in the last minute and since the last tick, else in the last hour.
fn weights<K: Eq + Hash + Clone, C: CountSet, const H: usize>(
    table: &SeriesTable<K, C, H>,
    is_meant: impl Fn(&K) -> bool,
    seen: fn(&C) -> u64,
) -> Vec<(K, u64)> {
    let of = |window: Window| -> Vec<(K, u64)> {
        let rows = table.rows().filter(|(key, _)| is_meant(key));
        let weighed = rows.map(|(key, row)| (key.clone(), seen(&row.figures(window).counts) + seen(row.open_counts())));
        weighed.filter(|(_, count)| *count > 0).collect()
    };
    let minute = of(Window::Minute);
    if minute.is_empty() { of(Window::Hour) } else { minute }
}

fn interval(start_ns: u64, end_ns: u64, slot: EndpointSlot) -> ExchangeInterval {
    ExchangeInterval { start_ns, end_ns, row: Some(slot.row), service: slot.service }
}

#[cfg(test)]
pub(crate) mod tests;
