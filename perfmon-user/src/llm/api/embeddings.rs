//! Embeddings, as OpenAI and as Ollama have them: only input tokens, never streamed.
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{Paths, Place, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RequestField as R, part};
use super::super::usage::{Convention, Count};
use super::Api;

const REQUEST: &[Place<R>] = &[
    Place::new("model", R::Model, keep::WORD),
    Place::new("input", R::Prompt, keep::LENGTH),
    Place::new("prompt", R::Prompt, keep::LENGTH),
    Place::new("user", R::User, keep::LONG),
];

const ANSWER: &[Place<A>] = &[
    Place::new("model", A::Model, keep::WORD),
    Place::new("data", A::Shape, keep::LENGTH),
    Place::new("embeddings", A::Shape, keep::LENGTH),
    Place::new("embedding", A::Shape, keep::LENGTH),
    Place::new("usage.prompt_tokens", A::Usage(Count::Input), keep::LENGTH),
    Place::new("usage.total_tokens", A::Usage(Count::Input), keep::LENGTH),
    Place::new("prompt_eval_count", A::Usage(Count::Input), keep::LENGTH),
    Place::new("error", A::Error, keep::LENGTH),
    Place::new("error.type", A::ErrorType, keep::WORD),
    Place::new("error.code", A::ErrorCode, keep::WORD),
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
