//! Where records count that have the same texts in memory: most records of an interval are like an earlier one, and the addresses of their
//! texts find its series without a look at the texts. An entry keeps its texts alive, so that an address cannot become another text's.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::export::otlp::failure::{self, ErrorType};
use crate::limits;
use crate::record::{Db, Dns, Llm, Origin, Record, Request, Side, Tool};

use super::http::version;

/// Texts that tell series apart, at most.
const TEXTS: usize = 5;

/// What records of one series have in common.
#[derive(Clone, Copy, Debug)]
pub struct Likeness<'a> {
    origin: &'a Arc<Origin>,
    texts: [Option<&'a Arc<str>>; TEXTS],
    /// A word that the program knows.
    word: &'static str,
    /// Everything else, the table of sums among it.
    rest: u64,
}

/// The same in numbers.
type LikenessAddresses = ([usize; TEXTS + 2], u64);

impl<'a> Likeness<'a> {
    /// Of a record; `None` when it is in no table of sums.
    pub fn of(record: &'a Record) -> Option<Self> {
        match record {
            Record::Request(request) if request.is_attempt() => Some(Self::of_attempt(request)),
            Record::Request(request) => request.counts().then(|| Self::of_request(request)),
            Record::Llm(call) => Some(Self::of_call(call)),
            Record::Tool(tool) => (tool.source == "mcp").then(|| Self::of_tool(tool)),
            Record::Db(command) => (command.side == Side::Client).then(|| Self::of_command(command)),
            Record::Dns(question) => Some(Self::of_question(question)),
            _ => None,
        }
    }

    fn of_attempt(request: &'a Request) -> Self {
        let error = request.error.map_or(0, |error| error as u64 + 1);
        Self { origin: &request.origin, texts: [request.destination.as_ref(), None, None, None, None], word: "", rest: 1 | error << 8 }
    }

    fn of_request(request: &'a Request) -> Self {
        let place = match request.side {
            Side::Server => &request.endpoint,
            Side::Client => &request.destination,
        };
        let failure = match failure::of(request) {
            None => 0,
            Some(ErrorType::Exchange(error)) => 1 + error as u64,
            Some(ErrorType::Grpc(status)) => 256 + u64::from(status),
            Some(ErrorType::Status(status)) => 512 + u64::from(status),
        };
        let status = request.status_code.map_or(0, |status| u64::from(status) + 1);
        let flags = u64::from(request.side == Side::Server) | u64::from(request.tls) << 1;
        Self {
            origin: &request.origin,
            texts: [request.method.as_ref(), place.as_ref(), None, None, None],
            word: version(request.protocol),
            rest: 2 | flags << 8 | status << 16 | failure << 40,
        }
    }

    fn of_call(call: &'a Llm) -> Self {
        let Llm { request_model, response_model, destination, error_type, .. } = call;
        let provider = Some(&call.provider);
        Self {
            origin: &call.origin,
            texts: [provider, request_model.as_ref(), response_model.as_ref(), destination.as_ref(), error_type.as_ref()],
            word: call.api,
            rest: 3 | u64::from(call.side == Side::Server) << 8,
        }
    }

    fn of_tool(tool: &'a Tool) -> Self {
        let texts = [Some(&tool.tool_name), tool.error_type.as_ref(), None, None, None];
        Self { origin: &tool.origin, texts, word: tool.transport.unwrap_or_default(), rest: 4 | u64::from(tool.transport.is_some()) << 8 }
    }

    fn of_command(command: &'a Db) -> Self {
        let Db { operation, target, database, destination, error, .. } = command;
        let texts = [operation.as_ref(), target.as_ref(), database.as_ref(), destination.as_ref(), error.as_ref()];
        Self { origin: &command.origin, texts, word: command.system, rest: 5 }
    }

    fn of_question(question: &'a Dns) -> Self {
        let texts = [Some(&question.name), Some(&question.rcode), None, None, None];
        Self { origin: &question.origin, texts, word: "", rest: 6 }
    }

    fn addresses(&self) -> LikenessAddresses {
        let mut addresses = [0; TEXTS + 2];
        addresses[0] = Arc::as_ptr(self.origin).addr();
        addresses[1] = self.word.as_ptr().addr();
        for (address, text) in addresses[2..].iter_mut().zip(self.texts) {
            *address = text.map_or(0, |text| Arc::as_ptr(text).addr());
        }
        (addresses, self.rest)
    }
}

/// A series: places of its owner and of its sums.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPlace {
    pub owner: u32,
    pub sums: u32,
}

/// The known ones. Bounded: further ones are found by their texts.
#[derive(Debug, Default)]
pub struct AlikeRecords {
    places: FxHashMap<LikenessAddresses, SeriesPlace>,
    /// Apart from the places, which are looked up all the time.
    alive: Vec<(Arc<Origin>, [Option<Arc<str>>; TEXTS])>,
}

impl AlikeRecords {
    /// Where a record counts that is like one that was noted.
    pub fn find(&self, likeness: &Likeness<'_>) -> Option<SeriesPlace> {
        self.places.get(&likeness.addresses()).copied()
    }

    /// Notes where those like this one count.
    pub fn note(&mut self, likeness: &Likeness<'_>, place: SeriesPlace) {
        if self.places.len() < limits::EXPORT_SERIES {
            self.alive.push((likeness.origin.clone(), likeness.texts.map(Option::<&Arc<str>>::cloned)));
            self.places.insert(likeness.addresses(), place);
        }
    }
}
