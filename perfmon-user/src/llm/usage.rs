//! Token counts as reported by providers, normalised to one convention (docs/records.md, `llm`): input includes cached tokens, output includes
//! reasoning. Of each count the last one present wins; counts are never added up over a stream, as providers repeat them cumulatively.

/// A count that a provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageField {
    /// Prompt tokens; whether cached ones are among them depends on the API.
    Input,
    /// Generated tokens.
    Output,
    /// Prompt tokens read from the cache.
    CacheRead,
    /// Prompt tokens written to the cache.
    CacheWrite,
    /// Of those, kept five minutes.
    CacheWrite5m,
    /// Of those, kept an hour.
    CacheWrite1h,
    /// Output tokens spent on reasoning.
    Reasoning,
    /// Audio tokens of the prompt.
    InputAudio,
    /// Audio tokens of the answer.
    OutputAudio,
    /// Searches that the provider made and bills.
    WebSearches,
}

const COUNTS: usize = UsageField::WebSearches as usize + 1;

/// How a provider's counts differ from the convention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Convention {
    /// Input leaves cached tokens out.
    pub input_excludes_cache: bool,
    /// Output leaves reasoning tokens out.
    pub output_excludes_reasoning: bool,
}

/// The counts of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage([Option<u64>; COUNTS]);

impl Usage {
    /// Takes a count; it replaces an earlier one.
    pub fn set(&mut self, count: UsageField, value: u64) {
        self.0[count as usize] = Some(value);
    }

    /// The count; `None`: not on the wire.
    pub fn get(&self, count: UsageField) -> Option<u64> {
        self.0[count as usize]
    }

    /// Whether anything was reported.
    pub fn is_reported(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// The counts in the one convention.
    pub fn unified(&self, convention: Convention) -> Self {
        let mut usage = self.clone();
        let or_0 = |count| self.get(count).unwrap_or(0);
        if let (true, Some(input)) = (convention.input_excludes_cache, self.get(UsageField::Input)) {
            let cached = or_0(UsageField::CacheRead).saturating_add(or_0(UsageField::CacheWrite));
            usage.set(UsageField::Input, input.saturating_add(cached));
        }
        if let (true, Some(output)) = (convention.output_excludes_reasoning, self.get(UsageField::Output)) {
            usage.set(UsageField::Output, output.saturating_add(or_0(UsageField::Reasoning)));
        }
        usage
    }
}
