//! llm: to come.
