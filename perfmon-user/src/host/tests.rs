use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;
use crate::record::{Process, System};

fn subject(pid: u32) -> Subject {
    Subject { origin: Arc::new(Origin::unknown(pid)), runtime: Some("python".into()) }
}

/// Wall time as the program has it.
fn now() -> WallTime {
    crate::clock::wall_now()
}

fn system(records: &[Record]) -> &System {
    match &records[0] {
        Record::System(system) => system,
        other => panic!("{other:?}"),
    }
}

fn processes(records: &[Record]) -> Vec<&Process> {
    records[1..].iter().map(|record| if let Record::Process(process) = record { &**process } else { panic!("{record:?}") }).collect()
}

/// A Python program that runs `first`, reports ready, and runs `then` for each input line.
fn python(first: &str, then: &str) -> Child {
    let code = format!("import sys\n{first}\nprint('ready', flush=True)\nfor line in sys.stdin:\n  pass\n  {then}\n");
    let mut child = Command::new("python3").args(["-c", &code]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_first_sample_has_no_differences() {
    let mut sampler = Sampler::new();
    let start = now();
    let records = sampler.sample(start, &[subject(std::process::id())]);
    let (system, process) = (system(&records), processes(&records)[0]);
    assert_eq!((system.cpu_percent, system.interval_ms, system.time), (None, Millis(0), start));
    assert!(system.network.is_empty() && system.disks.iter().all(|disk| disk.read_bytes.is_none() && disk.busy_percent.is_none()));
    assert_eq!((process.cpu_percent, process.read_bytes, process.context_switches, process.page_faults), (None, None, None, None));
    assert_eq!((process.run_queue_wait_ms, process.blocked_io_ms), (None, None));
    assert!(process.memory_rss_bytes > 0 && process.threads >= 1 && process.open_files.unwrap() >= 3);
    assert!(process.sockets.is_some() && process.connections.is_some());
    assert_eq!(process.runtime.as_deref(), Some("python"));
    // The wall clock was set back: the interval is unknown, so no values depend on it.
    let records = sampler.sample(WallTime(start.0 - 1), &[subject(std::process::id())]);
    assert_eq!((records[0].time(), processes(&records)[0].cpu_percent), (WallTime(start.0 - 1), None));
}

#[test]
fn the_host_agrees_with_proc() {
    let mut sampler = Sampler::new();
    sampler.sample(now(), &[]);
    std::thread::sleep(Duration::from_millis(300));
    let records = sampler.sample(now(), &[]);
    let system = system(&records);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let (total, available) = (read::number_after(&meminfo, "MemTotal").unwrap(), read::number_after(&meminfo, "MemAvailable").unwrap());
    let percent = 100.0 - available as f64 * 100.0 / total as f64;
    assert!((system.memory_percent - percent).abs() < 5.0, "{} {percent}", system.memory_percent);
    assert!((0.0..=100.0).contains(&system.cpu_percent.unwrap()));
    assert!(system.interval_ms >= Millis(300_000_000));
    assert_eq!(system.swap_percent.is_some(), read::number_after(&meminfo, "SwapTotal").unwrap() > 0);
    let load: f64 = std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((system.load_1m - load).abs() < 2.0);
    assert!(
        system.disks.iter().any(|disk| disk.mount.as_ref() == "/" && disk.free_bytes > 0 && (0.0..=100.0).contains(&disk.used_percent)),
        "{:?}",
        system.disks
    );
    let df = Command::new("df").args(["--output=pcent", "/"]).output().unwrap();
    let df: f64 = String::from_utf8(df.stdout).unwrap().lines().last().unwrap().trim().trim_end_matches('%').parse().unwrap();
    let root = system.disks.iter().find(|disk| disk.mount.as_ref() == "/").unwrap();
    assert!((root.used_percent - df).abs() <= 2.0, "{root:?} {df}");
    assert_eq!(system.psi.is_some(), std::fs::read_to_string("/proc/pressure/cpu").is_ok());
}

#[test]
fn a_busy_child_and_an_idle_one() {
    let busy = python(
        "import threading,time\ndef burn():\n  while True: pass\nthreading.Thread(target=burn,daemon=True).start()\ndef nap():\n  while True: time.sleep(0.01)\nthreading.Thread(target=nap,daemon=True).start()",
        "",
    );
    let idle = python("keep = bytearray(50_000_000)", "");
    let subjects = [subject(busy.id()), subject(idle.id()), subject(u32::MAX)];
    let ticks = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let mut sampler = Sampler::new();
    let before = ticks(busy.id());
    sampler.sample(now(), &subjects);
    let first = ticks(busy.id());
    std::thread::sleep(Duration::from_millis(500));
    let second = ticks(busy.id());
    let records = sampler.sample(now(), &subjects);
    let after = ticks(busy.id());
    let [busy_sample, idle_sample] = processes(&records)[..] else { panic!("{records:?}") };
    let told = busy_sample.cpu_percent.unwrap() / 100.0 * busy_sample.interval_ms.as_f64() / 1_000.0 * procfs::ticks_per_second() as f64;
    assert!(
        told >= (second - first) as f64 - 0.5 && told <= (after - before) as f64 + 0.5,
        "{told} ticks, {before} {first} {second} {after}"
    );
    assert!(second > first);
    assert_eq!((busy_sample.threads, busy_sample.threads_running + busy_sample.threads_waiting), (3, 3));
    assert!(busy_sample.threads_running >= 1 && busy_sample.context_switches.unwrap() > 0 && busy_sample.run_queue_wait_ms.is_some());
    assert!(idle_sample.cpu_percent.unwrap() < 20.0 && idle_sample.threads_running == 0);
    assert!(idle_sample.memory_rss_bytes > 50_000_000 && idle_sample.memory_rss_bytes < 120_000_000, "{}", idle_sample.memory_rss_bytes);
    end(busy);
    end(idle);
    assert!(processes(&sampler.sample(now(), &subjects)).is_empty(), "what is gone has no sample");
    assert!(sampler.processes.is_empty());
}

#[test]
fn descriptors_connections_faults_and_written_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out");
    let code = format!(
        "import os,socket\nl=socket.create_server(('127.0.0.1',0))\nc=[socket.create_connection(l.getsockname()) for _ in range(5)]\nfor i in range(3): os.open('/dev/null',os.O_RDONLY)\nf=os.open('{}',os.O_WRONLY|os.O_CREAT)",
        file.display()
    );
    let mut child = python(&code, "keep=bytearray(8_000_000); os.write(f,b'x'*1_000_000); os.fsync(f)");
    let subjects = [subject(child.id())];
    let mut sampler = Sampler::new();
    let first = sampler.sample(now(), &subjects);
    let first = processes(&first)[0];
    assert_eq!((first.sockets, first.connections), (Some(6), Some(5)), "five of the ten ends are not accepted yet");
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count() as u64;
    assert_eq!(first.open_files, Some(open));
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
    while std::fs::metadata(&file).is_ok_and(|meta| meta.len() < 1_000_000) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let second = sampler.sample(now(), &subjects);
    let second = processes(&second)[0];
    assert!(second.page_faults.unwrap() >= 100, "{second:?}");
    assert!(second.write_bytes.is_none_or(|bytes| bytes == 0 || bytes >= 1_000_000), "{second:?}");
    assert_eq!((second.sockets, second.connections), (Some(6), Some(5)), "between two looks the last numbers stand");
    end(child);
}

#[test]
fn a_pid_with_a_new_tenant_begins_anew() {
    let child = python("", "");
    let mut sampler = Sampler::new();
    sampler.sample(now(), &[subject(child.id())]);
    let known = sampler.processes.remove(&child.id()).unwrap();
    sampler.processes.insert(child.id(), known.of_earlier_process());
    std::thread::sleep(Duration::from_millis(20));
    let records = sampler.sample(now(), &[subject(child.id())]);
    assert_eq!(processes(&records)[0].cpu_percent, None);
    end(child);
}

#[test]
fn many_threads_are_read_in_turns() {
    let threads = "import threading,time\nfor i in range(300): threading.Thread(target=time.sleep,args=(600,),daemon=True).start()";
    let tick = "threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(600_000)],daemon=True).start()";
    let child = python(&format!("{threads}\n{tick}"), "");
    let subjects = [subject(child.id())];
    let mut sampler = Sampler::new();
    let mut known = Vec::new();
    for _ in 0..8 {
        let records = sampler.sample(now(), &subjects);
        let process = processes(&records)[0];
        assert_eq!((process.threads, process.threads_running + process.threads_waiting), (302, 302));
        known.push(process.context_switches);
        std::thread::sleep(Duration::from_millis(50));
    }
    end(child);
    // 302 threads are two samples' worth: one turn in two.
    let told: Vec<u64> = known[2..].iter().copied().flatten().collect();
    assert_eq!(told.len(), 3, "{known:?}");
    assert!(told.iter().sum::<u64>() > 0, "{known:?}");
}
