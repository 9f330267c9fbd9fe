//! What `/endpoints` and `/destinations` have in common: rows of a window, filtered by service, sorted and cut.
use std::cmp::Ordering;
use std::sync::Arc;

use axum::response::Response;
use serde::Serialize;

use super::HttpState;
use super::answer::{ApiError, List, json};
use super::params::Params;
use crate::aggregate::snapshot::WindowView;
use crate::limits;

/// Orders by name. Figures are sorted largest first, unknown last; names in their order.
pub(super) type Orders<T> = [(&'static str, fn(&T, &T) -> Ordering)];

/// The names of a row by which rows are selected, as parameters.
pub(super) type RowNames<T> = [(&'static str, fn(&T) -> Option<&str>)];

/// Whether a row has the names that the parameters give.
fn named<T>(row: &T, names: &RowNames<T>, params: &Params) -> bool {
    names.iter().all(|(name, of)| params.text(name).is_none_or(|wanted| of(row) == Some(wanted)))
}

/// Largest first, unknown last.
pub(super) fn largest(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY))
}

/// Answers with the selected rows, in the order of the snapshot or of `sort`.
pub(super) fn answer<T: Serialize>(
    state: &HttpState,
    params: Params,
    orders: &Orders<T>,
    rows: fn(&WindowView) -> &[Arc<T>],
    names: &RowNames<T>,
) -> Result<Response, ApiError> {
    let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let params = params.only(&[&["window", "sort", "limit"][..], &known].concat())?;
    let window = params.window()?;
    let order = params.choice("sort", orders)?;
    let limit = params.limit(limits::LIST_ITEMS, limits::LIST_ITEMS)?;
    let snapshot = state.snapshot();
    let all = snapshot.window(window).map_or(&[][..], rows);
    let mut items: Vec<_> = all.iter().filter(|row| named(row.as_ref(), names, &params)).collect();
    if let Some(order) = order {
        items.sort_by(|a, b| order(a, b));
    }
    let total = items.len();
    items.truncate(limit);
    Ok(json(&List { window_s: Some(window.seconds()), total, items }))
}
