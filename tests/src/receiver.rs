//! An HTTP server in this process that stores what perfmon sends (webhooks and telemetry) and answers as the test defines.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_user::clock::boot_now_ns;
use serde_json::Value;

/// What it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Further header lines, each ended with CRLF.
    pub headers: String,
    /// Body.
    pub body: String,
    /// Time until it answers.
    pub wait: Duration,
}

impl Reply {
    /// A status, at once.
    pub fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: String::new(), wait: Duration::ZERO }
    }

    /// 200, later than any time-out.
    pub fn never() -> Self {
        Self { wait: Duration::from_secs(3_600), ..Self::status(200) }
    }
}

/// What came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body as it came.
    pub body: Vec<u8>,
    /// When, by the clock since boot.
    pub at_ns: u64,
    /// Whether it was answered with 200 at once.
    pub taken: bool,
}

impl Seen {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON came to {}", self.path))
    }
}

type Answering = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// The server; its threads end with the test.
#[derive(Clone)]
pub struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    /// Listens on a free port; `answer` defines the answer to each request.
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0")?, answer)
    }

    /// On a listening socket.
    pub fn on(listener: TcpListener, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let receiver = Self { port: listener.local_addr()?.port(), seen: Arc::default() };
        let (taking, answer): (_, Answering) = (receiver.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let (taking, answer) = (taking.clone(), answer.clone());
                std::thread::spawn(move || while taking.serve(&stream, &answer).is_ok_and(|goes_on| goes_on) {});
            }
        });
        Ok(receiver)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one request; false at the end of the connection.
    fn serve(&self, stream: &TcpStream, answer: &Answering) -> Result<bool> {
        let Some(mut seen) = read(stream)? else { return Ok(false) };
        let reply = answer(&seen);
        seen.taken = reply.status == 200 && reply.wait.is_zero();
        self.lock().push(seen);
        std::thread::sleep(reply.wait);
        let Reply { status, headers, body, .. } = reply;
        let answer = format!("HTTP/1.1 {status} As-told\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        let mut stream = stream;
        stream.write_all(answer.as_bytes())?;
        Ok(true)
    }
}

/// A request with `Content-Length`.
fn read(stream: &TcpStream) -> Result<Option<Seen>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let at_ns = boot_now_ns();
    let path = line.split(' ').nth(1).context("no request line")?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Seen { path, headers, body, at_ns, taken: false }))
}
