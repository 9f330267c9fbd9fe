//! Ollama's own chat and generate: JSON lines, the last with `done: true` and the counts; streamed unless `stream` is false.
//! <https://github.com/ollama/ollama/blob/main/docs/api.md>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{Paths, Place, keep};
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, Count};
use super::{Api, chat};

const PROMPT: &[Place<R>] = &[
    Place::new("model", R::Model, keep::WORD),
    Place::new("stream", R::Stream, keep::LENGTH),
    Place::digested("system", R::System),
    Place::digested("prompt", R::Prompt),
];

const ANSWER: &[Place<A>] = &[
    Place::new("model", A::Model, keep::WORD),
    Place::new("done", A::Done, keep::LENGTH),
    Place::new("done_reason", A::Finish, keep::WORD),
    Place::new("prompt_eval_count", A::Usage(Count::Input), keep::LENGTH),
    Place::new("eval_count", A::Usage(Count::Output), keep::LENGTH),
    Place::new("thinking", A::Content, keep::LENGTH),
    Place::new("error", A::Error, keep::LENGTH),
];

const CHAT_ANSWER: &[Place<A>] = &[
    Place::new("message.content", A::Content, keep::LENGTH),
    Place::new("message.thinking", A::Content, keep::LENGTH),
    Place::new("message.tool_calls[*]", A::Tool, keep::LENGTH),
    Place::new("message.tool_calls[*].id", A::ToolId, keep::WORD),
    Place::new("message.tool_calls[*].function", A::Delta, keep::LENGTH),
    Place::new("message.tool_calls[*].function.name", A::ToolName, keep::WORD),
];

const GENERATE_ANSWER: &[Place<A>] = &[Place::new("response", A::Content, keep::LENGTH)];

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
