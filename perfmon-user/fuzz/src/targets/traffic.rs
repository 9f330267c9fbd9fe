//! Valid HTTP/1 traffic of which the kernel captures some bytes and loses any operations: the bytes choose the plan. What the parser tells is
//! compared with the truth (`proto/http1/valid`): no error, status or exchange that there was not.
use perfmon_user::proto::http1::valid::{
    CapturePlan, InterimAnswer, MessageOrder, OperationFate, PlannedBody, PlannedExchange, TEXTS, faults_of,
};
use perfmon_user::stream::Ending;

/// Choices from the input; zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn body(&mut self) -> PlannedBody {
        let kind = self.byte();
        let texts =
            (0..kind % 5).map(|_| self.byte()).map(|text| (TEXTS[usize::from(text) % TEXTS.len()], if text < 192 { 1 } else { 20 }));
        PlannedBody { texts: texts.collect(), chunked: kind & 0x40 != 0, trailer: kind & 0xc0 == 0xc0 }
    }

    fn exchange(&mut self) -> PlannedExchange {
        let interims = [InterimAnswer::None, InterimAnswer::None, InterimAnswer::Hints, InterimAnswer::Continue];
        PlannedExchange {
            method: self.of(&["GET", "POST", "HEAD"]),
            request: self.body(),
            answer: self.body(),
            status: self.of(&[210, 210, 204, 304, 510]),
            interim: self.of(&interims),
        }
    }

    fn fate(&mut self) -> OperationFate {
        match self.byte() {
            choice @ 0..100 => OperationFate::Cut(choice.into()),
            100..160 => OperationFate::Seen,
            160..220 => OperationFate::Head,
            _ => OperationFate::Lost,
        }
    }

    fn capturing(&mut self) -> CapturePlan {
        let endings = [Ending::Closed, Ending::Forgotten, Ending::PeerReset, Ending::LocalReset];
        CapturePlan {
            budgets: (self.of(&[64, 200, 100_000]), self.of(&[0, 16, 100])),
            ending: self.of(&endings),
            ends: (0..31).map(|_| self.byte() & 1 == 0).collect(),
            fates: (0..23).map(|_| self.fate()).collect(),
            runs_lost: (0..self.byte() % 18).map(|_| self.byte() > 180).chain([false]).collect(),
        }
    }
}

/// Order, the number of exchanges, each of them, the capture.
pub fn http1_valid(data: &[u8]) {
    let mut choices = Choices(data);
    let orders = [1, 1, 1, 2, 3].map(MessageOrder::Batches);
    let (order, count) = (choices.byte(), 1 + choices.byte() % 7);
    let server = order & 0x80 == 0;
    let order = orders.get(usize::from(order & 0x7f) % 6).copied().unwrap_or(MessageOrder::Overlapping);
    let capturing = choices.capturing();
    let plan: Vec<_> = (0..count).map(|_| choices.exchange()).collect();
    if !faults_of(&plan, order, server, &capturing, false).is_empty() {
        panic!("{}\n{plan:?}\n{order:?} {server} {capturing:?}", faults_of(&plan, order, server, &capturing, true).join("\n"));
    }
}
