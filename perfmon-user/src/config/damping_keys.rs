//! Keys that keep the number of notifications small: grouping and flap damping.
use std::time::Duration;

use super::alerts::Damping;
use super::duration;
use super::key::{Key, show_text};
use super::keys::{about, name_of};
use super::settings::Config;
use crate::alert::GroupBy;

const GROUPS: [(&str, GroupBy); 3] = [("rule", GroupBy::Rule), ("service", GroupBy::Service), ("none", GroupBy::None)];
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);
const SHORTEST_WINDOW: Duration = Duration::from_secs(60);

fn damping(config: &Config) -> &Damping {
    &config.alerts.damping
}

pub(super) const GROUP_BY: Key<Config> = Key {
    about: about(
        "alerts.group_by",
        None,
        "`rule`, `service` or `none`",
        "What alerts that fire or end together have in common to become one notification on `slack`, `teams` and `email`. Other channels get each alert.",
    ),
    set: |config, node| node.choice(&GROUPS).map(|by| config.alerts.damping.group_by = by),
    show: |config| Some(name_of(&GROUPS, damping(config).group_by)),
};

pub(super) const GROUP_WAIT: Key<Config> = Key {
    about: about("alerts.group_wait", None, "duration up to `5m`", "How long a notification waits for others of its group."),
    set: |config, node| node.duration(Duration::ZERO, LONGEST_WAIT).map(|wait| config.alerts.damping.group_wait = wait),
    show: |config| Some(show_text(&duration::show(damping(config).group_wait))),
};

pub(super) const FLAP_AFTER: Key<Config> = Key {
    about: about(
        "alerts.flap_after",
        None,
        "integer from 0 to 100",
        "An alert that fires this often within `flap_window` flaps: its notification says so, and it stays open until its condition was false for a third of the window. 0 switches this off.",
    ),
    set: |config, node| node.integer(0, 100).map(|count| config.alerts.damping.flap_after = count as u32),
    show: |config| Some(damping(config).flap_after.to_string()),
};

pub(super) const FLAP_WINDOW: Key<Config> = Key {
    about: about("alerts.flap_window", None, "duration from `1m` to `1d`", "See `flap_after`."),
    set: |config, node| node.duration(SHORTEST_WINDOW, LONGEST_WINDOW).map(|window| config.alerts.damping.flap_window = window),
    show: |config| Some(show_text(&duration::show(damping(config).flap_window))),
};
