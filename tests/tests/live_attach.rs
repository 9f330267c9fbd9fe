//! perfmon attaches and detaches again and again while programs make TLS requests, programs that switch stacks among them: none dies, no
//! request of theirs fails. `TESTED_ROUNDS` sets how many times; the proof of a release is 1,000.
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_tests::load::{LoadProgram, ShortProcesses};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::programs::{COMPILERS, built};
use perfmon_tests::record::Request;
use perfmon_tests::server::{self, Server};
use perfmon_tests::{rounds, wait_until};
use perfmon_user::clock::boot_now_ns;

const NEEDS: [Need; 5] = [Need::Perfmon, Need::Python, Need::Program("nginx"), Need::Program("curl"), Need::Program("openssl")];
/// Longer than any test runs; a program that outlives its test ends by itself.
const LIFE_S: &str = "7200";

/// A program whose reads switch to another stack and back.
fn stack_switch(server: &Server) -> Result<LoadProgram> {
    let (certificate, key) = (server.certificate(), server.certificate().with_file_name("key.pem"));
    LoadProgram::start("stack_switch", Command::new(built("stack_switch.c")?).arg(certificate).arg(key).arg(LIFE_S))
}

#[test]
fn a_program_that_switches_its_stack_inside_a_read_lives() -> Result<()> {
    if missing(&[&NEEDS[..], &COMPILERS].concat()) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_TLS)?;
    for options in [&[][..], &["--port", &server.port.to_string()]] {
        // Once as a target, once as a program that only shares the library with one.
        let mut program = stack_switch(&server)?;
        let perfmon = Perfmon::start(options)?;
        let requests = LoadProgram::python("requests", server.port, &server.certificate(), 5)?;
        wait_until(10, || Ok(perfmon.matching(|r| r.tls && r.served_by(server.port))?.first().map(drop)))?
            .with_context(|| format!("{options:?}: no TLS request was seen, so nothing was attached"))?;
        std::thread::sleep(Duration::from_millis(1_000));
        program.assert_alive().with_context(|| format!("perfmon {options:?}"))?;
        let ended = perfmon.end_within("TERM", 10);
        std::thread::sleep(Duration::from_millis(200)); // what was under way when the probes went returns now
        program.assert_alive().with_context(|| format!("after the end of perfmon {options:?}"))?;
        ended?;
        let count = program.end().with_context(|| format!("perfmon {options:?}"))?;
        assert!(count.failed == 0 && count.done > 100, "{options:?}: {count:?}");
        assert_eq!(requests.end()?.failed, 0);
    }
    Ok(())
}

#[test]
fn attaching_and_detaching_under_load_harms_no_program() -> Result<()> {
    if missing(&[&NEEDS[..], &COMPILERS].concat()) {
        return Ok(());
    }
    let server = Server::start(server::NGINX_TLS)?;
    let port = server.port.to_string();
    let mut programs = vec![
        LoadProgram::python("requests", server.port, &server.certificate(), 2)?,
        LoadProgram::python("gevent", server.port, &server.certificate(), 20)?,
        LoadProgram::start("coroutines", Command::new(built("coroutines.cpp")?).args([&port, "8", LIFE_S]))?,
        stack_switch(&server)?,
    ];
    let curl = ShortProcesses::curl(&format!("https://127.0.0.1:{port}"), Some(&server.certificate()));
    curl.warm()?;
    let (rounds, mut seen, start) = (rounds(30), 0, boot_now_ns());
    for round in 0..rounds {
        let perfmon = Perfmon::start(&[]).with_context(|| format!("round {round}"))?;
        let theirs = |r: &Request| r.tls && r.about(server.port);
        if round == 0 {
            everyone_is_seen(&perfmon, &server)?;
        }
        std::thread::sleep(Duration::from_millis(50));
        seen += perfmon.matching(theirs)?.len();
        let ended = perfmon.end_within("TERM", 10);
        for program in &mut programs {
            program.assert_alive().with_context(|| format!("round {round} of {rounds}"))?;
        }
        ended.with_context(|| format!("round {round}"))?;
    }
    let each = (boot_now_ns() - start) / 1_000_000 / rounds as u64;
    for program in programs {
        let name = program.name();
        let count = program.end()?;
        println!("{name}: {count:?}");
        assert!(count.failed == 0 && count.done > 20 * rounds as u64 / 10, "{name}: {count:?}");
    }
    let count = curl.end()?;
    println!("curl: {count:?}; {seen} requests seen in {rounds} rounds of {each} ms");
    assert!(count.failed == 0 && count.done > 0 && seen > 0, "curl: {count:?}, {seen} seen");
    Ok(())
}

/// Each program's plaintext passes the probes, so the rounds that follow do attach to it.
fn everyone_is_seen(perfmon: &Perfmon, server: &Server) -> Result<()> {
    let clients = ["python-requests", "coroutines", "curl"];
    let seen = |agent: &str| {
        perfmon.matching(|r| r.tls && r.sent_to(server.port) && r.user_agent.as_deref().is_some_and(|a| a.starts_with(agent)))
    };
    for agent in clients {
        wait_until(15, || Ok(seen(agent)?.first().map(drop)))?.with_context(|| format!("no request of {agent} was seen"))?;
    }
    wait_until(10, || Ok(perfmon.matching(|r| r.tls && r.served_by(server.port))?.first().map(drop)))?.context("nginx was not seen")
}
