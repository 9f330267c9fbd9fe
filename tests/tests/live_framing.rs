//! Every kind of HTTP/1 framing and failure: one exchange for each case, both ends scripted, with the expected record of each side. Traffic
//! other than HTTP makes no record and does not disturb the next connection.
use anyhow::{Context, Result};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::record::Request;
use perfmon_tests::script::{Step, play, send};

use Step::{HalfClose, Pause, Receive, ReceiveAll, Reset};

/// The expected record of a side; sizes are body bytes, wire sizes follow from the script.
#[derive(Clone, Debug, PartialEq)]
struct Want {
    method: &'static str,
    status: Option<u16>,
    error: Option<&'static str>,
    request_size: Option<u64>,
    response_size: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
}

struct Case {
    name: &'static str,
    client: Vec<Step>,
    server: Vec<Step>,
    want: Want,
    /// The head may be longer than its captured part; whether a body followed may then be unknown.
    long_head: bool,
}

impl Case {
    fn is_told_by(&self, record: &Request) -> bool {
        let mut said = said(record);
        if self.long_head && record.quality == "inferred" && said.request_size.is_none() {
            said.request_size = self.want.request_size;
        }
        said == self.want && record.path.as_deref() == Some(&format!("/{}", self.name))
    }
}

/// A request with this method and further header lines, for the path `/NAME`.
fn request(method: &str, name: &str, fields: &str, body: &str) -> String {
    format!("{method} /{name} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
}

/// A case in which the client sends a request, the server reads it and sends `answer`, and the client reads that.
fn plain(name: &'static str, method: &'static str, body: &str, answer: &str, want: (u16, u64)) -> Case {
    let fields = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text = request(method, name, &fields, body);
    Case {
        name,
        client: vec![send(&text), Receive(answer.len())],
        server: vec![Receive(text.len()), send(answer), ReceiveAll],
        want: Want {
            method,
            status: Some(want.0),
            error: None,
            request_size: Some(body.len() as u64),
            response_size: Some(want.1),
            request_bytes: text.len() as u64,
            response_bytes: answer.len() as u64,
        },
        long_head: false,
    }
}

/// Every framing of an answer.
fn framings() -> Vec<Case> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;note=x\r\n world\r\n0\r\n";
    vec![
        plain("length", "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, 5)),
        plain("head", "HEAD", "", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", (200, 0)),
        plain("no-content", "DELETE", "", "HTTP/1.1 204 No Content\r\n\r\n", (204, 0)),
        plain("not-modified", "GET", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", (304, 0)),
        plain("chunked", "GET", "", &format!("{chunked}\r\n"), (200, 11)),
        plain("trailers", "GET", "", &format!("{chunked}Checksum: 1234\r\nSigned: no\r\n\r\n"), (200, 11)),
        plain(
            "interim",
            "POST",
            "body",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
            (201, 2),
        ),
        plain("unknown-method", "BREW", "", "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n", (418, 0)),
    ]
}

fn closed_after_the_body() -> Case {
    let answer = format!("HTTP/1.0 200 OK\r\nServer: old\r\n\r\n{}", "y".repeat(3_000));
    let mut case = plain("until-close", "GET", "", &answer, (200, 3_000));
    case.client = vec![case.client[0].clone(), ReceiveAll];
    case.server.pop();
    case
}

fn half_closed_by_the_client() -> Case {
    let mut case = plain("half-close", "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", (200, 3));
    case.client.insert(1, HalfClose);
    case.server.insert(1, Pause(50));
    case
}

/// The answer's body arrives in two parts with a pause; payload between the captured heads is not examined, and sizes are still exact.
fn large_bodies() -> Case {
    let body = "z".repeat(200_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    plain("large", "PUT", &body, &answer, (200, 200_000))
}

/// A head of 64 KiB, the longest that must be understood.
fn long_head() -> Case {
    let bare = request("GET", "long-head", "X-Long: \r\n", "").len();
    let text = request("GET", "long-head", &format!("X-Long: {}\r\n", "h".repeat(65_536 - bare)), "");
    let mut case = plain("long-head", "GET", "", "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n", (431, 0));
    case.want.request_bytes = text.len() as u64;
    case.client[0] = send(&text);
    case.server[0] = Receive(text.len());
    case.long_head = true;
    case
}

/// The ways in which an exchange fails; each stops after a part of the answer.
fn failures() -> Vec<Case> {
    let part = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789";
    let broken = |name, error, client: Vec<Step>, server: Vec<Step>| {
        let mut case = plain(name, "GET", "", part, (200, 10));
        case.want.error = Some(error);
        case.client.extend(client);
        case.server.truncate(2);
        case.server.extend(server);
        case
    };
    let mut unanswered = broken("no-answer", "truncated", vec![], vec![]);
    (unanswered.client[1], unanswered.server[1]) = (ReceiveAll, Pause(10));
    unanswered.want = Want { status: None, response_size: None, response_bytes: 0, ..unanswered.want };
    vec![
        broken("client-closes", "client_closed", vec![], vec![ReceiveAll]),
        broken("client-resets", "client_closed", vec![Reset], vec![ReceiveAll]),
        broken("server-closes", "truncated", vec![ReceiveAll], vec![]),
        broken("server-resets", "reset", vec![ReceiveAll], vec![Pause(50), Reset]),
        unanswered,
    ]
}

fn all_cases() -> Vec<Case> {
    let mut cases = framings();
    cases.extend([closed_after_the_body(), half_closed_by_the_client(), large_bodies(), long_head()]);
    cases.extend(failures());
    cases
}

#[test]
fn the_scripts_play_to_their_ends_without_perfmon() -> Result<()> {
    for case in all_cases() {
        play(&case.client, &case.server).with_context(|| format!("the script `{}`", case.name))?;
    }
    Ok(())
}

#[test]
fn every_framing_and_failure_is_recorded_as_it_happened() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&["--pid", &std::process::id().to_string()])?;
    let cases = all_cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let port = play(&case.client, &case.server).with_context(|| format!("the script `{}`", case.name))?;
        let records = perfmon.wait_for(2, |r| r.about(port))?;
        for side in ["server", "client"] {
            let of_side: Vec<&Request> = records.iter().filter(|record| record.side == side).collect();
            match of_side[..] {
                [record] if case.is_told_by(record) => {}
                _ => wrong.push(format!("{} {side}: want {:?}, got {of_side:#?}", case.name, case.want)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} sides of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    Ok(())
}

/// The record in terms of `Want`; an unknown method or error never compares equal.
fn said(record: &Request) -> Want {
    let word = |text: &str, words: &[&'static str]| words.iter().find(|word| **word == text).copied().unwrap_or("?");
    let methods = ["GET", "HEAD", "DELETE", "POST", "PUT", "BREW"];
    Want {
        method: record.method.as_deref().map_or("?", |method| word(method, &methods)),
        status: record.status_code,
        error: record.error.as_deref().map(|error| word(error, &["client_closed", "reset", "truncated"])),
        request_size: record.request_size,
        response_size: record.response_size.filter(|_| record.status_code.is_some()),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
    }
}

#[test]
fn what_is_not_http_makes_no_record_and_harms_no_one() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let perfmon = Perfmon::start(&["--pid", &std::process::id().to_string()])?;
    let noise: Vec<u8> = (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let endless = [b"GET /endless HTTP/1.1\r\nX-Endless: ".to_vec(), vec![b'e'; 1 << 20]].concat();
    let mut many = b"GET /many HTTP/1.1\r\n".to_vec();
    many.extend((0..100_000).flat_map(|n| format!("X-{n}: 1\r\n").into_bytes()));
    for bytes in [noise, endless, many, b"\r\n\r\n\r\n".to_vec(), b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()] {
        play(&[Step::Send(bytes.clone())], &[Receive(bytes.len()), Pause(20)])?;
    }
    let case = plain("afterwards", "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, 5));
    let port = play(&case.client, &case.server)?;
    let records = perfmon.wait_for(2, |r| r.about(port))?;
    assert!(records.len() == 2 && records.iter().all(|record| said(record) == case.want), "{records:#?}");
    let invented = perfmon
        .requests()?
        .into_iter()
        .filter(|r| r.status_code.is_some() && ![port, perfmon.port()].iter().any(|port| r.about(*port)))
        .collect::<Vec<_>>();
    assert!(invented.is_empty(), "{invented:#?}");
    Ok(())
}
