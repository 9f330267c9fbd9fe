pub mod coding;
pub mod json;
pub mod sse;
