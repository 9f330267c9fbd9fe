//! Ollama's own chat and generate: JSON lines, the last with `done: true` and the counts; streamed unless `stream` is false.
//! <https://github.com/ollama/ollama/blob/main/docs/api.md>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, UsageField};
use super::{Api, chat};

const PROMPT: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("stream", R::Stream, keep::LENGTH),
    JsonPath::digested("system", R::System),
    JsonPath::digested("prompt", R::Prompt),
];

const ANSWER: &[JsonPath<A>] = &[
    JsonPath::new("model", A::Model, keep::WORD),
    JsonPath::new("done", A::Done, keep::LENGTH),
    JsonPath::new("done_reason", A::Finish, keep::WORD),
    JsonPath::new("prompt_eval_count", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("eval_count", A::Usage(UsageField::Output), keep::LENGTH),
    JsonPath::new("thinking", A::Content, keep::LENGTH),
    JsonPath::new("error", A::Error, keep::LENGTH),
];

const CHAT_ANSWER: &[JsonPath<A>] = &[
    JsonPath::new("message.content", A::Content, keep::LENGTH),
    JsonPath::new("message.thinking", A::Content, keep::LENGTH),
    JsonPath::new("message.tool_calls[*]", A::Tool, keep::LENGTH),
    JsonPath::new("message.tool_calls[*].id", A::ToolId, keep::WORD),
    JsonPath::new("message.tool_calls[*].function", A::Delta, keep::LENGTH),
    JsonPath::new("message.tool_calls[*].function.name", A::ToolName, keep::WORD),
];

const GENERATE_ANSWER: &[JsonPath<A>] = &[JsonPath::new("response", A::Content, keep::LENGTH)];

pub(super) static CHAT: Api = Api {
    name: "ollama_chat",
    paths: &["/api/chat"],
    provider: "ollama",
    request_parts: &[part::MODEL | part::MESSAGES],
    request: LazyLock::new(|| Paths::new(chat::MESSAGES)),
    answer: LazyLock::new(|| Paths::new(ANSWER.iter().chain(CHAT_ANSWER))),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: false,
};

pub(super) static GENERATE: Api = Api {
    name: "ollama_generate",
    paths: &["/api/generate"],
    provider: "ollama",
    request_parts: &[part::MODEL | part::PROMPT],
    request: LazyLock::new(|| Paths::new(PROMPT)),
    answer: LazyLock::new(|| Paths::new(ANSWER.iter().chain(GENERATE_ANSWER))),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: false,
};
