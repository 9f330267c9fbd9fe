//! The servers and clients of the live tests agree with one another without perfmon: when this fails, the live tests are meaningless.
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use perfmon_tests::client::{Client, h2load, plan, wrk};
use perfmon_tests::load::LoadProgram;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::programs::{COMPILERS, built};
use perfmon_tests::server::{self, Server};
use perfmon_tests::websocket::{WsLibrary, WsProxy, WsServer, run_client};
use perfmon_tests::wire::Wire;

#[test]
fn all_clients_get_the_same_from_each_server() -> Result<()> {
    let kinds = [
        server::NGINX,
        server::HTTP_SERVER,
        server::UVICORN_H11,
        server::UVICORN_HTTPTOOLS,
        server::GUNICORN,
        server::AIOHTTP,
        server::NODE,
        server::GO,
        server::JAVA,
    ];
    for kind in kinds {
        if missing(&[kind.needs, &Client::NEEDS].concat()) {
            continue;
        }
        let server = Server::start(kind)?;
        let calls = plan(kind.dynamic);
        let answers = |client: Client| -> Result<Vec<(u16, u64)>> {
            Ok(client.run(server.port, client.name(), &calls)?.iter().map(|got| (got.status, got.size)).collect())
        };
        let wire = answers(Client::Wire)?;
        assert!(wire.contains(&(200, 1_000)) && wire.iter().any(|got| got.0 == 404), "{}: {wire:?}", kind.name);
        for client in [Client::Curl, Client::Requests, Client::Fetch] {
            assert_eq!(answers(client)?, wire, "{} with {client:?}", kind.name);
        }
    }
    Ok(())
}

#[test]
fn load_generators_say_what_they_did() -> Result<()> {
    if missing(&[Need::Program("nginx"), Need::Program("h2load"), Need::Program("wrk")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let url = format!("{}/bytes/1000", server.url());
    assert_eq!(h2load(&url, 1_000, 10, None)?.answers, 1_000);
    let slow = h2load(&url, 1_000, 10, Some(1_000))?;
    assert!(slow.answers == 1_000 && slow.per_second < 1_500.0, "{slow:?}");
    let fast = wrk(&url, 1, 10)?;
    assert!(fast.answers > 1_000 && fast.per_second > 1_000.0, "{fast:?}");
    Ok(())
}

#[test]
fn nginx_answers_on_ipv6_on_its_unix_socket_and_through_itself() -> Result<()> {
    if missing(&[Need::Program("nginx")]) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    for mut wire in [Wire::connect("::1", server.port)?, Wire::connect_unix(&server.unix_socket())?] {
        let answer = wire.call("GET", "/proxy/hello", "tests", b"")?;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello world\n"[..]));
    }
    Ok(())
}

#[test]
fn websocket_programs_agree_with_the_proxy_between_them() -> Result<()> {
    if missing(&[Need::Python, Need::Program("node"), Need::NodePackages]) {
        return Ok(());
    }
    let scenarios = ["text", "big", "fragments", "ping", "close-1001", "close-1011", "abort", "cut"];
    for library in WsLibrary::ALL {
        for deflate in [false, true] {
            let server = WsServer::start(library, deflate, false)?;
            for (round, client) in WsLibrary::ALL.into_iter().enumerate() {
                let proxy = WsProxy::start(server.port)?;
                let (_, said) = run_client(client, proxy.port, deflate, None, &scenarios)?;
                let served = server.said((round + 1) * scenarios.len())?.split_off(round * scenarios.len());
                for ((passed, (said, served)), scenario) in
                    proxy.passed(scenarios.len())?.iter().zip(said.iter().zip(&served)).zip(scenarios)
                {
                    let what = format!("{client:?} at {library:?}, deflate {deflate}, {scenario}");
                    assert_eq!((passed.to_server.messages, passed.to_client.messages), (said.sent, served.sent), "{what}");
                    assert_eq!((said.sent, said.received), (served.received, served.sent), "{what}");
                    if !deflate {
                        assert_eq!((passed.to_server.payload, passed.to_client.payload), (said.sent_bytes, served.sent_bytes), "{what}");
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn tls_loads_fail_nothing_by_themselves() -> Result<()> {
    if missing(&[&[Need::Python, Need::Program("nginx"), Need::Program("openssl")][..], &COMPILERS].concat()) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_TLS)?;
    let (certificate, key) = (server.certificate(), server.certificate().with_file_name("key.pem"));
    let programs = [
        LoadProgram::python("requests", server.port, &certificate, 1)?,
        LoadProgram::python("gevent", server.port, &certificate, 1)?,
        LoadProgram::start("coroutines", Command::new(built("coroutines.cpp")?).args([&server.port.to_string(), "8", "60"]))?,
        LoadProgram::start("stack_switch", Command::new(built("stack_switch.c")?).arg(&certificate).arg(key).arg("60"))?,
    ];
    std::thread::sleep(Duration::from_secs(3));
    for program in programs {
        let name = program.name();
        let count = program.end()?;
        assert!(count.failed == 0 && count.done > 20, "{name}: {count:?}");
    }
    Ok(())
}
