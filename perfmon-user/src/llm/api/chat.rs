//! OpenAI's chat completions API and its other providers: Azure, Mistral, Groq, DeepSeek, xAI, OpenRouter, Together, vLLM, llama.cpp,
//! Ollama, LiteLLM, … Usage stands in the answer, or in a chunk of the stream with or without choices; DeepSeek, Moonshot, Groq and xAI
//! have fields of their own. <https://platform.openai.com/docs/api-reference/chat>
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RESULT_TEXT, RequestField as R, part};
use super::super::usage::{Convention, UsageField};
use super::Api;

/// The messages of a request, as Ollama has them too.
pub(super) const MESSAGES: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("stream", R::Stream, keep::LENGTH),
    JsonPath::new("tools[*]", R::Tool, keep::LENGTH),
    JsonPath::new("functions[*]", R::Tool, keep::LENGTH),
    JsonPath::digested("messages[*]", R::Message),
    JsonPath::new("messages[*].role", R::Role, keep::WORD),
    JsonPath::new("messages[*].tool_call_id", R::ResultId, keep::WORD),
    JsonPath::new("messages[*].name", R::ResultName, keep::WORD),
    JsonPath::new("messages[*].tool_name", R::ResultName, keep::WORD),
    JsonPath::new("messages[*].content", R::ResultText, RESULT_TEXT),
    JsonPath::new("messages[*].content[*].text", R::ResultText, RESULT_TEXT),
    JsonPath::undigested("messages[*].content[*].type"),
    JsonPath::undigested("messages[*].content[*].cache_control"),
    JsonPath::new("user", R::User, keep::LONG),
    JsonPath::new("safety_identifier", R::User, keep::LONG),
    JsonPath::new("metadata.user_id", R::Session, keep::LONG),
];

/// Head, usage and errors of an answer, as legacy completions have them too.
pub(super) const ANSWER: &[JsonPath<A>] = &[
    JsonPath::new("model", A::Model, keep::WORD),
    JsonPath::new("id", A::Id, keep::WORD),
    JsonPath::new("choices", A::Shape, keep::LENGTH),
    JsonPath::new("choices[*].finish_reason", A::Finish, keep::WORD),
    JsonPath::new("usage.prompt_tokens", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("usage.completion_tokens", A::Usage(UsageField::Output), keep::LENGTH),
    JsonPath::new("usage.prompt_tokens_details.cached_tokens", A::Usage(UsageField::CacheRead), keep::LENGTH),
    JsonPath::new("usage.prompt_tokens_details.cache_write_tokens", A::Usage(UsageField::CacheWrite), keep::LENGTH),
    JsonPath::new("usage.prompt_tokens_details.audio_tokens", A::Usage(UsageField::InputAudio), keep::LENGTH),
    JsonPath::new("usage.completion_tokens_details.reasoning_tokens", A::Usage(UsageField::Reasoning), keep::LENGTH),
    JsonPath::new("usage.completion_tokens_details.audio_tokens", A::Usage(UsageField::OutputAudio), keep::LENGTH),
    JsonPath::new("usage.prompt_cache_hit_tokens", A::Usage(UsageField::CacheRead), keep::LENGTH),
    JsonPath::new("usage.cached_tokens", A::Usage(UsageField::CacheRead), keep::LENGTH),
    JsonPath::new("x_groq.usage.prompt_tokens", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("x_groq.usage.completion_tokens", A::Usage(UsageField::Output), keep::LENGTH),
    JsonPath::new("x_groq.usage.prompt_tokens_details.cached_tokens", A::Usage(UsageField::CacheRead), keep::LENGTH),
    JsonPath::new("usage.cost", A::Cost, keep::LENGTH),
    JsonPath::new("usage.cost.total_cost", A::Cost, keep::LENGTH),
    JsonPath::new("usage.cost_in_usd_ticks", A::CostTicks, keep::LENGTH),
    JsonPath::new("service_tier", A::Tier, keep::WORD),
    JsonPath::new("error", A::Error, keep::LENGTH),
    JsonPath::new("error.type", A::ErrorType, keep::WORD),
    JsonPath::new("error.code", A::ErrorCode, keep::WORD),
    JsonPath::new("object", A::Object, keep::WORD),
    JsonPath::new("type", A::Type, keep::WORD),
    JsonPath::new("code", A::Code, keep::WORD),
    JsonPath::new("timings", A::LlamaCpp, keep::LENGTH),
    JsonPath::new("choices[*].stop_reason", A::Vllm, keep::LENGTH),
    JsonPath::new("prompt_logprobs", A::Vllm, keep::LENGTH),
    JsonPath::new("kv_transfer_params", A::Vllm, keep::LENGTH),
    JsonPath::new("system_fingerprint", A::Fingerprint, keep::WORD),
];

const CHOICES: &[JsonPath<A>] = &[
    JsonPath::new("choices[*].delta.content", A::Content, keep::LENGTH),
    JsonPath::new("choices[*].delta.reasoning_content", A::Content, keep::LENGTH),
    JsonPath::new("choices[*].delta.reasoning", A::Content, keep::LENGTH),
    JsonPath::new("choices[*].delta.refusal", A::Content, keep::LENGTH),
    JsonPath::new("choices[*].delta.function_call", A::Delta, keep::LENGTH),
    JsonPath::new("choices[*].delta.tool_calls[*]", A::Tool, keep::LENGTH),
    JsonPath::new("choices[*].delta.tool_calls[*].id", A::ToolId, keep::WORD),
    JsonPath::new("choices[*].delta.tool_calls[*].type", A::ToolType, keep::WORD),
    JsonPath::new("choices[*].delta.tool_calls[*].function", A::Delta, keep::LENGTH),
    JsonPath::new("choices[*].delta.tool_calls[*].function.name", A::ToolName, keep::WORD),
    JsonPath::new("choices[*].delta.tool_calls[*].custom", A::Delta, keep::LENGTH),
    JsonPath::new("choices[*].delta.tool_calls[*].custom.name", A::ToolName, keep::WORD),
    JsonPath::new("choices[*].message.tool_calls[*]", A::Tool, keep::LENGTH),
    JsonPath::new("choices[*].message.tool_calls[*].id", A::ToolId, keep::WORD),
    JsonPath::new("choices[*].message.tool_calls[*].type", A::ToolType, keep::WORD),
    JsonPath::new("choices[*].message.tool_calls[*].function.name", A::ToolName, keep::WORD),
    JsonPath::new("choices[*].message.tool_calls[*].custom.name", A::ToolName, keep::WORD),
    JsonPath::new("choices[*].message.function_call", A::Tool, keep::LENGTH),
    JsonPath::new("choices[*].message.function_call.name", A::ToolName, keep::WORD),
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
