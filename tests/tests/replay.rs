//! A recorded session gives the same records as the live run, replayed without any privilege; so does each recording of the corpus.
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::made_recording::MadeRecording;
use perfmon_tests::model::assert_has;
use perfmon_tests::need::{self, Need, missing};
use perfmon_tests::perfmon::{Perfmon, binary, binary_for_everybody, perfmon};
use perfmon_tests::process::{Running, signal};
use perfmon_tests::record::{Request, different_percentiles, requests, substances};
use perfmon_tests::server::{self, Server};
use perfmon_tests::{wait_until, workspace};
use serde_json::{Value, json};

/// User and group `nobody` of Debian.
const NOBODY: u32 = 65_534;

#[test]
fn a_recorded_session_replays_to_the_same_records() -> Result<()> {
    if missing(&[&Client::NEEDS[..], &[Need::Perfmon, Need::Program("nginx")]].concat()) {
        return Ok(());
    }
    let (nginx, uvicorn) = (Server::start(server::NGINX)?, Server::start(server::UVICORN_H11)?);
    let ours = |r: &Request| r.about(nginx.port) || r.about(uvicorn.port);
    let (folder, copy) = binary_for_everybody()?;
    let events = folder.path().join("session.perfmon");
    let live = Perfmon::start(&[])?;
    let mut record = perfmon(&["record", "-o"]);
    let mut recording = Running::start(record.arg(&events), &folder.path().join("record.log"))?;
    wait_until(15, || Ok((!recording.log().is_empty()).then_some(())))?.context("`perfmon record` never said that it records")?;

    let calls: Vec<Call> = (0..30).flat_map(|_| [Call::get("/hello"), Call::get("/bytes/1000"), Call::get("/missing")]).collect();
    for (server, client) in [&nginx, &uvicorn].into_iter().flat_map(|server| Client::ALL.map(|client| (server, client))) {
        client.run(server.port, client.name(), &calls)?;
    }
    let expected = 2 * 2 * Client::ALL.len() * calls.len();
    let seen = live.wait_for(expected, ours)?;
    signal(recording.pid(), "INT")?;
    let status = recording.wait(10)?.context("`perfmon record` did not end on SIGINT")?;
    ensure!(status.success(), "`perfmon record` ended with {status}: {}", recording.log());

    let shared = need::as_root("chmod").arg("a+r").arg(&events).status()?;
    ensure!(shared.success(), "cannot hand the recording to another user");
    let replayed: Vec<Request> = replay(&copy, &events, need::is_root())?.into_iter().filter(ours).collect();
    assert_eq!(seen.len(), expected);
    assert_eq!(substances(&replayed), substances(&seen));
    // Two perfmons have two sets of kernel programs, which read the clock one after the other.
    let durations = |records: &[Request]| -> Vec<f64> { records.iter().filter_map(|record| record.response_time_ms).collect() };
    assert_eq!(different_percentiles("replayed", &durations(&replayed), &durations(&seen)), None);
    Ok(())
}

/// Paths with their durations, sorted.
fn times(requests: &[Request]) -> Vec<String> {
    let line =
        |r: &Request| format!("{} {:?} {:?} {:?} {:?}", r.side, r.path, r.response_time_ms, r.time_to_first_byte_ms, r.queue_time_ms);
    let mut times: Vec<String> = requests.iter().map(line).collect();
    times.sort();
    times
}

/// The records of `perfmon replay`, run as `nobody` when this is root.
fn replay(binary: &Path, events: &Path, as_nobody: bool) -> Result<Vec<Request>> {
    requests(&replayed_lines(binary, events, as_nobody)?)
}

fn replayed_lines(binary: &Path, events: &Path, as_nobody: bool) -> Result<String> {
    let mut command = Command::new(binary);
    command.arg("replay").arg(events).args(["--jsonl", "-"]).current_dir("/");
    if as_nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().with_context(|| format!("cannot start {}", binary.display()))?;
    ensure!(output.status.success(), "replay ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn every_recording_of_the_corpus_gives_its_golden_records() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let corpus = workspace().join("tests/corpus/recordings");
    let Ok(entries) = std::fs::read_dir(&corpus) else { return Ok(()) };
    for entry in entries {
        let events = entry?.path();
        if events.extension().is_some_and(|extension| extension == "perfmon") {
            let golden = requests(&std::fs::read_to_string(events.with_extension("jsonl"))?)?;
            let replayed = replay(&binary(), &events, false)?;
            assert_eq!(substances(&replayed), substances(&golden), "{}", events.display());
            assert_eq!(times(&replayed), times(&golden), "{}", events.display());
        }
    }
    Ok(())
}

#[test]
fn recordings_of_the_former_format_give_each_field_of_each_record() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let corpus = workspace().join("tests/corpus/recordings");
    let mut checked = 0;
    for entry in std::fs::read_dir(&corpus)? {
        let events = entry?.path();
        let former = events.file_name().is_some_and(|name| name.to_string_lossy().starts_with("former-"));
        if !former || events.extension().is_none_or(|extension| extension != "perfmon") {
            continue;
        }
        let mut expected = records(&std::fs::read_to_string(events.with_extension("jsonl"))?)?;
        let mut replayed = records(&replayed_lines(&binary(), &events, false)?)?;
        expected.sort_by_key(identity);
        replayed.sort_by_key(identity);
        let identities = |records: &[Value]| records.iter().map(identity).collect::<Vec<_>>();
        assert_eq!(identities(&replayed), identities(&expected), "{}", events.display());
        for (got, wanted) in replayed.iter().zip(&expected) {
            assert_has(got, wanted, &events.display().to_string());
        }
        checked += expected.len();
    }
    assert!(checked >= 238, "the corpus of the former format is not whole: {checked} records");
    Ok(())
}

fn records(jsonl: &str) -> Result<Vec<Value>> {
    jsonl.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What tells a record from all others of a recording.
fn identity(record: &Value) -> String {
    let field = |name: &str| record.get(name).map(Value::to_string).unwrap_or_default();
    ["time", "kind", "side", "span_id", "agent_run_id", "tool_call_id", "pid", "local", "peer"].map(field).join(" ")
}

/// The beginning of a chunked answer whose first chunk a hole of these bytes takes.
fn answered_with_hole(chunk: usize, hole: usize) -> MadeRecording {
    let mut made = MadeRecording::default();
    made.received(b"GET /0 HTTP/1.1\r\nHost: h\r\n\r\n");
    made.sent(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk:x}\r\n").as_bytes()).sent_unseen(hole);
    made
}

/// The requests of a recording.
fn replayed(made: &MadeRecording) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("made.perfmon");
    std::fs::write(&file, made.bytes())?;
    let mut all = records(&replayed_lines(&binary(), &file, false)?)?;
    all.retain(|record| record["kind"] == "request");
    Ok(all)
}

/// Path, status, error, size of the answer and quality of each request.
fn told(made: &MadeRecording) -> Result<Vec<Value>> {
    let fields = |record: &Value| {
        Value::from(["path", "status_code", "error", "response_size", "quality"].map(|name| record[name].clone()).to_vec())
    };
    Ok(replayed(made)?.iter().map(fields).collect())
}

#[test]
fn a_frame_is_believed_after_it_is_verified() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    // A size line fits into the seven bytes behind the chunk, and the end of the body too: it went on.
    let mut went_on = answered_with_hole(2_488, 2_495);
    for _ in 0..300 {
        went_on.sent_unseen(2_990);
    }
    went_on.sent(b"0\r\n\r\n").received(b"GET /1 HTTP/1.1\r\n\r\n").sent(b"HTTP/1.1 204 OK\r\n\r\n");
    assert_eq!(told(&went_on)?, [json!(["/0", 200, null, null, "inferred"]), json!(["/1", 204, null, 0, "exact"])]);
    // Lines of a text that look like sizes and like an answer are neither.
    let mut text = answered_with_hole(900_000, 900_400);
    for _ in 0..8 {
        text.sent(b"12\r\n34\r\n").sent_unseen(4_000).sent(b"HTTP/1.1 500 in a text\r\nContent-Length: 0\r\n\r\n");
    }
    text.received(b"GET /1 HTTP/1.1\r\n\r\n").sent(b"HTTP/1.1 204 OK\r\n\r\n");
    assert_eq!(told(&text)?, [json!(["/0", 200, null, null, "inferred"]), json!(["/1", 204, null, 0, "exact"])]);
    Ok(())
}

/// A word of syllables, another one for each number.
fn word(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "tu"];
    (0..4).map(|place| SYLLABLES[number / 10_usize.pow(place) % 10]).collect()
}

#[test]
fn routes_stay_words_beside_a_scanner() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let mut made = MadeRecording::default();
    let mut ask = |path: &str, status: u16| {
        made.received(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        made.sent(format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n").as_bytes());
    };
    (0..100).for_each(|_| ask("/api/orders", 200));
    // Some servers answer everything well.
    for number in 0..3_000 {
        ask(&format!("/api/{}", word(number)), 200);
        ask(&format!("/{}/{}", word(number), word(number + 1)), 404);
    }
    (0..20).for_each(|_| ask("/api/orders", 200));
    let records = replayed(&made)?;
    let endpoints: BTreeMap<&str, usize> =
        records.iter().filter_map(|record| record["endpoint"].as_str()).fold(BTreeMap::new(), |mut all, name| {
            *all.entry(name).or_default() += 1;
            all
        });
    assert_eq!((records.len(), endpoints.get("/api/orders")), (6_120, Some(&120)), "{endpoints:?}");
    assert!(endpoints.len() < 250, "{} rows: {endpoints:?}", endpoints.len());
    Ok(())
}

#[test]
fn what_is_no_recording_is_refused_with_a_word() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("noise.perfmon");
    for bytes in [&b""[..], b"not a recording at all", b"perfmon\x01\xff\xff\xff\xff\x01ninebytes, more than a frame's head"] {
        std::fs::write(&file, bytes)?;
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
        let output = Command::new(binary()).arg("replay").arg(&file).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("recording"), "{bytes:?}: {} {said}", output.status);
        assert!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}
