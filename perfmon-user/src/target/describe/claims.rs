//! Names that processes give themselves. In: a name from a process's environment, its user and its control group; out: whether it is taken.
//! Anybody may write any name there, so a user, and a control group, have a limited number of them; beyond it the name of the container, the
//! unit or the program counts.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::limits;

/// Names taken so far.
#[derive(Debug, Default)]
pub(super) struct ClaimedNames {
    by_user: BTreeMap<u32, BTreeSet<Arc<str>>>,
    by_cgroup: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Names that were not taken.
    pub refused: u64,
}

impl ClaimedNames {
    /// Whether the name is taken. Root, which needs no trick to be somebody else, is limited by control group alone.
    pub fn admit(&mut self, name: &str, uid: Option<u32>, cgroup: Option<&str>) -> bool {
        let uid = uid.filter(|uid| *uid != 0);
        let cgroup = cgroup.unwrap_or("/");
        let of_user = uid.and_then(|uid| self.by_user.get(&uid));
        let of_cgroup = self.by_cgroup.get(cgroup);
        let fits = |names: Option<&BTreeSet<Arc<str>>>, limit| names.is_none_or(|names| names.contains(name) || names.len() < limit);
        if !fits(of_user, limits::SERVICE_NAMES_PER_USER) || !fits(of_cgroup, limits::SERVICE_NAMES_PER_CGROUP) {
            self.refused += 1;
            return false;
        }
        let name: Arc<str> = name.into();
        if let Some(uid) = uid {
            insert(&mut self.by_user, uid, name.clone());
        }
        insert(&mut self.by_cgroup, cgroup.into(), name);
        true
    }
}

fn insert<K: Ord + Clone>(groups: &mut BTreeMap<K, BTreeSet<Arc<str>>>, key: K, name: Arc<str>) {
    if groups.len() >= limits::NAMING_GROUPS && !groups.contains_key(&key) {
        // Names stay those of their processes; only their number is forgotten.
        groups.pop_first();
    }
    groups.entry(key).or_default().insert(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_names_in_however_many_groups() {
        let mut names = ClaimedNames::default();
        let per_group = limits::SERVICE_NAMES_PER_CGROUP;
        let taken = (0..2 * limits::SERVICE_NAMES_PER_USER)
            .filter(|n| names.admit(&format!("name-{n}"), Some(1000), Some(&format!("/job-{}", n / per_group))))
            .count();
        assert_eq!(taken, limits::SERVICE_NAMES_PER_USER);
        assert!(names.admit("name-0", Some(1000), Some("/job-0")), "a name that it has");
        assert!(names.admit("other", Some(1001), Some("/job-99")), "another user");
        assert_eq!(names.refused, limits::SERVICE_NAMES_PER_USER as u64);
    }

    #[test]
    fn a_control_group_has_so_many_names_also_as_root() {
        let mut names = ClaimedNames::default();
        let taken = (0..1_000).filter(|n| names.admit(&format!("name-{n}"), Some(0), Some("/a"))).count();
        assert_eq!(taken, limits::SERVICE_NAMES_PER_CGROUP);
        assert!(names.admit("other", Some(0), Some("/b")));
        for group in 0..2 * limits::NAMING_GROUPS {
            names.admit("x", Some(0), Some(&format!("/{group}")));
        }
        assert!(names.by_cgroup.len() <= limits::NAMING_GROUPS);
    }
}
