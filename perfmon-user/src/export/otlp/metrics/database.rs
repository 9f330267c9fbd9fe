//! Databases: the duration of commands that a process sent, and the connections of its pools. Only the client's side, so that a server on the
//! same host does not count a command twice; commands that wait by design (`BLPOP`) have no duration.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::metric_set::MetricSet;
use super::series::{SeriesKind, SeriesSums, SumKey};
use crate::export::otlp::attribute::Attributes;
use crate::export::otlp::exponential::Distribution;
use crate::export::otlp::instrument as of;
use crate::record::{Db, Pool, Side, address};

/// Key of a series of commands; `None`: the overflow series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandKey(Option<KnownCommand>);

/// What a command is, in the words that its series and its span have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownCommand {
    system: &'static str,
    operation: Option<Arc<str>>,
    target: Option<Arc<str>>,
    database: Option<Arc<str>>,
    destination: Option<Arc<str>>,
    error: Option<Arc<str>>,
}

impl KnownCommand {
    /// Of a record.
    pub fn of(command: &Db) -> Self {
        Self {
            system: command.system,
            operation: command.operation.clone(),
            target: command.target.clone(),
            database: command.database.clone(),
            destination: command.destination.clone(),
            error: command.error.clone(),
        }
    }

    /// As attributes.
    pub fn attributes(&self) -> Attributes {
        let server = self.destination.as_deref().map(address);
        let mut attributes = Attributes::default();
        attributes
            .add("db.system.name", self.system)
            .maybe("db.operation.name", self.operation.as_deref())
            .maybe("db.collection.name", self.target.as_deref())
            .maybe("db.namespace", self.database.as_deref())
            .maybe("db.response.status_code", self.error.as_deref())
            .maybe("server.address", server.map(|(name, _)| name))
            .maybe("server.port", server.and_then(|(_, port)| port));
        attributes
    }
}

impl CommandKey {
    /// The series of a command; `None` on the server's side.
    pub fn of(command: &Db) -> Option<Self> {
        (command.side == Side::Client).then(|| Self(Some(KnownCommand::of(command))))
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = self.0.as_ref().map(KnownCommand::attributes).unwrap_or_default();
        match &self.0 {
            Some(known) => attributes.maybe("error.type", known.error.as_deref()),
            None => attributes.add("otel.metric.overflow", true),
        };
        attributes
    }
}

impl SumKey for CommandKey {
    const KIND: SeriesKind = SeriesKind::Command;

    fn overflow() -> Self {
        Self(None)
    }
}

/// What a series of commands counted.
#[derive(Debug, Default)]
pub struct CommandSums(Distribution);

impl SeriesSums for CommandSums {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl CommandSums {
    /// Counts a command.
    pub fn add(&mut self, command: &Db) {
        command.latency().into_iter().for_each(|time| self.0.record(time.0));
    }

    /// Adds the sums to the metric set.
    pub fn write(&self, key: &CommandKey, metric_set: &mut MetricSet) {
        metric_set.distribution(&of::DB_DURATION, &self.0, key.attributes().take());
    }
}

/// Pools of a process by system, destination and address, each as it was last.
#[derive(Debug, Default)]
pub struct PoolStates(BTreeMap<(&'static str, Arc<str>, Arc<str>), [u64; 2]>);

impl PoolStates {
    /// Takes the newest interval of a pool.
    pub fn add(&mut self, pool: &Pool) {
        self.0.insert((pool.system, pool.destination.clone(), pool.peer.clone()), [pool.idle, pool.in_use]);
    }

    /// Adds the connections to the metric set.
    pub fn write(&self, metric_set: &mut MetricSet) {
        let mut by_name: BTreeMap<(&str, &str), [u64; 2]> = BTreeMap::new();
        for ((system, destination, _), [idle, in_use]) in &self.0 {
            let sum = by_name.entry((system, destination)).or_default();
            *sum = [sum[0] + idle, sum[1] + in_use];
        }
        for ((system, destination), counts) in by_name {
            let (name, port) = address(destination);
            let is_http = system == "http";
            let words = if is_http { ["idle", "active"] } else { ["idle", "used"] };
            for (word, count) in words.into_iter().zip(counts) {
                let mut attributes = Attributes::default();
                attributes.add("server.address", name).maybe("server.port", port);
                if is_http {
                    attributes.add("http.connection.state", word);
                    metric_set.count(&of::HTTP_OPEN_CONNECTIONS, count, attributes.take());
                } else {
                    // The convention wants a name of the pool; sockets have none but where they go.
                    attributes.add("db.client.connection.state", word).add("db.client.connection.pool.name", destination);
                    attributes.add("db.system.name", system);
                    metric_set.count(&of::DB_CONNECTIONS, count, attributes.take());
                }
            }
        }
    }
}
