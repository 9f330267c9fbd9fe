//! Model calls with both ends on this host are counted at each end. Of the two ends of the calls to a model, the one with more calls counts.
use std::collections::BTreeMap;

/// One end of the calls to a model.
#[derive(Clone, Debug)]
pub struct ModelEnd<T> {
    /// Provider and model as requested.
    pub model: [T; 2],
    /// The end that answers.
    pub is_server: bool,
    /// Calls counted there.
    pub calls: u64,
}

/// Those of `found` that count; `end` says what each is of.
pub fn one_end<S, T: Ord>(found: Vec<S>, end: impl Fn(&S) -> ModelEnd<T>) -> Vec<S> {
    let mut calls: BTreeMap<[T; 2], [u64; 2]> = BTreeMap::new();
    for ModelEnd { model, is_server, calls: count } in found.iter().map(&end) {
        calls.entry(model).or_default()[usize::from(is_server)] += count;
    }
    let counts = |one: &S| {
        let ModelEnd { model, is_server, .. } = end(one);
        let [client, server] = calls[&model];
        is_server == (server > client)
    };
    found.into_iter().filter(counts).collect()
}
