//! Names that processes ask for: messages of the DNS, from datagrams and connections, become `dns` records, and the addresses of their answers get
//! their names (`peer_names`).
use std::net::SocketAddr;

use crate::decode::Datagram;
use crate::proto::dns::{DnsMessage, DnsPassage, EndedQuestion};
use crate::record::Record;
use crate::stream::Direction;
use crate::track::Connection;

use super::build::{self, BuildContext};
use super::session::Session;
use super::{Out, Pipeline};

/// Services that ask everybody on the link, who need not answer: NetBIOS, mDNS, LLMNR.
const LINK_LOCAL: [u16; 3] = [137, 5353, 5355];

/// Processes whose lost events are remembered; as many as the kernel side tells of.
const PROCESSES_LOSING: usize = 1_024;

/// A datagram that looks like a message.
pub(super) fn datagram(datagram: &Datagram<'_>, context: &mut BuildContext<'_>, out: &mut Out) {
    let Datagram { key, time_ns, pid, peer, .. } = *datagram;
    let Some(message) = DnsMessage::read(datagram.payload) else { return };
    let is_link_local = peer.is_some_and(|peer| LINK_LOCAL.contains(&peer.port()));
    if !is_link_local && message.is_answer == (datagram.direction == Direction::In) {
        passed(DnsPassage { pid, socket: key.sock, server: peer, time_ns }, &message, context, &mut out.records);
    }
}

/// A message on a connection of the client's.
pub(super) fn message(
    connection: &Connection<Session>,
    message: &DnsMessage,
    time_ns: u64,
    context: &mut BuildContext<'_>,
    records: &mut Vec<Record>,
) {
    let server: Option<SocketAddr> = connection.peer.as_ref().and_then(|peer| peer.parse().ok());
    passed(DnsPassage { pid: connection.pid, socket: connection.key.sock, server, time_ns }, message, context, records);
}

fn passed(passage: DnsPassage, message: &DnsMessage, context: &mut BuildContext<'_>, records: &mut Vec<Record>) {
    let mut told = Vec::new();
    context.questions.message(passage, message, &mut told);
    for EndedQuestion { pid, question } in told {
        message.addresses.iter().for_each(|(address, _ttl)| context.peer_names.learn(pid, *address, &question.name));
        records.push(build::question(pid, &question, context));
    }
}

impl Pipeline {
    /// Tells the questions that nobody will answer any more.
    pub(super) fn expire_questions(&mut self, now_ns: u64, out: &mut Out) {
        let mut told = Vec::new();
        self.questions.expire(now_ns, &mut told);
        self.give_up(told, out);
    }

    /// Tells the questions of a process that ended.
    pub(super) fn questions_left(&mut self, pid: u32, out: &mut Out) {
        let mut told = Vec::new();
        self.questions.left(pid, &mut told);
        self.give_up(told, out);
    }

    fn give_up(&mut self, told: Vec<EndedQuestion>, out: &mut Out) {
        self.counters.questions_unsure.add(self.questions.take_unsure());
        let (_, mut context) = self.parts();
        out.records.extend(told.into_iter().map(|EndedQuestion { pid, question }| build::question(pid, &question, &mut context)));
    }

    /// The full ring refused events of a process: what was not seen may have been an answer.
    pub fn lost_events(&mut self, pid: u32, events: u64) {
        if self.events_lost.len() > PROCESSES_LOSING {
            self.events_lost.clear();
        }
        if self.events_lost.insert(pid, events) != Some(events) {
            self.questions.lost(pid);
        }
    }
}
