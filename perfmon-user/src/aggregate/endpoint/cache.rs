//! Caches the result for a path. Direct-mapped: a path overwrites the previous content of its slot, so the size is fixed and there is no
//! eviction. Long paths are not cached. Texts are compared by address, since the pipeline's interner keeps one copy of each; the slot
//! keeps the texts alive, so that an address cannot become another text's.
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;

use crate::limits;

/// Service, method and path.
pub type PathKey<'a> = (&'a Arc<str>, &'a Arc<str>, &'a Arc<str>);

/// The cache.
#[derive(Debug)]
pub struct PathCache<V> {
    slots: Vec<Option<Slot<V>>>,
    generation: u32,
}

#[derive(Clone, Debug)]
struct Slot<V> {
    service: Arc<str>,
    method: Arc<str>,
    path: Arc<str>,
    generation: u32,
    value: V,
}

impl<V: Clone> PathCache<V> {
    /// An empty cache.
    pub fn new() -> Self {
        Self { slots: vec![None; limits::PATHS_REMEMBERED], generation: 0 }
    }

    /// The cached value of a key.
    pub fn get(&self, key: PathKey<'_>) -> Option<&V> {
        let slot = self.slots[self.index(key)].as_ref().filter(|slot| slot.generation == self.generation)?;
        (Arc::ptr_eq(&slot.path, key.2) && Arc::ptr_eq(&slot.method, key.1) && Arc::ptr_eq(&slot.service, key.0)).then_some(&slot.value)
    }

    /// Stores a value.
    pub fn put(&mut self, key: PathKey<'_>, value: V) {
        if key.2.len() <= limits::PATH_REMEMBERED_BYTES {
            let at = self.index(key);
            let (service, method, path) = (key.0.clone(), key.1.clone(), key.2.clone());
            self.slots[at] = Some(Slot { service, method, path, generation: self.generation, value });
        }
    }

    /// Clears the cache.
    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    fn index(&self, key: PathKey<'_>) -> usize {
        let mut hasher = FxHasher::default();
        [key.0, key.1, key.2].iter().for_each(|text| hasher.write_usize(Arc::as_ptr(text).addr()));
        hasher.finish() as usize % self.slots.len()
    }
}
