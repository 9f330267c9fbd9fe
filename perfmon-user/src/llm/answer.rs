//! Reads the body of an answer, streamed or not. Out: model, usage, finish reason, requested tools, errors, and times of content.
use std::sync::Arc;

use crate::record::ToolCall;

use super::body::Documents;
use super::detail::{identifier, shared_bytes, word};
use super::json::{Handler, JsonValue, Scalar};
use super::usage::{Usage, UsageField};

/// Most tool calls kept of one answer.
const TOOLS: usize = 128;

/// A field of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerField {
    /// Something that only this API's answers have, whatever its value.
    Shape,
    /// Model that answered.
    Model,
    /// Id of the answer.
    Id,
    /// Why generation ended.
    Finish,
    /// State of the answer; its final ones say why generation ended, unless `Finish` does.
    Status,
    /// A count of the usage.
    Usage(UsageField),
    /// Cost in dollars.
    Cost,
    /// Cost in units of 10⁻¹⁰ dollars.
    CostTicks,
    /// Service tier that was used.
    Tier,
    /// Generated content when it is not empty.
    Content,
    /// A piece of generated content, even an empty one.
    Delta,
    /// A tool call, or something that may be one.
    Tool,
    /// Its id.
    ToolId,
    /// Its name.
    ToolName,
    /// Its type.
    ToolType,
    /// An error; some APIs give only a text.
    Error,
    /// The error's type.
    ErrorType,
    /// The error's code.
    ErrorCode,
    /// The document's `type`.
    Type,
    /// The document's `object`.
    Object,
    /// The document's `code`.
    Code,
    /// True at the end of a stream; shows the API too, whatever its value.
    Done,
    /// Only vLLM's answers have it.
    Vllm,
    /// Only llama.cpp's answers have it.
    LlamaCpp,
    /// Fingerprint of the server, which some servers sign.
    Fingerprint,
}

/// Words of `Type` that end a stream.
const END_TYPES: [&str; 4] = ["message_stop", "response.completed", "response.incomplete", "response.failed"];
/// Types of tool calls that the caller is to execute; the provider executes its own (`server_tool_use`, `mcp_call`).
const TOOL_TYPES: [&str; 5] = ["function", "custom", "tool_use", "function_call", "custom_tool_call"];
/// Types of tool calls for the caller that are their own name.
const NAMED_BY_TYPE: [(&str, &str); 4] =
    [("local_shell_call", "local_shell"), ("shell_call", "shell"), ("apply_patch_call", "apply_patch"), ("computer_call", "computer")];

/// Reads the body of an answer.
#[derive(Default)]
pub(super) struct Answer {
    /// Time of the bytes that are passing; set before they are.
    pub(super) now_ns: u64,
    pub(super) fits: bool,
    pub(super) model: Option<Arc<str>>,
    pub(super) id: Option<Arc<str>>,
    pub(super) finish: Option<Arc<str>>,
    pub(super) status: Option<Arc<str>>,
    pub(super) usage: Usage,
    pub(super) cost: Option<f64>,
    pub(super) tier: Option<Arc<str>>,
    pub(super) tools: Vec<ToolCall>,
    pub(super) error: ErrorSeen,
    /// The end marker of the API was seen.
    pub(super) ended: bool,
    pub(super) engine: Option<&'static str>,
    pub(super) content: ContentTimes,
    document: Document,
    tool: AnswerTool,
}

/// An error in the body.
#[derive(Default)]
pub(super) struct ErrorSeen {
    pub(super) seen: bool,
    kind: Option<Arc<str>>,
    code: Option<Arc<str>>,
}

impl ErrorSeen {
    /// The provider's name for the error.
    pub(super) fn word(&self) -> Option<Arc<str>> {
        self.kind.clone().or_else(|| self.code.clone())
    }
}

/// Times of content.
#[derive(Default)]
pub(super) struct ContentTimes {
    pub(super) events: u64,
    pub(super) first_ns: Option<u64>,
    last_ns: u64,
    pub(super) gap_max_ns: Option<u64>,
}

impl ContentTimes {
    fn event(&mut self, now_ns: u64) {
        self.events += 1;
        if self.first_ns.is_none() {
            self.first_ns = Some(now_ns);
        } else {
            let gap = now_ns.saturating_sub(self.last_ns);
            self.gap_max_ns = Some(self.gap_max_ns.map_or(gap, |longest| longest.max(gap)));
        }
        self.last_ns = now_ns;
    }
}

/// The document that is being read.
#[derive(Default)]
struct Document {
    has_content: bool,
    is_error: bool,
    kind: Option<Arc<str>>,
    code: Option<Arc<str>>,
}

#[derive(Default)]
struct AnswerTool {
    id: Option<Arc<str>>,
    name: Option<Arc<str>>,
    is_foreign: bool,
}

impl Answer {
    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let Self { model, id, finish, status, tier, tools, error, document, tool, .. } = self;
        let texts = [model, id, finish, status, tier, &error.kind, &error.code, &document.kind, &document.code, &tool.id, &tool.name];
        let named = |tool: &ToolCall| shared_bytes(&tool.id) + shared_bytes(&Some(tool.name.clone()));
        let tools = tools.capacity() * size_of::<ToolCall>() + tools.iter().map(named).sum::<usize>();
        tools + texts.into_iter().map(shared_bytes).sum::<usize>()
    }

    fn text(&mut self, field: AnswerField, text: &str, length: u64) {
        let set = |slot: &mut Option<Arc<str>>| *slot = word(text).or(slot.take());
        let set_id = |slot: &mut Option<Arc<str>>| *slot = identifier(text).or(slot.take());
        match field {
            AnswerField::Model => set(&mut self.model),
            AnswerField::Id => set_id(&mut self.id),
            AnswerField::Finish => set(&mut self.finish),
            AnswerField::Status if !matches!(text, "in_progress" | "queued") => set(&mut self.status),
            AnswerField::Tier => set(&mut self.tier),
            AnswerField::Content => self.document.has_content |= length > 0,
            AnswerField::Delta => self.document.has_content = true,
            AnswerField::ToolId => set_id(&mut self.tool.id),
            AnswerField::ToolName => set(&mut self.tool.name),
            AnswerField::ToolType => match NAMED_BY_TYPE.iter().find(|(kind, _)| *kind == text) {
                Some((_, name)) => self.tool.name = Some((*name).into()),
                None => self.tool.is_foreign = !TOOL_TYPES.contains(&text),
            },
            AnswerField::Error => self.error.seen |= length > 0,
            AnswerField::ErrorType => set(&mut self.error.kind),
            AnswerField::ErrorCode => set(&mut self.error.code),
            AnswerField::Code => set(&mut self.document.code),
            AnswerField::Type => {
                set(&mut self.document.kind);
                self.document.is_error |= text == "error";
                self.ended |= END_TYPES.contains(&text);
            }
            AnswerField::Object => self.document.is_error |= text == "error",
            AnswerField::Fingerprint => self.engine = self.engine.or(engine_of(text)),
            _ => {}
        }
    }

    fn number(&mut self, field: AnswerField, value: JsonValue<'_>, text: &str) {
        match field {
            AnswerField::Usage(count) => {
                if let Some(number) = value.as_u64() {
                    self.usage.set(count, number);
                }
            }
            AnswerField::Cost => self.cost = value.as_f64().filter(|cost| *cost >= 0.0).or(self.cost),
            AnswerField::CostTicks => self.cost = value.as_f64().map(|ticks| ticks / 1e10).filter(|cost| *cost >= 0.0).or(self.cost),
            AnswerField::ErrorCode => self.error.code = identifier(text),
            AnswerField::Code => self.document.code = identifier(text),
            _ => {}
        }
    }

    fn end_tool(&mut self) {
        let AnswerTool { id, name, is_foreign } = std::mem::take(&mut self.tool);
        let Some(name) = name else { return };
        let is_known = id.is_some() && self.tools.iter().any(|tool| tool.id == id);
        if !is_foreign && !is_known && self.tools.len() < TOOLS {
            self.tools.push(ToolCall { id, name });
        }
    }
}

impl Handler<AnswerField> for Answer {
    fn found(&mut self, field: AnswerField, value: JsonValue<'_>) {
        self.fits |= matches!(field, AnswerField::Shape | AnswerField::Done);
        match (field, value) {
            (AnswerField::Vllm, _) => self.engine = Some("vllm"),
            (AnswerField::LlamaCpp, _) => self.engine = Some("llama_cpp"),
            (_, JsonValue::Text(text, length)) => self.text(field, text, length),
            (_, JsonValue::Scalar(Scalar::Number(text))) => self.number(field, value, text),
            (AnswerField::Tool, JsonValue::Begin(_)) => self.tool = AnswerTool::default(),
            (AnswerField::Tool, JsonValue::End) => self.end_tool(),
            (AnswerField::Error, JsonValue::Begin(_)) => self.error.seen = true,
            (AnswerField::Delta, JsonValue::Begin(_)) => self.document.has_content = true,
            (AnswerField::Done, JsonValue::Scalar(Scalar::Bool(done))) => self.ended |= done,
            _ => {}
        }
    }

    fn digest(&mut self, _: &[u8]) {}
}

impl Documents<AnswerField> for Answer {
    fn document(&mut self, event: &str) {
        let document = std::mem::take(&mut self.document);
        if document.has_content {
            self.content.event(self.now_ns);
        }
        if document.is_error {
            let kind = document.kind.filter(|kind| &**kind != "error");
            self.error.kind = self.error.kind.take().or(kind);
            self.error.code = self.error.code.take().or(document.code);
        }
        self.error.seen |= document.is_error || event == "error";
    }

    fn end_of_stream(&mut self) {
        self.ended = true;
    }
}

/// Ollama's OpenAI endpoints sign `fp_ollama`, llama.cpp its build (`b6123-0a1b2c3`).
fn engine_of(fingerprint: &str) -> Option<&'static str> {
    if fingerprint == "fp_ollama" {
        return Some("ollama");
    }
    let (build, commit) = fingerprint.strip_prefix('b')?.split_once('-')?;
    let is_build = !build.is_empty() && build.bytes().all(|byte| byte.is_ascii_digit());
    (is_build && commit.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some("llama_cpp")
}
