//! temporary
use super::*;
pub fn check(_: &crate::config::Config, _: bool) -> Result<u8, Failure> { Ok(0) }
