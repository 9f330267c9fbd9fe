//! One shared copy of each string that comes again and again (methods, hosts, paths, user agents): a hash look-up instead of an
//! allocation. Bounded: when it is full it begins anew, which costs allocations only.
use std::sync::Arc;

use rustc_hash::FxHashSet;

/// Strings kept at most; with paths of 100 bytes about 1 MB.
const CAPACITY: usize = 8_192;
/// Longer strings are not worth keeping.
const LONGEST: usize = 256;

/// The strings.
#[derive(Debug, Default)]
pub(super) struct Interner {
    strings: FxHashSet<Arc<str>>,
}

impl Interner {
    /// The shared copy of `text`.
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        if text.len() <= LONGEST {
            if self.strings.len() >= CAPACITY {
                self.strings.clear();
            }
            self.strings.insert(new.clone());
        }
        new
    }
}
