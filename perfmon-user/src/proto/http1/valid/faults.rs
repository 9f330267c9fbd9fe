//! What was told of a connection against the truth.
use super::truth::ExchangeTruth;
use super::{MessageOrder, summary};
use crate::proto::exchange::Exchange;

fn index_of(done: &Exchange) -> Option<usize> {
    // A head that was cut may have lost a part of its path.
    done.path
        .as_deref()
        .filter(|path| *path != "/")
        .map(|path| path.strip_prefix('/').and_then(|index| index.parse().ok()).unwrap_or(usize::MAX))
}

/// What is wrong with what was told of a connection.
pub(super) fn faults(told_of: &[Exchange], truths: &[ExchangeTruth], order: MessageOrder) -> Vec<String> {
    let mut faults = Vec::new();
    let mut told = vec![0; truths.len()];
    for done in told_of {
        let mut fault = |what: &str| faults.push(format!("{what}: {}", summary(done)));
        if done.failure.is_some() {
            fault("error");
        }
        let index = index_of(done);
        let of_status = done.status.map(|status| truths.iter().position(|truth| truth.status == status));
        match (index.or(of_status.flatten()), of_status) {
            (Some(usize::MAX), _) => fault("exchange"),
            (Some(index), _) if index >= truths.len() => fault("exchange"),
            (_, Some(None)) => fault("status"),
            (None, _) => {}
            _ if order == MessageOrder::Overlapping => {}
            (Some(index), Some(Some(_))) if done.status != Some(truths[index].status) => fault("status of another"),
            (Some(index), _) => {
                told[index] += usize::from(!matches!(truths[index].status, 204 | 304) || index_of(done).is_some());
                let (truth, size) = (&truths[index], |pieces: &[String]| pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
                let sizes = (done.request_body, done.response_body, done.request_wire, done.response_wire);
                let expected = (Some(truth.sizes.0), Some(truth.sizes.1), size(&truth.request), size(&truth.answer));
                if !done.inferred && (done.status != Some(truth.status) || index_of(done) != Some(index) || sizes != expected) {
                    fault("exact");
                }
            }
        }
    }
    for (index, truth) in truths.iter().enumerate() {
        let of = |exact: bool| told_of.iter().filter(|done| index_of(done) == Some(index) && !(exact && done.inferred)).count();
        if told[index] > 1 {
            faults.push(format!("/{index} twice"));
        }
        if truth.seen && truth.head_captured && order != MessageOrder::Overlapping && of(false) == 0 {
            faults.push(format!("/{index} missing"));
        }
        if truth.seen && truth.captured && order == MessageOrder::Batches(1) && of(true) == 0 {
            faults.push(format!("/{index} not exact"));
        }
    }
    if told_of.len() > truths.len() && order != MessageOrder::Overlapping {
        faults.push("too many".to_owned());
    }
    faults
}
