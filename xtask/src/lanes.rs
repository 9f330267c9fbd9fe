//! Work side by side: each of some threads takes the next item until none is left.
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Does the work of each item, so many at a time; their results, in the order in which they end. A lane ends with its first error.
pub fn in_lanes<T: Sync, R: Send>(items: &[T], lanes: usize, work: impl Fn(usize, &T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let (waiting, results) = (Mutex::new(items.iter().enumerate()), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || -> Result<()> {
        while let Some((number, item)) = next() {
            let result = work(number, item)?;
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes.max(1)).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(|_| bail!("a lane panicked")))
    })?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_an_error_is_told() {
        let items: Vec<usize> = (0..100).collect();
        for lanes in [0, 1, 3] {
            let mut done = in_lanes(&items, lanes, |number, item| Ok((number, *item))).unwrap();
            done.sort_unstable();
            assert_eq!(done, items.iter().map(|item| (*item, *item)).collect::<Vec<_>>());
        }
        assert!(in_lanes(&items, 2, |_, item| if *item == 7 { bail!("no") } else { Ok(()) }).is_err());
    }
}
