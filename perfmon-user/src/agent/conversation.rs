//! A conversation: a message history that grows from call to call. Decides whether a call continues it: by its tool results, by the answer
//! or conversation id that it names, else by equal messages at its beginning.
use std::sync::Arc;

use crate::llm::{CallDetail, MessageRole};

use super::run::Run;

/// The message history between a process and a model.
pub(super) struct Conversation {
    /// The caller's id, else a generated one.
    pub(super) id: Arc<str>,
    pub(super) run: Option<Run>,
    /// The caller's id.
    named: Option<Arc<str>>,
    user: Option<u64>,
    system: Option<u64>,
    /// Messages of the last request, and the hash of all of them.
    messages: usize,
    prefix: Option<u64>,
    response: Option<Arc<str>>,
    has_failed: bool,
    /// Last byte of the last answer.
    pub(super) end_ns: u64,
}

/// How well a call continues a conversation; the greatest wins.
type Match = (u8, usize, bool, bool, std::cmp::Reverse<u64>);

impl Conversation {
    pub(super) fn new(id: Arc<str>, detail: &CallDetail) -> Self {
        Self {
            id,
            run: None,
            named: detail.conversation.clone(),
            user: detail.user,
            system: None,
            messages: 0,
            prefix: None,
            response: None,
            has_failed: false,
            end_ns: detail.end_ns,
        }
    }

    /// Whether, and how surely, this call continues the conversation. A call that began before the last answer ended does not.
    pub(super) fn matches(&self, detail: &CallDetail) -> Option<Match> {
        let differs = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| matches!((a, b), (Some(a), Some(b)) if a != b);
        if self.end_ns > detail.start_ns || differs(&self.named, &detail.conversation) || self.user != detail.user {
            return None;
        }
        let awaits = self.run.as_ref().is_some_and(|run| run.awaits(&detail.tool_results));
        let has_prefix = self.has_prefix(detail);
        let sure = if awaits && (has_prefix || detail.tool_results.iter().any(|result| result.tool_call_id.is_some())) {
            4
        } else if detail.previous_response.is_some() && detail.previous_response == self.response {
            3
        } else if detail.is_history_kept && detail.conversation == self.named {
            2
        } else if has_prefix && (detail.messages > self.messages || self.has_failed) {
            1
        } else {
            return None;
        };
        let shared = if has_prefix { self.messages } else { 0 };
        Some((sure, shared, self.system == detail.system, self.run.is_some(), std::cmp::Reverse(self.end_ns)))
    }

    fn has_prefix(&self, detail: &CallDetail) -> bool {
        let theirs = self.messages.checked_sub(1).and_then(|at| detail.prefixes.get(at));
        theirs.is_some() && theirs == self.prefix.as_ref()
    }

    /// Whether the call belongs to the run under way: it brings tool results, retries, or lets the model continue. A user message starts a
    /// new run.
    pub(super) fn goes_on(&self, detail: &CallDetail) -> bool {
        let Some(run) = &self.run else { return false };
        let tries_again = run.has_failed() && detail.messages == self.messages;
        tries_again || run.awaits(&detail.tool_results) || matches!(detail.last_role, Some(MessageRole::Tool | MessageRole::Assistant))
    }

    /// Remembers the call as the last one.
    pub(super) fn update(&mut self, detail: &CallDetail, has_failed: bool) {
        self.system = detail.system;
        self.messages = detail.messages;
        self.prefix = detail.messages.checked_sub(1).and_then(|at| detail.prefixes.get(at)).copied();
        self.response = detail.response.clone().or(self.response.take());
        self.named = self.named.take().or_else(|| detail.conversation.clone());
        self.has_failed = has_failed;
        self.end_ns = self.end_ns.max(detail.end_ns);
    }
}
