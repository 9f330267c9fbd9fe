//! A direction's first handshake message → the server name that the client asks for (RFC 6066, section 3), or what the server's choice of
//! version and cipher adds to each record. In: the content of its records, in any pieces; out: [`Said`], once. Bounded; garbage is silence.
use super::cursor::{Cursor, Read, Shortfall};
use super::record::{RecordType, Walked};

/// Bytes of a hello that are looked at: post-quantum key shares make it 1,700 bytes, and none is longer than a few thousand.
const LONGEST: usize = 4_096;
/// Handshake messages and extensions (RFC 8446, sections 4 and 4.2).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;

/// Collects the beginning of one direction.
#[derive(Debug, Default)]
pub struct Hello {
    bytes: Vec<u8>,
    over: bool,
    said: Option<Said>,
}

/// What a hello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The client's.
    Client {
        /// Host name that it wants.
        server_name: Option<String>,
    },
    /// The server's.
    Server {
        /// Bytes that each record adds to its plaintext.
        overhead: u32,
    },
}

impl Hello {
    /// What the walk along the direction came by next: a hello may be spread over several records, and nothing else stands between them.
    pub fn push(&mut self, walked: Walked<'_>) {
        if self.over {
            return;
        }
        match walked {
            Walked::Record { header, .. } if header.kind == RecordType::Handshake => {}
            Walked::Fragment(bytes) => self.bytes(bytes),
            Walked::Record { .. } | Walked::Hole | Walked::Hidden(_) | Walked::Foreign => self.end(),
        }
    }

    /// What was said, once.
    pub fn take(&mut self) -> Option<Said> {
        self.said.take()
    }

    /// Nothing more is to come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match said(&self.bytes) {
            Err(Shortfall::NeedMore) if bytes.len() < room => {}
            said => {
                self.said = said.ok();
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.bytes = Vec::new();
    }
}

/// A ClientHello or ServerHello (RFC 8446, sections 4.1.2 and 4.1.3), as soon as it tells what is wanted of it.
fn said(bytes: &[u8]) -> Read<Said> {
    let mut cursor = Cursor::of_stream(bytes);
    let kind = cursor.u8()?;
    if kind != CLIENT_HELLO && kind != SERVER_HELLO {
        return Err(Shortfall::Malformed);
    }
    let mut body = cursor.vector(3)?;
    // Version, random, session id.
    body.take(2 + 32)?;
    body.vector(1)?;
    if kind == SERVER_HELLO {
        return server(body);
    }
    // Ciphers, compressions.
    body.vector(2)?;
    body.vector(1)?;
    let server_name = extension(body, SERVER_NAME)?.map(name).transpose()?.flatten();
    Ok(Said::Client { server_name })
}

fn server(mut body: Cursor<'_>) -> Read<Said> {
    let cipher = body.u16()?;
    // Compression.
    body.u8()?;
    let is_13 = match extension(body, SUPPORTED_VERSIONS)? {
        Some(mut version) => version.u16()? == 0x0304,
        None => false,
    };
    Ok(Said::Server { overhead: overhead(is_13, cipher) })
}

/// The content of an extension; `None` when the hello is whole and has none of that number.
fn extension(mut body: Cursor<'_>, wanted: u16) -> Read<Option<Cursor<'_>>> {
    if body.is_at_end() {
        return Ok(None);
    }
    let mut extensions = body.vector(2)?;
    while !extensions.is_at_end() {
        let number = extensions.u16()?;
        let content = extensions.vector(2)?;
        if number == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// The host name of a list of names; `None` where it is none that a host can have.
fn name(mut content: Cursor<'_>) -> Read<Option<String>> {
    let mut names = content.vector(2)?;
    if names.u8()? != 0 {
        return Ok(None);
    }
    let len = names.u16()?;
    let name = names.take(len.into())?;
    let is_name = !name.is_empty() && name.len() <= 253 && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte));
    Ok(is_name.then(|| String::from_utf8_lossy(name).to_ascii_lowercase()))
}

/// Header 5 and, in TLS 1.3, tag 16 and type 1; in 1.2 a tag of 16 with (GCM) or without (ChaCha20: 0xcca8 and on) an explicit nonce of 8.
fn overhead(is_13: bool, cipher: u16) -> u32 {
    match (is_13, cipher) {
        (true, _) => 22,
        (false, 0xcca8..=0xccae) => 21,
        (false, _) => 29,
    }
}

#[cfg(test)]
mod tests;
