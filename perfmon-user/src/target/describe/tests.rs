use std::process::{Command, Stdio};

use super::*;
use crate::inspect::ForeignReader;
use crate::target::fixture::{Fixture, ID};

fn describer(fixture: &Fixture, rules: &[ServiceRule]) -> Describer {
    Describer::with(fixture.proc(), ContainerNames::below(fixture.path(), fixture.reader()), rules).unwrap()
}

fn service(describer: &mut Describer, pid: u32) -> String {
    describer.describe(pid).unwrap().origin.service.to_string()
}

#[test]
fn the_order_of_service_names() {
    let fixture = Fixture::new();
    fixture.process(10, 1, "/usr/bin/python3.11", &["python3", "/srv/app.py"]);
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "app");
    fixture.file("proc/10/cgroup", "0::/system.slice/shop.service\n");
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "shop");
    fixture.file("proc/10/cgroup", &format!("0::/system.slice/docker-{ID}.scope\n"));
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "app");
    assert_eq!(describer(&fixture, &[]).describe(10).unwrap().origin.container.as_deref(), Some(&ID[..12]));
    fixture.file(&format!("var/lib/docker/containers/{ID}/config.v2.json"), r#"{"Name":"/web"}"#);
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "web");
    assert_eq!(describer(&fixture, &[]).describe(10).unwrap().origin.container.as_deref(), Some("web"));
    fixture.file("proc/10/environ", "PATH=/bin\0OTEL_RESOURCE_ATTRIBUTES=deployment.environment=prod,service.name=sh%6Fp%2Fapi\0");
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "shop/api");
    fixture.file("proc/10/environ", "OTEL_SERVICE_NAME=till\0OTEL_RESOURCE_ATTRIBUTES=service.name=other\0");
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "till");
    let rule = |glob: &str, service: &str| ServiceRule { target: Target::Exe(glob.into()), service: service.into() };
    let rules = [rule("node", "no"), rule("app", "configured"), rule("python*", "second")];
    assert_eq!(service(&mut describer(&fixture, &rules), 10), "configured");
    assert!(
        Describer::new(&[rule("a[", "x"), rule("ok", "y"), rule("{", "z")], ForeignReader::in_threads())
            .is_err_and(|problems| problems.len() == 2)
    );
}

#[test]
fn an_empty_variable_names_nothing() {
    let fixture = Fixture::new();
    fixture.process(10, 1, "/usr/sbin/nginx", &["nginx: worker process"]);
    fixture.file("proc/10/environ", "OTEL_SERVICE_NAME=\0FLASK_APP\0");
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "nginx");
}

#[test]
fn in_a_machine_the_unit_comes_before_the_machine() {
    let fixture = Fixture::new();
    fixture.process(10, 1, "/usr/sbin/nginx", &["nginx"]);
    fixture.file("proc/10/cgroup", "0::/lxc.payload.box/system.slice/front.service\n");
    let description = describer(&fixture, &[]).describe(10).unwrap();
    assert_eq!((&*description.origin.service, description.origin.container.as_deref()), ("front", Some("box")));
    fixture.file("proc/10/cgroup", "0::/lxc.payload.box/init.scope\n");
    assert_eq!(service(&mut describer(&fixture, &[]), 10), "box");
}

#[test]
fn spawned_workers_are_called_as_their_parent() {
    let fixture = Fixture::new();
    let python = "/usr/bin/python3.11";
    fixture.process(10, 1, python, &["python3", "-m", "uvicorn", "shop.main:app", "--workers", "2"]);
    fixture.process(
        11,
        10,
        python,
        &["python3", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()", "--multiprocessing-fork"],
    );
    fixture.process(12, 1, python, &["python3", "-c", "from multiprocessing.resource_tracker import main;main(5)"]);
    let mut describer = describer(&fixture, &[]);
    assert_eq!((service(&mut describer, 11), service(&mut describer, 12)), ("shop".into(), "python3".into()));
}

#[test]
fn a_process_that_is_gone_has_what_its_parent_has() {
    let fixture = Fixture::new();
    fixture.process(10, 1, "/usr/bin/bash", &["bash"]);
    let gone = Executed { pid: 99, parent: 10, comm: "curl", argv: b"curl\0-s\0http://localhost/\0", env: b"" };
    let description = describer(&fixture, &[]).describe_exec(&gone);
    assert_eq!((&*description.origin.service, &*description.origin.comm, description.origin.pid), ("curl", "curl", 99));
    assert_eq!((description.interior.runtime, description.start_time, description.exe), (None, None, None));
    assert!(describer(&fixture, &[]).describe(99).is_none());
    fixture.file("proc/10/cgroup", "0::/system.slice/backup.service\n");
    assert_eq!(&*describer(&fixture, &[]).describe_exec(&gone).origin.service, "backup");
    fixture.file("proc/10/environ", "OTEL_SERVICE_NAME=till\0");
    assert_eq!(&*describer(&fixture, &[]).describe_exec(&gone).origin.service, "till");
    let orphan = Executed { pid: 99, parent: 0, comm: "", argv: b"", env: b"" };
    assert_eq!(&*describer(&fixture, &[]).describe_exec(&orphan).origin.service, "unknown");
}

#[test]
fn long_names_are_cut_at_a_character() {
    let fixture = Fixture::new();
    fixture.process(10, 1, "/usr/sbin/nginx", &["nginx"]);
    fixture.file("proc/10/environ", &format!("OTEL_SERVICE_NAME=x{}\0", "ü".repeat(100)));
    assert_eq!(service(&mut describer(&fixture, &[]), 10).len(), 127);
}

#[test]
fn a_live_python_with_ssl() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("till.py");
    std::fs::write(&script, "import ssl, sys\nprint('ready', flush=True)\nsys.stdin.read()\n").unwrap();
    let mut child = Command::new("python3")
        .arg(&script)
        .env_remove("OTEL_SERVICE_NAME")
        .env_remove("OTEL_RESOURCE_ATTRIBUTES")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut ready).unwrap();
    let description = Describer::new(&[], ForeignReader::in_threads()).unwrap().describe(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(description.interior.runtime.as_deref(), Some("python"));
    assert_eq!((description.origin.pid, description.start_time.is_some()), (child.id(), true));
    let own_unit = Cgroups::parse(&std::fs::read_to_string("/proc/self/cgroup").unwrap());
    if own_unit.unit().is_none() && own_unit.container().is_none() {
        assert_eq!(&*description.origin.service, "till");
    }
    assert!(description.exe.unwrap().to_str().unwrap().contains("python"));
    if let Some(tls) = description.interior.tls {
        assert!(tls.library.starts_with("OpenSSL"), "{tls}");
    }
}
