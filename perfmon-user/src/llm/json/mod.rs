//! JSON scanned as it passes: any cut of the bytes in, the few wanted scalars out, in memory that does not grow with the document
//! (RFC 8259). [`Tokenizer`] knows the grammar, [`Paths`] the wanted paths, [`Scanner`] joins both. Other strings are skipped
//! without being stored. It is lenient where that is safe: number grammar, escapes and UTF-8 of skipped strings are not checked.
mod paths;
mod scanner;
mod text;
mod token;

pub use paths::{JsonPath, Paths, keep};
pub use scanner::{Handler, JsonValue, Scanner};
pub use token::{JsonContainer, Scalar, Tokenizer, Visitor};

#[cfg(test)]
mod tests;
