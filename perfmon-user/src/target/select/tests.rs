use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::inspect::ForeignReader;
use crate::target::fixture::Fixture;

const PYTHON: &str = "/usr/bin/python3.11";

fn selector(fixture: &Fixture, targets: &[Target], follow: bool, wait: bool) -> Selector {
    Selector::with(fixture.proc(), ContainerNames::below(fixture.path(), fixture.reader()), targets.to_vec(), follow, wait)
}

/// init 1 → nginx 10 (workers 11, 12), shell 20 → python 21 → curl 22
fn host() -> Fixture {
    let fixture = Fixture::new();
    fixture.process(1, 0, "/sbin/init", &["/sbin/init"]);
    fixture.process(10, 1, "/usr/sbin/nginx", &["nginx: master process"]);
    fixture.process(11, 10, "/usr/sbin/nginx", &["nginx: worker process"]);
    fixture.process(12, 10, "/usr/sbin/nginx", &["nginx: worker process"]);
    fixture.process(20, 1, "/usr/bin/bash", &["-bash"]);
    fixture.process(21, 20, PYTHON, &["python3", "/srv/app.py"]);
    fixture.process(22, 21, "/usr/bin/curl", &["curl", "http://x"]);
    fixture
}

fn exe(glob: &str) -> Target {
    Target::Exe(glob.into())
}

fn exec<'a>(pid: u32, parent: u32, comm: &'a str, argv: &'a [u8]) -> Executed<'a> {
    Executed { pid, parent, comm, argv, env: b"" }
}

#[test]
fn the_first_look_with_and_without_descendants() {
    let host = host();
    let table: &[(&[Target], bool, &[u32])] = &[
        (&[Target::Pid { pid: 20 }], true, &[20, 21, 22]),
        (&[Target::Pid { pid: 20 }], false, &[20]),
        (&[Target::Pid { pid: 10 }], true, &[10, 11, 12]),
        (&[exe("nginx")], false, &[10, 11, 12]),
        (&[exe("app")], true, &[21, 22]),
        (&[exe("app"), Target::Pid { pid: 12 }], false, &[12, 21]),
        (&[Target::All], true, &[1, 10, 11, 12, 20, 21, 22]),
        (&[], true, &[1, 10, 11, 12, 20, 21, 22]),
    ];
    for (targets, follow, expected) in table {
        assert_eq!(selector(&host, targets, *follow, false).check().unwrap(), *expected, "{targets:?}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let host = host();
    let own = Target::Pid { pid: std::process::id() };
    let targets = [
        Target::Pid { pid: 999 },
        exe("apache*"),
        exe("a["),
        Target::Port(8080),
        Target::Container("web".into()),
        Target::Cgroup("/no/such.slice".into()),
        own,
        exe("nginx"),
    ];
    let problems = selector(&host, &targets, true, false).check().unwrap_err();
    let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(problems.len(), 7, "{text}");
    for part in [
        "--pid 999: there is no process 999; ",
        "--exe 'apache*': no running",
        "--exe 'a[': `a[` is not a valid pattern",
        "nothing listens on TCP port 8080",
        "--container web: no process",
        "--cgroup /no/such.slice: this control group does not exist",
        "perfmon itself",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(problems.iter().filter(|problem| problem.mend.contains("--wait")).count() == 5);
}

#[test]
fn waiting_takes_targets_that_come_later() {
    let host = host();
    let mut selector = selector(&host, &[exe("shop"), exe("nginx")], true, true);
    assert_eq!(selector.check().unwrap(), [10, 11, 12]);
    assert_eq!(selector.missing(), ["--exe 'shop': no running process has an executable or script of this name"]);
    host.process(30, 1, PYTHON, &["python3", "shop.py"]);
    assert_eq!(selector.on_exec(&exec(30, 1, "python3", b"python3\0shop.py\0")), [Action::Watch(30)]);
    assert!(selector.missing().is_empty());
    selector.on_exit(30);
    assert_eq!(selector.missing().len(), 1);
}

#[test]
fn what_executes_is_judged() {
    let host = host();
    let mut selector = selector(&host, &[exe("app")], true, false);
    assert_eq!(selector.check().unwrap(), [21, 22]);
    // Someone else's program; a program that is gone already; a match that is gone already.
    assert_eq!(selector.on_exec(&exec(40, 20, "curl", b"curl\0http://y\0")), [Action::Unwatch(40)]);
    assert_eq!(selector.on_exec(&exec(41, 20, "app", b"/opt/app\0")), [Action::Watch(41)]);
    // A child of a watched process: by its fork, or where that was lost, by its exec.
    assert_eq!(selector.on_fork(42, 21), []);
    assert_eq!(selector.on_exec(&exec(42, 21, "curl", b"curl\0")), []);
    assert_eq!(selector.on_exec(&exec(43, 42, "sh", b"sh\0")), [Action::Watch(43)]);
    assert_eq!(selector.pids(), [21, 22, 41, 42, 43]);
    // The pid of an ended process is given to someone else.
    selector.on_exit(42);
    assert_eq!(selector.on_fork(43, 20), [Action::Unwatch(43)]);
    assert_eq!(selector.on_exec(&exec(43, 20, "ls", b"ls\0")), [Action::Unwatch(43)]);
}

#[test]
fn without_follow_children_stand_for_themselves() {
    let host = host();
    let mut selector = selector(&host, &[exe("app"), Target::Pid { pid: 20 }], false, false);
    assert_eq!(selector.check().unwrap(), [20, 21]);
    assert_eq!(selector.on_fork(50, 21), [Action::Watch(50)], "a forked worker has the same executable");
    assert_eq!(selector.on_exec(&exec(50, 21, "curl", b"curl\0")), [Action::Unwatch(50)]);
    assert_eq!(selector.on_fork(51, 20), [Action::Unwatch(51)], "--pid is one process");
    assert_eq!(selector.on_exec(&exec(20, 1, "zsh", b"zsh\0")), [], "--pid stays through an exec");
    assert_eq!(selector.pids(), [20, 21]);
}

#[test]
fn whoever_begins_to_listen_is_judged() {
    let host = host();
    let mut selector = selector(&host, &[Target::Port(8080)], true, true);
    assert!(selector.check().unwrap().is_empty());
    assert_eq!(selector.on_listen(10, 80), [Action::Unwatch(10)]);
    assert_eq!(selector.on_listen(10, 8080), [Action::Watch(10), Action::Watch(11), Action::Watch(12)]);
    assert_eq!(selector.on_listen(10, 80), [], "it is watched for its other port");
    assert_eq!(selector.on_fork(13, 10), []);
    assert_eq!(selector.pids(), [10, 11, 12, 13]);
}

#[test]
fn all_needs_no_actions_and_perfmon_is_never_watched() {
    let host = host();
    let own = std::process::id();
    host.process(own, 20, "/usr/bin/perfmon", &["perfmon"]);
    let mut all = selector(&host, &[Target::All, exe("x")], true, false);
    assert!(all.check().is_err(), "a glob that matches nothing stays a problem");
    let mut all = selector(&host, &[], true, false);
    assert!(all.watches_all() && !all.check().unwrap().contains(&own));
    assert_eq!(
        (all.on_exec(&exec(60, 1, "x", b"x\0")), all.on_listen(60, 1), all.on_fork(61, 60), all.rescan()),
        (vec![], vec![], vec![], vec![])
    );
    let mut some = selector(&host, &[Target::Pid { pid: 20 }], true, false);
    assert_eq!(some.check().unwrap(), [20, 21, 22]);
    assert_eq!((some.on_exec(&exec(own, 20, "perfmon", b"")), some.on_listen(own, 9911)), (vec![], vec![]));
}

#[test]
fn a_second_look_finds_what_was_lost() {
    let host = host();
    let mut selector = selector(&host, &[exe("nginx"), Target::Pid { pid: 20 }], true, false);
    selector.check().unwrap();
    host.process(14, 10, "/usr/sbin/nginx", &["nginx: worker process"]);
    // Its parent ended: it was followed and stays.
    host.end(21);
    host.file("proc/22/stat", &std::fs::read_to_string(host.path().join("proc/22/stat")).unwrap().replace("S 21", "S 1"));
    assert_eq!(selector.rescan(), [Action::Watch(14)]);
    assert_eq!(selector.pids(), [10, 11, 12, 14, 20, 22]);
    assert_eq!(selector.rescan(), []);
}

/// A server with a worker that inherits its socket.
fn server() -> (Child, u16, u32) {
    let code = "import os,socket,sys,time\ns=socket.create_server(('127.0.0.1',0))\np=os.fork()\nif p==0: time.sleep(60)\nprint(s.getsockname()[1],p,flush=True)\nsys.stdin.read()\nos.kill(p,9)\n";
    let mut child = Command::new("python3").args(["-c", code]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (port, worker) = line.trim().split_once(' ').unwrap();
    (child, port.parse().unwrap(), worker.parse().unwrap())
}

#[test]
fn a_live_server_by_port_pid_and_name() {
    let (mut child, port, worker) = server();
    let expected = {
        let mut pids = vec![child.id(), worker];
        pids.sort_unstable();
        pids
    };
    let by_port = Selector::new(vec![Target::Port(port)], false, false, ForeignReader::in_threads()).check();
    let by_pid = Selector::new(vec![Target::Pid { pid: child.id() }], true, false, ForeignReader::in_threads()).check();
    let by_name = Selector::new(vec![exe("python3*")], false, false, ForeignReader::in_threads()).check().unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!((by_port, by_pid), (Ok(expected.clone()), Ok(expected.clone())));
    assert!(expected.iter().all(|pid| by_name.contains(pid)));
    let gone = Selector::new(vec![Target::Port(port), Target::Pid { pid: child.id() }], true, false, ForeignReader::in_threads())
        .check()
        .unwrap_err();
    assert_eq!(gone.len(), 2);
}
