//! The table of model APIs. To add one: a file with its [`Api`], and its name in [`APIS`].
//! A file lists the URL paths of the API, the required parts of its requests and answers, and the JSON paths of the wanted fields.
mod chat;
mod completions;
mod embeddings;
mod messages;
mod ollama;
mod responses;

use std::sync::LazyLock;

use super::answer::AnswerField;
use super::json::Paths;
use super::request::RequestField;
use super::usage::Convention;

/// Wanted paths of a body, as a tree built at first use.
pub type ApiPaths<F> = LazyLock<Paths<F>>;

/// One API.
pub struct Api {
    /// `api` of the record.
    pub name: &'static str,
    /// Ends of its paths, without query.
    pub paths: &'static [&'static str],
    /// Provider where the host says nothing.
    pub provider: &'static str,
    /// Sets of [`super::request::part`]; a request of this API has all parts of one of them.
    pub request_parts: &'static [u8],
    /// Wanted fields of a request.
    pub request: ApiPaths<RequestField>,
    /// Wanted fields of an answer.
    pub answer: ApiPaths<AnswerField>,
    /// How tokens are counted.
    pub convention: Convention,
    /// Answers have no generated tokens.
    pub is_input_only: bool,
}

/// All of them; where the paths of two fit, the earlier is meant.
static APIS: [&Api; 8] = [
    &chat::API,
    &completions::API,
    &responses::API,
    &messages::API,
    &ollama::CHAT,
    &ollama::GENERATE,
    &embeddings::OLLAMA,
    &embeddings::API,
];

/// The API that may stand at this path (without query).
pub fn at_path(path: &str) -> Option<&'static Api> {
    let path = path.trim_end_matches('/');
    APIS.iter().find(|api| api.paths.iter().any(|end| path.ends_with(end))).copied()
}

/// Builds the tables of all interfaces.
pub(super) fn prepare() {
    for api in APIS {
        LazyLock::force(&api.request);
        LazyLock::force(&api.answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_apis() {
        for (path, name) in [
            ("/v1/chat/completions", "chat"),
            ("/openai/deployments/my-gpt/chat/completions", "chat"),
            ("/openai/v1/chat/completions/", "chat"),
            ("/v1/completions", "completions"),
            ("/v1/responses", "responses"),
            ("/v1/messages", "messages"),
            ("/anthropic/v1/messages", "messages"),
            ("/api/chat", "ollama_chat"),
            ("/api/generate", "ollama_generate"),
            ("/v1/embeddings", "embeddings"),
            ("/api/embed", "embeddings"),
        ] {
            assert_eq!(at_path(path).map(|api| api.name), Some(name), "{path}");
        }
        for path in ["/", "/v1/models", "/v1/messages/count_tokens", "/v1/responses/resp_1", "/messages", "/chat", "/v1/chat/completions/x"]
        {
            assert!(at_path(path).is_none(), "{path}");
        }
    }

    #[test]
    fn tables_are_sound() {
        for api in APIS {
            LazyLock::force(&api.request);
            LazyLock::force(&api.answer);
            assert!(!api.request_parts.is_empty() && !api.paths.is_empty());
        }
    }
}
