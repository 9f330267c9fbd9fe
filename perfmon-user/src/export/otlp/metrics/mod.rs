//! Metrics of one interval: records in, OTLP metrics out. Histograms and counters start at zero in each interval, so a refused delivery
//! loses only that interval. A record that counts is in exactly one point, so the counts add up to the records.
mod attempt;
pub mod database;
mod host;
pub mod http;
mod lookup;
mod metric_set;
pub mod model;
mod series;

use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use rustc_hash::FxHashMap;

use self::attempt::{AttemptCount, AttemptKey};
use self::database::{CommandKey, CommandSums, PoolStates};
pub use self::host::HostState;
use self::host::{Active, ProcessSums, SystemSums};
use self::http::{HttpKey, HttpSums};
use self::lookup::{LookupKey, LookupSums};
pub use self::metric_set::{MetricSet, TimeSpan};
use self::model::{McpKey, McpSums, ModelKey, ModelSums};
use self::series::{KeyedSums, SeriesBudget};
use super::resource::Resources;
use crate::aggregate::Quota;
use crate::limits;
use crate::record::{Gauges, Origin, Record, WallTime};

/// Everything counted in an interval.
#[derive(Debug)]
pub struct IntervalMetrics {
    /// Start of perfmon, which is the start time of cumulative sums.
    began: WallTime,
    /// End of the interval before.
    since: WallTime,
    owners: FxHashMap<Owner, OwnerSums>,
    /// Processes with sums of their own, by service.
    processes: Quota<Arc<str>>,
    budget: SeriesBudget,
    active: Active,
    /// Who the host's figures belong to.
    host: Arc<Origin>,
}

/// Owner of the sums.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    service: Arc<str>,
    pid: u32,
}

/// The sums of one process.
#[derive(Debug)]
struct OwnerSums {
    origin: Arc<Origin>,
    http: KeyedSums<HttpKey, HttpSums>,
    attempts: KeyedSums<AttemptKey, AttemptCount>,
    models: KeyedSums<ModelKey, ModelSums>,
    mcp: KeyedSums<McpKey, McpSums>,
    commands: KeyedSums<CommandKey, CommandSums>,
    lookups: KeyedSums<LookupKey, LookupSums>,
    pools: PoolStates,
    process: ProcessSums,
    system: SystemSums,
}

impl IntervalMetrics {
    /// Nothing counted yet; `host` is who the host's figures belong to.
    pub fn new(now: WallTime, host: Arc<Origin>) -> Self {
        Self {
            began: now,
            since: now,
            owners: FxHashMap::default(),
            processes: Quota::new(limits::EXPORT_PROCESSES),
            budget: SeriesBudget::default(),
            active: Active::default(),
            host,
        }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        match record {
            Record::Request(request) if request.is_attempt() => {
                let (sums, budget) = self.sums(&request.origin);
                sums.attempts.at(AttemptKey::of(request), &sums.origin.service, budget).add();
            }
            Record::Request(request) if request.counts() => {
                let (sums, budget) = self.sums(&request.origin);
                sums.http.at(HttpKey::of(request), &sums.origin.service, budget).add(request);
            }
            Record::Llm(call) => {
                let (sums, budget) = self.sums(&call.origin);
                sums.models.at(ModelKey::of(call), &sums.origin.service, budget).add(call);
            }
            Record::Tool(tool) => {
                if let Some(key) = McpKey::of(tool) {
                    let (sums, budget) = self.sums(&tool.origin);
                    sums.mcp.at(key, &sums.origin.service, budget).add(tool);
                }
            }
            Record::Db(command) => {
                if let Some(key) = CommandKey::of(command) {
                    let (sums, budget) = self.sums(&command.origin);
                    sums.commands.at(key, &sums.origin.service, budget).add(command);
                }
            }
            Record::Dns(question) => {
                let (sums, budget) = self.sums(&question.origin);
                sums.lookups.at(LookupKey::of(question), &sums.origin.service, budget).add(question);
            }
            // As the sample of a process below.
            Record::Pool(pool) => match self.sums(&pool.origin).0 {
                sums if sums.origin.pid == pool.origin.pid => sums.pools.add(pool),
                _ => {}
            },
            // The sample of one process is no figure of its service.
            Record::Process(sample) => match self.sums(&sample.origin).0 {
                sums if sums.origin.pid == sample.origin.pid => sums.process.add(sample),
                _ => {}
            },
            Record::System(sample) => {
                let host = self.host.clone();
                self.sums(&host).0.system.add(sample);
            }
            _ => {}
        }
    }

    /// The sums of a process; of its service, or of all others, when there are too many.
    fn sums(&mut self, origin: &Arc<Origin>) -> (&mut OwnerSums, &mut SeriesBudget) {
        let mut owner = Owner { service: origin.service.clone(), pid: origin.pid };
        let mut origin = origin.clone();
        // Without a pid it stands for a service or the host: there are few.
        if origin.pid != 0 && !self.owners.contains_key(&owner) && !self.processes.take(&origin.service) {
            let service = if self.processes.knows(&origin.service) { origin.service.clone() } else { "(other)".into() };
            owner = Owner { service: service.clone(), pid: 0 };
            origin = Arc::new(Origin { service, ..Origin::unknown(0) });
            self.budget.overflowed += 1;
        }
        (self.owners.entry(owner).or_insert_with(|| OwnerSums::of(origin)), &mut self.budget)
    }

    /// Ends the interval: returns its metrics by resource and the number of records in overflow series, and starts the next interval.
    pub fn take(&mut self, now: WallTime, gauges: &Gauges, state: HostState, resources: &mut Resources) -> (Vec<ResourceMetrics>, u64) {
        self.active.set(gauges);
        let with_active: Vec<Arc<Origin>> = self.active.origins().cloned().collect();
        for origin in with_active {
            self.sums(&origin);
        }
        let host = self.host.clone();
        self.sums(&host).0.system.now(state);
        let span = TimeSpan { began: self.began, since: self.since, until: now };
        self.since = now;
        let overflowed = std::mem::take(&mut self.budget).overflowed;
        let owners = std::mem::take(&mut self.owners);
        self.processes = Quota::new(limits::EXPORT_PROCESSES);
        let of_resource = |sums: &OwnerSums| {
            let mut metric_set = MetricSet::new(span);
            sums.write(&self.active, &mut metric_set);
            let resource = Some(resources.resource(&sums.origin));
            metric_set.finish().map(|metrics| ResourceMetrics { resource, scope_metrics: vec![metrics], ..ResourceMetrics::default() })
        };
        (owners.values().filter_map(of_resource).collect(), overflowed)
    }
}

impl OwnerSums {
    fn of(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            http: KeyedSums::default(),
            attempts: KeyedSums::default(),
            models: KeyedSums::default(),
            mcp: KeyedSums::default(),
            commands: KeyedSums::default(),
            lookups: KeyedSums::default(),
            pools: PoolStates::default(),
            process: ProcessSums::default(),
            system: SystemSums::default(),
        }
    }

    fn write(&self, active: &Active, metric_set: &mut MetricSet) {
        self.http.iter().for_each(|(key, sums)| sums.write(key, metric_set));
        self.attempts.iter().for_each(|(key, count)| count.write(key, metric_set));
        self.models.iter().for_each(|(key, sums)| sums.write(key, metric_set));
        self.mcp.iter().for_each(|(key, sums)| sums.write(key, metric_set));
        self.commands.iter().for_each(|(key, sums)| sums.write(key, metric_set));
        self.lookups.iter().for_each(|(key, sums)| sums.write(key, metric_set));
        self.pools.write(metric_set);
        self.process.write(metric_set);
        self.system.write(metric_set);
        active.write(self.origin.pid, metric_set);
    }
}
