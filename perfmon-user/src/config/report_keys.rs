//! Scheduled reports as configured: when they are made, in which time zone, and to which channels they go; and their keys.
use jiff::tz::TimeZone;

use super::ConfigProblem;
use super::alerts::Alerts;
use super::key::{Key, show_list, show_text};
use super::keys::{about, words};
use super::node::{Checked, ConfigNode};
use super::settings::Config;
use crate::report::ReportTime;

/// The word for no report.
const OFF: &str = "off";

/// Scheduled reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSettings {
    /// When a report is made each day.
    pub daily: Option<ReportTime>,
    /// When a report is made each week.
    pub weekly: Option<ReportTime>,
    /// Name of the time zone; `None`: that of the host.
    pub timezone: Option<String>,
    /// Channels that they are sent to.
    pub channels: Vec<String>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        let (daily, weekly) = (ReportTime::daily(7, 0), ReportTime::weekly(jiff::civil::Weekday::Monday, 7, 0));
        Self { daily: Some(daily), weekly: Some(weekly), timezone: None, channels: Vec::new() }
    }
}

impl ReportSettings {
    /// The time zone; its name was checked when it was set.
    pub fn zone(&self) -> TimeZone {
        self.timezone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system)
    }

    /// When reports are made.
    pub fn times(&self) -> impl Iterator<Item = ReportTime> {
        self.daily.into_iter().chain(self.weekly)
    }
}

/// A time of a rhythm, `None` for `off`.
fn time(node: &ConfigNode, weekly: bool) -> Checked<Option<ReportTime>> {
    let form = if weekly { "mon 07:00" } else { "07:00" };
    match node.text()? {
        OFF => Ok(None),
        text => match text.parse::<ReportTime>() {
            Ok(time) if time.weekday.is_some() == weekly => Ok(Some(time)),
            _ => node.fault(format!("{text:?} is not a time like {form:?}, and not \"off\"")),
        },
    }
}

fn show(time: Option<ReportTime>) -> Option<String> {
    Some(show_text(&time.map_or(OFF.to_string(), |time| time.to_string())))
}

pub(super) const DAILY: Key<Config> = Key {
    about: about(
        "reports.daily",
        None,
        "local time like `07:00`, or `off`",
        "When a report on the last day is made and kept in the history, if there is one.",
    ),
    set: |config, node| time(node, false).map(|time| config.reports.daily = time),
    show: |config| show(config.reports.daily),
};

pub(super) const WEEKLY: Key<Config> = Key {
    about: about(
        "reports.weekly",
        None,
        "day and local time like `mon 07:00`, or `off`",
        "When a report on the last seven days is made and kept; days are `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.",
    ),
    set: |config, node| time(node, true).map(|time| config.reports.weekly = time),
    show: |config| show(config.reports.weekly),
};

pub(super) const TIMEZONE: Key<Config> = Key {
    about: about(
        "reports.timezone",
        None,
        "name like `Europe/Berlin`",
        "Time zone of the times and days of reports; else that of the host. Its changes of the clocks are followed.",
    ),
    set: |config, node| {
        let name = words(node)?;
        match TimeZone::get(&name) {
            Ok(_) => {
                config.reports.timezone = Some(name);
                Ok(())
            }
            Err(_) => node.fault(format!("{name:?} is not a time zone of this host, like Europe/Berlin or UTC")),
        }
    },
    show: |config| config.reports.timezone.as_deref().map(show_text),
};

pub(super) const CHANNELS: Key<Config> = Key {
    about: about(
        "reports.channels",
        None,
        "list of names of channels",
        "Channels of `alerts.channels` that scheduled reports are sent to: the summary, and by `email` the whole report.",
    ),
    set: |config, node| node.list(words).map(|names| config.reports.channels = names),
    show: |config| show_list(&config.reports.channels, |name| show_text(name)),
};

/// Channels that do not exist or take no reports.
pub(super) fn contradictions(reports: &ReportSettings, alerts: &Alerts, place: impl Fn(&str) -> String) -> Vec<ConfigProblem> {
    let fault = |name: &String| {
        let message = match alerts.channels.iter().find(|channel| channel.name == *name) {
            Some(channel) if channel.kind.is_some_and(|kind| !kind.takes_reports()) => {
                format!("{name} is a channel for incidents, which takes no reports; name one of another type")
            }
            // Without any channel there is the log, by that name.
            None if !(alerts.channels.is_empty() && name == "log") => format!("no channel is named {name}"),
            _ => return None,
        };
        Some(ConfigProblem::new(place("reports.channels"), message))
    };
    reports.channels.iter().filter_map(fault).collect()
}
