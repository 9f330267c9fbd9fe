//! temporary
pub struct Sampler;
impl Sampler { pub fn new() -> Self { Self } pub fn sample(&mut self, _: crate::record::WallTime, _: &[std::sync::Arc<crate::record::Origin>]) -> Vec<crate::record::Record> { vec![] } }
