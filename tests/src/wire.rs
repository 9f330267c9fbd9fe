//! HTTP/1 by hand: a client on a bare socket that logs its own times and sizes. It reads just what servers in these tests send.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_user::clock::boot_now_ns;

/// An answer as the client saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Status of the final answer.
    pub status: u16,
    /// Body without framing.
    pub body: Vec<u8>,
    /// All bytes, interim answers too.
    pub bytes: u64,
    /// First request byte sent → last answer byte read.
    pub ms: f64,
}

/// Either kind of stream socket.
pub trait Socket: Read + Write + Send {}
impl<T: Read + Write + Send> Socket for T {}

/// A connection to a server.
pub struct Wire {
    socket: Box<dyn Socket>,
    ahead: Vec<u8>,
    sent_ns: u64,
    last: bool,
}

impl Wire {
    /// Connects to a TCP port of a host (`127.0.0.1`, `::1`).
    pub fn connect(host: &str, port: u16) -> Result<Self> {
        let socket = TcpStream::connect((host, port)).with_context(|| format!("cannot connect to {host} port {port}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self::over(socket))
    }

    /// Connects to a unix socket.
    pub fn connect_unix(path: &Path) -> Result<Self> {
        let socket = UnixStream::connect(path).with_context(|| format!("cannot connect to {}", path.display()))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self::over(socket))
    }

    fn over(socket: impl Socket + 'static) -> Self {
        Self { socket: Box::new(socket), ahead: Vec::new(), sent_ns: 0, last: false }
    }

    /// True when the last answer announced the end of the connection.
    pub fn is_spent(&self) -> bool {
        self.last
    }

    /// Sends bytes in one operation; the next answer's time counts from here.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.sent_ns = boot_now_ns();
        Ok(self.socket.write_all(bytes)?)
    }

    /// Sends the pieces of one request, each in an operation of its own with a pause between.
    pub fn send_pieces(&mut self, pieces: &[&[u8]], pause: Duration) -> Result<()> {
        let start = boot_now_ns();
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                std::thread::sleep(pause);
            }
            self.socket.write_all(piece)?;
        }
        self.sent_ns = start;
        Ok(())
    }

    /// Sends a request and reads its answer.
    pub fn call(&mut self, method: &str, target: &str, agent: &str, body: &[u8]) -> Result<Answer> {
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\n{length}\r\n").into_bytes();
        request.extend_from_slice(body);
        self.send(&request)?;
        self.answer(method == "HEAD")
    }

    /// Reads the next final answer; `head`: it answers a HEAD request.
    pub fn answer(&mut self, head: bool) -> Result<Answer> {
        let mut answer = Answer::default();
        let (status, fields) = loop {
            let text = self.take_head(&mut answer.bytes)?;
            let status: u16 = text.get(9..12).and_then(|code| code.parse().ok()).with_context(|| format!("no status line: {text}"))?;
            if status >= 200 || status == 101 {
                break (status, text.to_ascii_lowercase());
            }
        };
        answer.status = status;
        let field = |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        self.last = says_close(&fields);
        if head || status == 204 || status == 304 || status == 101 {
        } else if field("transfer-encoding:") == Some("chunked") {
            self.take_chunks(&mut answer)?;
        } else if let Some(length) = field("content-length:") {
            answer.body = self.take(length.parse()?, &mut answer.bytes)?;
        } else {
            self.last = true;
            self.socket.read_to_end(&mut self.ahead)?;
            answer.body = self.take(self.ahead.len(), &mut answer.bytes)?;
        }
        answer.ms = (boot_now_ns() - self.sent_ns) as f64 / 1e6;
        Ok(answer)
    }

    fn take_head(&mut self, count: &mut u64) -> Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.take(end + 4, count)?;
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            self.read_more()?;
        }
    }

    fn take_chunks(&mut self, answer: &mut Answer) -> Result<()> {
        loop {
            let size = self.take_line(&mut answer.bytes)?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).context("no chunk size")?;
            if size == 0 {
                while !self.take_line(&mut answer.bytes)?.is_empty() {}
                return Ok(());
            }
            let data = self.take(size, &mut answer.bytes)?;
            answer.body.extend(data);
            ensure!(self.take_line(&mut answer.bytes)?.is_empty(), "a chunk is not followed by a line end");
        }
    }

    fn take_line(&mut self, count: &mut u64) -> Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line = self.take(end + 2, count)?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.read_more()?;
        }
    }

    fn take(&mut self, length: usize, count: &mut u64) -> Result<Vec<u8>> {
        while self.ahead.len() < length {
            self.read_more()?;
        }
        *count += length as u64;
        let rest = self.ahead.split_off(length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    fn read_more(&mut self) -> Result<()> {
        let mut buffer = [0; 65_536];
        let read = self.socket.read(&mut buffer)?;
        ensure!(read > 0, "the server closed the connection");
        self.ahead.extend_from_slice(&buffer[..read]);
        Ok(())
    }
}

/// RFC 9112, 9.6 and the default of HTTP/1.0; `head` in lower case.
fn says_close(head: &str) -> bool {
    let connection = head.lines().find_map(|line| line.strip_prefix("connection:")).map(str::trim);
    connection == Some("close") || (head.starts_with("http/1.0") && connection != Some("keep-alive"))
}

/// GET of a path from a port of this host, on a connection of its own.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    let mut wire = Wire::connect("127.0.0.1", port)?;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    wire.answer(false)
}
