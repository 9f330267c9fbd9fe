//! The provider of a model API, by host. Ids are those of the price table, and a few for self-hosted servers.

/// Hosts known for their model APIs: exact names, or suffixes that begin with a dot.
const HOSTS: [(&str, &str); 42] = [
    ("api.openai.com", "openai"),
    (".api.openai.com", "openai"),
    ("chatgpt.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    (".openai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    ("api.mistral.ai", "mistral"),
    ("codestral.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x-ai"),
    (".api.x.ai", "x-ai"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.perplexity.ai", "perplexity"),
    ("api.cerebras.ai", "cerebras"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.moonshot.ai", "moonshotai"),
    ("api.moonshot.cn", "moonshotai"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zhipuai"),
    ("api.minimax.io", "minimax"),
    ("api.minimaxi.com", "minimax"),
    ("api.novita.ai", "novita"),
    ("api.voyageai.com", "voyageai"),
    ("api.arcee.ai", "arcee"),
    ("api.avian.io", "avian"),
    ("inference.baseten.co", "baseten"),
    ("api.githubcopilot.com", "github-copilot"),
    (".githubcopilot.com", "github-copilot"),
    ("generativelanguage.googleapis.com", "google"),
    (".aiplatform.googleapis.com", "google"),
    ("-aiplatform.googleapis.com", "google"),
    (".amazonaws.com", "aws"),
    ("oai.endpoints.kepler.ai.cloud.ovh.net", "ovhcloud"),
    ("api.meta.ai", "meta"),
    ("ollama.com", "ollama"),
    ("api.doubleword.ai", "doubleword"),
];

/// Self-hosted servers: their models have no price.
pub const LOCAL: [&str; 3] = ["ollama", "vllm", "llama_cpp"];
/// An unknown host with an OpenAI-compatible API.
pub const COMPATIBLE: &str = "openai_compatible";
/// Ollama's own port.
pub const OLLAMA_PORT: u16 = 11_434;

/// The provider at `host` (without port), if it is known.
pub fn of_host(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is = |name: &str| if name.starts_with(['.', '-']) { host.ends_with(name) } else { host == name };
    let is_bedrock = |name: &str| name != ".amazonaws.com" || host.starts_with("bedrock-runtime.");
    HOSTS.iter().find(|(name, _)| is(name) && is_bedrock(name)).map(|&(_, provider)| provider)
}

/// Name and port of an authority (`host`, `host:port`, `[v6]:port`).
pub fn split_authority(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hosts_and_no_others() {
        assert_eq!(of_host("API.OpenAI.com"), Some("openai"));
        assert_eq!(of_host("eu.api.openai.com."), Some("openai"));
        assert_eq!(of_host("my-resource.openai.azure.com"), Some("azure"));
        assert_eq!(of_host("bedrock-runtime.eu-west-1.amazonaws.com"), Some("aws"));
        assert_eq!(of_host("us-central1-aiplatform.googleapis.com"), Some("google"));
        for host in ["notapi.openai.com.example.org", "evilapi.anthropic.com", "s3.amazonaws.com", "localhost", "", "127.0.0.1"] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }

    #[test]
    fn every_id_is_in_the_price_table_or_local() {
        for (_, id) in HOSTS {
            let known = genai_prices::Calculator::bundled().find_provider(Some(id), None).unwrap();
            assert!(LOCAL.contains(&id) || known.is_some_and(|provider| provider.id() == id), "{id}");
        }
    }

    #[test]
    fn authorities_are_split() {
        assert_eq!(split_authority("localhost:11434"), ("localhost", Some(11_434)));
        assert_eq!(split_authority("api.openai.com"), ("api.openai.com", None));
        assert_eq!(split_authority("[::1]:8000"), ("[::1]", Some(8_000)));
        assert_eq!(split_authority("::1"), ("::1", None));
    }
}
