//! Model calls in the words of the semantic conventions for generative AI.

/// `gen_ai.operation.name` of an API.
pub fn operation(api: &str) -> &'static str {
    match api {
        "embeddings" => "embeddings",
        "completions" | "ollama_generate" => "text_completion",
        "generate_content" => "generate_content",
        _ => "chat",
    }
}

/// `gen_ai.provider.name` of a provider as the price table names it.
pub fn name(provider: &str) -> &str {
    match provider {
        "google" => "gcp.gemini",
        "aws" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "x-ai" => "x_ai",
        other => other,
    }
}
