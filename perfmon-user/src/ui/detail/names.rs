//! The detail of a name that a service asks for.
use std::sync::Arc;

use super::super::model::ScreenModel;
use super::super::tables::{attempts_tone, error_tone};
use super::{RowDetail, Tone, count, figure, share};
use crate::aggregate::snapshot::NameRow;

pub(in super::super) fn name_detail(row: &Arc<NameRow>, _: &ScreenModel) -> RowDetail {
    let tone = error_tone(row.error_rate);
    let codes = [
        ("NOERROR", row.rcodes.noerror),
        ("NXDOMAIN", row.rcodes.nxdomain),
        ("SERVFAIL", row.rcodes.servfail),
        ("REFUSED", row.rcodes.refused),
        ("TIMEOUT", row.rcodes.timeout),
        ("other codes", row.rcodes.other),
    ];
    let came = codes.into_iter().filter(|(_, number)| *number > 0).map(|(code, number)| (code, count(number), Tone::Plain));
    RowDetail::default()
        .toned(
            "Questions",
            [
                ("count", count(row.count), Tone::Plain),
                ("per minute", figure(row.requests_per_minute), Tone::Plain),
                ("errors", count(row.errors), tone),
                ("error rate", share(row.error_rate), tone),
                ("attempts", count(row.attempts), attempts_tone(row)),
                ("search list misses", count(row.search_misses), Tone::Plain),
            ],
        )
        .toned("Answers by code", came)
        .latency("Time to the answer, ms", &row.latency)
        .values("Where", [("service", row.service.to_string()), ("type", row.qtype.to_string())])
}
