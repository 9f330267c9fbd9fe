//! Rules on a stored time.
use super::*;
use crate::alert::trial::{StoredTime, needed, try_rules};
use crate::store::tests::DAY;

/// A cell of ten seconds of a shop in which so many of a hundred requests fail.
fn cell(second: u64, failed: u64) -> Vec<SeriesCell> {
    let start_s = DAY + second;
    let records = [(request(10_000, "shop", "/", 5, 200), 100 - failed), (request(10_000, "shop", "/", 5, 500), failed)];
    let some: Vec<_> = records.into_iter().filter(|(_, count)| *count > 0).collect();
    series_of(&some).into_iter().map(|cell| SeriesCell { start_s, ..cell }).collect()
}

#[test]
fn what_would_have_fired_is_told_with_its_times() {
    let failing = |second: u64| if (3_000..3_600).contains(&second) { 50 } else { 0 };
    let cells = (0..7_200).step_by(10).flat_map(|second| cell(second, failing(second))).map(|cell| (10, cell)).collect();
    let settings = standing();
    assert_eq!(needed(&settings.rules)[&crate::record::metric::RecordKind::Request], 300);
    let stored = StoredTime { from_s: DAY + 600, to_s: DAY + 7_200, cells };
    let trial = try_rules(&settings, &stored);
    let found: Vec<_> = trial.alerts.iter().map(|alert| (&*alert.rule, &*alert.scope)).collect();
    assert_eq!(found, [("error_rate_5min", "all services")]);
    let [fired, resolved] = [Some(trial.alerts[0].fired_at), trial.alerts[0].resolved_at].map(|time| time.unwrap().0 / SECOND - DAY);
    // Five of a hundred are failed after 30 s, and `for` is 10 s; five minutes after the last of them the window is clean.
    assert!((3_040..=3_070).contains(&fired) && (3_900..=4_000).contains(&resolved), "{fired} {resolved}");
    assert!(trial.alerts[0].message.starts_with("Error rate of all services is "), "{}", trial.alerts[0].message);
    let without: Vec<_> = trial.without_data.iter().map(|name| &**name).collect();
    assert_eq!(without, ["memory_usage", "cpu_usage", "disk_usage"]);
    // Cells of a minute are looked at as wholes.
    let minutes = stored.cells.iter().filter(|(_, cell)| cell.start_s % 60 == 0).map(|(_, cell)| (60, cell.clone())).collect();
    let coarse = try_rules(&settings, &StoredTime { cells: minutes, ..stored.clone() });
    assert_eq!((coarse.alerts.len(), &*coarse.alerts[0].rule), (1, "error_rate_5min"));
    // The same time, begun while it fired, and ended before it was over.
    let trial = try_rules(&settings, &StoredTime { from_s: DAY + 3_200, to_s: DAY + 3_700, ..stored });
    assert_eq!((trial.alerts.len(), trial.alerts[0].resolved_at), (1, None));
}
