//! Records through the feed, and deltas through windows.
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::record::metric::{Field, Metric, RecordKind, Statistic};
use crate::record::{LabelSet, Record, SeriesDetail, SeriesKey, Side, WallTime};
use crate::store::tests::{call, request, system};

const SECOND: u64 = 1_000_000_000;
/// A whole day.
const DAY: u64 = 20_000 * 86_400;

fn count(delta: &SeriesDelta, kind: RecordKind) -> u64 {
    delta.cells.iter().filter(|cell| cell.key.kind == kind).map(|cell| cell.cell.count).sum()
}

fn fed(records: &[Record]) -> std::sync::Arc<SeriesDelta> {
    let mut feed = SeriesFeed::default();
    records.iter().for_each(|record| feed.add(record));
    feed.take(WallTime(DAY * SECOND))
}

#[test]
fn each_record_counts_once_in_its_series_whatever_its_texts_are_in_memory() {
    let mut feed = SeriesFeed::default();
    // Each has texts of its own, which go before the next record takes their place in memory.
    for number in 0..1_000_u64 {
        feed.add(&request(DAY, "shop", &format!("/{}", number % 7), number, 200));
    }
    feed.add(&call(DAY, Side::Client, 0.5));
    let delta = feed.take(WallTime(DAY * SECOND));
    assert_eq!((count(&delta, RecordKind::Request), count(&delta, RecordKind::Llm), delta.records), (1_000, 1, 1_001));
    for endpoint in 0..7_u64 {
        let is_it = |cell: &&SeriesCell| cell.key.value("endpoint").is_some_and(|value| **value == *format!("/{endpoint}"));
        let wanted = (0..1_000).filter(|number| number % 7 == endpoint).count() as u64;
        assert_eq!(delta.cells.iter().filter(is_it).map(|cell| cell.cell.count).sum::<u64>(), wanted);
    }
    assert_eq!(feed.take(WallTime(DAY * SECOND)).cells, [], "what was taken does not come again");
}

#[test]
fn too_many_series_in_a_second_are_counted_in_those_of_their_service() {
    let records: Vec<Record> =
        (0..limits::SERIES_IN_DELTA + 500).map(|number| request(DAY, "shop", &format!("/{number}"), 5, 200)).collect();
    let delta = fed(&records);
    assert_eq!(delta.cells.len(), limits::SERIES_IN_DELTA + 1);
    assert_eq!((count(&delta, RecordKind::Request), delta.cells.last().unwrap().cell.count), (records.len() as u64, 500));
    assert_eq!(delta.cells.last().unwrap().key.value("endpoint").unwrap().as_ref(), "(other)");
}

#[test]
fn a_series_has_a_cell_of_each_detail_and_a_mixed_one_of_those_beyond_the_limit() {
    let statuses = 0..limits::DETAILS_OF_SERIES as u16 + 6;
    let records: Vec<Record> = statuses.clone().chain(statuses).map(|number| request(DAY, "shop", "/", 5, 100 + number)).collect();
    let delta = fed(&records);
    let mixed: Vec<u64> = delta.cells.iter().filter(|one| one.detail == SeriesDetail::Mixed).map(|one| one.cell.count).collect();
    assert_eq!((delta.cells.len(), mixed), (limits::DETAILS_OF_SERIES + 1, vec![12]));
    assert_eq!(count(&delta, RecordKind::Request), records.len() as u64);
    let of_one = |one: &&SeriesCell| matches!(one.detail, SeriesDetail::Request(detail) if detail.status == Some(100));
    assert_eq!(delta.cells.iter().find(of_one).map(|one| one.cell.count), Some(2));
}

#[test]
fn file_systems_are_series_of_their_own() {
    let Record::System(mut sample) = system(DAY, 1.0) else { unreachable!() };
    let disk = |mount: &str, used_percent| crate::record::Disk {
        mount: mount.into(),
        used_percent,
        free_bytes: 5,
        read_bytes: None,
        write_bytes: None,
        busy_percent: None,
        full_in_s: None,
    };
    sample.disks = vec![disk("/", 20.0), disk("/home", 90.0)];
    let delta = fed(&[Record::System(sample)]);
    let usage = Field::named(RecordKind::Disk, "usage").unwrap();
    let home = delta.cells.iter().find(|cell| cell.key.value("mount").is_some_and(|mount| &**mount == "/home")).unwrap();
    assert_eq!(home.cell.field(usage, Statistic::Mean), Some(0.9));
}

fn window(length_s: u64) -> SeriesShare {
    SeriesShare { kind: RecordKind::Request, length_s, fields: FieldSet::ALL, labels: LabelSet::ALL }
}

fn total(recent: &RecentSeries, share: &SeriesShare, metric: &str) -> Option<f64> {
    let mut sum = Cell::default();
    let window = recent.window(share).unwrap();
    window.series().for_each(|(_, cell)| sum.merge(cell));
    sum.value(&Metric::parse(metric).unwrap(), window.covered_s())
}

#[test]
fn a_window_holds_its_length_and_at_most_a_step_more() {
    for length_s in [10, 60, 300, 3_600, 86_400] {
        let (share, mut recent) = (window(length_s), RecentSeries::default());
        recent.keep([share], WallTime(DAY * SECOND));
        let step = length_s.div_ceil(30).next_multiple_of(CELL_S);
        let every = (length_s / 300).max(1) * 10;
        for second in (0..3 * length_s).step_by(every as usize) {
            let delta = fed(&[request(DAY + second, "shop", "/", 1_000, 200)]);
            recent.add(&SeriesDelta { until: WallTime((DAY + second + 1) * SECOND), ..(*delta).clone() });
            let seen = total(&recent, &share, "request.count").unwrap();
            let most = (length_s + step) / every + 1;
            let least = second.min(length_s.saturating_sub(step)) / every;
            assert!((least..=most).contains(&(seen as u64)), "{length_s} {second}: {seen} of {least}..{most}");
        }
        assert!(recent.window(&share).unwrap().is_full());
        recent.add(&SeriesDelta { until: WallTime((DAY + 10 * length_s) * SECOND), ..SeriesDelta::default() });
        assert_eq!(recent.window(&share).unwrap().series().count(), 0);
    }
}

#[test]
fn a_window_goes_on_where_an_earlier_run_ended() {
    let (share, mut recent) = (window(3_600), RecentSeries::default());
    recent.keep([share], WallTime(DAY * SECOND));
    assert!(!recent.window(&share).unwrap().is_full());
    recent.begin_with(RecordKind::Request, DAY - 3_600, &fed(&[request(DAY - 1_000, "shop", "/", 1_000, 500)]).cells);
    assert!(recent.window(&share).unwrap().is_full());
    assert_eq!(total(&recent, &share, "request.errors"), Some(1.0));
}

#[test]
fn one_window_serves_with_and_without_distributions_and_keeps_its_data() {
    let shaped = window(60);
    let bare = SeriesShare { fields: FieldSet::default(), ..shaped };
    let (now, mut recent) = (WallTime(DAY * SECOND), RecentSeries::default());
    recent.keep([bare, shaped], now);
    recent.add(&fed(&[request(DAY, "shop", "/", 5_000, 500)]));
    assert_eq!(total(&recent, &bare, "request.errors"), Some(1.0));
    assert_eq!(total(&recent, &shaped, "request.response_time_ms.p95"), Some(5.0));
    recent.keep([bare], now);
    assert_eq!(total(&recent, &bare, "request.errors"), Some(1.0), "the rule on percentiles is gone");
    recent.keep([bare, shaped], now);
    assert_eq!(total(&recent, &bare, "request.errors"), Some(1.0), "and came back: it begins anew, the other one does not");
    assert_eq!(total(&recent, &shaped, "request.errors"), Some(0.0));
}

#[test]
fn series_of_a_window_are_bounded() {
    let (share, mut recent) = (window(60), RecentSeries::default());
    recent.keep([share], WallTime(DAY * SECOND));
    for part in 0..5 {
        let records: Vec<Record> = (0..2_000).map(|n| request(DAY, "shop", &format!("/{part}/{n}"), 5, 200)).collect();
        recent.add(&fed(&records));
    }
    assert_eq!(recent.window(&share).unwrap().series().count(), limits::SERIES_RECENT + 1);
    assert_eq!(total(&recent, &share, "request.count"), Some(10_000.0));
}

#[test]
fn lost_exchanges_are_counted_beside_those_seen() {
    let mut feed = SeriesFeed::default();
    let record = request(DAY, "shop", "/", 5, 200);
    feed.add(&record);
    feed.lost(WallTime(DAY * SECOND), vec![(SeriesKey::of(&record).unwrap(), 3)]);
    let (share, mut recent) = (window(60), RecentSeries::default());
    recent.keep([share], WallTime(DAY * SECOND));
    recent.add(&feed.take(WallTime(DAY * SECOND)));
    assert_eq!((total(&recent, &share, "request.count"), total(&recent, &share, "request.lost.sum")), (Some(1.0), Some(3.0)));
}

#[test]
fn a_clock_that_is_set_back_begins_the_window_anew() {
    let (share, mut recent) = (window(60), RecentSeries::default());
    recent.keep([share], WallTime((DAY + 5_000) * SECOND));
    let at = |second: u64| {
        let delta = fed(&[request(DAY + second, "shop", "/", 5, 200)]);
        SeriesDelta { until: WallTime((DAY + second + 1) * SECOND), ..(*delta).clone() }
    };
    recent.add(&at(5_000));
    recent.add(&at(100));
    assert_eq!(total(&recent, &share, "request.count"), Some(1.0));
    assert!(!recent.window(&share).unwrap().is_full());
}

#[test]
fn series_of_a_window_are_found_by_a_value_and_forgotten_with_their_time() {
    let share = SeriesShare { kind: RecordKind::Request, length_s: 60, fields: FieldSet::default(), labels: LabelSet::ALL };
    let mut recent = RecentSeries::default();
    recent.keep([share], WallTime(DAY * SECOND));
    let named = |recent: &RecentSeries, values: &[&str]| {
        let window = recent.window(&share).unwrap();
        let mut found: Vec<String> =
            window.series_with(values.iter().copied()).map(|(key, _)| key.value("endpoint").unwrap().to_string()).collect();
        found.sort();
        found
    };
    let feed = |recent: &mut RecentSeries, second: u64, pairs: &[(&str, &str)]| {
        let mut feed = SeriesFeed::default();
        pairs.iter().for_each(|(service, endpoint)| feed.add(&request(DAY + second, service, endpoint, 5, 200)));
        recent.add(&feed.take(WallTime((DAY + second) * SECOND)));
    };
    feed(&mut recent, 5, &[("shop", "/old"), ("shop", "/a"), ("desk", "/a"), ("/a", "/a")]);
    assert_eq!(named(&recent, &["/a"]), ["/a", "/a", "/a"]);
    assert_eq!((named(&recent, &["shop"]), named(&recent, &["shop", "/a"]).len()), (vec!["/a".into(), "/old".into()], 2));
    assert_eq!((named(&recent, &["shop", "none"]), named(&recent, &[]).len()), (vec![], 4));
    feed(&mut recent, 65, &[("desk", "/new"), ("shop", "/a")]);
    feed(&mut recent, 95, &[("desk", "/new")]);
    assert_eq!((named(&recent, &["/old"]), named(&recent, &["desk"])), (vec![], vec!["/new".into()]));
    assert_eq!((named(&recent, &["shop"]), named(&recent, &[]).len()), (vec!["/a".into()], 2));
}

#[test]
fn a_window_tells_series_apart_by_its_labels_alone() {
    let by_service = LabelSet::of(RecordKind::Request, |label| label == "service");
    let share = SeriesShare { labels: by_service, ..window(60) };
    let mut recent = RecentSeries::default();
    recent.keep([share], WallTime(DAY * SECOND));
    for part in 0..2 {
        let of = |service: &'static str| (0..50_u64).map(move |n| request(DAY, service, &format!("/{part}/{n}"), 5_000 + n, 200));
        recent.add(&fed(&of("shop").chain(of("bank").take(10)).collect::<Vec<Record>>()));
    }
    let counts = recent.window(&share).unwrap().series().map(|(key, cell)| (key.service().unwrap().to_string(), cell.count));
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    assert_eq!(counts, [("bank".into(), 20), ("shop".into(), 100)]);
    assert!(recent.window(&window(60)).is_none(), "it does not serve where endpoints are asked for");
    assert_eq!(total(&recent, &share, "request.response_time_ms.max"), Some(5.049));
}

proptest! {
    #[test]
    fn what_leaves_a_window_is_as_if_it_had_never_been_there(parts in prop::collection::vec(prop::collection::vec((1_u64..5_000_000, 0_u16..3), 0..8), 1..8)) {
        let cell = |part: &Vec<(u64, u16)>| {
            let mut cell = Cell::default();
            part.iter().for_each(|(us, class)| cell.note(RecordKind::Request, &request(DAY, "shop", "/", *us, 200 + 150 * class)));
            cell.settle();
            cell
        };
        let parts: Vec<Cell> = parts.iter().map(cell).collect();
        let sum_of = |parts: &[Cell]| {
            let mut sum = Cell::default();
            parts.iter().for_each(|part| sum.merge(part));
            sum
        };
        let mut sum = sum_of(&parts);
        for gone in 0..parts.len() {
            sum.take_off(&parts[gone], parts[gone + 1..].iter());
            prop_assert_eq!(&sum, &sum_of(&parts[gone + 1..]));
        }
    }
}

#[test]
fn memory_of_an_earlier_second_counts_nothing() {
    let mut feed = SeriesFeed::default();
    let mut second = |records: &[Record]| {
        records.iter().for_each(|record| feed.add(record));
        (*feed.take(WallTime(DAY * SECOND))).clone().cells
    };
    let [fast, slow] = [5_000, 900_000].map(|us| request(DAY, "shop", "/", us, 200));
    let failed = request(DAY, "shop", "/pay", 7_000, 503);
    let first = second(&[fast.clone(), slow, failed]);
    assert_eq!(first.len(), 2);
    for _ in 0..3 {
        let alone = second(std::slice::from_ref(&fast));
        let mut own = Cell::default();
        own.note(RecordKind::Request, &fast);
        own.settle();
        assert_eq!(alone.iter().map(|cell| &cell.cell).collect::<Vec<_>>(), [&own]);
        assert_eq!(Cell::from_bytes(&alone[0].cell.to_bytes()).as_ref(), Some(&own));
    }
}
