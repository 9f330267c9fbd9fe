//! The table of exported metrics: names and units of the OpenTelemetry semantic conventions, Logfire's names where it expects others, and
//! `perfmon.` for metrics without a convention. Histograms and counters are deltas, the others are current values.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// A distribution over the interval, in the instrument's unit times its scale.
    Histogram,
    /// What the interval added.
    Counter,
    /// A quantity that adds up over instances.
    UpDown,
    /// A quantity that does not.
    Gauge,
}

/// A metric.
#[derive(Debug, PartialEq)]
pub struct Instrument {
    /// Name.
    pub name: &'static str,
    /// Unit, UCUM.
    pub unit: &'static str,
    /// What it is.
    pub kind: InstrumentKind,
    /// Units of a counted value: histograms count ns, bytes, tokens and 10⁻⁹ dollars.
    pub scale: f64,
    /// In words.
    pub text: &'static str,
}

macro_rules! instruments {
    ($($id:ident $name:literal $unit:literal $kind:ident $scale:literal $text:literal;)*) => {
        $(#[doc = $text] pub static $id: Instrument =
            Instrument { name: $name, unit: $unit, kind: InstrumentKind::$kind, scale: $scale, text: $text };)*

        /// All of them.
        #[cfg(test)]
        pub static ALL: &[&Instrument] = &[$(&$id),*];
    };
}

instruments! {
    HTTP_SERVER_DURATION "http.server.request.duration" "s" Histogram 1e-9 "Duration of HTTP requests that the service answered.";
    HTTP_SERVER_REQUEST_SIZE "http.server.request.body.size" "By" Histogram 1.0 "Size of the bodies of requests that came.";
    HTTP_SERVER_RESPONSE_SIZE "http.server.response.body.size" "By" Histogram 1.0 "Size of the bodies of answers that went.";
    HTTP_SERVER_ACTIVE "http.server.active_requests" "{request}" UpDown 1.0 "Requests under way.";
    HTTP_CLIENT_DURATION "http.client.request.duration" "s" Histogram 1e-9 "Duration of HTTP requests that the service made.";
    HTTP_CLIENT_REQUEST_SIZE "http.client.request.body.size" "By" Histogram 1.0 "Size of the bodies of requests that went.";
    HTTP_CLIENT_RESPONSE_SIZE "http.client.response.body.size" "By" Histogram 1.0 "Size of the bodies of answers that came.";
    HTTP_UNMEASURED "perfmon.http.unmeasured_requests" "{request}" Counter 1.0 "Requests whose end perfmon did not see; they stand in no duration.";
    CONNECT_FAILURES "perfmon.connect.failures" "{connection}" Counter 1.0 "Connections of the service that could not be opened.";
    MODEL_DURATION "gen_ai.client.operation.duration" "s" Histogram 1e-9 "Duration of model calls that the service made.";
    MODEL_TOKENS "gen_ai.client.token.usage" "{token}" Histogram 1.0 "Tokens of model calls.";
    MODEL_FIRST_CHUNK "gen_ai.client.operation.time_to_first_chunk" "s" Histogram 1e-9 "Time to the first generated content of streamed model calls.";
    MODEL_COST "operation.cost" "{USD}" Histogram 1e-9 "Cost of model calls.";
    MODEL_SERVER_DURATION "gen_ai.server.request.duration" "s" Histogram 1e-9 "Duration of model calls that the service answered.";
    MODEL_SERVER_FIRST_TOKEN "gen_ai.server.time_to_first_token" "s" Histogram 1e-9 "Time to the first generated content of streamed model calls that the service answered.";
    MCP_DURATION "mcp.client.operation.duration" "s" Histogram 1e-9 "Duration of tool calls over the Model Context Protocol.";
    DB_DURATION "db.client.operation.duration" "s" Histogram 1e-9 "Duration of database commands that the service sent.";
    DNS_DURATION "dns.lookup.duration" "s" Histogram 1e-9 "Time until a question of the service for a name had its answer, all attempts included.";
    DNS_UNANSWERED "perfmon.dns.unanswered_lookups" "{lookup}" Counter 1.0 "Questions for names that had no answer; they stand in no duration.";
    DB_CONNECTIONS "db.client.connection.count" "{connection}" UpDown 1.0 "Connections of the service's pools to databases, by state.";
    HTTP_OPEN_CONNECTIONS "http.client.open_connections" "{connection}" UpDown 1.0 "Connections of the service's pools to HTTP servers, by state.";
    PROCESS_CPU_UTILIZATION "process.cpu.utilization" "1" Gauge 1.0 "Share of a core that the process took, mean of the interval.";
    PROCESS_CPU_TIME "process.cpu.time" "s" Counter 1.0 "CPU time that the process took.";
    PROCESS_MEMORY "process.memory.usage" "By" UpDown 1.0 "Resident memory.";
    PROCESS_THREADS "process.thread.count" "{thread}" UpDown 1.0 "Threads.";
    PROCESS_DESCRIPTORS "process.unix.file_descriptor.count" "{file_descriptor}" UpDown 1.0 "Open descriptors.";
    PROCESS_SWITCHES "process.context_switches" "{context_switch}" Counter 1.0 "Context switches.";
    PROCESS_IO "process.disk.io" "By" Counter 1.0 "Bytes read from and written to storage.";
    PROCESS_UPTIME "process.uptime" "s" Gauge 1.0 "Age of the process.";
    SYSTEM_CPU "system.cpu.utilization" "1" Gauge 1.0 "Share of all cores that is busy, mean of the interval.";
    SYSTEM_CPU_SIMPLE "system.cpu.simple_utilization" "1" Gauge 1.0 "Share of all cores that is busy, mean of the interval.";
    SYSTEM_MEMORY "system.memory.utilization" "1" Gauge 1.0 "Share of the memory in each state.";
    SYSTEM_SWAP "system.swap.utilization" "1" Gauge 1.0 "Share of the swap space in use.";
    SYSTEM_LOAD "system.cpu.load_average.1m" "{thread}" Gauge 1.0 "Load average of one minute.";
    SYSTEM_PROCESSES "system.process.count" "{process}" UpDown 1.0 "Processes of the host.";
    SYSTEM_DISK_IO "system.disk.io" "By" Counter 1.0 "Bytes read from and written to disks.";
    SYSTEM_NETWORK_IO "system.network.io" "By" Counter 1.0 "Bytes received and sent.";
    DEGRADED "perfmon.degraded" "{part}" Gauge 1.0 "Parts of perfmon that do not work as they should; 0 is well.";
    SYSTEM_FILESYSTEM "system.filesystem.utilization" "1" Gauge 1.0 "Share of a file system in use.";
}
