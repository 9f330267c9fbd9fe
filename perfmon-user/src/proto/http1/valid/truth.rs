//! What passes on a connection by its plan: the pieces of each message, in their order, and what each exchange is in truth.
use super::{InterimAnswer, MessageOrder, PlannedBody, PlannedExchange};

impl PlannedBody {
    fn size(&self) -> u64 {
        self.texts.iter().map(|(text, times)| (text.len() * times) as u64).sum()
    }

    /// What follows a head's other fields, in pieces behind which an operation may end.
    fn pieces(&self) -> Vec<String> {
        let texts = self.texts.iter().map(|(text, times)| text.repeat(*times));
        if !self.chunked {
            return std::iter::once(format!("Content-Length: {}\r\n\r\n", self.size())).chain(texts).collect();
        }
        let mut pieces = vec!["Transfer-Encoding: chunked\r\n\r\n".to_owned()];
        for text in texts {
            pieces.extend([format!("{:x}\r\n", text.len()), text, "\r\n".to_owned()]);
        }
        pieces.push("0\r\n".to_owned());
        pieces.extend(self.trailer.then(|| "X-Sum: 12\r\n".to_owned()));
        pieces.push("\r\n".to_owned());
        pieces
    }
}

/// What an exchange is in truth.
#[derive(Debug)]
pub(super) struct ExchangeTruth {
    pub(super) request: Vec<String>,
    pub(super) answer: Vec<String>,
    pub(super) sizes: (u64, u64),
    pub(super) status: u16,
    pub(super) waits: bool,
    /// All operations with bytes of it, and the runs that they are in, were seen.
    pub(super) seen: bool,
    /// Nothing of it was left out of the capture.
    pub(super) captured: bool,
    /// Nor of its request's head.
    pub(super) head_captured: bool,
}

impl PlannedExchange {
    pub(super) fn truth(&self, index: usize, order: MessageOrder) -> ExchangeTruth {
        let mut planned = self.clone();
        for body in [&mut planned.request, &mut planned.answer] {
            body.texts.retain(|(text, _)| order.allows(text));
        }
        planned.truth_of(index, order)
    }

    fn truth_of(&self, index: usize, order: MessageOrder) -> ExchangeTruth {
        let has_body = self.method != "HEAD" && !matches!(self.status, 204 | 304);
        let status = if matches!(self.status, 204 | 304) { self.status } else { self.status + index as u16 };
        // Where the head and the go-ahead were lost, nothing tells such a body from a message.
        let looks_like_message = |text: &&str| text.starts_with(['G', 'P', 'H']);
        let begins = self.request.texts.first().map(|(text, _)| text).filter(|_| !self.request.chunked);
        let uploads = self.request.chunked || self.request.size() > 0;
        let waits = self.interim == InterimAnswer::Continue
            && order == MessageOrder::Batches(1)
            && uploads
            && !begins.is_some_and(looks_like_message);
        let expect = if waits { "Expect: 100-continue\r\n" } else { "" };
        let mut request = self.request.pieces();
        request[0].insert_str(0, &format!("Host: h\r\n{expect}"));
        request.insert(0, format!("{} /{index} HTTP/1.1\r\n", self.method));
        let mut answer = self.answer.pieces();
        answer.insert(0, format!("HTTP/1.1 {status} Reason\r\n"));
        if !has_body {
            answer.truncate(2);
        }
        match self.interim {
            InterimAnswer::Hints => answer.insert(0, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_owned()),
            InterimAnswer::Continue if waits => answer.insert(0, "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
            _ => {}
        }
        let sizes = (self.request.size(), if has_body { self.answer.size() } else { 0 });
        ExchangeTruth { request, answer, sizes, status, waits, seen: true, captured: true, head_captured: true }
    }
}

/// Pieces in the order in which they pass: whether it is of a request, of which exchange, and whether an operation must end behind it.
pub(super) fn schedule(truths: &[ExchangeTruth], order: MessageOrder) -> Vec<(bool, usize, String)> {
    let pieces = |request: bool, index: usize, range: std::ops::Range<usize>| {
        let all = if request { &truths[index].request } else { &truths[index].answer };
        all[range].iter().map(move |piece| (request, index, piece.clone())).collect::<Vec<_>>()
    };
    let (requests, answers) = (|index: usize| truths[index].request.len(), |index: usize| truths[index].answer.len());
    let mut all = Vec::new();
    match order {
        MessageOrder::Batches(1) => {
            for (index, truth) in truths.iter().enumerate() {
                let (head, first) = if truth.waits { (2, 1) } else { (requests(index), 0) };
                all.extend(pieces(true, index, 0..head));
                all.extend(pieces(false, index, 0..first));
                all.extend(pieces(true, index, head..requests(index)));
                all.extend(pieces(false, index, first..answers(index)));
            }
        }
        MessageOrder::Batches(depth) => {
            for first in (0..truths.len()).step_by(depth) {
                let batch = first..truths.len().min(first + depth);
                batch.clone().for_each(|index| all.extend(pieces(true, index, 0..requests(index))));
                batch.for_each(|index| all.extend(pieces(false, index, 0..answers(index))));
            }
        }
        MessageOrder::Overlapping => {
            all.extend(pieces(true, 0, 0..requests(0)));
            for index in 0..truths.len() {
                let half = answers(index) / 2;
                all.extend(pieces(false, index, 0..half));
                if index + 1 < truths.len() {
                    all.extend(pieces(true, index + 1, 0..requests(index + 1)));
                }
                all.extend(pieces(false, index, half..answers(index)));
            }
        }
    }
    all
}
