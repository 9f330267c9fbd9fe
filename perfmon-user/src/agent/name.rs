//! The type of an agent: command-line agents name themselves in `User-Agent`; others take the name of their service.
use std::sync::Arc;

use crate::record::Origin;

/// Beginning of the product's name, lower case, and the agent's name.
const AGENTS: [(&str, &str); 16] = [
    ("claude-cli", "claude-cli"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("qwencode", "qwen-code"),
    ("opencode", "opencode"),
    ("aider", "aider"),
    ("cline", "cline"),
    ("roo-code", "roo-code"),
    ("roocode", "roo-code"),
    ("goose", "goose"),
    ("crush", "crush"),
    ("cursor", "cursor"),
    ("githubcopilot", "github-copilot"),
    ("zed", "zed"),
];

/// The agent that a `User-Agent`'s product names.
pub(super) fn known(user_agent: Option<&str>) -> Option<&'static str> {
    let product = user_agent?.split('/').next()?.to_ascii_lowercase();
    let is = |name: &str| {
        product.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()) || name.len() > 5)
    };
    AGENTS.iter().find(|(name, _)| is(name)).map(|&(_, agent)| agent)
}

/// The agent name of a process.
pub(super) fn agent_type(user_agent: Option<&str>, origin: &Origin) -> Option<Arc<str>> {
    match known(user_agent) {
        Some(name) => Some(name.into()),
        None => (&*origin.service != "unknown").then(|| Arc::clone(&origin.service)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_known_by_their_product() {
        assert_eq!(known(Some("claude-cli/1.0.83")), Some("claude-cli"));
        assert_eq!(known(Some("codex_cli_rs/0.36.0")), Some("codex"));
        assert_eq!(known(Some("GeminiCLI/0.5.5")), Some("gemini-cli"));
        assert_eq!(known(Some("GitHubCopilotChat/0.26")), Some("github-copilot"));
        for other in ["OpenAI/Python", "AsyncAnthropic/Python", "python-httpx/0.27", "zedd/1", "crusher/1", "curl/8"] {
            assert_eq!(known(Some(other)), None, "{other}");
        }
        assert_eq!(known(None), None);
    }

    #[test]
    fn others_are_called_by_their_service() {
        let mut origin = Origin::unknown(1);
        assert_eq!(agent_type(None, &origin), None);
        origin.service = "shop-agent".into();
        assert_eq!(agent_type(Some("OpenAI/Python"), &origin).as_deref(), Some("shop-agent"));
        assert_eq!(agent_type(Some("claude-cli/1"), &origin).as_deref(), Some("claude-cli"));
    }
}
