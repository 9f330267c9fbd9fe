//! OpenAI's responses: typed events, the last of which holds the whole answer with its usage; histories may stay with the provider
//! (`previous_response_id`, `conversation`). <https://platform.openai.com/docs/api-reference/responses>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{Paths, Place, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RESULT_TEXT, RequestField as R, part};
use super::super::usage::{Convention, Count};
use super::Api;

const REQUEST: &[Place<R>] = &[
    Place::new("model", R::Model, keep::WORD),
    Place::new("stream", R::Stream, keep::LENGTH),
    Place::new("tools[*]", R::Tool, keep::LENGTH),
    Place::digested("instructions", R::System),
    Place::digested("input", R::Prompt),
    Place::new("input[*]", R::Message, keep::LENGTH),
    Place::new("input[*].role", R::Role, keep::WORD),
    Place::new("input[*].type", R::Type, keep::WORD).not_digested(),
    Place::new("input[*].call_id", R::ResultId, keep::WORD),
    Place::new("input[*].output", R::ResultText, RESULT_TEXT),
    Place::new("input[*].output[*].text", R::ResultText, RESULT_TEXT),
    Place::undigested("input[*].content[*].type"),
    Place::new("user", R::User, keep::LONG),
    Place::new("safety_identifier", R::User, keep::LONG),
    Place::new("previous_response_id", R::PreviousResponse, keep::WORD),
    Place::new("conversation", R::Conversation, keep::WORD),
    Place::new("conversation.id", R::Conversation, keep::WORD),
];

/// What an answer has; in a stream it stands below `response`.
macro_rules! answer {
    ($at:literal) => {
        [
            Place::new(concat!($at, "model"), A::Model, keep::WORD),
            Place::new(concat!($at, "id"), A::Id, keep::WORD),
            Place::new(concat!($at, "status"), A::Status, keep::WORD),
            Place::new(concat!($at, "incomplete_details.reason"), A::Finish, keep::WORD),
            Place::new(concat!($at, "output"), A::Shape, keep::LENGTH),
            Place::new(concat!($at, "output[*]"), A::Tool, keep::LENGTH),
            Place::new(concat!($at, "output[*].type"), A::ToolType, keep::WORD),
            Place::new(concat!($at, "output[*].name"), A::ToolName, keep::WORD),
            Place::new(concat!($at, "output[*].call_id"), A::ToolId, keep::WORD),
            Place::new(concat!($at, "usage.input_tokens"), A::Usage(Count::Input), keep::LENGTH),
            Place::new(concat!($at, "usage.output_tokens"), A::Usage(Count::Output), keep::LENGTH),
            Place::new(concat!($at, "usage.input_tokens_details.cached_tokens"), A::Usage(Count::CacheRead), keep::LENGTH),
            Place::new(concat!($at, "usage.input_tokens_details.cache_write_tokens"), A::Usage(Count::CacheWrite), keep::LENGTH),
            Place::new(concat!($at, "usage.output_tokens_details.reasoning_tokens"), A::Usage(Count::Reasoning), keep::LENGTH),
            Place::new(concat!($at, "usage.cost"), A::Cost, keep::LENGTH),
            Place::new(concat!($at, "usage.cost_in_usd_ticks"), A::CostTicks, keep::LENGTH),
            Place::new(concat!($at, "service_tier"), A::Tier, keep::WORD),
            Place::new(concat!($at, "error"), A::Error, keep::LENGTH),
            Place::new(concat!($at, "error.type"), A::ErrorType, keep::WORD),
            Place::new(concat!($at, "error.code"), A::ErrorCode, keep::WORD),
        ]
    };
}

const ANSWER: [Place<A>; 20] = answer!("");
const STREAMED: [Place<A>; 20] = answer!("response.");
const EVENTS: &[Place<A>] = &[
    Place::new("type", A::Type, keep::WORD),
    Place::new("code", A::Code, keep::WORD),
    Place::new("object", A::Object, keep::WORD),
    Place::new("response", A::Shape, keep::LENGTH),
    Place::new("delta", A::Content, keep::LENGTH),
    Place::new("item", A::Tool, keep::LENGTH),
    Place::new("item.type", A::ToolType, keep::WORD),
    Place::new("item.name", A::ToolName, keep::WORD),
    Place::new("item.call_id", A::ToolId, keep::WORD),
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
