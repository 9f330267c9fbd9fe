//! WebSocket programs under observation, and a proxy between them that counts what passes by itself: frames by RFC 6455, 5.2, bytes after
//! the handshake, messages, payload as transferred. So records are held against two witnesses: the programs and the wire.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use socket2::SockRef;
use tempfile::TempDir;

use crate::need::python;
use crate::process::Running;
use crate::server::make_certificate;
use crate::{free_port, wait_until, workspace};

/// A library that serves or asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsLibrary {
    /// Python's websockets.
    Websockets,
    /// Python's aiohttp.
    Aiohttp,
    /// Node's ws.
    Ws,
}

impl WsLibrary {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Websockets, Self::Aiohttp, Self::Ws];

    fn name(self) -> &'static str {
        match self {
            Self::Websockets => "websockets",
            Self::Aiohttp => "aiohttp",
            Self::Ws => "ws",
        }
    }
}

/// What a program says that it sent and received on a connection.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Said {
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// A server by one of the libraries; ended when dropped.
pub struct WsServer {
    /// Its TCP port.
    pub port: u16,
    running: Running,
    folder: TempDir,
}

impl WsServer {
    /// Starts it, with permessage-deflate or not, over TLS (Python only) or not.
    pub fn start(library: WsLibrary, deflate: bool, tls: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let script = |name: &str| workspace().join("tests/servers").join(name);
        let mut command = Command::new(if library == WsLibrary::Ws { "node".into() } else { python() });
        match library {
            WsLibrary::Ws => command.arg(script("websocket_server.mjs")),
            _ => command.arg(script("websocket_server.py")).arg(library.name()),
        };
        command.arg(port.to_string()).arg(compression(deflate));
        if tls {
            let (certificate, key) = make_certificate(folder.path())?;
            command.arg(certificate).arg(key);
        }
        let mut running = Running::start(&mut command, &folder.path().join("server.log"))?;
        running.listens(port)?;
        Ok(Self { port, running, folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Its certificate, over TLS.
    pub fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// What it said of its connections so far, in order of their ends; waits for `count`.
    pub fn said(&self, count: usize) -> Result<Vec<Said>> {
        let lines = || self.running.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Said>>();
        let all = wait_until(10, || Ok(Some(lines()).filter(|said| said.len() >= count)))?;
        all.with_context(|| format!("the server told of less than {count} connections:\n{}", self.running.log()))
    }
}

fn compression(deflate: bool) -> &'static str {
    if deflate { "deflate" } else { "plain" }
}

/// Runs a client through its scenarios, a connection each; gives its process id and what it said.
pub fn run_client(
    library: WsLibrary,
    port: u16,
    deflate: bool,
    certificate: Option<&Path>,
    scenarios: &[&str],
) -> Result<(u32, Vec<Said>)> {
    let script = |name: &str| workspace().join("tests/clients").join(name);
    let url = format!("{}://127.0.0.1:{port}", if certificate.is_some() { "wss" } else { "ws" });
    let mut command = Command::new(if library == WsLibrary::Ws { "node".into() } else { python() });
    match library {
        WsLibrary::Ws => command.arg(script("websocket_client.mjs")).arg(url).arg(compression(deflate)),
        _ => {
            command.arg(script("websocket_client.py")).args([library.name(), &url, compression(deflate)]);
            command.arg(certificate.unwrap_or(Path::new("-")))
        }
    };
    let child = command.args(scenarios).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<Vec<Said>, _>>()?;
    ensure!(said.len() == scenarios.len(), "{command:?} told of {} connections", said.len());
    Ok((pid, said))
}

/// What one direction of a connection moved: the head of the handshake, and what followed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes of the head.
    pub head: u64,
    /// Bytes after it, control frames too.
    pub bytes: u64,
    /// Whole data messages.
    pub messages: u64,
    /// Payload of data frames.
    pub payload: u64,
}

/// Reads one direction as it comes.
#[derive(Default)]
struct FrameCount {
    moved: Moved,
    /// Bytes of the head, or of a frame's first bytes, that are not whole yet.
    begun: Vec<u8>,
    /// Payload of the frame that is still to come.
    left: u64,
    /// Whether a message ends with that payload.
    ends: bool,
}

impl FrameCount {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.moved.head > 0 && self.left > 0 {
                let now = (bytes.len() as u64).min(self.left);
                self.moved.bytes += now;
                self.left -= now;
                bytes = &bytes[now as usize..];
                self.message_ends();
                continue;
            }
            self.begun.push(*first);
            bytes = rest;
            if self.moved.head > 0 {
                self.moved.bytes += 1;
                self.frame_begins();
            } else if self.begun.ends_with(b"\r\n\r\n") {
                self.moved.head = self.begun.len() as u64;
                self.begun.clear();
            }
        }
    }

    /// Looks whether the first bytes of a frame are whole: two, the longer lengths, the mask.
    fn frame_begins(&mut self) {
        let [flags, length, ..] = self.begun[..] else { return };
        let extended = match length & 127 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if length & 128 == 0 { 0 } else { 4 };
        if self.begun.len() < 2 + extended + mask {
            return;
        }
        let long = self.begun[2..2 + extended].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        self.left = if extended == 0 { u64::from(length & 127) } else { long };
        let data = flags & 15 < 8;
        if data {
            self.moved.payload += self.left;
        }
        self.ends = data && flags & 128 != 0;
        self.begun.clear();
        self.message_ends();
    }

    fn message_ends(&mut self) {
        if self.left == 0 && std::mem::take(&mut self.ends) {
            self.moved.messages += 1;
        }
    }
}

/// A connection that went through the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Port of the client's end.
    pub client_port: u16,
    /// Port of the proxy's end towards the server: the peer that the server knows.
    pub server_peer_port: u16,
    /// What the client sent.
    pub to_server: Moved,
    /// What the server sent.
    pub to_client: Moved,
}

/// The proxy; its thread ends with the test.
pub struct WsProxy {
    /// Where it listens.
    pub port: u16,
    passed: Arc<Mutex<Vec<Passed>>>,
}

impl WsProxy {
    /// Starts it before a server.
    pub fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let keeping = passed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let connection = client.map_err(Into::into).and_then(|client| pass(&client, server));
                if let Ok(connection) = connection {
                    keeping.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                }
            }
        });
        Ok(Self { port, passed })
    }

    /// The connections that ended, in their order; waits for `count`.
    pub fn passed(&self, count: usize) -> Result<Vec<Passed>> {
        let ended = || self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = wait_until(10, || Ok(Some(ended()).filter(|passed| passed.len() >= count)))?;
        all.with_context(|| format!("{} of {count} connections went through the proxy", ended().len()))
    }
}

/// Carries a connection to its end.
fn pass(client: &TcpStream, server: u16) -> Result<Passed> {
    let upstream = TcpStream::connect(("127.0.0.1", server))?;
    upstream.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (client_port, server_peer_port) = (client.peer_addr()?.port(), upstream.local_addr()?.port());
    let (to_server, to_client) = std::thread::scope(|scope| {
        let back = scope.spawn(|| carry(&upstream, client));
        (carry(client, &upstream), back.join().unwrap_or_default())
    });
    Ok(Passed { client_port, server_peer_port, to_server, to_client })
}

/// Carries one direction to its end, then ends it at the other side in the same way.
fn carry(mut from: &TcpStream, mut to: &TcpStream) -> Moved {
    let mut count = FrameCount::default();
    let mut buffer = vec![0; 65_536];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                to.shutdown(Shutdown::Write).ok(); // fails when the other end is gone already
                return count.moved;
            }
            Ok(read) => {
                count.take(&buffer[..read]);
                if to.write_all(&buffer[..read]).is_err() {
                    from.shutdown(Shutdown::Both).ok();
                }
            }
            Err(_) => {
                SockRef::from(to).set_linger(Some(std::time::Duration::ZERO)).ok();
                to.shutdown(Shutdown::Both).ok();
                return count.moved;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        let head = stream.len() as u64;
        stream.extend(b"\x81\x02hi"); // a text message
        stream.extend(b"\x89\x00"); // a ping
        stream.extend(b"\x02\x83mask\x01\x02\x03\x80\x7e\x01\x00"); // a masked fragment, and the end of its message in 256 bytes
        stream.extend([7; 256]);
        stream.extend(b"\x81\x00\x88\x02\x03\xe8"); // an empty message, a close
        let bytes = stream.len() as u64 - head;
        let expected = Moved { head, bytes, messages: 3, payload: 2 + 3 + 256 };
        for step in [1, 2, 7, stream.len()] {
            let mut count = FrameCount::default();
            stream.chunks(step).for_each(|piece| count.take(piece));
            assert_eq!(count.moved, expected, "in pieces of {step}");
        }
    }
}
