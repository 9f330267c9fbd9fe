//! The fields of records that filters and business metrics read, by name: one table of every kind of record. Reading a field allocates
//! nothing. Ids and times are left out: a filter or label of them says nothing.
use std::sync::Arc;

use super::kind::LabelText;
use super::{Millis, Record};

/// The value of a field as the record has it.
#[derive(Clone, Copy, Debug)]
pub enum FieldValue<'a> {
    /// A text of the record.
    Text(&'a Arc<str>),
    /// One of few words.
    Word(&'static str),
    /// A whole number.
    Whole(u64),
    /// Any other number.
    Number(f64),
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldForm {
    /// A text, a word, `true` or `false`.
    Text,
    /// A number that names something, like a status: no sum of it means anything.
    Code,
    /// A size, a count, a level.
    Number,
    /// Milliseconds.
    Duration,
}

/// A field of one kind of record.
pub struct RecordField {
    /// As in docs/records.md.
    pub name: &'static str,
    /// What its values are.
    pub form: FieldForm,
    value: RecordFieldReader,
}

type RecordFieldReader = for<'a> fn(&'a Record) -> Option<FieldValue<'a>>;

/// A kind of record and its fields.
#[derive(Debug)]
pub struct RecordShape {
    /// As in the records.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [RecordField],
}

/// Names that people use for fields.
pub const SECOND_NAMES: [(&str, &str); 4] =
    [("model", "request_model"), ("agent", "agent_type"), ("tool", "tool_name"), ("workflow", "workflow_name")];

impl RecordField {
    /// The value in a record; `None` when it is not known, or the record is of another kind.
    pub fn value<'a>(&self, record: &'a Record) -> Option<FieldValue<'a>> {
        (self.value)(record)
    }

    /// As a label.
    pub fn label<'a>(&self, record: &'a Record) -> Option<LabelText<'a>> {
        match self.value(record)? {
            FieldValue::Text(text) => Some(LabelText::Shared(text)),
            FieldValue::Word(word) => Some(LabelText::Word(word)),
            FieldValue::Whole(number) => Some(LabelText::Number(number)),
            FieldValue::Number(_) => None,
        }
    }

    /// As a number; durations in milliseconds.
    pub fn number(&self, record: &Record) -> Option<f64> {
        match self.value(record)? {
            FieldValue::Whole(number) => Some(number as f64),
            FieldValue::Number(number) => Some(number),
            FieldValue::Text(_) | FieldValue::Word(_) => None,
        }
    }
}

impl std::fmt::Debug for RecordField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl RecordShape {
    /// Kinds of records.
    pub const KINDS: usize = 13;

    /// The kind of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == name)
    }

    /// The place of a record's kind in the table.
    pub fn index_of(record: &Record) -> usize {
        match record {
            Record::Request(_) => 0,
            Record::Db(_) => 1,
            Record::Dns(_) => 2,
            Record::Llm(_) => 3,
            Record::Agent(_) => 4,
            Record::Tool(_) => 5,
            Record::Workflow(_) => 6,
            Record::Process(_) => 7,
            Record::System(_) => 8,
            Record::Finding(_) => 9,
            Record::Alert(_) => 10,
            Record::Pool(_) => 11,
            Record::Tcp(_) => 12,
        }
    }

    /// Every kind's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHAPES.iter().map(|shape| shape.name)
    }

    /// The field of a name, or of a second one.
    pub fn field(&self, name: &str) -> Option<&'static RecordField> {
        let name = SECOND_NAMES.iter().find(|(second, _)| *second == name).map_or(name, |(_, first)| first);
        self.fields.iter().find(|field| field.name == name)
    }
}

fn text(value: &Arc<str>) -> Option<FieldValue<'_>> {
    Some(FieldValue::Text(value))
}

fn maybe(value: &Option<Arc<str>>) -> Option<FieldValue<'_>> {
    value.as_ref().map(FieldValue::Text)
}

fn word(value: &'static str) -> Option<FieldValue<'static>> {
    Some(FieldValue::Word(value))
}

fn flag(value: bool) -> Option<FieldValue<'static>> {
    word(if value { "true" } else { "false" })
}

fn whole(value: impl Into<u64>) -> Option<FieldValue<'static>> {
    Some(FieldValue::Whole(value.into()))
}

fn number(value: f64) -> Option<FieldValue<'static>> {
    Some(FieldValue::Number(value))
}

fn ms(value: Millis) -> Option<FieldValue<'static>> {
    number(value.0 as f64 / 1e6)
}

macro_rules! shapes {
    ($($kind:ident $kind_name:literal ($record:ident) { $($form:ident { $($name:literal = $value:expr;)* })* })*) => {
        &[$(RecordShape {
            name: $kind_name,
            fields: &[
                RecordField { name: "service", form: FieldForm::Text, value: |record| text(&record.origin().service) },
                RecordField { name: "comm", form: FieldForm::Text, value: |record| text(&record.origin().comm) },
                RecordField { name: "container", form: FieldForm::Text, value: |record| maybe(&record.origin().container) },
                RecordField { name: "pid", form: FieldForm::Code, value: |record| whole(record.origin().pid) },
                $($(RecordField {
                    name: $name,
                    form: FieldForm::$form,
                    value: |record| if let Record::$kind($record) = record { $value } else { None },
                },)*)*
            ],
        },)*]
    };
}

static SHAPES: &[RecordShape] = shapes! {
    Request "request" (r) {
        Text {
            "side" = word(r.side.name());
            "protocol" = word(r.protocol);
            "tls" = flag(r.tls);
            "local" = text(&r.local);
            "peer" = text(&r.peer);
            "host" = maybe(&r.host);
            "destination" = text(r.destination.as_ref().or(r.host.as_ref()).unwrap_or(&r.peer));
            "method" = maybe(&r.method);
            "path" = maybe(&r.path);
            "endpoint" = maybe(&r.endpoint);
            "user_agent" = maybe(&r.user_agent);
            "error" = r.error.and_then(|error| word(error.name()));
            "streaming" = flag(r.streaming);
            "performance_category" = r.performance_category.and_then(|category| word(category.name()));
            "quality" = word(r.quality.name());
        }
        Code {
            "status_code" = r.status_code.and_then(whole);
            "grpc_status" = r.grpc_status.and_then(whole);
        }
        Number {
            "request_size" = r.request_size.and_then(whole);
            "response_size" = r.response_size.and_then(whole);
            "request_bytes" = whole(r.request_bytes);
            "response_bytes" = whole(r.response_bytes);
            "missing_bytes" = whole(r.missing_bytes);
            "resend_count" = r.resend_count.and_then(whole);
        }
        Duration {
            "response_time_ms" = r.latency().and_then(ms);
            "queue_time_ms" = r.queue_time_ms.and_then(ms);
            "connect_time_ms" = r.connect_time_ms.and_then(ms);
            "tls_time_ms" = r.tls_time_ms.and_then(ms);
            "time_to_first_byte_ms" = r.time_to_first_byte_ms.and_then(ms);
        }
    }
    Db "db" (r) {
        Text {
            "side" = word(r.side.name());
            "system" = word(r.system);
            "operation" = maybe(&r.operation);
            "target" = maybe(&r.target);
            "query" = maybe(&r.query);
            "query_id" = maybe(&r.query_id);
            "database" = maybe(&r.database);
            "error" = maybe(&r.error);
            "tls" = flag(r.tls);
            "local" = text(&r.local);
            "peer" = text(&r.peer);
            "destination" = maybe(&r.destination);
            "quality" = word(r.quality.name());
        }
        Number {
            "rows" = r.rows.and_then(whole);
            "request_bytes" = whole(r.request_bytes);
            "response_bytes" = whole(r.response_bytes);
            "missing_bytes" = whole(r.missing_bytes);
        }
        Duration {
            "response_time_ms" = r.response_time_ms.and_then(ms);
            "time_to_first_byte_ms" = r.time_to_first_byte_ms.and_then(ms);
        }
    }
    Dns "dns" (r) {
        Text {
            "name" = text(&r.name);
            "qtype" = text(&r.qtype);
            "rcode" = text(&r.rcode);
            "server" = text(&r.server);
            "quality" = word(r.quality.name());
        }
        Number { "attempts" = whole(r.attempts); }
        Duration { "response_time_ms" = r.response_time_ms.and_then(ms); }
    }
    Llm "llm" (r) {
        Text {
            "side" = word(r.side.name());
            "provider" = text(&r.provider);
            "api" = word(r.api);
            "destination" = maybe(&r.destination);
            "peer" = text(&r.peer);
            "tls" = flag(r.tls);
            "request_model" = maybe(&r.request_model);
            "response_model" = maybe(&r.response_model);
            "stream" = flag(r.stream);
            "error_type" = maybe(&r.error_type);
            "finish_reason" = maybe(&r.finish_reason);
            "token_source" = r.token_source.and_then(word);
            "cost_source" = r.cost_source.and_then(word);
            "agent_type" = maybe(&r.agent_type);
            "visibility" = word(r.visibility);
        }
        Code { "status_code" = r.status_code.and_then(whole); }
        Number {
            "input_tokens" = r.input_tokens.and_then(whole);
            "output_tokens" = r.output_tokens.and_then(whole);
            "cache_read_tokens" = r.cache_read_tokens.and_then(whole);
            "cache_write_tokens" = r.cache_write_tokens.and_then(whole);
            "reasoning_tokens" = r.reasoning_tokens.and_then(whole);
            "cost_usd" = r.cost_usd.and_then(number);
            "output_tokens_per_second" = r.output_tokens_per_second.and_then(number);
            "request_bytes" = whole(r.request_bytes);
            "response_bytes" = whole(r.response_bytes);
            "chunks" = whole(r.chunks);
        }
        Duration {
            "response_time_ms" = r.response_time_ms.and_then(ms);
            "time_to_first_byte_ms" = r.time_to_first_byte_ms.and_then(ms);
            "time_to_first_token_ms" = r.time_to_first_token_ms.and_then(ms);
            "chunk_gap_max_ms" = r.chunk_gap_max_ms.and_then(ms);
        }
    }
    Agent "agent" (r) {
        Text {
            "agent_type" = maybe(&r.agent_type);
            "status" = word(r.status);
            "error_type" = maybe(&r.error_type);
        }
        Number {
            "llm_calls" = whole(r.llm_calls);
            "tools_called" = whole(r.tools_called);
            "tokens_used" = r.tokens_used.and_then(whole);
            "input_tokens" = r.input_tokens.and_then(whole);
            "output_tokens" = r.output_tokens.and_then(whole);
            "cost_usd" = r.cost_usd.and_then(number);
        }
        Duration {
            "execution_time_ms" = ms(r.execution_time_ms);
            "model_time_ms" = ms(r.model_time_ms);
            "tool_time_ms" = ms(r.tool_time_ms);
            "local_time_ms" = ms(r.local_time_ms);
        }
    }
    Tool "tool" (r) {
        Text {
            "tool_name" = text(&r.tool_name);
            "source" = word(r.source);
            "transport" = r.transport.and_then(word);
            "server" = maybe(&r.server);
            "success" = r.success.and_then(flag);
            "error_type" = maybe(&r.error_type);
            "agent_type" = maybe(&r.agent_type);
        }
        Duration { "execution_time_ms" = r.execution_time_ms.and_then(ms); }
    }
    Workflow "workflow" (r) {
        Text {
            "workflow_name" = text(&r.workflow_name);
            "status" = word(r.status);
        }
        Number {
            "agents" = whole(r.agents);
            "llm_calls" = whole(r.llm_calls);
            "tools_called" = whole(r.tools_called);
            "db_calls" = r.db_calls.and_then(whole);
            "tokens_used" = r.tokens_used.and_then(whole);
            "cost_usd" = r.cost_usd.and_then(number);
        }
        Duration { "execution_time_ms" = ms(r.execution_time_ms); }
    }
    Process "process" (r) {
        Text {
            "runtime" = maybe(&r.runtime);
            "leak" = r.leak.and_then(word);
        }
        Number {
            "cpu_percent" = r.cpu_percent.and_then(number);
            "memory_rss_bytes" = whole(r.memory_rss_bytes);
            "memory_percent" = number(r.memory_percent);
            "memory_growth_bytes_per_hour" = r.memory_growth_bytes_per_hour.and_then(number);
            "heap_bytes" = r.heap_bytes.and_then(whole);
            "threads" = whole(r.threads);
            "threads_running" = whole(r.threads_running);
            "threads_waiting" = whole(r.threads_waiting);
            "open_files" = r.open_files.and_then(whole);
            "sockets" = r.sockets.and_then(whole);
            "connections" = r.connections.and_then(whole);
            "read_bytes" = r.read_bytes.and_then(whole);
            "write_bytes" = r.write_bytes.and_then(whole);
            "context_switches" = r.context_switches.and_then(whole);
            "page_faults" = r.page_faults.and_then(whole);
            "uptime_s" = number(r.uptime_s);
        }
        Duration {
            "run_queue_wait_ms" = r.run_queue_wait_ms.and_then(ms);
            "blocked_io_ms" = r.blocked_io_ms.and_then(ms);
            "interval_ms" = ms(r.interval_ms);
        }
    }
    System "system" (r) {
        Number {
            "cpu_percent" = r.cpu_percent.and_then(number);
            "memory_percent" = number(r.memory_percent);
            "memory_available_bytes" = whole(r.memory_available_bytes);
            "swap_percent" = r.swap_percent.and_then(number);
            "load_1m" = number(r.load_1m);
        }
        Duration { "interval_ms" = ms(r.interval_ms); }
    }
    Finding "finding" (r) {
        Text {
            "type" = word(r.kind_name);
            "severity" = word(r.severity.name());
            "scope" = text(&r.scope);
        }
    }
    Alert "alert" (r) {
        Text {
            "rule" = text(&r.rule);
            "type" = text(&r.kind_name);
            "severity" = word(r.severity.name());
            "state" = word(r.state.name());
            "metric" = text(&r.metric);
            "scope" = text(&r.scope);
        }
        Code { "escalation_level" = whole(r.escalation_level); }
        Number { "value" = r.value.and_then(number); "threshold" = number(r.threshold); }
    }
    Pool "pool" (r) {
        Text {
            "destination" = text(&r.destination);
            "peer" = text(&r.peer);
            "system" = word(r.system);
            "saturated" = flag(r.saturated);
        }
        Number {
            "open" = whole(r.open);
            "in_use" = whole(r.in_use);
            "idle" = whole(r.idle);
            "peak_in_use" = whole(r.peak_in_use);
            "size" = whole(r.size);
            "opened" = whole(r.opened);
            "closed" = whole(r.closed);
            "uses" = whole(r.uses);
        }
        Duration {
            "use_time_p95_ms" = r.use_time_p95_ms.and_then(ms);
            "silent_in_use_ms" = r.silent_in_use_ms.and_then(ms);
            "interval_ms" = ms(r.interval_ms);
        }
    }
    Tcp "tcp" (r) {
        Text {
            "destination" = text(&r.destination);
            "peer" = text(&r.peer);
            "system" = word(r.system);
        }
        Number {
            "segments" = whole(r.segments);
            "retransmits" = whole(r.retransmits);
            "round_trips" = whole(r.round_trips);
        }
        Duration {
            "round_trip_ms" = r.round_trip_ms.and_then(ms);
            "round_trip_max_ms" = r.round_trip_max_ms.and_then(ms);
            "interval_ms" = ms(r.interval_ms);
        }
    }
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::record::{Pool, Tcp};
    use crate::store::tests::{DAY, call, request, system};

    #[test]
    fn each_kind_has_its_place_and_each_field_one_name() {
        let boxed = [Record::Pool(Box::new(Pool::made_up("http", "shop"))), Record::Tcp(Box::new(Tcp::made_up("shop")))];
        for record in [request(DAY, "shop", "/", 5, 200), system(DAY, 1.0)].into_iter().chain(boxed) {
            assert_eq!(SHAPES[RecordShape::index_of(&record)].name, record.kind());
        }
        assert_eq!(SHAPES.len(), RecordShape::KINDS);
        for shape in SHAPES {
            let names: BTreeSet<&str> = shape.fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), shape.fields.len(), "{}", shape.name);
        }
    }

    /// Every field of the serialised record that a filter can mean is in the table, with the same value.
    #[test]
    fn the_table_is_that_of_the_records() {
        const NO_FIELDS: [&str; 13] = [
            "kind",
            "time",
            "span_id",
            "trace_id",
            "parent_span_id",
            "tool_calls",
            "conversation_id",
            "agent_run_id",
            "request_id",
            "disks",
            "network",
            "psi",
            "tool_call_id",
        ];
        for record in [request(DAY, "shop", "/", 5, 200), call(DAY, crate::record::Side::Client, 0.5), system(DAY, 1.0)] {
            let shape = RecordShape::named(record.kind()).unwrap();
            let json = serde_json::to_value(&record).unwrap();
            for (name, value) in json.as_object().unwrap().iter().filter(|(name, _)| !NO_FIELDS.contains(&name.as_str())) {
                let field = shape.field(name).unwrap_or_else(|| panic!("{}.{name}", shape.name));
                match (value, field.value(&record)) {
                    (serde_json::Value::Null, None) => {}
                    (serde_json::Value::Null, Some(_)) if name == "destination" => {}
                    (serde_json::Value::String(text), Some(FieldValue::Text(found))) => assert_eq!(**found, **text),
                    (serde_json::Value::String(text), Some(FieldValue::Word(found))) => assert_eq!(found, text),
                    (serde_json::Value::Bool(is), Some(FieldValue::Word(found))) => assert_eq!(found, is.to_string()),
                    (serde_json::Value::Number(number), _) => {
                        // Written to a microsecond.
                        let (found, written) = (field.number(&record).unwrap(), number.as_f64().unwrap());
                        assert!((found - written).abs() < 1e-3, "{name}: {found} {written}");
                    }
                    (value, found) => panic!("{}.{name}: {value} {found:?}", shape.name),
                }
            }
        }
    }
}
