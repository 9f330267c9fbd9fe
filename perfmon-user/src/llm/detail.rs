//! What is known of a model call beside its record: the shape of its history, so that agent runs can be told apart and put together.
//! It holds hashes, counts and identifiers, never text of a prompt or an answer.
use std::sync::Arc;

/// Prefix hashes kept of one history; a longer one is still counted.
pub const PREFIXES: usize = 2_048;
/// Tool results kept of one history, the last ones.
pub const TOOL_RESULTS: usize = 128;

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user, or a program in the user's name.
    User,
    /// The model.
    Assistant,
    /// `system` or `developer`.
    System,
    /// Results of tools, whatever role the API gives them.
    Tool,
    /// None that is known.
    Other,
}

/// A tool's result in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// Id of the call that it answers; `None` where the API has none (Ollama).
    pub tool_call_id: Option<Arc<str>>,
    /// Name of the tool, where the result has it.
    pub tool_name: Option<Arc<str>>,
    /// What the result says; where the API has no flag, a text that begins as errors do is one.
    pub is_error: bool,
}

/// Beside the record of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallDetail {
    /// Messages (or input items) of the request.
    pub messages: usize,
    /// Hash of the first 1, 2, … messages, at most [`PREFIXES`]; marks of caching and block types left out.
    pub prefixes: Vec<u64>,
    /// Hash of the system prompt, where it stands apart from the messages.
    pub system: Option<u64>,
    /// Who spoke last.
    pub last_role: Option<Role>,
    /// Results after the last message of the model.
    pub tool_results: Vec<ToolResult>,
    /// Whether the model was offered tools.
    pub tools_offered: bool,
    /// Provider's or agent's own id of the conversation.
    pub conversation: Option<Arc<str>>,
    /// Hash of the end user's id.
    pub user: Option<u64>,
    /// Answer that this call goes on from.
    pub previous_response: Option<Arc<str>>,
    /// Id of this call's answer.
    pub response: Option<Arc<str>>,
    /// Product of the `User-Agent` header.
    pub user_agent: Option<Arc<str>>,
    /// Thread that sent the request (client) or read it (server).
    pub thread: u32,
    /// First byte of the request.
    pub start_ns: u64,
    /// Last byte of the answer, or the connection's end.
    pub end_ns: u64,
}

/// FNV-1a, 64 bits: the same whatever the cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash so far; starts again.
    pub(super) fn take(&mut self) -> u64 {
        std::mem::take(self).0
    }

    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.add(bytes);
        hash.0
    }
}

/// `text` when it looks like an identifier, word or model name: printable ASCII without spaces, not too long. Anything else might be
/// content and is dropped.
pub(super) fn identifier(text: &str) -> Option<Arc<str>> {
    let fits = (1..=super::json::keep::WORD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.into())
}
