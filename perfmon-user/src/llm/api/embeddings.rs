//! Embeddings, as OpenAI and as Ollama have them: only input tokens, never streamed.
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, UsageField};
use super::Api;

const REQUEST: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("input", R::Prompt, keep::LENGTH),
    JsonPath::new("prompt", R::Prompt, keep::LENGTH),
    JsonPath::new("user", R::User, keep::LONG),
];

const ANSWER: &[JsonPath<A>] = &[
    JsonPath::new("model", A::Model, keep::WORD),
    JsonPath::new("data", A::Shape, keep::LENGTH),
    JsonPath::new("embeddings", A::Shape, keep::LENGTH),
    JsonPath::new("embedding", A::Shape, keep::LENGTH),
    JsonPath::new("usage.prompt_tokens", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("usage.total_tokens", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("prompt_eval_count", A::Usage(UsageField::Input), keep::LENGTH),
    JsonPath::new("error", A::Error, keep::LENGTH),
    JsonPath::new("error.type", A::ErrorType, keep::WORD),
    JsonPath::new("error.code", A::ErrorCode, keep::WORD),
];

pub(super) static API: Api = Api {
    name: "embeddings",
    paths: &["/embeddings"],
    provider: COMPATIBLE,
    request_parts: &[part::MODEL | part::PROMPT],
    request: LazyLock::new(|| Paths::new(REQUEST)),
    answer: LazyLock::new(|| Paths::new(ANSWER)),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: true,
};

pub(super) static OLLAMA: Api = Api {
    name: "embeddings",
    paths: &["/api/embed", "/api/embeddings"],
    provider: "ollama",
    request_parts: &[part::MODEL | part::PROMPT],
    request: LazyLock::new(|| Paths::new(REQUEST)),
    answer: LazyLock::new(|| Paths::new(ANSWER)),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: true,
};
