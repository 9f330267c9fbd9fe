//! Metrics of one interval: records in, OTLP metrics out. Histograms and counters start at zero in each interval, so a refused delivery
//! loses only that interval. A record that counts is in exactly one point, so the counts add up to the records.
mod alike;
mod attempt;
pub mod database;
mod host;
pub mod http;
mod lookup;
mod metric_set;
pub mod model;
mod series;

use std::sync::Arc;

use indexmap::IndexMap;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use rustc_hash::FxBuildHasher;

use self::alike::{AlikeRecords, Likeness, SeriesPlace};
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
    owners: IndexMap<Owner, OwnerSums, FxBuildHasher>,
    /// Where records count that are like earlier ones.
    alike: AlikeRecords,
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
            owners: IndexMap::default(),
            alike: AlikeRecords::default(),
            processes: Quota::new(limits::EXPORT_PROCESSES),
            budget: SeriesBudget::default(),
            active: Active::default(),
            host,
        }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        match record {
            // As the sample of a process below.
            Record::Pool(pool) => match self.sums(&pool.origin) {
                sums if sums.origin.pid == pool.origin.pid => sums.pools.add(pool),
                _ => {}
            },
            // The sample of one process is no figure of its service.
            Record::Process(sample) => match self.sums(&sample.origin) {
                sums if sums.origin.pid == sample.origin.pid => sums.process.add(sample),
                _ => {}
            },
            Record::System(sample) => {
                let host = self.host.clone();
                self.sums(&host).system.add(sample);
            }
            record => {
                let Some(likeness) = Likeness::of(record) else { return };
                if let Some(place) = self.alike.find(&likeness).or_else(|| self.place(record, &likeness)) {
                    self.owners[place.owner as usize].add(place.sums as usize, record);
                }
            }
        }
    }

    /// The place of a record that is not like an earlier one. Records without a series of their own are counted each.
    fn place(&mut self, record: &Record, likeness: &Likeness<'_>) -> Option<SeriesPlace> {
        let before = self.budget.overflowed;
        let owner = self.owner(record.origin());
        let sums = self.owners[owner].place(record, &mut self.budget)?;
        let place = SeriesPlace { owner: owner as u32, sums: sums as u32 };
        if self.budget.overflowed == before {
            self.alike.note(likeness, place);
        }
        Some(place)
    }

    fn sums(&mut self, origin: &Arc<Origin>) -> &mut OwnerSums {
        let owner = self.owner(origin);
        &mut self.owners[owner]
    }

    /// The place of the sums of a process; of its service, or of all others, when there are too many.
    fn owner(&mut self, origin: &Arc<Origin>) -> usize {
        let mut owner = Owner { service: origin.service.clone(), pid: origin.pid };
        let mut origin = origin.clone();
        // Without a pid it stands for a service or the host: there are few.
        if origin.pid != 0 && !self.owners.contains_key(&owner) && !self.processes.take(&origin.service) {
            let service = if self.processes.knows(&origin.service) { origin.service.clone() } else { "(other)".into() };
            owner = Owner { service: service.clone(), pid: 0 };
            origin = Arc::new(Origin { service, ..Origin::unknown(0) });
            self.budget.overflowed += 1;
        }
        let entry = self.owners.entry(owner);
        let place = entry.index();
        // One that took over the number of a process that ended is told by what it is now.
        entry.or_insert_with_key(|_| OwnerSums::of(origin.clone())).origin.clone_from(&origin);
        place
    }

    /// Ends the interval: returns its metrics by resource and the number of records in overflow series, and starts the next interval.
    pub fn take(&mut self, now: WallTime, gauges: &Gauges, state: HostState, resources: &mut Resources) -> (Vec<ResourceMetrics>, u64) {
        self.active.set(gauges);
        let with_active: Vec<Arc<Origin>> = self.active.origins().cloned().collect();
        for origin in with_active {
            self.owner(&origin);
        }
        let host = self.host.clone();
        self.sums(&host).system.now(state);
        let span = TimeSpan { began: self.began, since: self.since, until: now };
        self.since = now;
        let of_resource = |sums: &mut OwnerSums| {
            let mut metric_set = MetricSet::new(span);
            sums.write(&self.active, &mut metric_set);
            let resource = Some(resources.resource(&sums.origin));
            metric_set.finish().map(|metrics| ResourceMetrics { resource, scope_metrics: vec![metrics], ..ResourceMetrics::default() })
        };
        let metrics = self.owners.values_mut().filter_map(of_resource).collect();
        let overflowed = self.budget.overflowed;
        self.begin_anew();
        (metrics, overflowed)
    }

    /// Begins an interval, with the series of the last one where those are few and mostly in use: they would be made anew.
    fn begin_anew(&mut self) {
        let [all, idle] = self.owners.values().map(OwnerSums::len_and_idle).fold([0, 0], |sum, own| [sum[0] + own[0], sum[1] + own[1]]);
        let are_few = all <= limits::EXPORT_SERIES / 4 && self.owners.len() <= limits::EXPORT_PROCESSES / 4;
        if self.budget.overflowed == 0 && are_few && 2 * idle <= all {
            return self.owners.values_mut().for_each(OwnerSums::clear);
        }
        self.owners.clear();
        self.alike = AlikeRecords::default();
        self.processes = Quota::new(limits::EXPORT_PROCESSES);
        self.budget = SeriesBudget::default();
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

    /// The place of a record's sums, in the table that [`add`](Self::add) adds to.
    fn place(&mut self, record: &Record, budget: &mut SeriesBudget) -> Option<usize> {
        let service = &self.origin.service;
        Some(match record {
            Record::Request(request) if request.is_attempt() => self.attempts.place(AttemptKey::of(request), service, budget),
            Record::Request(request) => self.http.place(HttpKey::of(request), service, budget),
            Record::Llm(call) => self.models.place(ModelKey::of(call), service, budget),
            Record::Tool(tool) => self.mcp.place(McpKey::of(tool)?, service, budget),
            Record::Db(command) => self.commands.place(CommandKey::of(command)?, service, budget),
            Record::Dns(question) => self.lookups.place(LookupKey::of(question), service, budget),
            _ => return None,
        })
    }

    fn add(&mut self, sums: usize, record: &Record) {
        match record {
            Record::Request(request) if request.is_attempt() => self.attempts.at(sums).add(),
            Record::Request(request) => self.http.at(sums).add(request),
            Record::Llm(call) => self.models.at(sums).add(call),
            Record::Tool(tool) => self.mcp.at(sums).add(tool),
            Record::Db(command) => self.commands.at(sums).add(command),
            Record::Dns(question) => self.lookups.at(sums).add(question),
            _ => {}
        }
    }

    /// How many series there are, and how many of them counted nothing.
    fn len_and_idle(&self) -> [usize; 2] {
        let Self { http, attempts, models, mcp, commands, lookups, .. } = self;
        let tables = [
            http.len_and_idle(),
            attempts.len_and_idle(),
            models.len_and_idle(),
            mcp.len_and_idle(),
            commands.len_and_idle(),
            lookups.len_and_idle(),
        ];
        tables.into_iter().fold([0, 0], |sum, own| [sum[0] + own[0], sum[1] + own[1]])
    }

    /// Begins anew with the same series.
    fn clear(&mut self) {
        self.http.clear();
        self.attempts.clear();
        self.models.clear();
        self.mcp.clear();
        self.commands.clear();
        self.lookups.clear();
        self.pools = PoolStates::default();
        self.process = ProcessSums::default();
        self.system = SystemSums::default();
    }

    fn write(&mut self, active: &Active, metric_set: &mut MetricSet) {
        self.http.filled().for_each(|(key, sums)| sums.write(key, metric_set));
        self.attempts.filled().for_each(|(key, count)| count.write(key, metric_set));
        self.models.filled().for_each(|(key, sums)| sums.write(key, metric_set));
        self.mcp.filled().for_each(|(key, sums)| sums.write(key, metric_set));
        self.commands.filled().for_each(|(key, sums)| sums.write(key, metric_set));
        self.lookups.filled().for_each(|(key, sums)| sums.write(key, metric_set));
        self.pools.write(metric_set);
        self.process.write(metric_set);
        self.system.write(metric_set);
        active.write(self.origin.pid, metric_set);
    }
}
