//! Who asks: what is known of the other end of a connection, and the users who may read and act. In: the owner of the peer's socket,
//! settings, `/etc/passwd` and `/etc/group` as they are at the start; users of other sources are named by their number.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::listener::RequestClock;

/// What is known of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// A user of this host.
    User(u32),
    /// Of this host, and nothing else is known.
    Unknown,
    /// Of another host.
    Remote(std::net::IpAddr),
}

/// A connection, kept for its life and given to each of its requests.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Address and port, or `unix`.
    pub from: Arc<str>,
    pub caller: Caller,
    /// It came when its caller had all its places: good for health and metrics alone.
    pub reserved: bool,
    /// Requests come in clear text where TLS is spoken: every one is refused.
    pub clear_text: Arc<AtomicBool>,
    pub clock: Arc<RequestClock>,
}

/// Who did something, for the audit trail.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// Name of the user, or `token`.
    pub by: Arc<str>,
    /// Number of the user.
    pub uid: Option<u32>,
    /// From where.
    pub from: Arc<str>,
}

/// Users of this host that may read and act.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    uids: BTreeSet<u32>,
    names: BTreeMap<u32, Arc<str>>,
}

/// The files of users and groups.
#[derive(Clone, Debug, Default)]
pub struct AccountFiles {
    /// `/etc/passwd`, passwd(5).
    pub passwd: String,
    /// `/etc/group`, group(5).
    pub group: String,
}

impl AccountFiles {
    /// Of this host.
    pub fn read() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// Name, user id and group id of each user.
    fn users(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, uid) = (fields.next()?, fields.nth(1)?);
            Some((name, uid.parse().ok()?, fields.next()?.parse().ok()?))
        })
    }

    fn uid(&self, name: &str) -> Option<u32> {
        self.users().find(|(known, ..)| *known == name).map(|(_, uid, _)| uid).or_else(|| name.parse().ok())
    }

    /// The number of a group and its listed members.
    fn group(&self, wanted: &str) -> Option<(u32, &str)> {
        let mut groups = self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, gid) = (fields.next()?, fields.nth(1)?);
            Some((name, gid.parse::<u32>().ok()?, fields.next().unwrap_or_default()))
        });
        let found = groups.find(|(name, gid, _)| *name == wanted || wanted.parse() == Ok(*gid));
        found.map(|(_, gid, members)| (gid, members)).or_else(|| Some((wanted.parse().ok()?, "")))
    }

    /// The number of a group.
    pub fn gid(&self, group: &str) -> Option<u32> {
        self.group(group).map(|(gid, _)| gid)
    }

    /// Its members, those with it as their primary group too.
    fn members(&self, group: &str) -> Option<Vec<u32>> {
        let (gid, members) = self.group(group)?;
        let primary = self.users().filter(|(_, _, own)| *own == gid).map(|(_, uid, _)| uid);
        Some(members.split(',').filter_map(|name| self.uid(name.trim())).chain(primary).collect())
    }
}

impl Admitted {
    /// Root, the user of this process, `started_by` (names or numbers), and the users and groups of the configuration. Errors: each name that
    /// this host does not know.
    pub fn new(files: &AccountFiles, started_by: &[String], users: &[String], groups: &[String]) -> Result<Self, Vec<String>> {
        let mut uids = BTreeSet::from([0, rustix::process::geteuid().as_raw()]);
        uids.extend(started_by.iter().filter_map(|name| files.uid(name)));
        let mut problems = Vec::new();
        for name in users {
            match files.uid(name) {
                Some(uid) => drop(uids.insert(uid)),
                None => problems
                    .push(format!("http.allow_users: no user {name:?} in /etc/passwd; a user from elsewhere is given by its number")),
            }
        }
        for name in groups {
            match files.members(name) {
                Some(members) => uids.extend(members),
                None => problems.push(format!("http.allow_groups: no group {name:?} in /etc/group; list its users in http.allow_users")),
            }
        }
        let names = files.users().map(|(name, uid, _)| (uid, name.into())).collect();
        if problems.is_empty() { Ok(Self { uids, names }) } else { Err(problems) }
    }

    pub(super) fn has(&self, caller: Caller) -> bool {
        matches!(caller, Caller::User(uid) if self.uids.contains(&uid))
    }

    /// Its name, else its number.
    pub(super) fn name(&self, caller: Caller) -> Option<Arc<str>> {
        match caller {
            Caller::User(uid) => Some(self.names.get(&uid).cloned().unwrap_or_else(|| format!("uid {uid}").into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read() {
        let files = AccountFiles {
            passwd: "root:x:0:0::/root:/bin/sh\nann:x:1001:50::/:\nbob:x:1002:60::/:\nbroken\ncy:x:1003:70::/:\n".into(),
            group: "ops:x:50:bob\nweb:x:60:\n".into(),
        };
        let admitted = |users: &[&str], groups: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            let admitted = Admitted::new(&files, &["1003".into()], &owned(users), &owned(groups));
            admitted.map(|admitted| [1001, 1002, 1003, 1004].map(|uid| admitted.has(Caller::User(uid))))
        };
        assert_eq!(admitted(&[], &[]), Ok([false, false, true, false]));
        assert_eq!(admitted(&["ann", "1004"], &[]), Ok([true, false, true, true]));
        assert_eq!(admitted(&[], &["ops"]), Ok([true, true, true, false]), "primary and listed members");
        assert_eq!(admitted(&[], &["60"]), Ok([false, true, true, false]));
        assert_eq!(admitted(&["eve"], &["none"]).map_err(|problems| problems.len()), Err(2));
    }
}
