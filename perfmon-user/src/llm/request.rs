//! Reads the body of a request. Out: model, whether a stream is requested, whether tools are offered, and the shape of the history.
use std::sync::Arc;

use super::body::Documents;
use super::detail::{CallDetail, Hash, MessageRole, PREFIXES, TOOL_RESULTS, ToolResult, identifier, shared_bytes, word};
use super::json::{Handler, JsonValue, Scalar};

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestField {
    /// Model asked for.
    Model,
    /// Whether a stream is wanted.
    Stream,
    /// A tool that the model may use.
    Tool,
    /// A message, or another item of the history.
    Message,
    /// Its role.
    Role,
    /// Its type.
    Type,
    /// A block of its content.
    Block,
    /// The block's type.
    BlockType,
    /// Id of the tool call that it answers.
    ResultId,
    /// Name of the tool that it answers for.
    ResultName,
    /// Whether it is an error.
    ResultError,
    /// The result's text; only its first bytes.
    ResultText,
    /// The system prompt, apart from the messages.
    System,
    /// A prompt that is a text, or a list of such.
    Prompt,
    /// Id of the end user.
    User,
    /// `metadata.user_id`, in which some agents put their session.
    Session,
    /// Answer to go on from.
    PreviousResponse,
    /// Conversation kept by the provider.
    Conversation,
}

/// Parts of a request that make it one of an API.
pub mod part {
    /// A model's name.
    pub const MODEL: u8 = 1;
    /// A list of objects with a role or type.
    pub const MESSAGES: u8 = 2;
    /// A prompt.
    pub const PROMPT: u8 = 4;
}

/// Bytes of a result's text that are inspected.
pub const RESULT_TEXT: usize = 24;

/// Beginnings of results that are errors, for APIs without an error flag; lower case.
const ERROR_TEXTS: [&str; 6] = ["error", "exception", "traceback", "an error occurred", "{\"error\":", "{\"is_error\":true"];
/// Exceptions: beginnings that match the above and are no errors.
const GOOD_TEXTS: [&str; 2] = ["{\"error\":null", "{\"error\":false"];

/// Reads a request's body.
#[derive(Default)]
pub(super) struct ModelRequest {
    pub(super) detail: CallDetail,
    pub(super) model: Option<Arc<str>>,
    pub(super) stream: Option<bool>,
    /// Bits of [`part`] that were seen.
    pub(super) parts: u8,
    /// Bytes of the texts of the results, added up as they come: each piece of a body asks what is held.
    result_bytes: usize,
    hash: Hash,
    prefix: Hash,
    item: Item,
}

/// The message that is being read.
#[derive(Default)]
struct Item {
    role: Option<MessageRole>,
    is_output: bool,
    block_is_result: bool,
    has_results: bool,
    result: PassingResult,
}

#[derive(Default)]
struct PassingResult {
    id: Option<Arc<str>>,
    name: Option<Arc<str>>,
    flag: Option<bool>,
    reads_as_error: bool,
}

impl ModelRequest {
    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let result = &self.item.result;
        self.detail.heap_bytes() + self.result_bytes + [&self.model, &result.id, &result.name].into_iter().map(shared_bytes).sum::<usize>()
    }

    fn end_result(&mut self) {
        let result = std::mem::take(&mut self.item.result);
        let is_error = result.flag.unwrap_or(result.reads_as_error);
        let results = &mut self.detail.tool_results;
        if results.len() == TOOL_RESULTS {
            self.result_bytes -= results.remove(0).text_bytes();
        }
        let result = ToolResult { tool_call_id: result.id, tool_name: result.name, is_error };
        self.result_bytes += result.text_bytes();
        results.push(result);
        self.item.has_results = true;
    }

    fn end_message(&mut self) {
        if self.item.role == Some(MessageRole::Tool) || self.item.is_output {
            self.end_result();
        }
        let item = std::mem::take(&mut self.item);
        if item.role == Some(MessageRole::Assistant) {
            self.detail.tool_results.clear();
            self.result_bytes = 0;
        }
        let role = match item.role {
            _ if item.has_results => MessageRole::Tool,
            // Items without a role are the model's own: its reasoning, its calls.
            None => MessageRole::Assistant,
            Some(role) => role,
        };
        self.add_message(role);
    }

    fn add_message(&mut self, role: MessageRole) {
        let message = self.hash.take();
        self.prefix.add(&message.to_le_bytes());
        if self.detail.prefixes.len() < PREFIXES {
            let mut prefix = self.prefix;
            self.detail.prefixes.push(prefix.take());
        }
        self.detail.messages += 1;
        self.detail.last_role = Some(role);
    }

    fn text(&mut self, field: RequestField, text: &str, length: u64) {
        match field {
            RequestField::Model => {
                self.model = word(text);
                self.parts |= part::MODEL;
            }
            RequestField::Role => {
                self.item.role = Some(role(text));
                self.parts |= part::MESSAGES;
            }
            RequestField::Type => {
                self.item.is_output = text.ends_with("_output");
                self.parts |= part::MESSAGES;
            }
            RequestField::BlockType => self.item.block_is_result = text == "tool_result",
            RequestField::ResultId => self.item.result.id = identifier(text),
            RequestField::ResultName => self.item.result.name = word(text),
            RequestField::ResultText => self.item.result.reads_as_error |= reads_as_error(text),
            RequestField::System => self.detail.system = Some(self.hash.take()),
            RequestField::Prompt => {
                self.parts |= part::PROMPT;
                self.add_message(MessageRole::User);
            }
            RequestField::User => self.detail.user = (length > 0).then(|| Hash::of(text.as_bytes())),
            RequestField::Session => match session(text).and_then(identifier) {
                None => self.detail.user = (length > 0).then(|| Hash::of(text.as_bytes())),
                session => self.detail.conversation = self.detail.conversation.take().or(session),
            },
            RequestField::PreviousResponse => self.detail.previous_response = identifier(text),
            RequestField::Conversation => {
                self.detail.conversation = identifier(text);
                self.detail.is_history_kept = true;
            }
            RequestField::Tool | RequestField::Message | RequestField::Block | RequestField::Stream | RequestField::ResultError => {}
        }
    }
}

impl Handler<RequestField> for ModelRequest {
    fn found(&mut self, field: RequestField, value: JsonValue<'_>) {
        match (field, value) {
            (_, JsonValue::Text(text, length)) => self.text(field, text, length),
            (RequestField::Message, JsonValue::Begin(_)) => self.item = Item::default(),
            (RequestField::Message, JsonValue::End) => self.end_message(),
            (RequestField::Block, JsonValue::Begin(_)) => self.item.block_is_result = false,
            (RequestField::Block, JsonValue::End) if self.item.block_is_result => self.end_result(),
            (RequestField::Tool, JsonValue::Begin(_)) => self.detail.tools_offered = true,
            (RequestField::System, JsonValue::End) => self.detail.system = Some(self.hash.take()),
            (RequestField::Prompt, JsonValue::Begin(_)) => self.parts |= part::PROMPT,
            (RequestField::Stream, JsonValue::Scalar(Scalar::Bool(stream))) => self.stream = Some(stream),
            (RequestField::ResultError, JsonValue::Scalar(Scalar::Bool(error))) => self.item.result.flag = Some(error),
            _ => {}
        }
    }

    fn digest(&mut self, bytes: &[u8]) {
        self.hash.add(bytes);
    }
}

impl Documents<RequestField> for ModelRequest {
    fn document(&mut self, _: &str) {}
    fn end_of_stream(&mut self) {}
}

fn role(text: &str) -> MessageRole {
    match text {
        "user" => MessageRole::User,
        "assistant" | "model" => MessageRole::Assistant,
        "system" | "developer" => MessageRole::System,
        "tool" | "function" => MessageRole::Tool,
        _ => MessageRole::Other,
    }
}

fn reads_as_error(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase().replace("\": ", "\":");
    let begins = |error: &&str| match text.strip_prefix(*error) {
        Some(rest) => error.ends_with(':') || !rest.starts_with(|next: char| next.is_alphanumeric()),
        None => false,
    };
    ERROR_TEXTS.iter().any(begins) && !GOOD_TEXTS.iter().any(|good| text.starts_with(good))
}

/// The session in a `metadata.user_id`: `user_…_session_ID`, or a JSON object in the string with `session_id`.
fn session(user_id: &str) -> Option<&str> {
    if let Some((_, session)) = user_id.rsplit_once("_session_") {
        return Some(session);
    }
    let (_, rest) = user_id.split_once("\"session_id\"")?;
    rest.trim_start_matches([':', ' ', '"']).split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_told_from_others() {
        for text in [
            "Error: no such file",
            "error",
            r#"{"error": "boom"}"#,
            r#"{"error":{"code""#,
            "Traceback (most recent",
            "An error occurred while",
        ] {
            assert!(reads_as_error(text), "{text}");
        }
        for text in ["Errors found: 0", "exceptional", r#"{"error": null, "x":1}"#, "all good, no error", "", r#"{"result": "error"}"#] {
            assert!(!reads_as_error(text), "{text}");
        }
    }

    #[test]
    fn sessions_are_found_in_user_ids() {
        assert_eq!(session("user_0a1b_account__session_11f0-22"), Some("11f0-22"));
        assert_eq!(session(r#"{"device_id":"d","session_id":"11f0-22"}"#), Some("11f0-22"));
        assert_eq!(session(r#"{"session_id": "11f0-22","device_id":"d"}"#), Some("11f0-22"));
        assert_eq!(session("somebody@example.org"), None);
    }
}
