//! Details of a model call beside its record: the shape of its history, by which agent runs are told apart and joined. Holds hashes,
//! counts and identifiers, never text of a prompt or an answer.
use std::sync::Arc;

use crate::redact;

/// Prefix hashes kept of one history; a longer one is still counted.
pub const PREFIXES: usize = 2_048;
/// Tool results kept of one history, the last ones.
pub const TOOL_RESULTS: usize = 128;

/// The role of a message's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRole {
    /// The user, or a program in the user's name.
    User,
    /// The model.
    Assistant,
    /// `system` or `developer`.
    System,
    /// Results of tools, whatever role the API gives them.
    Tool,
    /// An unknown role.
    Other,
}

/// A tool's result in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// Id of the call that it answers; `None` where the API has none (Ollama).
    pub tool_call_id: Option<Arc<str>>,
    /// Name of the tool, where the result has it.
    pub tool_name: Option<Arc<str>>,
    /// Whether it is an error; without a flag in the API, whether its text begins like one.
    pub is_error: bool,
}

impl ToolResult {
    /// Bytes of its texts on the heap.
    pub(super) fn text_bytes(&self) -> usize {
        shared_bytes(&self.tool_call_id) + shared_bytes(&self.tool_name)
    }
}

/// Details of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallDetail {
    /// Messages (or input items) of the request.
    pub messages: usize,
    /// Hash of the first 1, 2, … messages, at most [`PREFIXES`]; marks of caching and block types left out.
    pub prefixes: Vec<u64>,
    /// Hash of the system prompt, where it stands apart from the messages.
    pub system: Option<u64>,
    /// Role of the last message.
    pub last_role: Option<MessageRole>,
    /// Results after the last message of the model.
    pub tool_results: Vec<ToolResult>,
    /// Whether the model was offered tools.
    pub tools_offered: bool,
    /// Id of the conversation, or session, that the caller names.
    pub conversation: Option<Arc<str>>,
    /// That conversation's history is kept by the provider, and only new items are in the request.
    pub is_history_kept: bool,
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

impl CallDetail {
    /// Bytes on the heap without the texts of the results, which their owner adds up.
    pub(super) fn heap_bytes(&self) -> usize {
        let texts = [&self.conversation, &self.previous_response, &self.response, &self.user_agent];
        self.prefixes.capacity() * size_of::<u64>()
            + self.tool_results.capacity() * size_of::<ToolResult>()
            + texts.into_iter().map(shared_bytes).sum::<usize>()
    }
}

/// Bytes of a shared text on the heap, with its counts.
pub(super) fn shared_bytes(text: &Option<Arc<str>>) -> usize {
    text.as_ref().map_or(0, |text| (text.len() + 2 * size_of::<usize>()).next_multiple_of(size_of::<usize>()))
}

/// A 64-bit hash that is the same whatever the cut: words of eight bytes are multiplied in, as rustc's FxHash does, and mixed at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hash {
    state: u64,
    /// The bytes of an incomplete word, lowest first.
    word: u64,
    /// All bytes so far.
    len: u64,
}

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let shift = (self.len % 8 * 8) as u32;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            self.mix(self.word | word << shift);
            self.word = word.checked_shr(64 - shift).unwrap_or(0);
        }
        self.len += (words.len() * 8) as u64;
        for &byte in rest {
            self.word |= u64::from(byte) << (self.len % 8 * 8);
            self.len += 1;
            if self.len.is_multiple_of(8) {
                self.mix(self.word);
                self.word = 0;
            }
        }
    }

    /// The hash so far; starts again.
    pub(super) fn take(&mut self) -> u64 {
        let mut hash = std::mem::take(self);
        hash.mix(hash.word);
        hash.mix(hash.len);
        let mixed = (hash.state ^ hash.state >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }

    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.add(bytes);
        hash.take()
    }

    fn mix(&mut self, word: u64) {
        self.state = (self.state.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// `text` when it looks like an identifier, word or model name: printable ASCII without spaces, not too long. Anything else might be
/// content and is dropped.
pub(super) fn identifier(text: &str) -> Option<Arc<str>> {
    let fits = (1..=super::json::keep::WORD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.into())
}

/// An [`identifier`] that is a name, not an id of one thing: without keys, which some clients put into it.
pub(super) fn word(text: &str) -> Option<Arc<str>> {
    identifier(text)?;
    Some(redact::text(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_does_not_change_a_hash() {
        let bytes: Vec<u8> = (0..100_u8).collect();
        for len in 0..40 {
            for cut in 0..=len {
                for second in cut..=len {
                    let mut hash = Hash::default();
                    hash.add(&bytes[..cut]);
                    hash.add(&bytes[cut..second]);
                    hash.add(&bytes[second..len]);
                    assert_eq!(hash.take(), Hash::of(&bytes[..len]), "{cut}, {second} of {len}");
                }
            }
        }
        let all: std::collections::HashSet<u64> = (0..100).map(|len| Hash::of(&bytes[..len])).collect();
        assert_eq!((all.len(), Hash::of(b"a") == Hash::of(b"a\0")), (100, false));
    }
}
