//! A strict OTLP receiver: decodes requests, notes violations of the protocol and the conventions, answers by script.
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::strict;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Delays the answer.
    pub hang: Option<Duration>,
}

impl Answer {
    pub fn ok() -> Self {
        Self { status: 200, ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub taken: bool,
    /// Decompressed.
    pub body: Vec<u8>,
}

type Script = dyn Fn(usize, &Seen) -> Answer + Send + Sync;

/// The receiver; its threads end with the test.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Starts a receiver that answers the n-th request by `script`.
    pub fn start(script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, script)
    }

    pub fn on(listener: TcpListener, script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, seen: Arc::default(), wrong: Arc::default() };
        let (accepting, script): (_, Arc<Script>) = (receiver.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (receiver, script) = (accepting.clone(), script.clone());
                std::thread::spawn(move || receiver.serve(stream, &*script));
            }
        });
        receiver
    }

    fn serve(&self, mut stream: TcpStream, script: &Script) -> Option<()> {
        loop {
            let mut seen = read(&mut stream)?;
            if seen.path != "/v1/info" {
                let wrong = self.judge(&mut seen);
                self.wrong.lock().unwrap().extend(wrong);
            }
            let number = self.seen.lock().unwrap().len();
            let answer = script(number, &seen);
            seen.taken = answer.status == 200 && answer.hang.is_none();
            self.seen.lock().unwrap().push(seen);
            answer.hang.into_iter().for_each(std::thread::sleep);
            let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
            answer.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
            stream.write_all(&answer.body).ok()?;
        }
    }

    /// Violations in a request; decompresses its body.
    fn judge(&self, seen: &mut Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        if seen.headers.get("content-type").map(String::as_str) != Some("application/x-protobuf") {
            wrong.push(format!("content-type {:?}", seen.headers.get("content-type")));
        }
        if seen.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
            let mut plain = Vec::new();
            if let Err(error) = GzDecoder::new(&*seen.body).read_to_end(&mut plain) {
                wrong.push(format!("gzip: {error}"));
            }
            seen.body = plain;
        }
        wrong.extend(match seen.path.as_str() {
            "/v1/metrics" => ExportMetricsServiceRequest::decode(&*seen.body).map_or_else(|e| vec![e.to_string()], |r| strict::metrics(&r)),
            "/v1/traces" => ExportTraceServiceRequest::decode(&*seen.body).map_or_else(|e| vec![e.to_string()], |r| strict::traces(&r)),
            "/v1/logs" => ExportLogsServiceRequest::decode(&*seen.body).map_or_else(|e| vec![e.to_string()], |r| strict::logs(&r)),
            other => vec![format!("path {other}")],
        });
        wrong
    }

    /// Everything that came.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Accepted requests of a signal.
    pub fn taken<R: Message + Default>(&self, path: &str) -> Vec<R> {
        self.seen().iter().filter(|seen| seen.taken && seen.path == path).map(|seen| R::decode(&*seen.body).unwrap()).collect()
    }

    /// Fails when anything was wrong with what came.
    pub fn assert_strict(&self) {
        let wrong = self.wrong.lock().unwrap().clone();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = request.parse(&bytes).ok()? {
            let path = request.path?.to_string();
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers: BTreeMap<String, String> = request.headers.iter().map(|h| (h.name.to_lowercase(), text(h.value))).collect();
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = bytes.split_off(head);
            while body.len() < length {
                let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
                body.extend_from_slice(&buffer[..read]);
            }
            return Some(Seen { path, headers, taken: false, body });
        }
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}
