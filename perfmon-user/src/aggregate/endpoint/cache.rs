//! Caches the result for a path. A path has a place in one set of two slots and overwrites the older of them; with many paths the cache grows
//! up to a limit. Long paths are not cached. Texts are compared by address, since the pipeline's interner keeps one copy of each; the slot
//! keeps the texts alive, so that an address cannot become another text's.
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;

use crate::limits;

/// Slots of a set.
const WAYS: usize = 2;
/// Slots at the start.
const FIRST_SLOTS: usize = 1_024;
const _: () = assert!(limits::PATHS_REMEMBERED == FIRST_SLOTS << 4);

/// Service, method and path.
pub type PathKey<'a> = (&'a Arc<str>, &'a Arc<str>, &'a Arc<str>);

/// The cache.
#[derive(Debug)]
pub struct PathCache<V> {
    slots: Vec<Option<Slot<V>>>,
    generation: u32,
    /// Paths that overwrote another one since it grew.
    overwritten: usize,
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
        Self { slots: vec![None; FIRST_SLOTS], generation: 0, overwritten: 0 }
    }

    /// The cached value of a key.
    pub fn get(&self, key: PathKey<'_>) -> Option<&V> {
        let set = self.set(key);
        let known = self.slots[set..set + WAYS].iter().flatten().find(|slot| slot.is_of(key))?;
        Some(&known.value).filter(|_| known.generation == self.generation)
    }

    /// Stores a value.
    pub fn put(&mut self, key: PathKey<'_>, value: V) {
        if key.2.len() <= limits::PATH_REMEMBERED_BYTES {
            let (service, method, path) = (key.0.clone(), key.1.clone(), key.2.clone());
            self.insert(Slot { service, method, path, generation: self.generation, value });
            self.grow();
        }
    }

    fn insert(&mut self, slot: Slot<V>) {
        let set = self.set(slot.key());
        let [newer, older] = &mut self.slots[set..set + WAYS] else { return };
        if newer.as_ref().is_some_and(|known| known.generation == slot.generation && !known.is_of(slot.key())) {
            self.overwritten += usize::from(older.as_ref().is_some_and(|known| known.generation == slot.generation));
            *older = newer.take();
        }
        *newer = Some(slot);
    }

    /// Four times as large when as many paths were overwritten as it holds.
    fn grow(&mut self) {
        if self.overwritten < self.slots.len() || self.slots.len() >= limits::PATHS_REMEMBERED {
            return;
        }
        let larger = vec![None; 4 * self.slots.len()];
        std::mem::replace(&mut self.slots, larger).into_iter().flatten().for_each(|slot| self.insert(slot));
        self.overwritten = 0;
    }

    /// Clears the cache.
    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Bytes that it takes, the texts that it alone keeps alive not counted.
    pub fn memory_bytes(&self) -> usize {
        self.slots.len() * size_of::<Option<Slot<V>>>()
    }

    /// The first slot of a key's set.
    fn set(&self, key: PathKey<'_>) -> usize {
        let mut hasher = FxHasher::default();
        [key.0, key.1, key.2].iter().for_each(|text| hasher.write_usize(Arc::as_ptr(text).addr()));
        hasher.finish() as usize % (self.slots.len() / WAYS) * WAYS
    }
}

impl<V> Slot<V> {
    fn key(&self) -> PathKey<'_> {
        (&self.service, &self.method, &self.path)
    }

    fn is_of(&self, key: PathKey<'_>) -> bool {
        Arc::ptr_eq(&self.path, key.2) && Arc::ptr_eq(&self.method, key.1) && Arc::ptr_eq(&self.service, key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_the_paths_and_tells_each_its_own() {
        let text = |text: &str| Arc::<str>::from(text);
        let (service, method) = (text("shop"), text("GET"));
        let paths: Vec<Arc<str>> = (0..limits::PATHS_REMEMBERED).map(|number| text(&format!("/{number}"))).collect();
        let mut cache = PathCache::new();
        assert_eq!(cache.slots.len(), FIRST_SLOTS);
        for _ in 0..4 {
            paths.iter().enumerate().for_each(|(number, path)| cache.put((&service, &method, path), number));
        }
        assert_eq!(cache.slots.len(), limits::PATHS_REMEMBERED);
        let known = paths.iter().enumerate().filter_map(|(number, path)| Some((number, *cache.get((&service, &method, path))?)));
        let known: Vec<(usize, usize)> = known.collect();
        assert!(known.len() > paths.len() / 2 && known.iter().all(|(number, told)| number == told), "{}", known.len());
        assert_eq!(cache.get((&service, &text("PUT"), &paths[0])), None);
        cache.clear();
        assert!(paths.iter().all(|path| cache.get((&service, &method, path)).is_none()));
        cache.put((&service, &method, &paths[0]), 7);
        assert_eq!(cache.get((&service, &method, &paths[0])), Some(&7));
    }
}
