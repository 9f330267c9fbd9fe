//! Exchanges that the full ring hid: rows, rates and completeness.
use super::*;
use crate::record::TargetCoverage;

fn gauges(lost: [u64; 3]) -> Gauges {
    let mut target = TargetCoverage::named("shop", 7);
    target.add_losses(lost.iter().sum::<u64>() * 3, lost);
    Gauges { time: at(1), targets: vec![target], ..Gauges::default() }
}

#[test]
fn losses_go_to_the_rows_in_proportion_to_what_was_seen() {
    let mut aggregate = aggregate();
    for path in ["/a", "/a", "/a", "/b"] {
        add(&mut aggregate, request(Side::Server, path));
        add(&mut aggregate, Request { quality: Quality::Inferred, ..request(Side::Client, path) });
    }
    aggregate.gauges(gauges([0, 12, 36]));
    let view = minute(&mut aggregate, 1);
    let (a, b, totals) = (row(&view, "/a"), row(&view, "/b"), &view.totals);
    assert_eq!([a, b].map(|row| (row.count, row.losses.lost, row.losses.estimated_count)), [(3, 27, 30), (1, 9, 10)]);
    assert_eq!([a.completeness, b.completeness, totals.completeness], [Some(0.1); 3]);
    assert_eq!((totals.requests, totals.losses.lost, totals.losses.rates_estimated), (4, 36, true));
    assert_eq!((totals.rate_now_per_second, totals.requests_per_minute), (40.0, 40.0 * 60.0), "rates are of all");
    let asked = &view.destinations[0];
    assert_eq!((asked.count, asked.losses.lost, asked.completeness), (4, 12, Some(0.0)));
}

#[test]
fn what_was_known_is_not_added_again() {
    let mut aggregate = aggregate();
    add(&mut aggregate, request(Side::Server, "/a"));
    aggregate.gauges(gauges([5, 0, 0]));
    minute(&mut aggregate, 1);
    aggregate.gauges(gauges([5, 0, 1]));
    let view = minute(&mut aggregate, 2);
    assert_eq!((view.totals.losses.lost, row(&view, "/a").losses.lost), (6, 6), "without its role it is a server that serves");
}

#[test]
fn a_small_loss_is_not_marked() {
    let mut aggregate = aggregate();
    (0..1_000).for_each(|_| drop(add(&mut aggregate, request(Side::Server, "/a"))));
    aggregate.gauges(gauges([0, 0, 5]));
    let view = minute(&mut aggregate, 1);
    assert_eq!((view.totals.losses.lost, view.totals.losses.rates_estimated), (5, false));
    assert_eq!(view.totals.completeness, Some(1_000.0 / 1_005.0));
}

#[test]
fn losses_of_before_the_first_exchange_wait_for_it() {
    let mut aggregate = aggregate();
    aggregate.gauges(gauges([0, 12, 36]));
    assert_eq!(minute(&mut aggregate, 1).totals.losses.lost, 0);
    add(&mut aggregate, request(Side::Client, "/a"));
    assert_eq!(minute(&mut aggregate, 2).destinations[0].losses.lost, 12);
    add(&mut aggregate, request(Side::Server, "/a"));
    let view = minute(&mut aggregate, 3);
    assert_eq!((view.totals.losses.lost, row(&view, "/a").losses.lost, view.destinations[0].losses.lost), (36, 36, 12));
}
