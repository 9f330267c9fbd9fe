//! Anthropic's messages. Input tokens leave cached ones out; in a stream `message_start` has the first usage, and each `message_delta`
//! repeats what grew since. <https://docs.anthropic.com/en/api/messages>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{Paths, Place, keep};
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, Count};
use super::Api;

const REQUEST: &[Place<R>] = &[
    Place::new("model", R::Model, keep::WORD),
    Place::new("stream", R::Stream, keep::LENGTH),
    Place::new("tools[*]", R::Tool, keep::LENGTH),
    Place::digested("system", R::System),
    Place::undigested("system[*].type"),
    Place::undigested("system[*].cache_control"),
    Place::digested("messages[*]", R::Message),
    Place::new("messages[*].role", R::Role, keep::WORD),
    Place::new("messages[*].content[*]", R::Block, keep::LENGTH),
    Place::new("messages[*].content[*].type", R::BlockType, keep::WORD).not_digested(),
    Place::undigested("messages[*].content[*].cache_control"),
    Place::new("messages[*].content[*].tool_use_id", R::ResultId, keep::WORD),
    Place::new("messages[*].content[*].is_error", R::ResultError, keep::LENGTH),
    Place::new("metadata.user_id", R::Session, keep::LONG),
];

/// Usage of an answer, which stands at several places.
macro_rules! usage {
    ($at:literal) => {
        [
            Place::new(concat!($at, "usage.input_tokens"), A::Usage(Count::Input), keep::LENGTH),
            Place::new(concat!($at, "usage.output_tokens"), A::Usage(Count::Output), keep::LENGTH),
            Place::new(concat!($at, "usage.cache_read_input_tokens"), A::Usage(Count::CacheRead), keep::LENGTH),
            Place::new(concat!($at, "usage.cache_creation_input_tokens"), A::Usage(Count::CacheWrite), keep::LENGTH),
            Place::new(concat!($at, "usage.cache_creation.ephemeral_5m_input_tokens"), A::Usage(Count::CacheWrite5m), keep::LENGTH),
            Place::new(concat!($at, "usage.cache_creation.ephemeral_1h_input_tokens"), A::Usage(Count::CacheWrite1h), keep::LENGTH),
            Place::new(concat!($at, "usage.output_tokens_details.thinking_tokens"), A::Usage(Count::Reasoning), keep::LENGTH),
            Place::new(concat!($at, "usage.server_tool_use.web_search_requests"), A::Usage(Count::WebSearches), keep::LENGTH),
            Place::new(concat!($at, "usage.service_tier"), A::Tier, keep::WORD),
        ]
    };
}

const USAGE: [Place<A>; 9] = usage!("");
const START_USAGE: [Place<A>; 9] = usage!("message.");
const ANSWER: &[Place<A>] = &[
    Place::new("type", A::Type, keep::WORD),
    Place::new("model", A::Model, keep::WORD),
    Place::new("id", A::Id, keep::WORD),
    Place::new("stop_reason", A::Finish, keep::WORD),
    Place::new("content", A::Shape, keep::LENGTH),
    Place::new("content[*]", A::Tool, keep::LENGTH),
    Place::new("content[*].type", A::ToolType, keep::WORD),
    Place::new("content[*].id", A::ToolId, keep::WORD),
    Place::new("content[*].name", A::ToolName, keep::WORD),
    Place::new("error", A::Error, keep::LENGTH),
    Place::new("error.type", A::ErrorType, keep::WORD),
    Place::new("message", A::Shape, keep::LENGTH),
    Place::new("message.model", A::Model, keep::WORD),
    Place::new("message.id", A::Id, keep::WORD),
    Place::new("content_block", A::Tool, keep::LENGTH),
    Place::new("content_block.type", A::ToolType, keep::WORD),
    Place::new("content_block.id", A::ToolId, keep::WORD),
    Place::new("content_block.name", A::ToolName, keep::WORD),
    Place::new("delta.text", A::Content, keep::LENGTH),
    Place::new("delta.thinking", A::Content, keep::LENGTH),
    Place::new("delta.partial_json", A::Delta, keep::LENGTH),
    Place::new("delta.stop_reason", A::Finish, keep::WORD),
];

pub(super) static API: Api = Api {
    name: "messages",
    paths: &["/v1/messages"],
    provider: "anthropic",
    request_parts: &[part::MODEL | part::MESSAGES],
    request: LazyLock::new(|| Paths::new(REQUEST)),
    answer: LazyLock::new(|| Paths::new(USAGE.iter().chain(&START_USAGE).chain(ANSWER))),
    convention: Convention { input_excludes_cache: true, output_excludes_reasoning: false },
    is_input_only: false,
};
