//! OpenAI's chat completions, and everybody's who speaks it: Azure, Mistral, Groq, DeepSeek, xAI, OpenRouter, Together, vLLM, llama.cpp,
//! Ollama, LiteLLM, … Usage stands in the answer, or in a chunk of the stream with or without choices; DeepSeek, Moonshot, Groq and xAI
//! have fields of their own. <https://platform.openai.com/docs/api-reference/chat>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{Paths, Place, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RESULT_TEXT, RequestField as R, part};
use super::super::usage::{Convention, Count};
use super::Api;

/// The messages of a request, as Ollama has them too.
pub(super) const MESSAGES: &[Place<R>] = &[
    Place::new("model", R::Model, keep::WORD),
    Place::new("stream", R::Stream, keep::LENGTH),
    Place::new("tools[*]", R::Tool, keep::LENGTH),
    Place::new("functions[*]", R::Tool, keep::LENGTH),
    Place::digested("messages[*]", R::Message),
    Place::new("messages[*].role", R::Role, keep::WORD),
    Place::new("messages[*].tool_call_id", R::ResultId, keep::WORD),
    Place::new("messages[*].name", R::ResultName, keep::WORD),
    Place::new("messages[*].tool_name", R::ResultName, keep::WORD),
    Place::new("messages[*].content", R::ResultText, RESULT_TEXT),
    Place::new("messages[*].content[*].text", R::ResultText, RESULT_TEXT),
    Place::undigested("messages[*].content[*].type"),
    Place::undigested("messages[*].content[*].cache_control"),
    Place::new("user", R::User, keep::LONG),
    Place::new("safety_identifier", R::User, keep::LONG),
    Place::new("metadata.user_id", R::Session, keep::LONG),
];

/// Head, usage and errors of an answer, as legacy completions have them too.
pub(super) const ANSWER: &[Place<A>] = &[
    Place::new("model", A::Model, keep::WORD),
    Place::new("id", A::Id, keep::WORD),
    Place::new("choices", A::Shape, keep::LENGTH),
    Place::new("choices[*].finish_reason", A::Finish, keep::WORD),
    Place::new("usage.prompt_tokens", A::Usage(Count::Input), keep::LENGTH),
    Place::new("usage.completion_tokens", A::Usage(Count::Output), keep::LENGTH),
    Place::new("usage.prompt_tokens_details.cached_tokens", A::Usage(Count::CacheRead), keep::LENGTH),
    Place::new("usage.prompt_tokens_details.cache_write_tokens", A::Usage(Count::CacheWrite), keep::LENGTH),
    Place::new("usage.prompt_tokens_details.audio_tokens", A::Usage(Count::InputAudio), keep::LENGTH),
    Place::new("usage.completion_tokens_details.reasoning_tokens", A::Usage(Count::Reasoning), keep::LENGTH),
    Place::new("usage.completion_tokens_details.audio_tokens", A::Usage(Count::OutputAudio), keep::LENGTH),
    Place::new("usage.prompt_cache_hit_tokens", A::Usage(Count::CacheRead), keep::LENGTH),
    Place::new("usage.cached_tokens", A::Usage(Count::CacheRead), keep::LENGTH),
    Place::new("x_groq.usage.prompt_tokens", A::Usage(Count::Input), keep::LENGTH),
    Place::new("x_groq.usage.completion_tokens", A::Usage(Count::Output), keep::LENGTH),
    Place::new("x_groq.usage.prompt_tokens_details.cached_tokens", A::Usage(Count::CacheRead), keep::LENGTH),
    Place::new("usage.cost", A::Cost, keep::LENGTH),
    Place::new("usage.cost.total_cost", A::Cost, keep::LENGTH),
    Place::new("usage.cost_in_usd_ticks", A::CostTicks, keep::LENGTH),
    Place::new("service_tier", A::Tier, keep::WORD),
    Place::new("error", A::Error, keep::LENGTH),
    Place::new("error.type", A::ErrorType, keep::WORD),
    Place::new("error.code", A::ErrorCode, keep::WORD),
    Place::new("object", A::Object, keep::WORD),
    Place::new("type", A::Type, keep::WORD),
    Place::new("code", A::Code, keep::WORD),
    Place::new("timings", A::LlamaCpp, keep::LENGTH),
    Place::new("choices[*].stop_reason", A::Vllm, keep::LENGTH),
    Place::new("prompt_logprobs", A::Vllm, keep::LENGTH),
    Place::new("kv_transfer_params", A::Vllm, keep::LENGTH),
    Place::new("system_fingerprint", A::Fingerprint, keep::WORD),
];

const CHOICES: &[Place<A>] = &[
    Place::new("choices[*].delta.content", A::Content, keep::LENGTH),
    Place::new("choices[*].delta.reasoning_content", A::Content, keep::LENGTH),
    Place::new("choices[*].delta.reasoning", A::Content, keep::LENGTH),
    Place::new("choices[*].delta.refusal", A::Content, keep::LENGTH),
    Place::new("choices[*].delta.function_call", A::Delta, keep::LENGTH),
    Place::new("choices[*].delta.tool_calls[*]", A::Tool, keep::LENGTH),
    Place::new("choices[*].delta.tool_calls[*].id", A::ToolId, keep::WORD),
    Place::new("choices[*].delta.tool_calls[*].type", A::ToolType, keep::WORD),
    Place::new("choices[*].delta.tool_calls[*].function", A::Delta, keep::LENGTH),
    Place::new("choices[*].delta.tool_calls[*].function.name", A::ToolName, keep::WORD),
    Place::new("choices[*].delta.tool_calls[*].custom", A::Delta, keep::LENGTH),
    Place::new("choices[*].delta.tool_calls[*].custom.name", A::ToolName, keep::WORD),
    Place::new("choices[*].message.tool_calls[*]", A::Tool, keep::LENGTH),
    Place::new("choices[*].message.tool_calls[*].id", A::ToolId, keep::WORD),
    Place::new("choices[*].message.tool_calls[*].type", A::ToolType, keep::WORD),
    Place::new("choices[*].message.tool_calls[*].function.name", A::ToolName, keep::WORD),
    Place::new("choices[*].message.tool_calls[*].custom.name", A::ToolName, keep::WORD),
    Place::new("choices[*].message.function_call", A::Tool, keep::LENGTH),
    Place::new("choices[*].message.function_call.name", A::ToolName, keep::WORD),
];

pub(super) static API: Api = Api {
    name: "chat",
    paths: &["/chat/completions"],
    provider: COMPATIBLE,
    request_parts: &[part::MODEL | part::MESSAGES],
    request: LazyLock::new(|| Paths::new(MESSAGES)),
    answer: LazyLock::new(|| Paths::new(ANSWER.iter().chain(CHOICES))),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: false,
};
