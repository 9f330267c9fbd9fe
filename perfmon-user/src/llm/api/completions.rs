//! OpenAI's legacy completions API: continues a text. Many benchmarks of local servers still use it.
use std::sync::LazyLock;

use super::super::answer::AnswerField as A;
use super::super::json::{JsonPath, Paths, keep};
use super::super::provider::COMPATIBLE;
use super::super::request::{RequestField as R, part};
use super::super::usage::Convention;
use super::{Api, chat};

const REQUEST: &[JsonPath<R>] = &[
    JsonPath::new("model", R::Model, keep::WORD),
    JsonPath::new("stream", R::Stream, keep::LENGTH),
    JsonPath::digested("prompt", R::Prompt),
    JsonPath::new("user", R::User, keep::LONG),
];

const CHOICES: &[JsonPath<A>] = &[JsonPath::new("choices[*].text", A::Content, keep::LENGTH)];

pub(super) static API: Api = Api {
    name: "completions",
    paths: &["/v1/completions", "/beta/completions", "/openai/completions"],
    provider: COMPATIBLE,
    request_parts: &[part::MODEL | part::PROMPT],
    request: LazyLock::new(|| Paths::new(REQUEST)),
    answer: LazyLock::new(|| Paths::new(chat::ANSWER.iter().chain(CHOICES))),
    convention: Convention { input_excludes_cache: false, output_excludes_reasoning: false },
    is_input_only: false,
};
