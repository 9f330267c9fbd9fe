//! What a busy host does: records of one second after the other, always the same ones. Texts that its records have in common are one in
//! memory, as the pipeline's interner makes them; latencies, statuses and sizes are scattered.
use std::sync::Arc;

use crate::export::otlp::tests::sample::{self, BEGIN, SECOND};
use crate::record::{Agent, Category, Db, Llm, Millis, Origin, Process, Quality, Record, Request, Side, SpanId, System, Tool, WallTime};

const SERVICES: u64 = 3;
const PROCESSES: u64 = 2;
/// Paths of the endpoints: `/api/v1/orders/17/items`.
const THINGS: [&str; 20] = [
    "orders", "users", "carts", "bills", "stores", "tags", "notes", "prices", "offers", "parcels", "teams", "rooms", "plans", "tasks",
    "files", "images", "videos", "groups", "roles", "events",
];
const PARTS: [&str; 10] = ["items", "history", "owner", "status", "comments", "links", "rights", "sizes", "dates", "totals"];
const ENDPOINTS: usize = THINGS.len() * PARTS.len();
/// Different numbers in the paths of an endpoint.
const NUMBERS: usize = 50;
const DESTINATIONS: usize = 12;
const QUERIES: usize = 40;
/// The capture thread hands over what came so often.
const HAND_OVERS: usize = 200;

/// A host.
pub(super) struct BusyHost {
    /// Records a second, samples aside.
    rate: usize,
    /// Half of them are database commands.
    databases: bool,
    origins: Vec<Arc<Origin>>,
    /// Of each endpoint those of its requests.
    paths: Vec<Arc<str>>,
    destinations: Vec<Arc<str>>,
    queries: Vec<Query>,
    methods: [Arc<str>; 4],
    state: u64,
}

/// Texts of a database command.
struct Query {
    operation: Arc<str>,
    table: Arc<str>,
    text: Arc<str>,
    id: Arc<str>,
}

impl Query {
    fn new(number: usize) -> Self {
        let operation = ["SELECT", "INSERT", "UPDATE", "DELETE"][number % 4];
        let text = format!("{operation} things{number} WHERE id = ?").into();
        Self { operation: operation.into(), table: format!("things{number}").into(), text, id: format!("{number:016x}").into() }
    }
}

fn path(number: usize) -> Arc<str> {
    let (endpoint, number) = (number / NUMBERS, number % NUMBERS);
    format!("/api/v1/{}/{}/{}", THINGS[endpoint / PARTS.len()], 1_000 + number, PARTS[endpoint % PARTS.len()]).into()
}

impl BusyHost {
    /// One with so many records a second.
    pub fn new(rate: usize, databases: bool) -> Self {
        let pids = (0..SERVICES).flat_map(|service| (0..PROCESSES).map(move |process| (service, 100 * service + process + 1)));
        Self {
            rate,
            databases,
            origins: pids.map(|(service, pid)| sample::origin(&format!("service-{service}"), pid as u32)).collect(),
            paths: (0..ENDPOINTS * NUMBERS).map(path).collect(),
            destinations: (0..DESTINATIONS).map(|number| format!("backend-{number}.example:8443").into()).collect(),
            queries: (0..QUERIES).map(Query::new).collect(),
            methods: ["GET", "POST", "PUT", "DELETE"].map(Into::into),
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The records of a second in batches.
    pub fn second(&mut self, number: u64) -> Vec<Vec<Record>> {
        let (begin, rate) = (BEGIN + number * SECOND, self.rate);
        let mut records: Vec<Record> = (0..rate)
            .map(|at| {
                let time = WallTime(begin + at as u64 * SECOND / rate as u64);
                match self.chance(if self.databases { 200 } else { 100 }) {
                    0..80 => self.request(time, Side::Server),
                    80..95 => self.request(time, Side::Client),
                    95..100 => self.other(time),
                    _ => self.command(time),
                }
            })
            .collect();
        records.extend(self.samples(WallTime(begin)));
        records.chunks(rate / HAND_OVERS).map(<[Record]>::to_vec).collect()
    }

    /// A number below `limit` (xorshift).
    fn chance(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 20) as usize % limit
    }

    /// A latency between a half and some hundred milliseconds; short ones are more.
    fn latency(&mut self) -> Millis {
        let octave = self.chance(9).min(self.chance(9));
        Millis((500_000_u64 << octave) + self.chance(500_000 << octave) as u64)
    }

    fn request(&mut self, time: WallTime, side: Side) -> Record {
        let endpoint = self.chance(ENDPOINTS).min(self.chance(ENDPOINTS));
        let status = match self.chance(100) {
            0..92 => 200,
            92..96 => 404,
            96..98 => 302,
            _ => 500,
        };
        let (origin, latency) = (self.origins[endpoint % self.origins.len()].clone(), self.latency());
        let to = self.destinations[endpoint % DESTINATIONS].clone();
        let number = endpoint * NUMBERS + self.chance(NUMBERS);
        let path = self.paths[number].clone();
        Record::Request(Request {
            time,
            origin,
            method: Some(self.methods[endpoint % 4].clone()),
            path: Some(path),
            // The aggregate makes it.
            endpoint: None,
            destination: (side == Side::Client).then_some(to),
            response_time_ms: Some(latency),
            time_to_first_byte_ms: Some(Millis(latency.0 / 2)),
            queue_time_ms: (side == Side::Server).then_some(Millis(latency.0 / 50)),
            performance_category: Some(Category::of(latency)),
            request_size: Some(self.chance(2_000) as u64),
            response_size: Some(self.chance(20_000) as u64),
            ..sample::request(&self.origins[0], side, "/", status, 1)
        })
    }

    fn other(&mut self, time: WallTime) -> Record {
        let process = self.chance(2);
        let origin = self.origins[process].clone();
        match self.chance(10) {
            0..6 => {
                let (tokens, latency) = (self.chance(3_000) as u64, self.latency());
                let error_type = (self.chance(50) == 0).then(|| "rate_limit".into());
                let call = sample::call(&origin, Side::Client);
                Record::Llm(Box::new(Llm { time, input_tokens: Some(tokens), response_time_ms: Some(latency), error_type, ..call }))
            }
            6..9 => Record::Tool(Box::new(Tool { time, ..sample::tool(&origin, "mcp") })),
            _ => Record::Agent(Box::new(Agent { time, ..sample::run(&origin, "success") })),
        }
    }

    fn command(&mut self, time: WallTime) -> Record {
        let (number, process, latency) = (self.chance(QUERIES), self.chance(self.origins.len()), self.latency());
        let (error, rows) = ((self.chance(100) == 0).then(|| "23505".into()), self.chance(20) as u64);
        let query = &self.queries[number];
        Record::Db(Box::new(Db {
            time,
            origin: self.origins[process].clone(),
            side: Side::Client,
            system: "postgresql",
            operation: Some(query.operation.clone()),
            target: Some(query.table.clone()),
            query: Some(query.text.clone()),
            query_id: Some(query.id.clone()),
            statement: None,
            database: Some(self.methods[0].clone()),
            error,
            rows: Some(rows),
            response_time_ms: Some(latency),
            time_to_first_byte_ms: Some(Millis(latency.0 / 2)),
            request_bytes: 100,
            response_bytes: 50 * rows,
            tls: false,
            local: self.destinations[0].clone(),
            peer: self.destinations[1].clone(),
            destination: Some(self.destinations[1].clone()),
            span_id: SpanId(self.state),
            trace_id: None,
            parent_span_id: None,
            link: None,
            quality: Quality::Exact,
            missing_bytes: 0,
        }))
    }

    /// Of the processes and the host.
    fn samples(&self, time: WallTime) -> Vec<Record> {
        let now = |sample: Record| match sample {
            Record::Process(sample) => Record::Process(Box::new(Process { time, ..*sample })),
            Record::System(sample) => Record::System(Box::new(System { time, ..*sample })),
            other => other,
        };
        self.origins.iter().map(|origin| sample::process(origin, 12.5)).chain([sample::system()]).map(now).collect()
    }
}
