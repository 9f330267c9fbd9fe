//! Descriptions of the known processes, kept up to date by exec, fork, exit and listen. At most `limits::PROCESSES`; on overflow the
//! longest unasked go and are counted. An ended process is kept for two sweeps, since its last records come after its end.
use std::collections::HashMap;
use std::sync::Arc;

use crate::counters::Counters;
use crate::limits::PROCESSES;

use super::Executed;
use super::describe::{Describer, Description};

/// Sweeps that an ended process stays.
const SWEEPS: u8 = 2;

/// The known processes.
#[derive(Debug)]
pub struct Processes {
    describer: Describer,
    by_pid: HashMap<u32, Entry>,
    capacity: usize,
    /// Counts look-ups: the clock by which the longest unasked is found.
    asked: u64,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Entry {
    description: Arc<Description>,
    asked: u64,
    /// Sweeps left, once it has ended.
    ending: Option<u8>,
    /// Described at its exec, when its libraries were not loaded yet.
    young: bool,
}

impl Processes {
    /// None known yet.
    pub fn new(describer: Describer, counters: Arc<Counters>) -> Self {
        Self { describer, by_pid: HashMap::new(), capacity: PROCESSES, asked: 0, counters }
    }

    /// Who this is; looks into /proc only when it is not known. `None` when it is gone and was never seen.
    pub fn get(&mut self, pid: u32) -> Option<Arc<Description>> {
        self.asked += 1;
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.asked = self.asked;
            return Some(entry.description.clone());
        }
        let description = self.describer.describe(pid)?;
        Some(self.insert(description, false))
    }

    /// Who this is, with what its exec event told in case that it is gone.
    pub fn get_executed(&mut self, executed: &Executed<'_>) -> Arc<Description> {
        let known = if self.by_pid.contains_key(&executed.pid) { self.get(executed.pid) } else { None };
        known.unwrap_or_else(|| self.on_exec(executed))
    }

    /// A process became another program.
    pub fn on_exec(&mut self, executed: &Executed<'_>) -> Arc<Description> {
        let description = self.describer.describe_exec(executed);
        self.insert(description, true)
    }

    /// A process becomes another program: it is described anew when it is next asked for.
    pub fn forget(&mut self, pid: u32) {
        self.by_pid.remove(&pid);
    }

    /// A child without a program of its own is what its parent is.
    pub fn on_fork(&mut self, pid: u32, parent: u32) {
        let start_time = self.describer.identity(pid).map(|(start_time, _)| start_time);
        match self.by_pid.get(&parent).map(|entry| (entry.description.of_child(pid, start_time), entry.young)) {
            Some((description, young)) => {
                self.insert(description, young);
            }
            // What is known under this pid is an earlier process.
            None => {
                self.by_pid.remove(&pid);
            }
        }
    }

    /// A process began to listen: its name may depend on the port.
    pub fn on_listen(&mut self, pid: u32) {
        if self.describer.names_ports()
            && let Some(description) = self.describer.describe(pid)
        {
            self.insert(description, false);
        }
    }

    /// A process ended.
    pub fn on_exit(&mut self, pid: u32) {
        if let Some(entry) = self.by_pid.get_mut(&pid) {
            entry.ending = Some(SWEEPS);
        }
    }

    /// Looks again at a process's runtime and libraries, for a listing. `None` when it is not known.
    pub fn look_again(&mut self, pid: u32) -> Option<Arc<Description>> {
        self.get(pid)?;
        let (runtime, tls) = self.describer.look_inside(pid);
        let entry = self.by_pid.get_mut(&pid)?;
        if runtime.is_some() && (entry.description.runtime != runtime || entry.description.tls != tls) {
            entry.description = Arc::new(Description { runtime, tls, ..(*entry.description).clone() });
        }
        Some(entry.description.clone())
    }

    /// Call every few seconds, for events that were lost: forgets what ended, describes anew what has another name (it executed a
    /// program), and looks once more at young processes.
    pub fn sweep(&mut self) {
        let (mut renamed, mut young) = (Vec::new(), Vec::new());
        let describer = &self.describer;
        self.by_pid.retain(|pid, entry| {
            let identity = if entry.ending.is_none() { describer.identity(*pid) } else { None };
            match (identity, &mut entry.ending) {
                (Some((start_time, comm)), _) if Some(start_time) == entry.description.start_time => {
                    if *comm != *entry.description.origin.comm {
                        renamed.push(*pid);
                    } else if std::mem::take(&mut entry.young) {
                        young.push(*pid);
                    }
                }
                (_, Some(0)) => return false,
                (_, Some(left)) => *left -= 1,
                (_, None) => entry.ending = Some(SWEEPS - 1),
            }
            true
        });
        for pid in renamed {
            if let Some(description) = self.describer.describe(pid) {
                self.insert(description, false);
            }
        }
        for pid in young {
            self.look_again(pid);
        }
    }

    /// Processes that run, as far as is known.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Description>> {
        self.by_pid.values().filter(|entry| entry.ending.is_none()).map(|entry| &entry.description)
    }

    fn insert(&mut self, description: Description, young: bool) -> Arc<Description> {
        let (pid, description) = (description.origin.pid, Arc::new(description));
        if self.by_pid.len() >= self.capacity && !self.by_pid.contains_key(&pid) {
            self.evict();
        }
        self.asked += 1;
        self.by_pid.insert(pid, Entry { description: description.clone(), asked: self.asked, ending: None, young });
        description
    }

    /// A sixteenth goes at once, so that a flood of processes does not cost a search each.
    fn evict(&mut self) {
        let mut times: Vec<u64> = self.by_pid.values().map(|entry| entry.asked).collect();
        let count = (self.capacity / 16).max(1).min(times.len());
        let (_, limit, _) = times.select_nth_unstable(count - 1);
        let limit = *limit;
        self.by_pid.retain(|_, entry| entry.asked > limit);
        self.counters.processes_evicted.add(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::container::ContainerNames;
    use crate::target::fixture::Fixture;
    use crate::target::{ServiceRule, Target};

    fn processes(fixture: &Fixture) -> Processes {
        Processes::new(Describer::with(fixture.proc(), ContainerNames::below(fixture.path()), &[]).unwrap(), Arc::default())
    }

    #[test]
    fn a_forked_worker_is_what_its_parent_is_until_it_executes() {
        let fixture = Fixture::new();
        fixture.process(10, 1, "/usr/bin/python3.11", &["python3", "/srv/shop.py"]);
        let mut processes = processes(&fixture);
        let parent = processes.get(10).unwrap();
        fixture.process(11, 10, "/usr/bin/python3.11", &["something else"]);
        processes.on_fork(11, 10);
        let child = processes.get(11).unwrap();
        assert_eq!((&child.origin.service, child.origin.pid, child.start_time), (&parent.origin.service, 11, Some(111)));
        fixture.end(11);
        fixture.process(11, 10, "/usr/bin/sleep", &["sleep", "1"]);
        processes.on_exec(&Executed { pid: 11, parent: 10, comm: "sleep", argv: b"sleep\x001\0" });
        assert_eq!(&*processes.get(11).unwrap().origin.service, "sleep");
    }

    #[test]
    fn what_ended_is_known_for_two_sweeps() {
        let fixture = Fixture::new();
        fixture.process(10, 1, "/usr/sbin/nginx", &["nginx"]);
        fixture.process(20, 1, "/usr/sbin/nginx", &["nginx"]);
        let mut processes = processes(&fixture);
        processes.get(10).unwrap();
        processes.get(20).unwrap();
        fixture.end(10);
        processes.on_exit(10);
        assert_eq!(processes.running().count(), 1);
        for _ in 0..SWEEPS {
            processes.sweep();
            assert!(processes.get(10).is_some());
        }
        processes.sweep();
        assert!(processes.get(10).is_none() && processes.get(20).is_some());
        // Its exit event was lost, and its pid has a new tenant.
        fixture.end(20);
        fixture.process(20, 1, "/usr/bin/curl", &["curl"]);
        fixture.file("proc/20/stat", &std::fs::read_to_string(fixture.path().join("proc/20/stat")).unwrap().replace(" 120 ", " 999 "));
        for _ in 0..=SWEEPS {
            processes.sweep();
        }
        assert_eq!(&*processes.get(20).unwrap().origin.service, "curl");
    }

    #[test]
    fn a_lost_exec_is_found_by_the_name() {
        let fixture = Fixture::new();
        fixture.process(10, 1, "/usr/bin/bash", &["bash", "/opt/start"]);
        let mut processes = processes(&fixture);
        assert_eq!(&*processes.get(10).unwrap().origin.service, "start");
        fixture.end(10);
        fixture.process(10, 1, "/usr/bin/python3.11", &["python3", "/srv/shop.py"]);
        assert_eq!(&*processes.get(10).unwrap().origin.service, "start");
        processes.sweep();
        let description = processes.get(10).unwrap();
        assert_eq!((&*description.origin.service, description.runtime.as_deref()), ("shop", Some("python")));
    }

    #[test]
    fn the_longest_unasked_goes_and_is_counted() {
        let fixture = Fixture::new();
        for pid in 1..=40 {
            fixture.process(pid, 0, "/usr/sbin/nginx", &["nginx"]);
        }
        let mut processes = Processes { capacity: 32, ..processes(&fixture) };
        for pid in 1..=32 {
            processes.get(pid);
        }
        processes.get(1);
        processes.get(33);
        assert_eq!(processes.counters.processes_evicted.get(), 2);
        let known = |pid: u32| processes.by_pid.contains_key(&pid);
        assert!(known(1) && !known(2) && !known(3) && known(4) && known(33));
    }

    #[test]
    fn a_name_by_port_comes_when_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let rule = ServiceRule { target: Target::Port(listener.local_addr().unwrap().port()), service: "till".into() };
        let mut processes = Processes::new(Describer::new(&[rule]).unwrap(), Arc::default());
        processes.on_listen(std::process::id());
        assert_eq!(&*processes.get(std::process::id()).unwrap().origin.service, "till");
    }
}
