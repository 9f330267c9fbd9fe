//! Anthropic's messages. Input tokens leave cached ones out; in a stream `message_start` has the first usage, and each `message_delta`
//! repeats what grew since. <https://docs.anthropic.com/en/api/messages>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, UsageField};
use super::Api;

const REQUEST: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("stream", R::Stream, keep::LENGTH),
    JsonPath::new("tools[*]", R::Tool, keep::LENGTH),
    JsonPath::digested("system", R::System),
    JsonPath::undigested("system[*].type"),
    JsonPath::undigested("system[*].cache_control"),
    JsonPath::digested("messages[*]", R::Message),
    JsonPath::new("messages[*].role", R::Role, keep::WORD),
    JsonPath::new("messages[*].content[*]", R::Block, keep::LENGTH),
    JsonPath::new("messages[*].content[*].type", R::BlockType, keep::WORD).not_digested(),
    JsonPath::undigested("messages[*].content[*].cache_control"),
    JsonPath::new("messages[*].content[*].tool_use_id", R::ResultId, keep::WORD),
    JsonPath::new("messages[*].content[*].is_error", R::ResultError, keep::LENGTH),
    JsonPath::new("metadata.user_id", R::Session, keep::LONG),
];

/// Usage of an answer, which stands at several places.
macro_rules! usage {
    ($at:literal) => {
        [
            JsonPath::new(concat!($at, "usage.input_tokens"), A::Usage(UsageField::Input), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.output_tokens"), A::Usage(UsageField::Output), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cache_read_input_tokens"), A::Usage(UsageField::CacheRead), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cache_creation_input_tokens"), A::Usage(UsageField::CacheWrite), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cache_creation.ephemeral_5m_input_tokens"), A::Usage(UsageField::CacheWrite5m), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cache_creation.ephemeral_1h_input_tokens"), A::Usage(UsageField::CacheWrite1h), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.output_tokens_details.thinking_tokens"), A::Usage(UsageField::Reasoning), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.server_tool_use.web_search_requests"), A::Usage(UsageField::WebSearches), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.service_tier"), A::Tier, keep::WORD),
        ]
    };
}

const USAGE: [JsonPath<A>; 9] = usage!("");
const START_USAGE: [JsonPath<A>; 9] = usage!("message.");
const ANSWER: &[JsonPath<A>] = &[
    JsonPath::new("type", A::Type, keep::WORD),
    JsonPath::new("model", A::Model, keep::WORD),
    JsonPath::new("id", A::Id, keep::WORD),
    JsonPath::new("stop_reason", A::Finish, keep::WORD),
    JsonPath::new("content", A::Shape, keep::LENGTH),
    JsonPath::new("content[*]", A::Tool, keep::LENGTH),
    JsonPath::new("content[*].type", A::ToolType, keep::WORD),
    JsonPath::new("content[*].id", A::ToolId, keep::WORD),
    JsonPath::new("content[*].name", A::ToolName, keep::WORD),
    JsonPath::new("error", A::Error, keep::LENGTH),
    JsonPath::new("error.type", A::ErrorType, keep::WORD),
    JsonPath::new("message", A::Shape, keep::LENGTH),
    JsonPath::new("message.model", A::Model, keep::WORD),
    JsonPath::new("message.id", A::Id, keep::WORD),
    JsonPath::new("content_block", A::Tool, keep::LENGTH),
    JsonPath::new("content_block.type", A::ToolType, keep::WORD),
    JsonPath::new("content_block.id", A::ToolId, keep::WORD),
    JsonPath::new("content_block.name", A::ToolName, keep::WORD),
    JsonPath::new("delta.text", A::Content, keep::LENGTH),
    JsonPath::new("delta.thinking", A::Content, keep::LENGTH),
    JsonPath::new("delta.partial_json", A::Delta, keep::LENGTH),
    JsonPath::new("delta.stop_reason", A::Finish, keep::WORD),
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
