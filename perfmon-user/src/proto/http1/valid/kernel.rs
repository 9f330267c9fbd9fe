//! The kernel's side of a connection: cuts messages into operations, captures or loses them, and gives the parser what is left.
use super::truth::{ExchangeTruth, schedule};
use super::{CapturePlan, Http1, MS, MessageOrder, OperationFate, ToldConnection};
use crate::proto::{Demand, Parser};
use crate::stream::{Content, Direction, Ending, OperationRun, Segment, Stamp};

/// The kernel's side: runs, budgets, losses (perfmon-ebpf/src/operation.rs).
pub(super) struct KernelSide<'a> {
    pub(super) connection: ToldConnection,
    capturing: &'a CapturePlan,
    server: bool,
    run: u16,
    runs_request: Option<bool>,
    captured: usize,
    lost: [u64; 2],
    demand: Demand,
    logs: bool,
    pub(super) log: Vec<String>,
}

impl<'a> KernelSide<'a> {
    pub(super) fn new(capturing: &'a CapturePlan, server: bool, logs: bool) -> Self {
        let connection = ToldConnection { parser: Http1::new(), now_ns: 0, done: Vec::new() };
        let (run, runs_request, captured, lost) = Default::default();
        Self { connection, capturing, server, run, runs_request, captured, lost, demand: Demand::Head, logs, log: Vec::new() }
    }

    /// An operation; how much of it was captured, `None`: its event was lost.
    fn operation(&mut self, request: bool, bytes: &str, fate: OperationFate) -> Option<usize> {
        let begins = self.runs_request != Some(request);
        if begins {
            (self.run, self.captured, self.runs_request) = (self.run.wrapping_add(1), 0, Some(request));
        }
        let run_lost = self.capturing.runs_lost[usize::from(self.run) % self.capturing.runs_lost.len()];
        let fate = if run_lost { OperationFate::Lost } else { fate };
        if self.logs {
            let (run, message, start) = (self.run, if request { "request" } else { "answer" }, &bytes[..bytes.len().min(90)]);
            self.log.push(format!("{run} {message} {fate:?} {} {start:?}", bytes.len()));
        }
        if fate == OperationFate::Lost {
            self.lost[usize::from(request)] += bytes.len() as u64;
            return None;
        }
        let captured = match fate {
            OperationFate::Cut(percent) => bytes.len() * percent / 100,
            OperationFate::Head if self.demand == Demand::Head => {
                let (run, operation) = self.capturing.budgets;
                bytes.len().min(run.saturating_sub(self.captured).max(operation))
            }
            _ => bytes.len(),
        };
        if self.logs {
            self.log.push(format!("    {captured} captured"));
        }
        self.captured += captured;
        let (seen, rest) = bytes.as_bytes().split_at(captured);
        let lost = std::mem::take(&mut self.lost[usize::from(request)]);
        for content in [Content::Lost(lost), Content::Bytes(seen), Content::Gap(rest.len() as u64)] {
            if !content.is_empty() {
                let is_rest = matches!(content, Content::Gap(_)) && captured > 0;
                self.segment(request, Some(OperationRun { number: self.run, begins: begins && !is_rest }), content);
            }
        }
        Some(captured)
    }

    fn segment(&mut self, request: bool, run: Option<OperationRun>, content: Content<'_>) {
        let direction = if request == self.server { Direction::In } else { Direction::Out };
        let time_ns = self.connection.now_ns;
        let (parser, mut sink) = self.connection.split();
        let stamp = Stamp { time_ns, arrival_ns: None, thread: 7, run };
        self.demand = parser.push(Segment { direction, stamp, content }, &mut sink);
    }
}

/// Lets everything pass, and notes in `truths` what of it was seen.
pub(super) fn pass(kernel: &mut KernelSide<'_>, truths: &mut [ExchangeTruth], order: MessageOrder) {
    let CapturePlan { ends, fates, ending, .. } = kernel.capturing;
    let pieces = schedule(truths, order);
    let (mut operations, mut operation, mut of, mut torn, mut in_run) = (0, String::new(), Vec::new(), false, Vec::new());
    for (at, (request, index, piece)) in pieces.iter().enumerate() {
        operation.push_str(piece);
        of.push((*index, piece.clone()));
        let turns = pieces.get(at + 1).is_none_or(|(next, ..)| next != request);
        if ends[at % ends.len()] || turns {
            kernel.connection.now_ns += MS + MS / 2;
            let bytes = std::mem::take(&mut operation);
            let captured = kernel.operation(*request, &bytes, fates[operations % fates.len()]);
            let whole = captured == Some(bytes.len());
            operations += 1;
            torn |= captured.is_none() || (order != MessageOrder::Batches(1) && !whole);
            for (index, piece) in &of {
                let truth = &mut truths[*index];
                truth.captured &= whole;
                truth.head_captured &= whole || !truth.request[..2].contains(piece);
            }
            in_run.append(&mut of);
        }
        if turns {
            in_run.drain(..).for_each(|(index, _)| truths[index].seen &= !torn);
            torn = false;
        }
    }
    for request in [false, true] {
        let lost = kernel.lost[usize::from(request)];
        if lost > 0 && *ending != Ending::Forgotten {
            kernel.connection.now_ns += MS + MS / 2;
            kernel.segment(request, None, Content::Lost(lost));
        }
    }
    let ended_ns = kernel.connection.now_ns + MS;
    let (parser, mut sink) = kernel.connection.split();
    parser.end(*ending, ended_ns, &mut sink);
}
