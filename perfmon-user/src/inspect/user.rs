//! The user for whom a file is opened: the file-system user, group and groups of the process that it belongs to. The kernel then
//! decides with all it knows (modes, ACLs, security modules) whether that user may read it. Format: /proc/PID/status, proc(5).
use std::io;

use rustix::process::{Gid, Uid, getegid, geteuid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Groups that are kept; the kernel's limit is 65,536.
const GROUPS: usize = 1_024;

/// A user with groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUser {
    /// File-system user id.
    pub uid: u32,
    /// File-system group id.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

impl FileUser {
    /// From the text of /proc/PID/status; the file-system ids stand last in their lines.
    pub fn parse(status: &str) -> Option<Self> {
        let values = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::split_ascii_whitespace);
        let last = |name: &str| values(name)?.next_back()?.parse().ok();
        let groups = values("Groups:")?.filter_map(|group| group.parse().ok()).take(GROUPS).collect();
        Some(Self { uid: last("Uid:")?, gid: last("Gid:")?, groups })
    }

    /// Does something with this user's rights to files, in this thread. Without root it is done with perfmon's own rights, which are
    /// those of an ordinary user then.
    ///
    /// # Errors
    /// When the rights cannot be taken. When they cannot be given back, this process must not go on: it ends.
    pub(super) fn act<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        if self.uid == 0 || !geteuid().is_root() {
            return Ok(act());
        }
        let (gid, groups) = (getegid(), getgroups()?);
        let wanted: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let taken = set_thread_groups(&wanted)
            .and_then(|()| set_thread_res_gid(None, Gid::from_raw(self.gid), None))
            .and_then(|()| set_thread_res_uid(None, Uid::from_raw(self.uid), None));
        let result = taken.map(|()| act());
        let given_back = set_thread_res_uid(None, Uid::ROOT, None)
            .and_then(|()| set_thread_res_gid(None, gid, None))
            .and_then(|()| set_thread_groups(&groups));
        if given_back.is_err() {
            std::process::abort();
        }
        Ok(result?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_ids_count() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t8 100 \nThreads:\t1\n";
        assert_eq!(FileUser::parse(status), Some(FileUser { uid: 4, gid: 8, groups: vec![8, 100] }));
        assert_eq!(FileUser::parse("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\n").map(|owner| owner.groups), Some(vec![]));
        assert_eq!(FileUser::parse("Name:\tx\n"), None);
    }
}
