//! OpenAI's responses: typed events, the last of which holds the whole answer with its usage; histories may stay with the provider
//! (`previous_response_id`, `conversation`). <https://platform.openai.com/docs/api-reference/responses>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RESULT_TEXT, RequestField as R, part};
use super::super::usage::{Convention, UsageField};
use super::Api;

const REQUEST: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("stream", R::Stream, keep::LENGTH),
    JsonPath::new("tools[*]", R::Tool, keep::LENGTH),
    JsonPath::digested("instructions", R::System),
    JsonPath::digested("input", R::Prompt),
    JsonPath::new("input[*]", R::Message, keep::LENGTH),
    JsonPath::new("input[*].role", R::Role, keep::WORD),
    JsonPath::new("input[*].type", R::Type, keep::WORD).not_digested(),
    JsonPath::new("input[*].call_id", R::ResultId, keep::WORD),
    JsonPath::new("input[*].output", R::ResultText, RESULT_TEXT),
    JsonPath::new("input[*].output[*].text", R::ResultText, RESULT_TEXT),
    JsonPath::undigested("input[*].content[*].type"),
    JsonPath::new("user", R::User, keep::LONG),
    JsonPath::new("safety_identifier", R::User, keep::LONG),
    JsonPath::new("previous_response_id", R::PreviousResponse, keep::WORD),
    JsonPath::new("conversation", R::Conversation, keep::WORD),
    JsonPath::new("conversation.id", R::Conversation, keep::WORD),
];

/// What an answer has; in a stream it stands below `response`.
macro_rules! answer {
    ($at:literal) => {
        [
            JsonPath::new(concat!($at, "model"), A::Model, keep::WORD),
            JsonPath::new(concat!($at, "id"), A::Id, keep::WORD),
            JsonPath::new(concat!($at, "status"), A::Status, keep::WORD),
            JsonPath::new(concat!($at, "incomplete_details.reason"), A::Finish, keep::WORD),
            JsonPath::new(concat!($at, "output"), A::Shape, keep::LENGTH),
            JsonPath::new(concat!($at, "output[*]"), A::Tool, keep::LENGTH),
            JsonPath::new(concat!($at, "output[*].type"), A::ToolType, keep::WORD),
            JsonPath::new(concat!($at, "output[*].name"), A::ToolName, keep::WORD),
            JsonPath::new(concat!($at, "output[*].call_id"), A::ToolId, keep::WORD),
            JsonPath::new(concat!($at, "usage.input_tokens"), A::Usage(UsageField::Input), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.output_tokens"), A::Usage(UsageField::Output), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.input_tokens_details.cached_tokens"), A::Usage(UsageField::CacheRead), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.input_tokens_details.cache_write_tokens"), A::Usage(UsageField::CacheWrite), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.output_tokens_details.reasoning_tokens"), A::Usage(UsageField::Reasoning), keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cost"), A::Cost, keep::LENGTH),
            JsonPath::new(concat!($at, "usage.cost_in_usd_ticks"), A::CostTicks, keep::LENGTH),
            JsonPath::new(concat!($at, "service_tier"), A::Tier, keep::WORD),
            JsonPath::new(concat!($at, "error"), A::Error, keep::LENGTH),
            JsonPath::new(concat!($at, "error.type"), A::ErrorType, keep::WORD),
            JsonPath::new(concat!($at, "error.code"), A::ErrorCode, keep::WORD),
        ]
    };
}

const ANSWER: [JsonPath<A>; 20] = answer!("");
const STREAMED: [JsonPath<A>; 20] = answer!("response.");
const EVENTS: &[JsonPath<A>] = &[
    JsonPath::new("type", A::Type, keep::WORD),
    JsonPath::new("code", A::Code, keep::WORD),
    JsonPath::new("object", A::Object, keep::WORD),
    JsonPath::new("response", A::Shape, keep::LENGTH),
    JsonPath::new("delta", A::Content, keep::LENGTH),
    JsonPath::new("item", A::Tool, keep::LENGTH),
    JsonPath::new("item.type", A::ToolType, keep::WORD),
    JsonPath::new("item.name", A::ToolName, keep::WORD),
    JsonPath::new("item.call_id", A::ToolId, keep::WORD),
];

pub(super) static API: Api = Api {
    name: "responses",
    paths: &["/v1/responses", "/openai/responses", "/codex/responses"],
    provider: COMPATIBLE,
    request_parts: &[part::MODEL | part::PROMPT],
    request: LazyLock::new(|| Paths::new(REQUEST)),
    answer: LazyLock::new(|| Paths::new(ANSWER.iter().chain(&STREAMED).chain(EVENTS))),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: false,
};
