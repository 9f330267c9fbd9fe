//! Valid traffic of which the kernel captures some bytes and loses any operations, for the property test and the fuzz program. In: a plan of
//! exchanges, their order, and how the connection is cut and captured; out: what is wrong with what the parser told. No error, status or
//! exchange may be told that there was not, and what is exact must be true. Bodies are texts that look like chunks and messages, and
//! operations end where such a text begins.
mod faults;
mod kernel;
mod truth;

use super::Http1;
use crate::proto::Message;
use crate::proto::exchange::{Exchange, Part};
use crate::stream::Ending;
use faults::faults;
use kernel::{KernelSide, pass};

/// A millisecond.
const MS: u64 = 1_000_000;

/// Parts of bodies, each of which looks like something else.
pub const TEXTS: [&str; 12] = [
    "12\r\n34\r\n",
    "1\r\n7\r\n2\r\n10\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\n1\r\n0\r\n",
    "HTTP/1.1 500 x\r\n\r\n",
    "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9000\r\n\r\n",
    "GET /phantom HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /phantom HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "some words of a text, and no line end",
];

/// A body: texts, each this often, and how it is framed.
#[derive(Clone, Debug)]
pub struct PlannedBody {
    /// The texts and how often each stands there.
    pub texts: Vec<(&'static str, usize)>,
    /// In chunks, not by length.
    pub chunked: bool,
    /// Chunks end with a trailer.
    pub trailer: bool,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct PlannedExchange {
    /// GET, POST or HEAD.
    pub method: &'static str,
    /// The request's body.
    pub request: PlannedBody,
    /// The answer's body.
    pub answer: PlannedBody,
    /// 204, 304, or the status of the first exchange: later ones have higher ones.
    pub status: u16,
    /// An answer before the final one.
    pub interim: InterimAnswer,
}

/// An answer before the final one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InterimAnswer {
    /// None.
    None,
    /// 103.
    Hints,
    /// 100, for which the client waits before it sends the body.
    Continue,
}

/// In which order messages pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MessageOrder {
    /// So many requests, then their answers.
    Batches(usize),
    /// Each request in the middle of the answer before.
    Overlapping,
}

impl MessageOrder {
    /// A body may have this text in this order. Where messages overlap any part of a body may begin a run, and the parser takes what
    /// begins a run for a head, and an answer for that to the request before it, until it has seen that they do.
    fn allows(self, text: &str) -> bool {
        self != Self::Overlapping || !text.starts_with(['G', 'P', 'H'])
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OperationFate {
    /// Captured whole.
    Seen,
    /// Its beginning is captured, as much as the budgets allow.
    Head,
    /// The share of its bytes that is captured, in percent.
    Cut(usize),
    /// No event told of it.
    Lost,
}

/// How a connection is cut into operations and what is captured of them; used round and round.
#[derive(Clone, Debug)]
pub struct CapturePlan {
    /// An operation ends behind this piece.
    pub ends: Vec<bool>,
    /// What becomes of the operations.
    pub fates: Vec<OperationFate>,
    /// The whole run is lost.
    pub runs_lost: Vec<bool>,
    /// Bytes captured of the operations of a run, and of each operation at least.
    pub budgets: (usize, usize),
    /// How the connection ends.
    pub ending: Ending,
}

/// What is wrong with what is told of a connection with these exchanges; empty when all is well. With `log` the faults are followed by what
/// was told and by all operations.
pub fn faults_of(plan: &[PlannedExchange], order: MessageOrder, server: bool, capturing: &CapturePlan, log: bool) -> Vec<String> {
    let mut truths: Vec<_> = plan.iter().enumerate().map(|(index, planned)| planned.truth(index, order)).collect();
    let mut kernel = KernelSide::new(capturing, server, log);
    pass(&mut kernel, &mut truths, order);
    let mut faults = faults(&kernel.connection.done, &truths, order);
    if log && !faults.is_empty() {
        faults.extend(kernel.connection.done.iter().map(summary));
        faults.append(&mut kernel.log);
    }
    faults
}

/// The parser, and what it told.
struct ToldConnection {
    parser: Http1,
    now_ns: u64,
    done: Vec<Exchange>,
}

impl ToldConnection {
    fn split(&mut self) -> (&mut Http1, impl FnMut(Message<'_>)) {
        let Self { parser, done, .. } = self;
        (parser, |message: Message<'_>| {
            if let Message::Exchange(Part::Done(exchange)) = message {
                done.push(exchange.clone());
            }
        })
    }
}

/// `METHOD path status` of an exchange, with the failure or `~` for what is inferred.
pub fn summary(exchange: &Exchange) -> String {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
    let status = exchange.status.map_or("-".into(), |status| status.to_string());
    let failure = exchange.failure.map_or(String::new(), |failure| format!(" {failure:?}"));
    let inferred = if exchange.inferred { " ~" } else { "" };
    format!("{} {} {status}{failure}{inferred}", text(&exchange.method), text(&exchange.path))
}
