//! Questions for names that are under way: messages of a process in, each question once out, with the times it was asked. It is the same question
//! when the process asks for the same name and type again while no answer came: with the same id or on the same socket, or (resolvers that
//! draw a new id and open a new socket for each attempt) a second and more after the attempt before, or after an answer that did not fit;
//! the last two are conclusions.
//!
//! No answer: told as `TIMEOUT` when the process ended, or after [`PATIENCE_NS`] of silence, or after more than twice the time between its last two
//! attempts. Not told where an answer may have been lost. Bounded: the oldest question makes room.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::message::{AskedName, DnsMessage, code_name, type_name};
use crate::proto::question::Question;

/// Questions under way at most.
const UNDER_WAY: usize = 8_192;
/// Attempts of a question that can be answered.
const ATTEMPTS: usize = 8;
/// Resolvers wait up to five seconds for an answer before they ask again (resolv.conf(5), `timeout`).
const PATIENCE_NS: u64 = 6_000_000_000;
/// No resolver waits longer between two attempts (resolv.conf(5)).
const PATIENCE_MAX_NS: u64 = 31_000_000_000;
/// Resolvers wait at least so long for an answer before they ask another socket.
const AGAIN_NS: u64 = 900_000_000;

/// Who sent or received a message, and when.
#[derive(Clone, Copy, Debug)]
pub struct DnsPassage {
    /// Process.
    pub pid: u32,
    /// Socket.
    pub socket: u64,
    /// The other end, if known.
    pub server: Option<SocketAddr>,
    /// When.
    pub time_ns: u64,
}

/// A question that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedQuestion {
    /// Process that asked.
    pub pid: u32,
    /// What it asked, and what came.
    pub question: Question,
}

#[derive(Debug)]
struct QuestionAttempt {
    socket: u64,
    id: u16,
    server: Option<SocketAddr>,
}

#[derive(Debug)]
struct OpenQuestion {
    pid: u32,
    name: Arc<str>,
    qtype: u16,
    attempts: Vec<QuestionAttempt>,
    asked: u32,
    start_ns: u64,
    last_ns: u64,
    /// Between the last two attempts.
    gap_ns: u64,
    inferred: bool,
    /// The answer to its last attempt did not fit.
    is_cut: bool,
    /// Its answer may have been lost.
    unsure: bool,
}

impl OpenQuestion {
    fn patience_ns(&self) -> u64 {
        (2 * self.gap_ns + 1_000_000_000).clamp(PATIENCE_NS, PATIENCE_MAX_NS)
    }

    fn ended(&self, server: Option<SocketAddr>, rcode: String, end_ns: Option<u64>) -> EndedQuestion {
        let question = Question {
            name: self.name.clone(),
            qtype: type_name(self.qtype).into(),
            rcode: rcode.into(),
            server,
            attempts: self.asked,
            start_ns: self.start_ns,
            end_ns,
            inferred: self.inferred,
        };
        EndedQuestion { pid: self.pid, question }
    }

    fn last_server(&self) -> Option<SocketAddr> {
        self.attempts.last().and_then(|attempt| attempt.server)
    }
}

/// What was asked by whom.
type QuestionSubject = (u32, Arc<str>, u16);

/// All questions under way.
#[derive(Debug, Default)]
pub struct QuestionTable {
    under_way: BTreeMap<u64, OpenQuestion>,
    /// By socket and id of an attempt.
    by_wire: FxHashMap<(u64, u16), Vec<u64>>,
    by_subject: FxHashMap<QuestionSubject, Vec<u64>>,
    next: u64,
    unsure: u64,
    /// Until then messages may have passed that nobody saw.
    skipped_ns: u64,
}

impl QuestionTable {
    /// A process sent a question or received an answer.
    pub fn message(&mut self, passage: DnsPassage, message: &DnsMessage, told: &mut Vec<EndedQuestion>) {
        if message.is_answer {
            self.answer(passage, message, told);
        } else {
            message.questions.iter().for_each(|asked| self.ask(passage, message.id, asked));
        }
    }

    fn ask(&mut self, passage: DnsPassage, id: u16, asked: &AskedName) {
        let subject = (passage.pid, Arc::from(asked.name.as_str()), asked.qtype);
        let again = self.by_subject.get(&subject).and_then(|numbers| {
            numbers.iter().copied().find_map(|number| {
                let question = self.under_way.get(&number)?;
                let is_same = question.attempts.iter().any(|attempt| attempt.id == id || attempt.socket == passage.socket);
                let is_due = question.is_cut || passage.time_ns.saturating_sub(question.last_ns) >= AGAIN_NS;
                (is_same || is_due).then_some((number, !is_same))
            })
        });
        let (number, is_conclusion) = again.unwrap_or_else(|| (self.begin(subject, passage.time_ns), false));
        let Some(question) = self.under_way.get_mut(&number) else { return };
        question.inferred |= is_conclusion;
        question.is_cut = false;
        if question.asked > 0 {
            question.gap_ns = passage.time_ns.saturating_sub(question.last_ns);
        }
        question.asked = question.asked.saturating_add(1);
        question.last_ns = passage.time_ns.max(question.last_ns);
        let attempt = QuestionAttempt { socket: passage.socket, id, server: passage.server };
        let known = question.attempts.iter().any(|known| (known.socket, known.id, known.server) == (attempt.socket, id, attempt.server));
        if known {
            return;
        }
        let wire = (attempt.socket, id);
        question.attempts.push(attempt);
        let forgotten = (question.attempts.len() > ATTEMPTS).then(|| question.attempts.remove(0));
        if let Some(forgotten) = forgotten {
            unlist(&mut self.by_wire, &(forgotten.socket, forgotten.id), number);
        }
        let numbers = self.by_wire.entry(wire).or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }

    fn begin(&mut self, subject: QuestionSubject, start_ns: u64) -> u64 {
        if self.under_way.len() >= UNDER_WAY
            && let Some(oldest) = self.under_way.keys().next().copied()
        {
            self.remove(oldest);
            self.unsure += 1;
        }
        self.next += 1;
        let (pid, name, qtype) = subject.clone();
        self.by_subject.entry(subject).or_default().push(self.next);
        let (attempts, last_ns) = (Vec::new(), start_ns);
        let may_lack_messages = start_ns < self.skipped_ns;
        let (inferred, is_cut, unsure) = (may_lack_messages, false, may_lack_messages);
        let question = OpenQuestion { pid, name, qtype, attempts, asked: 0, start_ns, last_ns, gap_ns: 0, inferred, is_cut, unsure };
        self.under_way.insert(self.next, question);
        self.next
    }

    /// An answer without a question under way is that of one asked before, or of one that was told already.
    fn answer(&mut self, passage: DnsPassage, message: &DnsMessage, told: &mut Vec<EndedQuestion>) {
        let Some(numbers) = self.by_wire.get(&(passage.socket, message.id)) else { return };
        let numbers: Vec<u64> = numbers.iter().copied().filter(|number| self.is_answered(*number, passage, message)).collect();
        for number in numbers {
            if message.is_cut {
                // It is asked for again over TCP.
                if let Some(question) = self.under_way.get_mut(&number) {
                    question.last_ns = question.last_ns.max(passage.time_ns);
                    question.is_cut = true;
                }
                continue;
            }
            let Some(question) = self.remove(number) else { continue };
            let asked = question.attempts.iter().rev().find(|attempt| (attempt.socket, attempt.id) == (passage.socket, message.id));
            let server = passage.server.or_else(|| asked.and_then(|attempt| attempt.server)).or_else(|| question.last_server());
            let end_ns = passage.time_ns.max(question.start_ns);
            told.push(question.ended(server, code_name(message.rcode), Some(end_ns)));
        }
    }

    /// Whether an answer with the id of a question's attempt is its own: of the same process, for the same name. One that refuses to read the
    /// question repeats none.
    fn is_answered(&self, number: u64, passage: DnsPassage, message: &DnsMessage) -> bool {
        self.under_way.get(&number).is_some_and(|question| {
            let is_named = |asked: &AskedName| *asked.name == *question.name && asked.qtype == question.qtype;
            question.pid == passage.pid && (message.questions.is_empty() || message.questions.iter().any(is_named))
        })
    }

    /// Tells the questions that nobody will answer any more.
    pub fn expire(&mut self, now_ns: u64, told: &mut Vec<EndedQuestion>) {
        self.give_up(|question| now_ns.saturating_sub(question.last_ns) > question.patience_ns(), told);
    }

    /// A process ended: what it asked has no answer.
    pub fn left(&mut self, pid: u32, told: &mut Vec<EndedQuestion>) {
        self.give_up(|question| question.pid == pid, told);
    }

    /// Messages of any process may have passed unseen before `now_ns`: attempts and answers.
    pub fn skipped(&mut self, now_ns: u64) {
        self.skipped_ns = now_ns;
        self.under_way.values_mut().for_each(|question| (question.inferred, question.unsure) = (true, true));
    }

    /// Events of a process were lost, which may have been answers.
    pub fn lost(&mut self, pid: u32) {
        self.under_way.values_mut().filter(|question| question.pid == pid).for_each(|question| question.unsure = true);
    }

    fn give_up(&mut self, is_over: impl Fn(&OpenQuestion) -> bool, told: &mut Vec<EndedQuestion>) {
        let over: Vec<u64> = self.under_way.iter().filter(|(_, question)| is_over(question)).map(|(number, _)| *number).collect();
        for number in over {
            let Some(question) = self.remove(number) else { continue };
            if question.unsure {
                self.unsure += 1;
            } else {
                told.push(question.ended(question.last_server(), "TIMEOUT".to_owned(), None));
            }
        }
    }

    fn remove(&mut self, number: u64) -> Option<OpenQuestion> {
        let question = self.under_way.remove(&number)?;
        for attempt in &question.attempts {
            unlist(&mut self.by_wire, &(attempt.socket, attempt.id), number);
        }
        unlist(&mut self.by_subject, &(question.pid, question.name.clone(), question.qtype), number);
        Some(question)
    }

    /// Questions since the last call of which it is not known what came of them: events were lost, or too many were under way.
    pub fn take_unsure(&mut self) -> u64 {
        std::mem::take(&mut self.unsure)
    }

    /// Questions under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is kept of questions that ended.
    #[cfg(test)]
    pub fn is_forgotten(&self) -> bool {
        self.under_way.is_empty() && self.by_wire.is_empty() && self.by_subject.is_empty()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

fn unlist<K: Eq + std::hash::Hash>(lists: &mut FxHashMap<K, Vec<u64>>, key: &K, number: u64) {
    if let Some(numbers) = lists.get_mut(key) {
        numbers.retain(|listed| *listed != number);
        if numbers.is_empty() {
            lists.remove(key);
        }
    }
}
