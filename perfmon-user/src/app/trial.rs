//! `perfmon alerts test-rules`: judges the configured rules on the history on disk and prints what would have fired.
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::alert::{RuleTrial, StoredTime, TrialAlert, needed, try_rules};
use crate::cli::Period;
use crate::clock;
use crate::config::Config;
use crate::printable::printable;
use crate::record::WallTime;
use crate::store::StoreReader;

use super::{CommandFailure, alerts, options, report};

const NS: u64 = 1_000_000_000;

/// Judges them.
pub fn test_rules(config: &Config, period: Period, json: bool) -> Result<u8, CommandFailure> {
    let now = clock::wall_now().0 / NS;
    let (from, to) = match period {
        Period::Last(seconds) => (now.saturating_sub(seconds), now),
        Period::Range { from, to } => (from, to.unwrap_or(now).min(now)),
    };
    if from >= to {
        return Err(CommandFailure::Usage(vec!["--from: must be before now".into()]));
    }
    let settings = alerts::settings(config);
    let reader = StoreReader::of_file(config.db.clone(), options::retention(config));
    let mut stored = StoredTime { from_s: from, to_s: to, cells: Vec::new() };
    for (kind, before_s) in needed(&settings.rules) {
        let cells = reader.cells_since(kind, from.saturating_sub(before_s), to, now).map_err(|error| report::unreadable(config, error))?;
        stored.cells.extend(cells);
    }
    stored.cells.sort_by_key(|(length_s, cell)| cell.start_s + length_s);
    let trial = try_rules(&settings, &stored);
    if json {
        let text = serde_json::to_string_pretty(&trial).map_err(anyhow::Error::from)?;
        return super::print_json(&text);
    }
    super::print(&printed(&trial, &stored, settings.rules.len(), &config.reports.zone()))
}

/// For people.
fn printed(trial: &RuleTrial, stored: &StoredTime, rules: usize, zone: &TimeZone) -> String {
    let [from, to] = [stored.from_s, stored.to_s].map(|second| shown(WallTime(second * NS), zone));
    let coarsest = stored.cells.iter().map(|(length_s, _)| *length_s).max().unwrap_or(10);
    let mut text = format!("{rules} rules, {from} to {to}, on figures of {coarsest} s\n");
    if coarsest > 60 {
        text += "Of that time figures are kept by the hour: shorter windows see an hour at once.\n";
    }
    let alerts = &trial.alerts;
    text += &match alerts.len() {
        0 => "Nothing would have fired.\n".to_owned(),
        1 => "1 alert would have fired:\n".to_owned(),
        count => format!("{count} alerts would have fired:\n"),
    };
    alerts.iter().for_each(|alert| text += &line(alert, zone));
    if !trial.without_data.is_empty() {
        let names = trial.without_data.iter().map(|name| printable(name).to_string()).collect::<Vec<_>>().join(", ");
        text += &format!("Nothing is stored of the metrics of: {names}\n");
    }
    text
}

fn line(alert: &TrialAlert, zone: &TimeZone) -> String {
    let end = alert.resolved_at.map_or("still firing at the end".into(), |end| format!("until {}", shown(end, zone)));
    let (rule, message) = (printable(&alert.rule), printable(&alert.message));
    format!("  {} {end}  {}  {rule}\n    {message}\n", shown(alert.fired_at, zone), alert.severity.name())
}

fn shown(time: WallTime, zone: &TimeZone) -> String {
    let stamp = Timestamp::from_second((time.0 / NS) as i64).unwrap_or_default();
    stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
